"""The machines of a service behind sockets, without a server: verbs take sockets, outputs are polled."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gym_p2p.config import IceServer, MatchmakingConfig
from gym_p2p.core.api import requests
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.payloads import encode
from gym_p2p.core.api.replies import Answer, Candidate, Code, Description, Refused
from gym_p2p.core.api.rooms import DISCONNECTED
from gym_p2p.core.matchmaking.queues import Queues
from gym_p2p.core.matchmaking.strategy import FIFOMatchmaker, Matchmaker
from gym_p2p.core.presence.presence import Presence
from gym_p2p.core.presence.pseudonyms import Pseudonyms
from gym_p2p.core.probing.registry import ProbeRegistry
from gym_p2p.core.service.machines import Machines, ServiceOutput
from gym_p2p.core.service.match_claims import MatchClaims, MatchTokens, NoMatchTokens
from gym_p2p.core.service.rooms import Rooms
from gym_p2p.core.service.spectators import Spectators
from gym_p2p.core.wire.seats import SeatId

__all__ = ["Desk", "PlainMatchTokens"]

UNREGISTERED = Refused(Code.UNAUTHENTICATED, "not registered")


def token(match_id: str, player_id: SeatId, _everyone: object, _folder: object) -> str:
    return f"token/{match_id}/{player_id!r}"


class PlainMatchTokens:
    """Match tokens whose signature is that they are in here; a service that is restarted has the same."""

    def __init__(self) -> None:
        self.issued: dict[str, MatchClaims] = {}

    def issue(self, claims: MatchClaims) -> str:
        token = f"{claims.match_id}/{claims.subject_id}"
        self.issued[token] = claims
        return token

    def read(self, token: str) -> MatchClaims | None:
        return self.issued.get(token)


class Desk:
    """One service on virtual time.

    Attributes:
        now: the time of everything that is done.
    """

    def __init__(
        self,
        *,
        register_timeout_s: float | None = None,
        matchmaker: Matchmaker | None = None,
        matchmaking: MatchmakingConfig | None = None,
        ask_hook: bool = False,
        ice_servers: Callable[[str], Sequence[IceServer]] = lambda _subject: (),
        spectators_ice_servers: Callable[[str], Sequence[IceServer]] = lambda _subject: (),
        watch_ids: Callable[[], str] | None = None,
        match_ids: Callable[[], str] | None = None,
        seeds: Callable[[], int] | None = None,
        issue_token: Callable[[str, SeatId, Mapping[SeatId, str], str], str] = token,
        match_tokens: MatchTokens | None = None,
        relay_only: bool = False,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        matches, numbers, probes, watches = (itertools.count(start) for start in (1, 2**32 - 5, 1, 0))
        presence = Presence(register_timeout_s=register_timeout_s, pseudonyms=pseudonyms)
        self.now = 0.0
        self.rooms = Rooms(
            presence,
            match_ids=match_ids or (lambda: f"match-{next(matches)}"),
            seeds=seeds or (lambda: next(numbers) % 2**32),
            now_ms=lambda: 1_800_000_000_000,
            issue_token=issue_token,
            match_tokens=match_tokens or NoMatchTokens(),
            ice_servers=ice_servers,
            relay_only=relay_only,
        )
        self.machines = Machines(
            presence=presence,
            rooms=self.rooms,
            spectators=Spectators(
                self.rooms,
                watch_ids=watch_ids or (lambda: f"w{next(watches)}"),
                ice_servers=spectators_ice_servers,
            ),
            probes=ProbeRegistry(
                presence, probe_ids=lambda: f"probe_{next(probes)}", ice_servers=ice_servers
            ),
            queues=Queues(matchmaker or FIFOMatchmaker(), config=matchmaking, ask_hook=ask_hook),
        )

    def connected(self, socket: str) -> None:
        assert self.machines.presence.connected(socket, self.now) is None

    def register(
        self, socket: str, subject_id: object, client: object = None, match_token: object = None
    ) -> Answer:
        request = requests.RegisterSubject(subject_id, client, match_token)
        answer = self.machines.register(socket, request, self.now)
        self.machines.settle(self.now)
        return answer

    def disconnected(self, socket: str, *, how: str = DISCONNECTED) -> None:
        self.machines.disconnected(socket, self.now, how=how)

    def join(
        self,
        socket: str,
        *,
        room: str,
        seats: Sequence[SeatId],
        take: Sequence[SeatId] | None = None,
        **more: Any,
    ) -> Answer:
        request = requests.JoinRoom(room, list(seats), None if take is None else list(take), **more)
        return self._do(socket, lambda who: self.machines.join_room(who, request, self.now))

    def leave(self, socket: str, *, room: str, why: str | None = None) -> Answer:
        return self._do(socket, lambda who: self.rooms.leave(who, requests.LeaveRoom(room, why)))

    def signal(
        self, socket: str, *, game_id: str, target_player_id: SeatId, payload: Description | Candidate | None
    ) -> Answer:
        kind: Any = payload.type if isinstance(payload, Description) else "ice-candidate"
        wire = None if payload is None else encode(payload)
        request = requests.SendMatchSignal(game_id, target_player_id, kind, wire)
        return self._do(socket, lambda who: self.machines.signal(who, request, self.now))

    def watch(self, socket: str, **where: Any) -> Answer:
        watch = self.machines.spectators.watch
        return self._do(socket, lambda who: watch(who, requests.Watch(**where)))

    def stop_watching(self, socket: str) -> Answer:
        return self._do(socket, self.machines.spectators.stop)

    def drop_spectator(self, socket: str, spectator_id: str) -> Answer:
        drop = self.machines.spectators.drop
        return self._do(socket, lambda who: drop(who, requests.DropSpectator(spectator_id)))

    def join_queue(self, socket: str, queue: str = "q", **more: Any) -> Answer:
        request = QueueTicket(queue=queue, seats=(0, 1), **more)
        return self._do(socket, lambda who: self.machines.join_queue(who, request, self.now))

    def probe_ready(self, socket: str, probe_session_id: str) -> Answer:
        ready = self.machines.probes.ready
        return self._do(socket, lambda who: ready(who, requests.ProbeReady(probe_session_id), self.now))

    def probe_result(self, socket: str, **payload: Any) -> Answer:
        return self._do(socket, lambda who: self.machines.probe_result(who, payload, self.now))

    def handle_timeout(self, now: float) -> None:
        self.now = now
        self.machines.handle_timeout(now)

    def next_timeout(self) -> float | None:
        return self.machines.next_timeout()

    def poll(self) -> ServiceOutput | None:
        return self.machines.poll()

    def _do(self, socket: str, verb: Callable[[str], Answer]) -> Answer:
        subject_id = self.machines.presence.subject_on(socket)
        answer = UNREGISTERED if subject_id is None else verb(subject_id)
        self.machines.settle(self.now)
        return answer
