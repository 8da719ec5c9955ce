"""Which of the compared models is pushed."""
