"""Who watches whom: spectators of running matches, and the relay of their connection signals.

An I/O-free machine beside :mod:`gym_p2p.core.service.rooms`, whose matches it looks into and never changes. A
spectator is shown a match by one of its players, of those who offered to, the one who shows it to the fewest.
Only these two learn of it, and only they can signal each other, under an id that no seat of the match has.

::

    (nothing) -- watch --> watching -- stop, watch again, socket gone --> (nothing): the player is told
                           watching -- the player left, or dropped him --> (nothing): the spectator is told

It knows no socket library and draws no ids: they come in through the constructor.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence

import attrs

from gym_p2p.config import IceServer
from gym_p2p.core.api.payloads import Event, encode
from gym_p2p.core.api.replies import (
    Accepted,
    Answer,
    Candidate,
    Code,
    Departed,
    Description,
    Emit,
    Refused,
    ServiceOutput,
)
from gym_p2p.core.api.rooms import MatchSignal
from gym_p2p.core.api.spectators import SpectatorJoined, SpectatorLeft, WatchedMatch, WatchedPlayer, WatchOver
from gym_p2p.core.service.rooms import Rooms, RunningMatch, SeatedPlayer
from gym_p2p.core.signaling.sdp_filter import Lane, Screen, pass_all
from gym_p2p.core.wire.seats import SeatId

__all__ = ["Watching"]


@attrs.define(eq=False)
class _Watch:
    spectator_id: str
    socket: str
    match_id: str
    source: SeatedPlayer
    to_source: Lane
    to_spectator: Lane


class Watching:
    """The spectators of one service.

    Args:
        rooms: where the matches are.
        watch_ids: draws a new, unguessable spectator id, of letters and digits.
        ice_servers: announced to a subject, with credentials of his own where needed.
        screen: looks into relayed signals; chosen by whether the match is relay-only.
    """

    def __init__(
        self,
        rooms: Rooms,
        *,
        watch_ids: Callable[[], str],
        ice_servers: Callable[[str], Sequence[IceServer]] = lambda _subject: (),
        screen: Callable[[bool], Screen] = lambda _relay_only: pass_all,
    ) -> None:
        self._rooms = rooms
        self._watch_ids = watch_ids
        self._ice_servers = ice_servers
        self._screen = screen
        self._by_socket: dict[str, _Watch] = {}
        self._by_id: dict[str, _Watch] = {}
        self._shown: Counter[tuple[str, str]] = Counter()
        """How many spectators a player has, by match and subject."""
        self._outputs: deque[ServiceOutput] = deque()

    @property
    def count(self) -> int:
        """How many watch at present."""
        return len(self._by_socket)

    # What a client does.

    def watch(
        self,
        socket: str,
        *,
        room: str | None = None,
        match_id: str | None = None,
        avoid: SeatId | None = None,
    ) -> Answer:
        """Watch a running match, named by its room or itself; whatever was watched before is over.

        Args:
            socket: who asks.
            room: the match's room. A queue's match has none that has a name.
            match_id: the match.
            avoid: a player who has turned out not to be reachable; taken if there is no other one.
        """
        subject_id = self._rooms.subject_on(socket)
        if subject_id is None:
            return Refused(Code.UNAUTHENTICATED, "register_subject comes first")
        if (room is None) == (match_id is None):
            return Refused(Code.BAD_REQUEST, "wanted a room or a match_id, and not both")
        if self._rooms.is_seated(subject_id):
            return Refused(Code.WRONG_STATE, "who has a seat in a room cannot watch")
        self._end(socket)
        match = self._rooms.running(room=room, match_id=match_id)
        showing = [] if match is None else [player for player in match.players if player.spectators]
        if match is None or not showing:
            return Refused(Code.NO_SUCH_MATCH, "no such match, or nobody shows it", _RETRY_MS)
        source = self._source(match, showing, avoid)
        if source is None:
            return Refused(
                Code.ROOM_FULL, "this match has all the spectators that its players allow", _RETRY_MS
            )
        return self._begin(socket, subject_id, match, source)

    def stop(self, socket: str) -> Answer:
        """Watch no more; where one does not, that is fine."""
        self._end(socket)
        return Accepted()

    def drop(self, socket: str, *, spectator_id: str) -> Answer:
        """Refuse to show the match to a spectator any longer, as its player; unknown ones are fine."""
        watch = self._by_id.get(spectator_id)
        if watch is not None and watch.source.subject_id == self._rooms.subject_on(socket):
            self._cut(watch, "dropped")
        return Accepted()

    def signal(
        self,
        socket: str,
        *,
        game_id: str,
        target: SeatId,
        type: str,  # noqa: A002  # the wire's name
        payload: Description | Candidate | None,
    ) -> Answer | None:
        """Relay a signal between a spectator and his player; ``None`` if it is none between such two."""
        watch = self._by_socket.get(socket)
        if watch is not None and watch.match_id == game_id and target == watch.source.player_id:
            receiver = self._rooms.socket_of(watch.source.subject_id)
            sender = watch.spectator_id
            return self._relay(watch.to_source, receiver, (type, payload), sender=sender, game_id=game_id)
        watch = self._by_id.get(target) if isinstance(target, str) else None
        if watch is None or watch.match_id != game_id:
            return None
        if watch.source.subject_id != self._rooms.subject_on(socket):
            return None
        source = watch.source.player_id
        return self._relay(watch.to_spectator, watch.socket, (type, payload), sender=source, game_id=game_id)

    def disconnected(self, socket: str) -> None:
        """Forget a spectator whose socket is gone. Idempotent; players go by :meth:`departed`."""
        self._end(socket)

    def departed(self, departed: Departed) -> None:
        """Tell the spectators of a player who has left his match."""
        for watch in list(self._by_socket.values()):
            if (watch.match_id, watch.source.subject_id) == (departed.match_id, departed.subject_id):
                self._cut(watch, "left")

    # Time and outputs.

    def handle_timeout(self, now: float) -> None:
        """Do nothing: nobody is waited for here."""

    def next_timeout(self) -> float | None:
        """Return ``None``: nobody is waited for here."""
        return None

    def poll(self) -> ServiceOutput | None:
        """Return the next request to carry out, or ``None``."""
        return self._outputs.popleft() if self._outputs else None

    # Inside.

    def _source(
        self, match: RunningMatch, showing: Sequence[SeatedPlayer], avoid: SeatId | None
    ) -> SeatedPlayer | None:
        """Return the player who shows the match to the fewest, the avoided one last."""
        counts = {player.subject_id: self._shown[match.match_id, player.subject_id] for player in showing}
        free = [player for player in showing if counts[player.subject_id] < player.spectators]
        ranked = sorted(free, key=lambda player: (player.player_id == avoid, counts[player.subject_id]))
        return ranked[0] if ranked else None

    def _begin(self, socket: str, subject_id: str, match: RunningMatch, source: SeatedPlayer) -> Answer:
        seats = {str(seat) for player in match.players for seat in player.seats}
        spectator_id = next(name for name in iter(self._watch_ids, None) if name not in seats)
        watch = _Watch(
            spectator_id=spectator_id,
            socket=socket,
            match_id=match.match_id,
            source=source,
            to_source=Lane(self._screen(match.relay_only)),
            to_spectator=Lane(self._screen(match.relay_only)),
        )
        self._by_socket[socket] = self._by_id[spectator_id] = watch
        self._shown[match.match_id, source.subject_id] += 1
        self._tell_source(watch, SpectatorJoined(match.match_id, spectator_id))
        watched = WatchedMatch(
            match_id=match.match_id,
            spectator_id=spectator_id,
            source=source.player_id,
            players=tuple(WatchedPlayer(player_id=p.player_id, seats=p.seats) for p in match.players),
            ice_servers=tuple(self._ice_servers(subject_id)),
            relay_only=match.relay_only,
        )
        return Accepted(watched)

    def _end(self, socket: str) -> None:
        """End what somebody watches, for reasons of his own."""
        watch = self._forget(socket)
        if watch is not None:
            self._tell_source(watch, SpectatorLeft(watch.match_id, watch.spectator_id))

    def _cut(self, watch: _Watch, reason: str) -> None:
        """End what somebody watches, for reasons of the player who shows it."""
        self._forget(watch.socket)
        self._outputs.append(Emit(watch.socket, WatchOver(watch.match_id, reason)))

    def _forget(self, socket: str) -> _Watch | None:
        watch = self._by_socket.pop(socket, None)
        if watch is not None:
            del self._by_id[watch.spectator_id]
            key = watch.match_id, watch.source.subject_id
            self._shown[key] -= 1
            if not self._shown[key]:
                del self._shown[key]
        return watch

    def _tell_source(self, watch: _Watch, payload: Event) -> None:
        receiver = self._rooms.socket_of(watch.source.subject_id)
        if receiver is not None:
            self._outputs.append(Emit(receiver, payload))

    def _relay(
        self,
        lane: Lane,
        receiver: str | None,
        signal: tuple[str, Description | Candidate | None],
        *,
        sender: SeatId,
        game_id: str,
    ) -> Answer:
        kind, payload = signal
        passed = lane.take(payload)
        if isinstance(passed, Refused):
            return passed
        relayed = MatchSignal(
            type=kind,
            from_player_id=sender,
            game_id=game_id,
            payload=None if passed.payload is None else encode(passed.payload),
        )
        if passed.relayed and receiver is not None:
            self._outputs.append(Emit(receiver, relayed))
        return passed.answer


_RETRY_MS = 1000
"""A match may begin, or a place become free, at any moment."""
