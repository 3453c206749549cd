"""Who watches whom: spectators of running matches.

An I/O-free machine beside :mod:`gym_p2p.core.service.rooms`, whose matches it looks into and never changes. A
spectator is shown a match by one of its players, of those who offered to, the one who shows it to the fewest.
Only these two learn of it, and only they can signal each other, under an id that no seat of the match has.

::

    (nothing) -- watch --> watching -- stop, watch again, socket gone --> (nothing): the player is notified
                           watching -- the player left, or dropped it --> (nothing): the spectator is notified

It knows no sockets and draws no ids: they come in through the constructor.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial

import attrs

from gym_p2p.config import IceServer
from gym_p2p.core.api.replies import Accepted, Answer, Code, Departed, Notify, Refused
from gym_p2p.core.api.requests import DropSpectator, SendMatchSignal, Watch
from gym_p2p.core.api.rooms import MatchSignal
from gym_p2p.core.api.spectators import SpectatorJoined, SpectatorLeft, WatchedMatch, WatchedPlayer, WatchOver
from gym_p2p.core.service.room import Member, Room
from gym_p2p.core.service.rooms import Rooms
from gym_p2p.core.signaling.relay import Relay
from gym_p2p.core.signaling.sdp_filter import Screen, pass_all
from gym_p2p.core.wire.seats import SeatId

__all__ = ["Spectators"]

_RETRY_MS = 1000
"""A match may begin, or a place become free, at any moment."""


@attrs.define(eq=False)
class _Watch:
    spectator_id: str
    """Under which the player knows the spectator."""
    subject_id: str
    match_id: str
    source: Member
    """Who shows the match."""
    relay: Relay


class Spectators:
    """The spectators of one service.

    Args:
        rooms: where the matches are.
        watch_ids: draws a new, unguessable spectator id, of letters and digits.
        ice_servers: announced to a subject, with credentials of its own where needed.
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
        self._watch_of: dict[str, _Watch] = {}
        """By the subject that watches."""
        self._watches: dict[str, _Watch] = {}
        """By spectator id."""
        self._outputs: deque[Notify] = deque()

    @property
    def count(self) -> int:
        """How many watch at present."""
        return len(self._watches)

    # ---- what a client does

    def watch(self, subject_id: str, request: Watch) -> Answer:
        """Watch a running match, named by its room or itself; whatever was watched before is over.

        A queue's match has no room that has a name. A player whom the request wants to avoid has turned out
        not to be reachable, and is taken if there is no other one.
        """
        if (request.room is None) == (request.match_id is None):
            return Refused(Code.BAD_REQUEST, "wanted a room or a match_id, and not both")
        if self._rooms.is_seated(subject_id):
            return Refused(Code.WRONG_STATE, "who has a seat in a room cannot watch")
        self.gone(subject_id)
        match = self._rooms.running(room=request.room, match_id=request.match_id)
        showing = [] if match is None else [member for member in match.in_order if member.spectators]
        if match is None or not showing:
            return Refused(Code.NO_SUCH_MATCH, "no such match, or nobody shows it", _RETRY_MS)
        source = self._source(match, showing, request.avoid)
        if source is None:
            message = "this match has all the spectators that its players allow"
            return Refused(Code.ROOM_FULL, message, _RETRY_MS)
        return Accepted(self._begin(subject_id, match, source))

    def stop(self, subject_id: str) -> Answer:
        """Watch no more; where one does not, that is fine."""
        self.gone(subject_id)
        return Accepted()

    def drop(self, subject_id: str, request: DropSpectator) -> Answer:
        """Refuse to show the match to a spectator any longer, as its player; unknown ones are fine."""
        watch = self._watches.get(request.spectator_id)
        if watch is not None and watch.source.subject_id == subject_id:
            self._cut(watch, "dropped")
        return Accepted()

    def signal(self, subject_id: str, request: SendMatchSignal) -> Answer | None:
        """Relay a signal between a spectator and their player; ``None`` if it is none between such two."""
        target = request.target_player_id
        watch = self._watch_of.get(subject_id)
        if watch is not None and watch.match_id == request.game_id and target == watch.source.player_id:
            return _pass_on(watch, request, watch.spectator_id, subject_id, watch.source.subject_id)
        watch = self._watches.get(target) if isinstance(target, str) else None
        if watch is None or watch.match_id != request.game_id or watch.source.subject_id != subject_id:
            return None
        return _pass_on(watch, request, watch.source.player_id, subject_id, watch.subject_id)

    # ---- what happens to them

    def gone(self, subject_id: str) -> None:
        """End what a subject watches: by its own doing, or because its socket is gone. Idempotent."""
        watch = self._watch_of.get(subject_id)
        if watch is not None:
            self._forget(watch)
            left = SpectatorLeft(watch.match_id, watch.spectator_id)
            self._outputs.append(Notify(watch.source.subject_id, left))

    def departed(self, departed: Departed) -> None:
        """Let the spectators of a player know who has left the match."""
        for watch in list(self._watches.values()):
            if (watch.match_id, watch.source.subject_id) == (departed.match_id, departed.subject_id):
                self._cut(watch, "left")

    def poll(self) -> Notify | None:
        """Return the next request to carry out, or ``None``."""
        return self._outputs.popleft() if self._outputs else None

    # ---- inside

    def _source(self, match: Room, showing: Sequence[Member], avoid: SeatId | None) -> Member | None:
        """Return the player who shows the match to the fewest, the avoided one last."""
        shown = Counter(w.source.subject_id for w in self._watches.values() if w.match_id == match.match_id)
        free = [member for member in showing if shown[member.subject_id] < member.spectators]
        return min(free, key=lambda m: (m.player_id == avoid, shown[m.subject_id]), default=None)

    def _begin(self, subject_id: str, match: Room, source: Member) -> WatchedMatch:
        seats, match_id = set(map(str, match.seats)), str(match.match_id)
        spectator_id = next(name for name in iter(self._watch_ids, None) if name not in seats)
        watch = _Watch(
            spectator_id=spectator_id,
            subject_id=subject_id,
            match_id=match_id,
            source=source,
            relay=Relay(self._outputs, self._screen(match.relay_only)),
        )
        self._watch_of[subject_id] = self._watches[spectator_id] = watch
        joined = SpectatorJoined(match_id, spectator_id, tuple(self._ice_servers(source.subject_id)))
        self._outputs.append(Notify(source.subject_id, joined))
        return WatchedMatch(
            match_id=match_id,
            spectator_id=spectator_id,
            source=source.player_id,
            players=tuple(WatchedPlayer(player_id=m.player_id, seats=m.seats) for m in match.in_order),
            ice_servers=tuple(self._ice_servers(subject_id)),
            relay_only=match.relay_only,
        )

    def _cut(self, watch: _Watch, reason: str) -> None:
        """End what somebody watches, for reasons of the player who shows it."""
        self._forget(watch)
        self._outputs.append(Notify(watch.subject_id, WatchOver(watch.match_id, reason)))

    def _forget(self, watch: _Watch) -> None:
        del self._watch_of[watch.subject_id]
        del self._watches[watch.spectator_id]


def _pass_on(watch: _Watch, request: SendMatchSignal, sender_id: SeatId, sender: str, target: str) -> Answer:
    signal = partial(MatchSignal, from_player_id=sender_id, game_id=watch.match_id)
    return watch.relay.pass_on(signal, request.type, request.payload, sender=sender, target=target)
