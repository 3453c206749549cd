"""The way of connection signals from one player to another through the service: the same for all who signal.

A :class:`Relay` has a :class:`Lane` for each direction between two members of one match, watch or probe. What
is too much, or what the screen refuses (:mod:`gym_p2p.core.signaling.sdp_filter`), is the sender's fault;
what is dropped is not for the sender to decide, who learns how much it was.

It refuses to know who may signal whom: that is checked by whoever calls it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from gym_p2p.core.api.payloads import encode
from gym_p2p.core.api.probes import ProbeSignal
from gym_p2p.core.api.replies import Answer, Candidate, Code, Description, Notify, Refused
from gym_p2p.core.api.rooms import MatchSignal
from gym_p2p.core.signaling.ice_candidates import RESERVED_CANDIDATES, candidate_type
from gym_p2p.core.signaling.sdp_filter import MAX_CANDIDATES, Screen, Screened, pass_all
from gym_p2p.core.signaling.signals import parse_payload

__all__ = ["MATCH_CONNECTIONS", "MAX_DESCRIPTIONS", "Lane", "Relay"]

MAX_DESCRIPTIONS = 4
"""From one side; the same description again does not count, for it is repeated until answered."""

MATCH_CONNECTIONS = 32
"""Between two players of a match, one after the other: a path that breaks may take several."""

_TOO_MUCH = Refused(Code.TOO_LARGE, "the signal is more than what is relayed")


class Lane:
    """One direction of signals between two players.

    Args:
        screen: looks into each signal.
        connections: how many may be made, one after the other.
    """

    def __init__(self, screen: Screen = pass_all, *, connections: int = 1) -> None:
        self._screen = screen
        self._connections = connections
        self._descriptions: set[int] = set()
        self._latest: tuple[Description, Screened] | None = None
        """What passed latest: it is repeated until answered, and looked into once."""
        self._candidates: Counter[str] = Counter()
        """By type; of all together below."""
        self._candidate_count = 0

    def take(self, payload: Description | Candidate | None) -> Screened | Refused:
        """Return what is to be relayed of a signal, or why it is refused; counts what it lets through."""
        if payload is None:
            return Screened(None)
        if self._latest is not None and self._latest[0] == payload:
            return self._latest[1]
        if payload.too_large:
            return _TOO_MUCH
        screened = self._screen(payload)
        if isinstance(screened, Refused):
            return screened
        if self._exceeds(payload):
            return _TOO_MUCH
        if isinstance(payload, Description):
            self._latest = payload, screened
        return screened

    def _exceeds(self, payload: Description | Candidate) -> bool:
        if isinstance(payload, Candidate):
            if not payload.candidate:  # the end of them
                return False
            kind = candidate_type(payload.candidate)
            self._candidates[kind] += 1
            self._candidate_count += 1
            most, reserved = MAX_CANDIDATES * self._connections, RESERVED_CANDIDATES * self._connections
            return self._candidate_count > most and self._candidates[kind] > reserved
        new = hash(payload)
        if new in self._descriptions:
            return False
        if len(self._descriptions) == MAX_DESCRIPTIONS * self._connections:
            return True
        self._descriptions.add(new)
        return False


class Relay:
    """The signals among the members of one match, watch or probe.

    Args:
        outputs: where what is relayed goes.
        screen: looks into each signal.
        connections: how many each two may make, one after the other.
    """

    def __init__(self, outputs: deque[Any], screen: Screen = pass_all, *, connections: int = 1) -> None:
        self._outputs = outputs
        self._connections = connections
        self._screen = screen
        self._lanes: dict[tuple[str, str], Lane] = {}

    def pass_on(
        self,
        signal: Callable[..., MatchSignal | ProbeSignal],
        kind: str,
        payload: Mapping[str, Any] | None,
        *,
        sender: str,
        target: str,
    ) -> Answer:
        """Send a signal to its target, as far as it may pass; return the answer to its sender.

        Args:
            signal: makes it as the target is to see it, of its ``type`` and ``payload``.
            kind: its type.
            payload: as the sender sent it.
            sender: the subject that it comes from.
            target: the subject that it goes to.

        Raises:
            ProtocolError: the payload is not what a signal of this type carries.
        """
        parsed = parse_payload(kind, payload)
        lane = self._lanes.get((sender, target))
        if lane is None:
            lane = self._lanes[sender, target] = Lane(self._screen, connections=self._connections)
        passed = lane.take(parsed)
        if isinstance(passed, Refused):
            return passed
        if passed.relayed:
            relayed = None if passed.payload is None else encode(passed.payload)
            self._outputs.append(Notify(target, signal(type=kind, payload=relayed)))
        return passed.answer
