"""Environments as games of seats: loading, describing and stepping them."""
