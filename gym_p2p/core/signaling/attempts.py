"""Which attempt of two players to connect a description belongs to.

A path that breaks is rebuilt by another connection, whose offer and answer travel as those of the first did;
late ones of an earlier attempt must not be taken for those of a later one. So each names its attempt in a
line of its own, as RFC 8866, section 5.13 lets anybody add some: who does not know it passes over it. Those
of the first connection have none, and candidates need none: they name the credentials of their description.
"""

from __future__ import annotations

import re

__all__ = ["attempt_of", "tagged"]

_LINE = re.compile(r"^a=x-gym-p2p-attempt:([0-9]{1,9})\r?$", re.MULTILINE)


def tagged(sdp: str, attempt: int) -> str:
    """Return a description that names its attempt, counted from 1."""
    head, media, rest = sdp.partition("m=")
    return f"{head}a=x-gym-p2p-attempt:{attempt}\r\n{media}{rest}"


def attempt_of(sdp: str) -> int:
    """Return the attempt that a description belongs to; 0 for the first connection's."""
    named = _LINE.search(sdp)
    return 0 if named is None else int(named[1])
