"""What two ends of a link do about the link itself, whatever the messages on it mean."""
