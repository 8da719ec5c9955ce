"""Documentation made from the code: `python -m pipeline.reference` writes it, a test holds it against the code."""
