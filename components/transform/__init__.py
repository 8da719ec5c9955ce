"""What runs inside TFX's Transform: feature treatments, and target encoding by moving averages of past behaviour."""
