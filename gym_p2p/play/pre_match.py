"""A player's vote before a match is made: from what was configured to a verdict about a proposed match.

Knows callables, names of callables and a plain limit. It refuses to know queues and the line.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from gym_p2p.config.names import load_callable
from gym_p2p.core.api.queues import MatchProposed, Verdict
from gym_p2p.core.matchmaking.commands import as_verdict
from gym_p2p.errors import ConfigurationError

__all__ = ["load_pre_match"]

_log = logging.getLogger(__name__)


def load_pre_match(configured: Any) -> Callable[[MatchProposed], Verdict] | None:
    """Return the option ``pre_match`` as a function that never raises; ``None`` for ``None``.

    Args:
        configured: a callable, ``"module:function"``, or the largest acceptable round trip in ms. With a
            limit a match in which a pair was not measured is refused.

    Raises:
        ConfigurationError: it is none of these, or names nothing that can be called.
    """
    if configured is None:
        return None
    if isinstance(configured, int | float) and not isinstance(configured, bool):
        limit_ms = float(configured)
        if not limit_ms >= 0:
            raise ConfigurationError("pre_match", f"wanted a limit of 0 ms or more, got {configured!r}")
        return lambda match: _within(match, limit_ms)
    function = load_callable("pre_match", configured)
    return lambda match: _vote(function, match)


def _within(match: MatchProposed, limit_ms: float) -> Verdict:
    measured = [pair.rtt_ms for pair in match.probe.pairs]
    near = bool(measured) and all(rtt_ms is not None and rtt_ms <= limit_ms for rtt_ms in measured)
    return Verdict.ACCEPT if near else Verdict.REJECT


def _vote(function: Callable[[MatchProposed], object], match: MatchProposed) -> Verdict:
    try:
        return as_verdict(function(match))
    except Exception:  # noqa: BLE001 - the user's bug is a no, and must not leave the others waiting
        _log.exception("pre_match failed; the match is refused")
        return Verdict.REJECT
