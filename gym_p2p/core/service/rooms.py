"""Rooms: where players meet, and the relay of their connection signals.

An I/O-free machine behind the signalling service. Each verb is one thing that a client did; it returns the
answer to that client (:class:`Accepted` or :class:`Refused`) and queues what has to be sent to others,
which the shell collects with :meth:`Rooms.poll` and carries out in order.

::

    socket:   connected -- register --> registered -- disconnected / replaced --> gone
    room:     (absent) -- first join fixes the seat list --> waiting -- last seat taken --> match running
              waiting -- last member gone --> (absent)
              match running -- every member gone --> (absent), so that its name is free again

It knows who is who (the sender of a relayed signal is what *it* knows, never what a client claims), who is
in which match, and the limits of what may be relayed. It knows no socket library, draws no ids, seeds or
tokens (they come in through the constructor), and leaves it to a screen to look into what is relayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import attrs

from gym_p2p.config import IceServer
from gym_p2p.core.api.matches import MakeMatch, spectators_problem
from gym_p2p.core.api.payloads import Event, encode
from gym_p2p.core.api.queues import MatchProbe
from gym_p2p.core.api.replies import (
    Accepted,
    Answer,
    Candidate,
    Close,
    Code,
    Departed,
    Description,
    Emit,
    Refused,
    ServiceOutput,
    is_public_id,
)
from gym_p2p.core.api.rooms import (
    MAX_PLAYERS,
    JoinAck,
    MatchFound,
    MatchPlayer,
    MatchSignal,
    PeerLeft,
    Replaced,
    RoomStatus,
)
from gym_p2p.core.signaling.sdp_filter import Lane, Screen, pass_all
from gym_p2p.core.wire.seats import MAX_SEATS, SeatId, is_seat_id

__all__ = ["Rooms", "RunningMatch", "SeatedPlayer"]

_MAX_CLIENT_CHARS = 64


@attrs.define(eq=False)
class _Subject:
    subject_id: str
    socket: str
    room: _Room | None = None


@attrs.frozen
class _Member:
    subject: _Subject
    seats: tuple[SeatId, ...]
    client: str | None
    joined_on: str
    """The socket that joined; another one has merely inherited the membership by replacing it."""
    probe: MatchProbe | None = None
    spectators: int = 0
    """To how many he shows the match."""

    @property
    def player_id(self) -> SeatId:
        return self.seats[0]


@attrs.define(eq=False)
class _Room:
    room_id: str
    seats: tuple[SeatId, ...]
    members: dict[str, _Member] = attrs.field(factory=dict)
    match_id: str | None = None
    queue: str | None = None
    """Out of which its match came."""
    relay_only: bool = False
    lanes: dict[tuple[str, str], Lane] = attrs.field(factory=dict)
    """Of signals, by the subjects of sender and target."""

    @property
    def seats_free(self) -> tuple[SeatId, ...]:
        taken = {seat for member in self.members.values() for seat in member.seats}
        return tuple(seat for seat in self.seats if seat not in taken)

    def choose(self, take: Sequence[SeatId] | None) -> tuple[SeatId, ...] | Refused:
        """Return the seats that a newcomer gets, in seat-list order."""
        free = self.seats_free
        if self.match_id is not None or not free:
            return Refused(Code.ROOM_FULL, f"room {self.room_id!r} is full: a match runs in it")
        wanted = free[:1] if take is None else tuple(seat for seat in self.seats if seat in take)
        if take is not None and (not wanted or len(wanted) != len(take)):
            return Refused(Code.BAD_REQUEST, f"cannot take {list(take)}: the seats are {list(self.seats)}")
        taken = [seat for seat in wanted if seat not in free]
        if taken:
            message = f"taken already in room {self.room_id!r}: {taken}; still free: {list(free)}"
            return Refused(Code.SEAT_TAKEN, message)
        return self._within_player_count(wanted, completes=len(wanted) == len(free))

    def _within_player_count(
        self, wanted: tuple[SeatId, ...], *, completes: bool
    ) -> tuple[SeatId, ...] | Refused:
        if completes and not self.members:
            return Refused(Code.BAD_REQUEST, "leave a seat to another player: a match has at least 2")
        if not completes and len(self.members) == MAX_PLAYERS - 1:
            message = f"a match has at most {MAX_PLAYERS} players: the last one takes {list(self.seats_free)}"
            return Refused(Code.ROOM_FULL, message)
        return wanted


@attrs.frozen(kw_only=True)
class SeatedPlayer:
    """One player of a running match, for those who look into it from aside.

    Attributes:
        spectators: to how many he offers to show the match.
    """

    player_id: SeatId
    subject_id: str
    seats: tuple[SeatId, ...]
    spectators: int


@attrs.frozen(kw_only=True)
class RunningMatch:
    """A running match, for those who look into it from aside; who has left it is not in it."""

    match_id: str
    players: tuple[SeatedPlayer, ...]
    relay_only: bool


class Rooms:
    """The rooms of one service.

    Args:
        match_ids: draws a new, unguessable match id.
        seeds: draws an unsigned 32-bit seed.
        issue_token: makes the upload token of a player: ``(match_id, player_id, player ids of all)``.
        ice_servers: announced to a subject with a match, with credentials of his own where needed.
        relay_only: announced with every match.
        screen: looks into relayed signals; chosen by whether the match is relay-only.
        register_timeout_s: a socket that has not registered by then is dropped; ``None`` keeps it.
    """

    def __init__(
        self,
        *,
        match_ids: Callable[[], str],
        seeds: Callable[[], int],
        issue_token: Callable[[str, SeatId, tuple[SeatId, ...]], str],
        ice_servers: Callable[[str], Sequence[IceServer]] = lambda _subject: (),
        relay_only: bool = False,
        screen: Callable[[bool], Screen] = lambda _relay_only: pass_all,
        register_timeout_s: float | None = None,
    ) -> None:
        self._match_ids = match_ids
        self._seeds = seeds
        self._issue_token = issue_token
        self._ice_servers = ice_servers
        self._relay_only = relay_only
        self._screen = screen
        self._register_timeout_s = register_timeout_s
        self._subjects: dict[str, _Subject] = {}
        self._by_socket: dict[str, _Subject] = {}
        self._unregistered: dict[str, float] = {}  # socket to its deadline, in order of arrival
        self._rooms: dict[str, _Room] = {}
        self._outputs: deque[ServiceOutput] = deque()

    @property
    def room_count(self) -> int:
        """Rooms with somebody in them, waiting or playing."""
        return len(self._rooms)

    @property
    def match_count(self) -> int:
        """Rooms in which a match runs."""
        return sum(room.match_id is not None for room in self._rooms.values())

    def subject_on(self, socket: str) -> str | None:
        """Return who has registered on a socket, or ``None``."""
        subject = self._by_socket.get(socket)
        return None if subject is None else subject.subject_id

    def socket_of(self, subject_id: str) -> str | None:
        """Return a subject's newest socket, or ``None``."""
        subject = self._subjects.get(subject_id)
        return None if subject is None else subject.socket

    def partner_of(self, subject_id: str, *, match_id: str, player_id: SeatId) -> str | None:
        """Return who another player of a subject's running match is; ``None`` if there is none such."""
        subject = self._subjects.get(subject_id)
        room = None if subject is None else subject.room
        if room is None or room.match_id != match_id:
            return None
        others = (name for name, member in room.members.items() if member.player_id == player_id)
        return next((name for name in others if name != subject_id), None)

    def is_seated(self, subject_id: str) -> bool:
        """Whether a subject has a seat in a room, waiting or playing."""
        subject = self._subjects.get(subject_id)
        return subject is not None and subject.room is not None

    def running(self, *, room: str | None = None, match_id: str | None = None) -> RunningMatch | None:
        """Return the match of a room, or of an id; ``None`` if no such one runs."""
        rooms = self._rooms.values() if room is None else filter(None, [self._rooms.get(room)])
        there = next((one for one in rooms if match_id is None or one.match_id == match_id), None)
        if there is None or there.match_id is None:
            return None
        players = [
            SeatedPlayer(
                player_id=member.player_id,
                subject_id=member.subject.subject_id,
                seats=member.seats,
                spectators=member.spectators,
            )
            for member in there.members.values()
        ]
        return RunningMatch(
            match_id=there.match_id,
            players=tuple(players),
            relay_only=self._relay_only or there.relay_only,
        )

    # ---- what a client does

    def connected(self, socket: str, now: float) -> None:
        """Take note of a socket that has yet to say who it is."""
        if self._register_timeout_s is not None and socket not in self._by_socket:
            self._unregistered[socket] = now + self._register_timeout_s

    def register(self, socket: str, subject_id: str) -> Answer:
        """Tie a socket to a subject; an older socket of that subject is told so and dropped.

        The newer socket inherits the seats, so that a reconnecting player keeps his place.
        """
        if not is_public_id(subject_id):
            wanted = "1 to 128 characters of A-Z a-z 0-9 . _ : @ + - (and not '.' or '..')"
            return Refused(Code.BAD_REQUEST, f"subject_id: wanted {wanted}")
        known = self._by_socket.get(socket)
        if known is not None and known.subject_id != subject_id:
            return Refused(Code.WRONG_STATE, "this socket has registered another subject")
        self._unregistered.pop(socket, None)
        subject = self._subjects.get(subject_id)
        if subject is None:
            subject = self._subjects[subject_id] = _Subject(subject_id, socket)
        elif subject.socket != socket:
            self._replace(subject, socket)
        self._by_socket[socket] = subject
        return Accepted({"subject_id": subject_id})

    def join(
        self,
        socket: str,
        *,
        room: str,
        seats: Sequence[SeatId],
        take: Sequence[SeatId] | None = None,
        client: str | None = None,
        spectators: int = 0,
    ) -> Answer:
        """Take seats in a room; the match is made when the last one is taken.

        Args:
            socket: who asks.
            room: the room's id; the first to join fixes its seat list.
            seats: every seat of the environment, in its order.
            take: the seats wanted; ``None`` takes any free one.
            client: the player's software, told to the others.
            spectators: to how many he shows the match.
        """
        subject = self._by_socket.get(socket)
        if subject is None:
            return _UNREGISTERED
        problem = _join_problem(room, seats, take, client) or spectators_problem(spectators)
        if problem is not None:
            return Refused(Code.BAD_REQUEST, problem)
        earlier = self._earlier_membership(subject, room, take)
        if earlier is not None:
            return earlier
        there = self._rooms.get(room) or _Room(room, tuple(seats))
        if there.seats != tuple(seats):
            message = f"room {room!r} has seats {list(there.seats)}, this environment has {list(seats)}"
            return Refused(Code.ROOM_MISMATCH, message)
        chosen = there.choose(take)
        if isinstance(chosen, Refused):
            return chosen
        self._rooms[room] = subject.room = there
        there.members[subject.subject_id] = _Member(subject, chosen, client, socket, spectators=spectators)
        self._tell_status(there, but=subject)
        if not there.seats_free:
            self._begin(there, self._match_ids())
        return _joined(there, subject)

    def vacate(self, subject_id: str) -> Refused | None:
        """Make a subject free for a queue, or say why he is not.

        A membership that he has merely inherited from an older socket of his is given up.
        """
        subject = self._subjects.get(subject_id)
        if subject is None or subject.room is None:
            return None
        if subject.room.members[subject_id].joined_on == subject.socket:
            return Refused(Code.WRONG_STATE, f"already in room {subject.room.room_id!r}; leave it first")
        self._drop_member(subject, "left")
        return None

    def make_match(self, match: MakeMatch) -> Sequence[str]:
        """Make a match that a queue has found, in a room of its own.

        Returns:
            Those who are gone, or in a room; where there are any, no match was made.
        """
        subjects = [self._subjects.get(player.subject_id) for player in match.players]
        present = [subject for subject in subjects if subject is not None and subject.room is None]
        if len(present) < len(subjects):
            here = {subject.subject_id for subject in present}
            return [player.subject_id for player in match.players if player.subject_id not in here]
        match_id = self._match_ids()
        room = _Room(match_id, match.seats, queue=match.queue, relay_only=match.relay_only)
        self._rooms[match_id] = room
        for subject, player in zip(present, match.players, strict=True):
            subject.room = room
            room.members[subject.subject_id] = _Member(
                subject,
                (player.seat,),
                player.ticket.client,
                subject.socket,
                player.probe,
                player.ticket.spectators,
            )
        self._begin(room, match_id)
        return ()

    def leave(self, socket: str, *, room: str) -> Answer:
        """Give up the seats in a room, waiting or playing; leaving where one is not is fine."""
        subject = self._by_socket.get(socket)
        if subject is None:
            return _UNREGISTERED
        if subject.room is not None and subject.room.room_id == room:
            self._drop_member(subject, "left")
        return Accepted()

    def signal(
        self,
        socket: str,
        *,
        game_id: str,
        target_player_id: SeatId,
        type: str,  # noqa: A002  # the wire's name
        payload: Description | Candidate | None,
    ) -> Answer:
        """Relay a connection signal to another player of the same match."""
        subject = self._by_socket.get(socket)
        if subject is None:
            return _UNREGISTERED
        room = subject.room
        if room is None or room.match_id is None or room.match_id != game_id:
            return Refused(Code.NO_SUCH_MATCH, "no such match")
        target = next((m for m in room.members.values() if m.player_id == target_player_id), None)
        if target is None or target.subject is subject:
            return Refused(Code.NOT_A_MEMBER, "no other player of that id is in this match")
        passed = self._lane(room, subject, target.subject).take(payload)
        if isinstance(passed, Refused):
            return passed
        relayed = MatchSignal(
            type=type,
            from_player_id=room.members[subject.subject_id].player_id,
            game_id=room.match_id,
            payload=None if passed.payload is None else encode(passed.payload),
        )
        if passed.relayed:
            self._outputs.append(Emit(target.subject.socket, relayed))
        return passed.answer

    def disconnected(self, socket: str) -> None:
        """Forget a socket that is gone; its subject's seats are free at once. Idempotent."""
        self._unregistered.pop(socket, None)
        subject = self._by_socket.pop(socket, None)
        if subject is None:
            return
        self._drop_member(subject, "disconnected")
        del self._subjects[subject.subject_id]

    # ---- time and outputs

    def handle_timeout(self, now: float) -> None:
        """Do what has come due by ``now``."""
        for socket, deadline in list(self._unregistered.items()):
            if deadline <= now:
                del self._unregistered[socket]
                self._outputs.append(Close(socket, "not registered in time"))

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, or ``None``."""
        return next(iter(self._unregistered.values()), None)

    def poll(self) -> ServiceOutput | None:
        """Return the next request to carry out, or ``None``."""
        return self._outputs.popleft() if self._outputs else None

    # ---- inside

    def _lane(self, room: _Room, sender: _Subject, target: _Subject) -> Lane:
        ends = sender.subject_id, target.subject_id
        if ends not in room.lanes:
            room.lanes[ends] = Lane(self._screen(self._relay_only or room.relay_only))
        return room.lanes[ends]

    def _replace(self, subject: _Subject, socket: str) -> None:
        older = subject.socket
        del self._by_socket[older]
        subject.socket = socket
        self._outputs.append(Emit(older, Replaced(subject_id=subject.subject_id)))
        self._outputs.append(Close(older, "replaced by a newer socket of the same subject"))

    def _earlier_membership(
        self, subject: _Subject, room: str, take: Sequence[SeatId] | None
    ) -> Answer | None:
        """Answer a subject that sits somewhere already, or make room for it to join and return ``None``."""
        there = subject.room
        if there is None:
            return None
        member = there.members[subject.subject_id]
        repeated = there.room_id == room and (take is None or set(take) == set(member.seats))
        if there.match_id is None and repeated:
            return _joined(there, subject)
        if member.joined_on == subject.socket:
            return Refused(Code.WRONG_STATE, f"already in room {there.room_id!r}; leave it first")
        self._drop_member(subject, "left")
        return None

    def _begin(self, room: _Room, match_id: str) -> None:
        """Tell everybody in a room of their match."""
        room.match_id = match_id
        seed = self._seeds()
        order = {seat: place for place, seat in enumerate(room.seats)}
        members = sorted(room.members.values(), key=lambda member: order[member.player_id])
        players = tuple(
            MatchPlayer(
                player_id=m.player_id, subject_id=m.subject.subject_id, seats=m.seats, client=m.client
            )
            for m in members
        )
        everyone = tuple(player.player_id for player in players)
        for member in members:
            found = MatchFound(
                match_id=match_id,
                room=room.room_id,
                player_id=member.player_id,
                seats_taken=member.seats,
                players=players,
                seed=seed,
                ice_servers=tuple(self._ice_servers(member.subject.subject_id)),
                relay_only=self._relay_only or room.relay_only,
                token=self._issue_token(match_id, member.player_id, everyone),
                queue=room.queue,
                probe=member.probe,
            )
            self._outputs.append(Emit(member.subject.socket, found))

    def _drop_member(self, subject: _Subject, reason: str) -> None:
        room, subject.room = subject.room, None
        if room is None:
            return
        gone = room.members.pop(subject.subject_id)
        if room.match_id is not None and gone.spectators:
            self._outputs.append(Departed(room.match_id, subject.subject_id))
        if not room.members:
            del self._rooms[room.room_id]
        elif room.match_id is None:
            self._tell_status(room)
        else:
            self._tell(room, PeerLeft(match_id=room.match_id, player_id=gone.player_id, reason=reason))

    def _tell_status(self, room: _Room, *, but: _Subject | None = None) -> None:
        self._tell(room, RoomStatus(room=room.room_id, seats_free=room.seats_free), but=but)

    def _tell(self, room: _Room, payload: Event, *, but: _Subject | None = None) -> None:
        for member in room.members.values():
            if member.subject is not but:
                self._outputs.append(Emit(member.subject.socket, payload))


_UNREGISTERED = Refused(Code.UNAUTHENTICATED, "register_subject comes first")


def _joined(room: _Room, subject: _Subject) -> Accepted:
    member = room.members[subject.subject_id]
    ack = JoinAck(
        room=room.room_id,
        player_id=member.player_id,
        seats_taken=member.seats,
        seats_free=room.seats_free,
    )
    return Accepted(ack)


def _join_problem(
    room: str, seats: Sequence[SeatId], take: Sequence[SeatId] | None, client: str | None
) -> str | None:
    """Say what is wrong with a join, or ``None``."""
    if not is_public_id(room):
        return "room: wanted 1 to 128 characters of A-Z a-z 0-9 . _ : @ + - (and not '.' or '..')"
    if not 2 <= len(seats) <= MAX_SEATS or not all(map(is_seat_id, seats)):
        return f"seats: wanted 2 to {MAX_SEATS} seat ids, each a whole number or a printable text"
    if len(set(seats)) != len(seats):
        return "seats: the same seat is listed twice"
    if take is not None and not (take and all(map(is_seat_id, take)) and len(set(take)) == len(take)):
        return "take: wanted null, or a list of different seat ids"
    if client is not None and not (0 < len(client) <= _MAX_CLIENT_CHARS and client.isprintable()):
        return f"client: wanted 1 to {_MAX_CLIENT_CHARS} printable characters"
    return None
