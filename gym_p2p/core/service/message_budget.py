"""How much of a match's messages the service passes on: of one player, and of a match.

Enough for a match at 60 frames a second between two players who have no direct path, and for the small ones
of more; what is beyond is refused, and the players send it again. A budget of its own: it takes nothing from
the events that clients send otherwise, nor the other way round.

Knows numbers. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

import attrs

from gym_p2p.core.api.relaying import (
    BYTES_BURST,
    BYTES_PER_S,
    MAX_MESSAGE_CHARS,
    MESSAGES_BURST,
    MESSAGES_PER_S,
)
from gym_p2p.core.api.replies import Code, Refused
from gym_p2p.core.presence.rate_limits import RateLimit, too_often

__all__ = ["MATCH_SHARE", "MessageBudget"]

MATCH_SHARE = 4
"""A match may have so many times what one of its players may: eight who all need it share that."""

_TOO_LARGE = Refused(
    Code.TOO_LARGE, f"messages that are passed on have at most {MAX_MESSAGE_CHARS} characters"
)


@attrs.define(eq=False)
class MessageBudget:
    """What is left, of everybody."""

    _messages: RateLimit = attrs.field(init=False, factory=lambda: RateLimit(MESSAGES_PER_S, MESSAGES_BURST))
    _bytes: RateLimit = attrs.field(init=False, factory=lambda: RateLimit(BYTES_PER_S, BYTES_BURST))
    _of_match: RateLimit = attrs.field(
        init=False, factory=lambda: RateLimit(MATCH_SHARE * MESSAGES_PER_S, MATCH_SHARE * MESSAGES_BURST)
    )

    def take(self, subject_id: str, match_id: str, size_chars: int, now: float) -> Refused | None:
        """Take one message off; where that is too much, say so.

        Args:
            subject_id: whose it is.
            match_id: within which.
            size_chars: its size.
            now: monotonic seconds.
        """
        if size_chars > MAX_MESSAGE_CHARS:
            return _TOO_LARGE
        waits_s = (
            self._messages.take(subject_id, now),
            self._bytes.take(subject_id, now, size_chars),
            self._of_match.take(match_id, now),
        )
        wait_s = max([wait_s for wait_s in waits_s if wait_s is not None], default=None)
        if wait_s is None:
            return None
        return too_often(wait_s, f"at most {MESSAGES_PER_S} messages a second are passed on")
