"""A feed day by day: what has arrived, what is due, one pipeline a day, and the book that is kept of it."""
