"""The facts of a match to its three documents, and the aggregate that compares players."""
