"""What runs inside TFX's Transform: feature treatments and moving averages of past behaviour."""
