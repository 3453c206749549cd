"""The report card: whether and how an environment can be played by peers."""
