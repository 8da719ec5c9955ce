"""What of a day's data is refused: measured, held against the last good days, and said in words."""
