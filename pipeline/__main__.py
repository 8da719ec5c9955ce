"""`python -m pipeline` is `dfei`."""

from pipeline.cli import main

main()
