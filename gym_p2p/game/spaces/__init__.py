"""Actions of every space to bytes and back."""
