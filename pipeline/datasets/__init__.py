"""What a user does with data sets before a run: fetch a public one."""
