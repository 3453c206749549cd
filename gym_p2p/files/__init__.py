"""Files that appear whole or not at all, or grow by lines, for their owner alone; names from anywhere.

It knows names and the file system; it refuses to know what the files say, and the network.
"""
