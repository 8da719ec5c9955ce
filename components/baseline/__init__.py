"""Which earlier model a new one is evaluated against."""
