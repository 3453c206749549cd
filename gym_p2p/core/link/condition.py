"""Whether a path is bad, or good again, by the pings that were sent over it.

A ping now and then shows the round trip and little of the loss: so a path on which one goes unanswered, or
comes back late, is *suspect*, and pinged often until it is seen to be bad or has been clean for a while. A
round trip is lost if either way loses it, so of a share of unanswered pings that of lost messages is
``1 - sqrt(1 - unanswered)``, were both ways alike.

Knows numbers and times; refuses to know what is sent, and what follows. Times are monotonic seconds, passed
in.
"""

from __future__ import annotations

import math
import statistics
from collections import deque

import attrs

__all__ = ["BAD_LOSS", "GOOD_S", "WINDOW_S", "PathCondition", "Verdict"]

WINDOW_S = 3.0
"""What a path is judged by to be bad."""

GOOD_S = 5.0
"""For so long a path that was left has to be good before it is taken again."""

BAD_LOSS = 0.3
"""Of the messages of one way: more of them lost makes a path bad."""

GOOD_LOSS = 0.1
"""A path that loses more is not good again yet: well apart from what is bad, or it would change for ever."""

ANSWER_LEAST_S = 1.0
"""After so long without an answer a ping counts as lost; below the time between two of them."""

_LEAST_PINGS = 10
"""A share of fewer says nothing."""

_CARRIES_AFTER = 3
"""Pings in a row that were answered show that a new path carries."""

_KEPT = 128
"""More than are sent within :data:`GOOD_S`."""


@attrs.frozen
class Verdict:
    """What was seen of a path: the share of lost messages, and the median round trip.

    Attributes:
        rtt_ms: ``None`` where no ping was answered.
    """

    loss: float
    rtt_ms: float | None


@attrs.define(eq=False)
class _Sent:
    number: int
    at: float
    rtt_s: float | None = None


class PathCondition:
    """The newest pings over one path, and what came of them."""

    def __init__(self) -> None:
        self._sent: deque[_Sent] = deque(maxlen=_KEPT)

    def sent(self, number: int, now: float) -> None:
        """Note that a ping was sent."""
        self._sent.append(_Sent(number, now))

    def answered(self, number: int, rtt_s: float) -> None:
        """Note that a ping was answered."""
        for one in reversed(self._sent):
            if one.number == number:
                one.rtt_s = rtt_s
                return

    def is_suspect(self, rtt_most_s: float, now: float) -> bool:
        """Whether a ping of the newest :data:`WINDOW_S` went unanswered, or came back too late."""
        judged = self._within(WINDOW_S, rtt_most_s, now)
        return any(one.rtt_s is None or one.rtt_s > rtt_most_s for one in judged)

    def bad(self, rtt_most_s: float, now: float) -> Verdict | None:
        """Return what is wrong with the path; ``None`` if nothing is, or too little is known of it.

        Args:
            rtt_most_s: the longest good round trip.
            now: the time.
        """
        judged = self._within(WINDOW_S, rtt_most_s, now)
        if len(judged) < _LEAST_PINGS:
            return None
        seen = _verdict(judged)
        slow = seen.rtt_ms is not None and seen.rtt_ms > rtt_most_s * 1e3
        return seen if slow or seen.loss > BAD_LOSS else None

    def is_good(self, rtt_most_s: float, now: float) -> bool:
        """Whether the path has been good for :data:`GOOD_S`."""
        judged = self._within(GOOD_S, rtt_most_s, now)
        if len(judged) < _LEAST_PINGS or now < self._sent[0].at + GOOD_S:
            return False
        seen = _verdict(judged)
        return seen.loss <= GOOD_LOSS and seen.rtt_ms is not None and seen.rtt_ms <= rtt_most_s * 1e3

    def carries(self) -> bool:
        """Whether some pings in a row were answered."""
        answered = [one.rtt_s is not None for one in self._sent]
        return any(
            all(answered[at : at + _CARRIES_AFTER]) for at in range(len(answered) - _CARRIES_AFTER + 1)
        )

    def _within(self, window_s: float, rtt_most_s: float, now: float) -> list[_Sent]:
        """Return the pings of a window that were answered, or can be no more."""
        overdue = now - max(ANSWER_LEAST_S, rtt_most_s)
        since = now - window_s
        return [
            one
            for one in self._sent
            if (one.rtt_s is not None and since <= one.at) or since - ANSWER_LEAST_S <= one.at <= overdue
        ]


def _verdict(judged: list[_Sent]) -> Verdict:
    rtts_s = [one.rtt_s for one in judged if one.rtt_s is not None]
    unanswered = 1 - len(rtts_s) / len(judged)
    return Verdict(1 - math.sqrt(1 - unanswered), statistics.median(rtts_s) * 1e3 if rtts_s else None)
