"""What the service does about every event, one file a subject."""
