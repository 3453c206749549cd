"""Presence, rooms and spectators' seats, as the service keeps them."""
