"""How often one peer is written to, and what its timers request.

Knows intervals; refuses to know the peer. Times are in seconds.
"""

from __future__ import annotations

import enum

__all__ = [
    "ACKNOWLEDGE_LEAST_S",
    "FIRST_RTT_S",
    "GREETING_TIMEOUT_S",
    "KEEP_ALIVE_S",
    "PING_INTERVAL_S",
    "RESEND_INTERRUPTED_S",
    "RESEND_LEAST_S",
    "RESEND_MOST_S",
    "SUSPECT_INTERVAL_S",
    "Due",
    "report_after_s",
    "while_ticking_s",
]

PING_INTERVAL_S = 1.3
"""Not in step with what is measured every second: packets that leave together delay each other."""

SUSPECT_INTERVAL_S = 0.1
"""While a direct path may be bad (thirty show a loss of three in ten well enough), and to one who leaves."""

KEEP_ALIVE_S = 0.2
"""Something is sent at least this often. GGRS's value; well below the notice at 0.5 s."""

GREETING_TIMEOUT_S = 10.0
"""From the link being open to the peer's handshake."""

FIRST_RTT_S = 0.1
"""Assumed until the first pong."""

RESEND_LEAST_S = 0.015
RESEND_MOST_S = 0.25
RESEND_INTERRUPTED_S = 0.03
"""While nothing arrives from a peer, so that the first moment of a path that carries again is not missed."""

ACKNOWLEDGE_LEAST_S = 0.005
"""At most one bare acknowledgement in this time, so that two peers cannot answer each other for ever."""

TICKING_MOST_S = 0.04
"""Who gives inputs at this rate or above it sends one message a frame: all else goes with the next one."""

REPORT_S = 0.03
REPORT_MOST_S = 0.25
"""The arrival of inputs is reported with our next input, or after one and a half of our frames without."""


class Due(enum.Enum):
    """What a peer's timers request."""

    PING = "ping"
    RESEND = "resend"
    NOTICE = "notice"
    LOST = "lost"


def report_after_s(tick_s: float) -> float:
    """Return how long an arrival waits to be reported with our next input, before it is by itself."""
    return min(REPORT_MOST_S, max(REPORT_S, 1.5 * tick_s))


def while_ticking_s(tick_s: float) -> float:
    """Return for how long our next input is waited for rather than sending a message of its own."""
    return 1.25 * tick_s if tick_s <= TICKING_MOST_S else 0.0
