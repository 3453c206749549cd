"""Policies at seats: what a name loads, how fast it may react, and what the documents say of it."""
