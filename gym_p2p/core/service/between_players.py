"""What the players of a match say to each other through the service: signals, and messages of the match.

It knows who may address whom, and the budget; the sender is what *it* knows, never what a client claims. It
looks into nothing: a screen does that with signals, and messages are sealed or mean nothing to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import partial

import attrs

from gym_p2p.core.api.relaying import RelayedMessage
from gym_p2p.core.api.replies import Accepted, Answer, Code, Departed, Notify, Refused
from gym_p2p.core.api.requests import RelayMessage, SendMatchSignal
from gym_p2p.core.api.rooms import MatchSignal
from gym_p2p.core.service.message_budget import MessageBudget
from gym_p2p.core.service.room import Member, Room
from gym_p2p.core.wire.seats import SeatId

__all__ = ["BetweenPlayers"]


@attrs.define(eq=False)
class BetweenPlayers:
    """Passes on what one player of a match addresses to another.

    Attributes:
        room_of: where each subject is, waiting or playing; whoever owns it changes it.
        outputs: where what is passed on goes.
        relays: whether messages of the match are passed on, and not only signals.
    """

    room_of: Mapping[str, Room]
    outputs: deque[Notify | Departed]
    relays: bool
    _budget: MessageBudget = attrs.field(init=False, factory=MessageBudget)

    def signal(self, subject_id: str, request: SendMatchSignal) -> Answer:
        """Relay a connection signal to another player of the same match."""
        addressed = self._addressed(subject_id, request.game_id, request.target_player_id)
        if isinstance(addressed, Refused):
            return addressed
        room, target = addressed
        sender = room.members[subject_id].player_id
        signal = partial(MatchSignal, from_player_id=sender, game_id=request.game_id)
        ends = {"sender": subject_id, "target": target.subject_id}
        return room.relay.pass_on(signal, request.type, request.payload, **ends)

    def relay(self, subject_id: str, request: RelayMessage, now: float) -> Answer:
        """Pass a message on to another player of the same match, within the budget."""
        addressed = self._addressed(subject_id, request.game_id, request.target_player_id)
        if isinstance(addressed, Refused):
            return addressed
        if not self.relays:
            return Refused(Code.UNAVAILABLE, "this service passes no messages on")
        room, target = addressed
        refused = self._budget.take(subject_id, request.game_id, len(request.data), now)
        if refused is not None:
            return refused
        sender = room.members[subject_id].player_id
        message = RelayedMessage(game_id=request.game_id, from_player_id=sender, data=request.data)
        self.outputs.append(Notify(target.subject_id, message))
        return Accepted()

    def _addressed(self, subject_id: str, game_id: str, player_id: SeatId) -> tuple[Room, Member] | Refused:
        """Return the other player of a subject's match whom it addresses, and where that is played."""
        room = self.room_of.get(subject_id)
        if room is None or room.match_id is None or room.match_id != game_id:
            return Refused(Code.NO_SUCH_MATCH, "no such match")
        target = room.member_on(player_id)
        if target is None or target.subject_id == subject_id:
            return Refused(Code.NOT_A_MEMBER, "no other player of that id is in this match")
        return room, target
