"""Other processes: how one of ours is started, ends with its owner, and what a fork lets go of."""
