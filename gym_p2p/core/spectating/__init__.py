"""A match shown to others: the log, the one who shows it, and the one who follows."""
