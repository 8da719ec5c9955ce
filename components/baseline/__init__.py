"""Which earlier model a new one is judged against."""
