"""What the service does about every event: the table of them, the host's hook, the log of decisions."""
