"""Keys to actions: which key does what, and what the keys that are held come to. No I/O, no clock."""
