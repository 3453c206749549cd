"""One match: what all its files say together, as rows of every table."""
