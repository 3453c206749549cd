"""Bytes between peers: messages and their codec."""
