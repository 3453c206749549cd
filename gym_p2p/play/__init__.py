"""The user's half of a match: session, match, episode, runner, recorder, handshake and sync mode."""
