"""A player who misbehaves by a script: our own match machine, with a hook where its messages are made.

A script is asked for every message that an honest player would send, and says what goes out in its place. So
an attack begins where honest play has led, over whatever carries it: memory or a real DataChannel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.match.outputs import Outputs
from gym_p2p.core.match.peer import Peer
from gym_p2p.core.wire.messages import Channel, Inputs, Message

__all__ = ["Attack", "AttackerMatch", "Raw", "Said", "Script", "hook"]


@attrs.frozen
class Raw:
    """Bytes as they are, on a channel."""

    data: bytes
    channel: Channel = Channel.CTRL


Said = Message | Raw


@attrs.define
class Attack:
    """How far an attack against one match has come.

    Attributes:
        players: how many there are.
        local: the attacker's index.
        frames: how many messages of inputs an honest player would have sent, to each of the others.
        memory: whatever a script wants to keep.
    """

    players: int
    local: int
    frames: dict[int, int] = attrs.field(factory=dict)
    memory: dict[Any, Any] = attrs.field(factory=dict)

    def at(self, to: int, message: Message, frame: int) -> bool:
        """Whether this message is the one of that frame; true once for each of the others."""
        return isinstance(message, Inputs) and self.frames.get(to, 0) == frame


Script = Callable[[Attack, int, Message], Iterable[Said]]
"""``script(attack, to, message)``: what goes to a player instead of an honest message."""


class _Twisted(Outputs):
    def __init__(self, outputs: Outputs, script: Script, attack: Attack) -> None:
        super().__init__(outputs._peers, outputs._forwards)
        self._script = script
        self._attack = attack

    def send(self, peer: Peer, message: Message, now: float) -> None:
        for said in self._script(self._attack, peer.index, message):
            if isinstance(said, Raw):
                self._outputs.append(Transmit(peer.index, said.channel, said.data))
            else:
                super().send(peer, said, now)
        peer.sent_at = now  # it takes itself to have sent, or it would try again at once, for ever
        if isinstance(message, Inputs):
            self._attack.frames[peer.index] = self._attack.frames.get(peer.index, 0) + 1


class AttackerMatch(Match):
    """A match machine that says what a script wants."""

    def __init__(self, script: Script, **match: Any) -> None:
        super().__init__(**match)
        honest = self._outputs
        outputs = _Twisted(honest, script, Attack(match["players"], match["local"]))
        parts: list[Any] = [self, *vars(self).values()]
        for part in parts:
            if getattr(part, "_outputs", None) is honest:
                part._outputs = outputs
        self.poll = outputs.poll


def hook(script: Script, attackers: Iterable[int]) -> Callable[..., Match]:
    """Return what makes match machines in the place of ``Match``: that of these players attacks."""
    local = frozenset(attackers)

    def make(**match: Any) -> Match:
        return AttackerMatch(script, **match) if match["local"] in local else Match(**match)

    return make
