"""The environment's side: Gymnasium and PettingZoo live here; nothing of the network does."""
