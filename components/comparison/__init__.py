"""How well scores rank rows, and whether one model is better than another beyond chance."""
