"""Models' scores of the same rows, and whether one model is better than another beyond chance."""
