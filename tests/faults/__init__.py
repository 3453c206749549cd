"""The fault bench: real players, faults at seeded moments, and an audit of what they left behind."""
