"""Whole matches without a network, of which one player changes a little of what they say; and what must hold.

Everybody plays honestly, on virtual time and in fixed ticks: both halves of each player are ours, the match
machine and the session. So what is changed is changed deep in a conversation: in an episode's last frame, at
a barrier, while those who are left agree about one who is gone. What the others come to believe is held
against what really was given and said (:class:`Truths`).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence

import attrs

from gym_p2p.core.match.outputs import Transmit
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES, Reassembler
from gym_p2p.core.wire.messages import Channel, Inputs, Share, decode
from gym_p2p.errors import ProtocolError
from tests.hostile.changes import Change, changed
from tests.hostile.honest_player import Player, Setting
from tests.hostile.truths import Truths

__all__ = ["EVENTFUL", "TICKS", "Act", "converse"]

TICKS = 36
"""In which something is changed: two episodes, and a part of the third."""
EVENTFUL = (10, 18)
"""In the middle of the first two episodes: much is done then, so that one thing meets another."""
TICK_S = 1 / 30

CHANGED_FROM = 5
"""The tick of the first change; the greeting is before it."""

_LONG_TICK_S = 0.25
_LONG_TICKS = 200
"""For the players' patience with each other to end: several times as long."""
_DELIVERIES = 400
"""Of one tick; what is answered at once for ever, never ends."""
_OUTPUTS_A_TICK = 2_000


@attrs.frozen
class Act:
    """What somebody does at a tick: ``leave``, ``vanish``, ``stand`` still, ``delay``, or ``cut`` a path."""

    tick: int
    what: str
    player: int
    many: int


class _Table:
    """The players, and what is under way between them."""

    def __init__(self, setting: Setting, changes: Mapping[int, Sequence[Change]]) -> None:
        self.setting = setting
        self.tick = 0
        self.now = 0.0
        self.liar = setting.players - 1
        self._changes = changes
        self.truths = Truths(honest=range(self.liar))
        self.players = [Player(index, setting, self.truths) for index in range(setting.players)]
        self.truths.matches = [player.match for player in self.players]
        self._lines: dict[tuple[int, int, Channel], deque[tuple[int, bytes]]] = defaultdict(deque)
        self._said: dict[int, list[bytes]] = defaultdict(list)
        self._heard: list[bytes] = []
        self._pieces: dict[tuple[int, int], Reassembler] = defaultdict(Reassembler)
        self._muted: set[tuple[int, Channel]] = set()
        """To whom the liar says nothing more, and where."""
        self._cut: dict[tuple[int, int], int] = {}
        self._gone: set[int] = set()
        self._sent = 0

    def connect(self) -> None:
        for player in self.players:
            for other in range(self.setting.players):
                if other != player.index:
                    player.match.opened(other, self.now)
        for _ in range(4):
            self.step(TICK_S)

    def step(self, tick_s: float) -> None:
        """Let a tick go by."""
        self._sent = 0
        for player in self.players:
            if player.index not in self._gone:
                player.tick(self.now)
                self._collect(player)
        for change in self._changes.get(self.tick, ()):
            self._change(change)
        for _ in range(_DELIVERIES):
            if not self._deliver():
                break
        else:
            raise AssertionError("it never comes to rest")
        self.truths.look()
        for player in self.players:
            under_way = any(line for (one, _, _), line in self._lines.items() if one == player.index)
            if player.left and player.index not in self._gone and not under_way:
                self.vanish(player.index, told=-1)  # they close their links once all is said
        self.tick += 1
        self.now += tick_s

    def act(self, act: Act) -> None:
        player = self.players[act.player % self.setting.players]
        if player.index in self._gone:
            return
        match act.what:
            case "leave":
                player.leave("normal", self.now)
            case "vanish":
                self.vanish(player.index, told=act.many)
            case "stand":
                player.still = 4 * act.many
            case "delay":
                player.set_delay(act.many % 5, self.now)
            case "cut":
                other = (player.index + 1 + act.many) % self.setting.players
                self._cut[player.index, other] = self.tick + 2 * act.many
        self._collect(player)

    def vanish(self, index: int, *, told: int) -> None:
        """Let a player's process end: those of the others whose bits are set hear of it at once."""
        self._gone.add(index)
        self.players[index].left = True
        self.truths.vanishes(index)
        for player in self.players:
            if player.index not in self._gone and told >> player.index & 1:
                player.match.closed(index, self.now)
                self._collect(player)

    @property
    def over(self) -> bool:
        return all(player.left for player in self.players[: self.liar])

    def _collect(self, player: Player) -> None:
        """Send what a player's machine has to say, and tell its user the rest."""
        while (output := player.match.poll()) is not None:
            self._sent += 1
            assert self._sent <= _OUTPUTS_A_TICK, "it says too much"
            if not isinstance(output, Transmit):
                player.hear(output, self.now)
            elif player.index not in self._gone:
                assert len(output.data) <= MAX_MESSAGE_BYTES
                self._send(player.index, output.player, output.channel, output.data)

    def _send(self, one: int, other: int, channel: Channel, data: bytes) -> None:
        if one == self.liar:
            self._said[other].append(data)
            if (other, channel) in self._muted:
                return
        if channel is Channel.GAME and self._cut.get((one, other), -1) >= self.tick:
            return
        latency = self.setting.latency
        self._lines[one, other, channel].append((self.tick + latency[(one + other) % len(latency)], data))

    def _change(self, change: Change) -> None:
        """Change one of the messages of the liar that are under way."""
        if self.liar in self._gone:
            return
        lines = [line for (one, _, _), line in self._lines.items() if one == self.liar and line]
        at = change.index % (sum(map(len, lines)) or 1)
        for (one, other, channel), line in self._lines.items():
            if one != self.liar or other in self._gone:
                continue
            if at >= len(line):
                at -= len(line)
                continue
            due, data = line[at]
            out = changed(
                change,
                data,
                said=self._said[other],
                heard=self._heard,
                hearer=self.players[other].match,
                player=self.liar,
            )
            late = 3 * change.many if change.kind == "late" and channel is Channel.GAME else 0
            items = list(line)
            items[at : at + 1] = [(due + late, one) for one in out]  # in its place: a channel keeps the order
            line.clear()
            line.extend(items)
            if change.kind == "mute":
                self._muted.add((other, channel))
            self.truths.lies(change)
            return

    def _deliver(self) -> bool:
        """Hand over what is due; return whether anything was."""
        anything = False
        for (one, other, channel), line in list(self._lines.items()):
            due = [data for at, data in line if at <= self.tick]
            if not due:
                continue
            anything = True
            later = [(at, data) for at, data in line if at > self.tick]
            line.clear()
            line.extend(later)
            for data in due:
                if other in self._gone:
                    continue
                if other == self.liar and channel is Channel.CTRL:
                    self._heard.append(data)
                self._note(one, other, data)
                self.players[other].match.receive(one, data, self.now)
                self._collect(self.players[other])
        return anything

    def _note(self, one: int, other: int, data: bytes) -> None:
        """Note the inputs in what somebody is about to hear."""
        try:
            whole = self._pieces[one, other].add(data)
            message = None if whole is None else decode(whole)
        except ProtocolError:
            return
        if isinstance(message, Inputs):
            self.truths.says(other, one, message)
        elif isinstance(message, Share):
            self.truths.says(other, message.player, message)


def converse(setting: Setting, changes: Sequence[Change], acts: Sequence[Act]) -> Truths:
    """Play a match with these changes to what the last player says; return what came of it.

    Raises:
        AssertionError: somebody honest believes what is not true, says too much, or waits for ever.
    """
    by_tick: dict[int, list[Change]] = defaultdict(list)
    for change in changes:
        by_tick[change.tick + CHANGED_FROM].append(change)
    table = _Table(setting, by_tick)
    table.connect()
    for tick in range(TICKS):
        for act in acts:
            if act.tick == tick:
                table.act(act)
        table.step(TICK_S)
    for _ in range(_LONG_TICKS):
        if table.over:
            break
        table.step(_LONG_TICK_S if table.tick > 3 * TICKS else TICK_S)
    assert table.over, "somebody waits for ever"
    return table.truths
