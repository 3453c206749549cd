"""What only the developers measure; how to run each is in the README beside this."""
