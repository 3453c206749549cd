"""Protocol logic as machines without I/O.

Every machine has the same verbs: ``receive``, ``handle_timeout(now)``, ``next_timeout()`` and ``poll()``.
``now`` is monotonic seconds and comes in as an argument, like every random number and every id. Outputs
are of two kinds: requests, which must be carried out in order, and events, which may be ignored.
"""
