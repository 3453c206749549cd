"""A study, or one match of it, as one page that needs nothing else: no file, no network, no script."""
