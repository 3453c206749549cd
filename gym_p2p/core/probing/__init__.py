"""A burst of pings, what it says, and the life of a probe on the service."""
