"""Single requests: the list of those that are stored, and its live tail."""
