"""`dfei compare`: every model on one Transform output, several seeds, and the evidence side by side."""
