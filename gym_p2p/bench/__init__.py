"""What things cost, each beside its floor and an anchor in the same run.

Every measurement starts processes of its own on this machine, takes turns between what is compared, round
after round, and reports medians and 99th percentiles; nothing leaves the machine. ``gym-p2p bench`` prints
the reports. A *floor* is what remains if this package cost nothing, an *anchor* is what one would have
without it.
"""
