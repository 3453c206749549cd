"""Spectators on the service.

The wire's events into :mod:`gym_p2p.core.service.spectators`, its requests out again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gym_p2p.core.api import requests
from gym_p2p.core.api.payloads import decode
from gym_p2p.core.api.replies import Answer, Departed, ServiceOutput
from gym_p2p.core.service.spectators import Watching

__all__ = ["Spectating"]


class Spectating:
    """The spectators of one service, on its event loop.

    Args:
        watching: the machine.

    Attributes:
        handlers: of the events that spectators, and those who show them a match, send.
    """

    def __init__(self, watching: Watching) -> None:
        self._watching = watching
        self.handlers: Mapping[str, Callable[[str, Any], Answer]] = {
            "watch": self._watch,
            "stop_watching": lambda sid, _payload: watching.stop(sid),
            "drop_spectator": self._drop,
        }

    def signal(self, sid: str, request: requests.SendMatchSignal) -> Answer | None:
        """Relay a signal between a spectator and his player; ``None`` if it is none between such two."""
        return self._watching.signal(
            sid,
            game_id=request.game_id,
            target=request.target_player_id,
            type=request.type,
            payload=request.parsed_payload(),
        )

    def disconnected(self, sid: str) -> None:
        """Forget a socket. Idempotent."""
        self._watching.disconnected(sid)

    def departed(self, departed: Departed) -> None:
        """Take note that a player has left."""
        self._watching.departed(departed)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        self._watching.handle_timeout(now)

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` is due."""
        return self._watching.next_timeout()

    def poll(self) -> ServiceOutput | None:
        """Return the next thing to carry out, ``None`` when there is none."""
        return self._watching.poll()

    def _watch(self, sid: str, payload: object) -> Answer:
        request = decode(requests.Watch, payload)
        return self._watching.watch(sid, room=request.room, match_id=request.match_id, avoid=request.avoid)

    def _drop(self, sid: str, payload: object) -> Answer:
        request = decode(requests.DropSpectator, payload)
        return self._watching.drop(sid, spectator_id=request.spectator_id)
