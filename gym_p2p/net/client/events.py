"""What a client learns, as one stream of typed events: the service's announcements, the state of the line.

Whoever wants a kind of event listens to it. What the match needs is kept until somebody does. It refuses to
know what an event means.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import attrs

from gym_p2p.core.api.rooms import MatchSignal, PeerLeft, PeerReturned
from gym_p2p.core.api.spectators import SpectatorJoined, SpectatorLeft, WatchOver

__all__ = ["EventStream", "LineChanged"]

_LOG = logging.getLogger(__name__)
_KEPT: frozenset[type] = frozenset(
    {MatchSignal, PeerLeft, PeerReturned, SpectatorJoined, SpectatorLeft, WatchOver}
)
_MAX_KEPT = 256
"""Of each of these kinds; the oldest ones go."""

_T = TypeVar("_T")


@attrs.frozen
class LineChanged:
    """The line to the service is broken, or up again."""

    up: bool


class EventStream:
    """Events on their way to those who listen, in the order in which they came."""

    def __init__(self) -> None:
        self._listeners: dict[type, Callable[[Any], None]] = {}
        self._kept: dict[type, deque[object]] = {kind: deque(maxlen=_MAX_KEPT) for kind in _KEPT}

    def listen(self, kind: type[_T], listener: Callable[[_T], None]) -> None:
        """Call a listener with every event of a kind, at once with those that were kept.

        It takes the place of the one before.
        """
        self._listeners[kind] = listener
        kept = self._kept.get(kind, deque())
        while kept:
            _call(listener, kept.popleft())

    def ignore(self, kind: type[_T], listener: Callable[[_T], None]) -> None:
        """Call a listener no more; does nothing when another one has taken its place."""
        if self._listeners.get(kind) == listener:
            del self._listeners[kind]

    def put(self, event: object) -> None:
        """Pass an event on, now or once somebody listens."""
        listener = self._listeners.get(type(event))
        if listener is not None:
            _call(listener, event)
        elif type(event) in self._kept:
            self._kept[type(event)].append(event)


def _call(listener: Callable[[Any], None], event: object) -> None:
    try:
        listener(event)
    except Exception:  # noqa: BLE001  # the listener's bug must not cut the line
        _LOG.exception("on %s", type(event).__name__)
