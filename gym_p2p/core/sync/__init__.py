"""Lockstep and rollback: the session, its tracks, window, endings and saved states, prediction and pacing."""
