"""The Socket.IO client of the service, and what a player asks of it."""
