"""The network half of a player or spectator: the bridge to it, its process and its messages."""
