"""Evaluating a model: what TFMA measures, which gates must be passed, and what was found, in words."""
