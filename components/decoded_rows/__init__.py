"""Transformed rows decoded once, for the many trainings of a comparison."""
