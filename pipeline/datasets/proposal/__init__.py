"""Proposes a declaration for files that nobody has described: what each column is, and why it is thought so."""
