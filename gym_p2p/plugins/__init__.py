"""Parts of this package in the words of other frameworks; each is importable without its framework."""
