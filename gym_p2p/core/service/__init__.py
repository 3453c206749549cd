"""Rooms, spectators, and the whole of the service without its I/O."""
