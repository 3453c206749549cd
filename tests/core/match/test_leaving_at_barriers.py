"""Players who vanish or leave around a barrier: those who are left all begin the episode, or none does.

A player is killed before every message they send, and while those before it are on their way, from the first
greeting to the first frames of a second episode. Those who are left act as the user's half does: they leave
where an episode does not begin, and where it cannot go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.commands import Leave
from gym_p2p.core.match.events import Connected, EpisodeBegan, Event, Left, PlayerGone
from gym_p2p.core.sync.outputs import Over, SyncOutput
from gym_p2p.core.sync.session import SyncSession
from gym_p2p.core.wire.messages import Cause, Channel
from gym_p2p.net.links.memory import MemoryLink, Path
from tests.core.examples import examples, rarely
from tests.core.tables import TICK_S, Player, Table, held_action

FRAMES = 3
EPISODES = 3
PATIENT = SyncConfig(
    disconnect_notice_s=0.5, disconnect_timeout_s=2.0, reconnect_timeout_s=0, checksum_interval=2
)
"""Longer than what a lossy path holds up: nobody is lost who is there."""


class User(Player):
    """A player with what the user's half does: from the barrier into an episode, to the next one, or away.

    Attributes:
        thinks_s: for how long they do nothing between two episodes.
        resets_at: at which frame they leave the first episode for the second.
        told: of those who are gone, in which episode, and after how many frames.
    """

    def __init__(self, table: Table, index: int, **options: Any) -> None:
        super().__init__(table, index, **options)
        self.thinks_s = 0.0
        self.resets_at: int | None = None
        self.began: list[EpisodeBegan] = []
        self.final: list[list[tuple[bytes, ...]]] = []
        self.ended: list[Over] = []
        self.told: dict[int, tuple[int, int]] = {}
        self.left = False
        self._at_barrier = True

    def assert_saw_the_same_as(self, other: User, gone: Iterable[int]) -> None:
        """Who leaves the first episode for the second has seen its first frames alone, and not its end."""
        both_stay = self.resets_at is None and other.resets_at is None
        assert self.began == other.began
        assert self.ended == other.ended or (len(self.began) == 1 and not both_stay)
        for number, (ours, theirs) in enumerate(zip(self.final, other.final, strict=True)):
            shorter = min(len(ours), len(theirs))
            assert ours[:shorter] == theirs[:shorter]
            assert len(ours) == len(theirs) or (number == 0 and not both_stay)
        for player in self.told.keys() & other.told.keys() & set(gone):
            assert self.told[player] == other.told[player]

    def begin(self, seed: int | None = None, options: Mapping[str, Any] | None = None) -> None:
        if self.told:
            self.leave("peer_lost")
        elif self.episodes_left and not self.stopped:
            super().begin(seed, options)
        else:
            self.leave()

    def leave(self, reason: str = "normal", lost: int | None = None) -> None:
        if not self.stopped:
            self.stopped = True
            leave = Leave(reason) if lost is None else Leave(reason, lost, Cause(reason))
            self._later(lambda: self.driver.command(leave))

    def _on_event(self, event: Event) -> None:
        match event:
            case EpisodeBegan():
                self.began.append(event)
                self.final.append([])
                self._at_barrier = False
                self.state, self.saved, self.played = 0, {}, []
            case PlayerGone(player, reason, frames):
                self.told[player] = len(self.began), frames
                if self._at_barrier:
                    self.leave(reason, player)
            case Left():
                self.left = True
                self._later(self._close)
        if self._at_barrier and not isinstance(event, Connected):
            self.events.append(event)
        else:
            super()._on_event(event)

    def _close(self) -> None:
        self.driver.stop()
        for other in range(self._table.players):
            if other != self.index:
                self._table.network.link(self.index, other).shut()

    def _next(self, session: SyncSession, *, advanced: bool) -> None:
        if session is not self.session or self.stopped or self._at_barrier:
            return
        over = session.over if session.over is not None and session.over.frame < self.frames else None
        resets = self.resets_at is not None and len(self.began) == 1 and session.frame >= self.resets_at
        if over is not None and over.reason != "peer_reset":
            self.ended.append(over)
            self.leave(over.reason, over.player)
        elif over is not None or resets or len(self.final[-1]) >= self.frames:
            self._at_barrier = True
            self._later(self.begin, self.thinks_s)
        else:
            super()._next(session, advanced=advanced)

    def _carry_out(self, output: SyncOutput) -> None:
        if not isinstance(output, Over):
            super()._carry_out(output)

    @property
    def _session_start(self) -> int:
        return 0

    def _confirm(self, start: int, inputs: tuple[tuple[bytes, ...], ...]) -> None:
        super()._confirm(start, inputs)
        self.final[-1].extend(inputs)


class Room(Table):
    """A table of users.

    They are unequally far from each other, so that what one sends last reaches only some.

    Attributes:
        killed: who vanishes or leaves.
        sent: how many messages, by player.
    """

    def __init__(self, players: int, path: Path, **options: Any) -> None:
        self.killed: set[int] = set()
        self.sent = [0] * players
        self._dead: set[int] = set()
        self._due: dict[int, dict[int, Callable[[int], None]]] = {}
        paths = {
            (here, there): attrs.evolve(path, one_way_ms=path.one_way_ms * (1 + (here + 2 * there) % 3))
            for here in range(players)
            for there in range(players)
        }
        given = {"frames": FRAMES, "episodes": EPISODES, "sync": PATIENT, "action": held_action, **options}
        super().__init__(players, paths=paths, tick_s=TICK_S, seated=User, **given)
        self._carry, self._arrive = self.network.carry, self.network._deliver
        self.network.carry = self._send  # type: ignore[method-assign]  # watched
        self.network._deliver = self._deliver  # type: ignore[method-assign]  # watched
        self.connect()

    @property
    def survivors(self) -> Sequence[User]:
        return [seat for seat in self.seats if seat.index not in self.killed]  # type: ignore[misc]  # all users

    def before_message(self, player: int, number: int, then: Callable[[int], None]) -> None:
        """Do something to a player before their message of this number is sent."""
        self._due.setdefault(player, {})[number] = then

    def kill(self, player: int) -> None:
        """Let a player do nothing more; what they sent before is on its way."""
        self.killed.add(player)
        self._dead.add(player)
        self.seats[player].stopped = True

    def cut_off(self, player: int) -> None:
        """Let a player do nothing more; what they sent before is lost."""
        self.kill(player)
        self.network.sever(player)

    def say_goodbye(self, player: int) -> None:
        """Let a player leave."""
        self.killed.add(player)
        self.seats[player].leave()

    def say_half_a_goodbye(self, player: int) -> None:
        """Let a player leave, and be killed in the middle of it."""
        self.say_goodbye(player)
        self.before_message(player, self.sent[player] + self.players, self.kill)

    def play_on(self) -> None:
        """Play until everybody is away, and see that those who were left saw the same."""
        done = self.run(30, until=lambda: all(seat.left for seat in self.survivors))
        assert done, [(seat.began, seat.events[-3:]) for seat in self.survivors]
        first, *others = self.survivors
        for seat in others:
            seat.assert_saw_the_same_as(first, self.killed)

    def _send(self, link: MemoryLink, channel: Channel, data: bytes | str) -> None:
        sender = link.ends[0]
        then = self._due.get(sender, {}).pop(self.sent[sender], None)
        self.sent[sender] += 1
        if then is not None:
            then(sender)
        if sender not in self._dead:
            self._carry(link, channel, data)

    def _deliver(self, link: MemoryLink, channel: Channel, data: bytes | str, number: int | None) -> None:
        if link.ends[1] not in self._dead:
            self._arrive(link, channel, data, number)


WAYS = (Room.kill, Room.cut_off, Room.say_goodbye, Room.say_half_a_goodbye)
EVEN, LOSSY = Path(one_way_ms=20), Path(one_way_ms=20, jitter_ms=5, loss=0.2)


def messages(players: int, path: Path, **options: Any) -> int:
    """Return how many messages the last player sends up to the first frames of the second episode."""
    room = Room(players, path, **options)
    assert room.run(10, until=lambda: all(seat.final[1:] and seat.final[1] for seat in room.survivors))
    return room.sent[-1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", [EVEN, *rarely(LOSSY)])
@pytest.mark.parametrize("window", [0, *rarely(8)])
@pytest.mark.parametrize("players", [*rarely(2), 3, *rarely(4)])
def test_whenever_a_player_goes_all_who_are_left_begin_the_same_episodes(
    players: int, window: int, path: Path, way: Callable[[Room, int], None]
) -> None:
    begun = set()
    for number in range(messages(players, path, window=window)):
        room = Room(players, path, window=window)
        room.before_message(players - 1, number, partial(way, room))
        room.play_on()
        begun.add(len(room.survivors[0].began))
    assert begun >= {0, 1}
    assert max(begun) > 1


@st.composite
def deaths(draw: st.DrawFn, players: int) -> dict[int, tuple[int, Callable[[Room, int], None]]]:
    """Who goes, before which of their messages, and how; at least one is left."""
    who = draw(st.sets(st.integers(0, players - 1), min_size=1, max_size=players - 1))
    moment = st.integers(0, 20 * (players - 1)) | st.integers(0, 60 * (players - 1))
    return {player: (draw(moment), draw(st.sampled_from(WAYS))) for player in sorted(who)}


@pytest.mark.slow
@settings(deadline=None, max_examples=examples(30))
@given(data=st.data(), players=st.integers(2, 4), seed=st.integers(0, 1000), continues=st.booleans())
def test_whoever_goes_whenever_and_however_those_who_are_left_see_the_same(
    data: st.DataObject, players: int, seed: int, *, continues: bool
) -> None:
    path = Path(
        one_way_ms=data.draw(st.sampled_from([0, 5, 20, 40])),
        jitter_ms=data.draw(st.sampled_from([0, 10])),
        loss=data.draw(st.sampled_from([0, 0.1, 0.2])),
    )
    room = Room(
        players,
        path,
        seed=seed,
        continue_without_leavers=continues,
        window=data.draw(st.sampled_from([0, 1, 8])),
        delays=data.draw(st.dictionaries(st.sampled_from(range(players)), st.integers(0, 4))),
    )
    for seat in room.survivors:
        seat.thinks_s = data.draw(st.sampled_from([0, 0.1, 2]))
        seat.resets_at = data.draw(st.none() | st.integers(0, FRAMES))
    for player, (number, way) in data.draw(deaths(players)).items():
        room.before_message(player, number, partial(way, room))
    room.play_on()
