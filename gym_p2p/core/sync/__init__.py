"""Lockstep and rollback: the session, input tracks, prediction, time sync and pacing."""
