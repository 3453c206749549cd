"""Which files are of a match, and what each of them says by itself: a module a kind of file."""
