"""The I/O shells: every ``async def`` of the package, and every third-party network import."""
