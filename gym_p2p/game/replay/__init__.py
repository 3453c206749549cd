"""Recorded matches: writing, reading, verifying, and making transitions of them."""
