"""The service on a Socket.IO server: a shell around the switchboard for every kind of host."""
