"""The peer: a TFX pipeline as its tutorials write it."""
