"""Files that appear whole or not at all, that only their owner can read, and whose names come from anywhere.

It knows names and the file system; it refuses to know what the files say, and the network.
"""
