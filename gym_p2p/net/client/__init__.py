"""The Socket.IO client of the service, and what a player requests of it."""
