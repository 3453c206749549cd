"""The user's half of looking on."""
