"""A person's seat: a page in their browser that shows the frames of a match and takes the keys for it."""
