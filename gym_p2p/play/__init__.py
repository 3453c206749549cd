"""The user's half of a match: session, episode, runner, recorder, handshake and sync mode."""
