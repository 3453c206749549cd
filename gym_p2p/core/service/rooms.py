"""Rooms: where players meet, and the matches that come of it.

An I/O-free machine behind the service. Each verb is one thing that a registered subject did; it returns the
answer to that client and queues what has to be sent to others::

    room:     (absent) -- first join fixes the seat list --> waiting -- last seat taken --> match running
              waiting -- last member gone --> (absent)
              match running -- every member gone --> (absent), so that its name is free again

    member:   in the match -- their socket is gone --> away -- they register again --> in the match
              in a match unknown here -- they register, with claims of it --> in the match

Who is away is no member: the others have been told, and nothing is relayed. They may come back, for players
whose path to each other breaks may lose their lines to the service as well, and signal a new path over these.
A match that is known no more is taken up by its players' own claims, signed when it was made
(:mod:`gym_p2p.core.service.match_claims`): beside whatever has its room's name by then.

It knows who is in which match; what they say to each other there is passed on by
:mod:`gym_p2p.core.service.between_players`. It knows no sockets, and draws no ids, seeds or tokens (they come
in through the constructor).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from gym_p2p.config import IceServer
from gym_p2p.core.api.matches import MakeMatch
from gym_p2p.core.api.replies import Accepted, Answer, Code, Departed, Notify, Refused
from gym_p2p.core.api.requests import JoinRoom, LeaveRoom, RenewIceServers
from gym_p2p.core.api.rooms import (
    DISCONNECTED,
    IceServers,
    MatchFound,
    MatchPlayer,
    PeerLeft,
    PeerReturned,
    RoomStatus,
    TurnedAway,
)
from gym_p2p.core.presence.presence import Presence
from gym_p2p.core.presence.rate_limits import RateLimit, too_often
from gym_p2p.core.record.folders import match_folder
from gym_p2p.core.service.between_players import BetweenPlayers
from gym_p2p.core.service.match_claims import MatchClaims, MatchTokens, NoMatchTokens, claims_of, member_of
from gym_p2p.core.service.room import Member, Room, join_problem, joined
from gym_p2p.core.signaling.relay import MATCH_CONNECTIONS, Relay
from gym_p2p.core.signaling.sdp_filter import Screen, pass_all
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.core.wire.seats import SeatId

__all__ = ["Rooms"]

RENEWALS_PER_S = 1 / 30
RENEWALS_BURST = 8
"""Of ICE servers, of one player: one for each break of a path, and they come together if at all."""

_NO_MATCH_TOKENS = NoMatchTokens()


class Rooms:
    """The rooms of one service.

    Args:
        presence: who is there.
        match_ids: draws a new, unguessable match id.
        seeds: draws an unsigned 32-bit seed.
        now_ms: returns the Unix time in milliseconds.
        issue_token: makes a player's upload token: ``(match_id, player_id, everyone's subject by id, the name
            of the match's folder)``.
        match_tokens: by which a match that is known here no more is taken up again.
        ice_servers: announced to a subject with a match, with credentials of its own where needed.
        relay_only: announced with every match.
        relays: whether messages are passed on between the players of a match.
        screen: looks into relayed signals; chosen by whether the match is relay-only.

    Attributes:
        takes_documents: whether the players are told to upload theirs; by whoever takes them, at any time.
        between: passes on what the players of a match say to each other.
    """

    def __init__(
        self,
        presence: Presence,
        *,
        match_ids: Callable[[], str],
        seeds: Callable[[], int],
        now_ms: Callable[[], int],
        issue_token: Callable[[str, SeatId, Mapping[SeatId, str], str], str],
        match_tokens: MatchTokens = _NO_MATCH_TOKENS,
        ice_servers: Callable[[str], Sequence[IceServer]] = lambda _subject: (),
        relay_only: bool = False,
        relays: bool = True,
        screen: Callable[[bool], Screen] = lambda _relay_only: pass_all,
    ) -> None:
        self.takes_documents = True
        self._presence = presence
        self._match_ids = match_ids
        self._seeds = seeds
        self._now_ms = now_ms
        self._issue_token = issue_token
        self._match_tokens = match_tokens
        self._ice_servers = ice_servers
        self._relay_only = relay_only
        self._screen = screen
        self._rooms: dict[str, Room] = {}
        """By name; a match that was taken up has none where another room has its name by then."""
        self._matches: dict[str, Room] = {}
        """By match id."""
        self._room_of: dict[str, Room] = {}
        """By subject."""
        self._away_from: dict[str, Room] = {}
        """By subject, of those who are away; none of them is registered."""
        self._renewals = RateLimit(RENEWALS_PER_S, RENEWALS_BURST)
        self._outputs: deque[Notify | Departed] = deque()
        self.between = BetweenPlayers(self._room_of, self._outputs, relays)

    # ---- who is where

    @property
    def room_count(self) -> int:
        """Rooms with somebody in them."""
        unnamed = sum(self._rooms.get(room.room_id) is not room for room in self._matches.values())
        return len(self._rooms) + unnamed

    @property
    def match_count(self) -> int:
        """Matches under way."""
        return len(self._matches)

    def partner_of(self, subject_id: str, *, match_id: str, player_id: SeatId) -> str | None:
        """Return who another player of a subject's running match is; ``None`` if there is none such."""
        room = self._room_of.get(subject_id)
        partner = None if room is None or room.match_id != match_id else room.member_on(player_id)
        return None if partner is None or partner.subject_id == subject_id else partner.subject_id

    def is_seated(self, subject_id: str) -> bool:
        """Whether a subject has a seat in a room, waiting or playing."""
        return subject_id in self._room_of

    def running(self, *, room: str | None = None, match_id: str | None = None) -> Room | None:
        """Return where the match of a room, or of an id, is played; ``None`` if no such one runs."""
        there = self._matches.get(match_id or "") if room is None else self._rooms.get(room)
        return None if there is None or there.match_id is None else there

    # ---- what a client does

    # The order of the checks keeps a refusal from costing what it need not. What is wrong with the request by
    # itself comes before anything is given up; requesting what one has already is no change, and so comes
    # before the refusal of who has a place; and a room is there only from its first member on, so that a
    # newcomer who is refused leaves none behind. A seat is given last, and the match begun right after the
    # last one: so every match begins with each seat taken once, and no full room waits.
    def join(self, subject_id: str, request: JoinRoom) -> Answer:
        """Take seats in a room, whose first one fixes its seat list; the last seat taken makes the match."""
        problem = join_problem(request)
        if problem is not None:
            return Refused(Code.BAD_REQUEST, problem)
        earlier = self._room_of.get(subject_id)
        if earlier is not None and earlier.repeats(earlier.members[subject_id], request):
            return joined(earlier, subject_id)
        engaged = self.vacate(subject_id)
        if engaged is not None:
            return engaged
        seats = tuple(request.seats)
        there = self._rooms.get(request.room) or self._room(request.room, seats, relay_only=False)
        if there.seats != seats:
            message = f"room {request.room!r} has seats {list(there.seats)}"
            told = f"{message}, their environment has {list(seats)}"
            self._tell_waiting(there, Code.ROOM_MISMATCH, told)
            return Refused(Code.ROOM_MISMATCH, f"{message}, this environment has {list(seats)}")
        chosen = there.choose(request.take)
        if isinstance(chosen, Refused):
            self._tell_waiting(there, chosen.code, chosen.message)
            return chosen
        member = Member(
            subject_id=subject_id, seats=chosen, client=request.client, spectators=request.spectators
        )
        self._seat(there, member)
        self._notify_status(there, but=subject_id)
        if not there.seats_free:
            self._begin(there, self._match_ids())
        return joined(there, subject_id)

    def duplicated(self, subject_id: str) -> None:
        """Tell those who wait in a subject's room that somebody of the same name was not let in."""
        room = self._room_of.get(subject_id)
        if room is not None:
            message = (
                f"{subject_id!r} is connected already: every player needs a name, or token, of their own"
            )
            self._tell_waiting(room, Code.DUPLICATE_SESSION, message)

    def vacate(self, subject_id: str) -> Refused | None:
        """Make a subject free for another place, or say why it is not.

        A membership that it has merely inherited from an older socket is given up.
        """
        room = self._room_of.get(subject_id)
        if room is None:
            return None
        if not self._presence.has_inherited(subject_id):
            return Refused(Code.WRONG_STATE, f"already in room {room.room_id!r}; leave it first")
        self._drop_member(subject_id, "left")
        return None

    def leave(self, subject_id: str, request: LeaveRoom) -> Answer:
        """Give up the seats in a room, waiting or playing; leaving where one is not is fine."""
        room = self._room_of.get(subject_id)
        if room is not None and room.room_id == request.room:
            self._drop_member(subject_id, "left", why=request.why)
        return Accepted()

    def gone(self, subject_id: str, *, how: str = DISCONNECTED) -> None:
        """Free the seats of a subject that cannot be reached any more. Idempotent."""
        room = self._room_of.get(subject_id)
        member = None if room is None else room.members[subject_id]
        self._drop_member(subject_id, how)
        if room is not None and member is not None and room.match_id is not None and room.members:
            room.away[subject_id] = member
            self._away_from[subject_id] = room

    def returned(self, subject_id: str, match_token: str | None = None) -> None:
        """Take a subject back into the match that it was in when its socket went, or that it has claims of.

        It has the place by inheritance: a program that was started anew may take another one instead. Claims
        that are not its own, or of a seat that somebody else has, are none.
        """
        room = self._away_from.pop(subject_id, None)
        if room is not None:
            self._take_back(room, room.away.pop(subject_id))
            return
        claims = None if match_token is None else self._match_tokens.read(match_token)
        if claims is None or claims.subject_id != subject_id or self.is_seated(subject_id):
            return
        member = member_of(claims)
        room = self._matches.get(claims.match_id) or self._taken_up(claims)
        if set(member.seats) <= set(room.seats_free):
            self._take_back(room, member)

    def renew_ice_servers(self, subject_id: str, request: RenewIceServers, now: float) -> Answer:
        """Give a player of a running match ICE servers anew, now and then."""
        room = self._room_of.get(subject_id)
        if room is None or room.match_id is None or room.match_id != request.game_id:
            return Refused(Code.NO_SUCH_MATCH, "no such match")
        wait_s = self._renewals.take(subject_id, now)
        if wait_s is not None:
            return too_often(wait_s, f"at most one in {1 / RENEWALS_PER_S:.0f} s is given again")
        return Accepted(IceServers(ice_servers=tuple(self._ice_servers(subject_id))))

    # ---- what the queues request

    def make_match(self, match: MakeMatch) -> Sequence[str]:
        """Make a match that a queue has found, in a room of its own.

        Returns:
            Those who are gone, or in a room; where there are any, no match was made.
        """
        subjects = [player.subject_id for player in match.players]
        missing = [s for s in subjects if not self._presence.is_there(s) or self.is_seated(s)]
        if missing:
            return missing
        match_id = self._match_ids()
        room = self._room(match_id, match.seats, relay_only=match.relay_only)
        room.queue = match.queue
        for player in match.players:
            member = Member(
                subject_id=player.subject_id,
                seats=(player.seat,),
                client=player.ticket.client,
                probe=player.probe,
                spectators=player.ticket.spectators,
            )
            self._seat(room, member)
        self._begin(room, match_id)
        return ()

    # ---- outputs

    def poll(self) -> Notify | Departed | None:
        """Return the next request to carry out, or ``None``."""
        return self._outputs.popleft() if self._outputs else None

    # ---- inside

    def _room(self, room_id: str, seats: tuple[SeatId, ...], *, relay_only: bool) -> Room:
        """Return a new room, which is there once somebody has a seat in it."""
        relay_only = relay_only or self._relay_only
        relay = Relay(self._outputs, self._screen(relay_only), connections=MATCH_CONNECTIONS)
        return Room(room_id=room_id, seats=seats, relay=relay, relay_only=relay_only)

    def _seat(self, room: Room, member: Member) -> None:
        room.members[member.subject_id] = member
        self._rooms[room.room_id] = self._room_of[member.subject_id] = room
        self._presence.take_place(member.subject_id)

    def _begin(self, room: Room, match_id: str) -> None:
        """Announce the match to everybody in its room."""
        room.match_id = match_id
        self._matches[match_id] = room
        seed, made_at_ms = self._seeds(), self._now_ms()
        folder = match_folder(match_id, made_at_ms=made_at_ms, place=room.queue or room.room_id)
        members = room.in_order
        players = tuple(
            MatchPlayer(player_id=m.player_id, subject_id=m.subject_id, seats=m.seats, client=m.client)
            for m in members
        )
        everyone = {player.player_id: player.subject_id for player in players}
        for member in members:
            found = MatchFound(
                match_id=match_id,
                room=room.room_id,
                player_id=member.player_id,
                seats_taken=member.seats,
                players=players,
                seed=seed,
                ice_servers=tuple(self._ice_servers(member.subject_id)),
                relay_only=room.relay_only,
                token=self._issue_token(match_id, member.player_id, everyone, folder),
                match_token=self._match_tokens.issue(claims_of(room, member)),
                queue=room.queue,
                probe=member.probe,
                made_at_ms=made_at_ms,
                uploads=self.takes_documents,
                relays=self.between.relays,
            )
            self._outputs.append(Notify(member.subject_id, found))

    def _taken_up(self, claims: MatchClaims) -> Room:
        """Return the room of a match that is known by claims alone; under its name, if that is free."""
        room = self._room(claims.room, claims.seats, relay_only=claims.relay_only)
        room.match_id, room.queue = claims.match_id, claims.queue
        self._rooms.setdefault(room.room_id, room)
        self._matches[claims.match_id] = room
        return room

    def _take_back(self, room: Room, member: Member) -> None:
        """Let a player of a running match be a member again, and tell the others."""
        match_id = str(room.match_id)
        event = PeerReturned(match_id=match_id, player_id=member.player_id)
        self._outputs.extend(Notify(other, event) for other in room.members)
        room.members[member.subject_id] = member
        self._room_of[member.subject_id] = room

    def _drop_member(self, subject_id: str, reason: str, *, why: str | None = None) -> None:
        room = self._room_of.pop(subject_id, None)
        if room is None:
            return
        left = room.members.pop(subject_id)
        if room.match_id is not None and left.spectators:
            self._outputs.append(Departed(room.match_id, subject_id))
        if not room.members:
            if self._rooms.get(room.room_id) is room:
                del self._rooms[room.room_id]
            self._matches.pop(room.match_id or "", None)
            for who in room.away:
                del self._away_from[who]
        elif room.match_id is None:
            self._notify_status(room)
        else:
            said = None if why is None else printable(why)
            event = PeerLeft(match_id=room.match_id, player_id=left.player_id, reason=reason, why=said)
            self._outputs.extend(Notify(member, event) for member in room.members)

    def _tell_waiting(self, room: Room, code: Code, message: str) -> None:
        """Tell those who wait for others why one was turned away; in a match nobody waits."""
        if room.match_id is None:
            event = TurnedAway(place=f"room {room.room_id}", code=code, message=message)
            self._outputs.extend(Notify(member, event) for member in room.members)

    def _notify_status(self, room: Room, *, but: str | None = None) -> None:
        status = RoomStatus(room=room.room_id, seats_free=room.seats_free)
        self._outputs.extend(Notify(member, status) for member in room.members if member != but)
