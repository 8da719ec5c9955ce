"""The subcommands of `dfei`, one file each."""
