"""A table whose paths break and are rebuilt, as the shells do it, and what holds of whoever sat at it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs
from hypothesis import strategies as st

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.events import EpisodeBegan, PlayerGone, ProtocolErrorSeen
from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.links.memory import MemoryLink
from tests.core.tables import Player, Table

FOR_GOOD_S = 1e6

PAIRS = [(0, 1), (1, 2), (0, 2), (0, 3), (1, 3), (2, 3)]

SYNC = SyncConfig(checksum_interval=10, reconnect_timeout_s=6)


@attrs.frozen
class Cut:
    """A pair of players loses sight of each other for a while.

    Attributes:
        at_s: when.
        for_s: how long nothing passes over the old link.
        rebuilt_s: when a new link between the two is there, after the break; ``None``: none is made.
        one_way: whether the second one still hears the first.
    """

    pair: tuple[int, int]
    at_s: float
    for_s: float
    rebuilt_s: float | None
    one_way: bool = False


def some_cuts(for_s: st.SearchStrategy[float]) -> st.SearchStrategy[list[Cut]]:
    """Return lists of cuts among four players, no two of a pair, each of so long."""
    cuts = st.builds(
        Cut,
        pair=st.sampled_from(PAIRS),
        at_s=st.floats(0.1, 4),
        for_s=for_s,
        rebuilt_s=st.none() | st.floats(0.2, 7),
        one_way=st.booleans(),
    )
    return st.lists(cuts, min_size=1, max_size=4, unique_by=lambda cut: cut.pair)


class CutTable(Table):
    """A table whose paths break and are rebuilt.

    Args:
        cuts: each is of whoever these players are by then.

    Attributes:
        newest: the number of the newest link of two players, the lower one first, where there was a new one.
        first_own: of a player, an older process of whose is there still: the first link that is not its.
    """

    def __init__(self, players: int, cuts: Sequence[Cut] = (), **options: Any) -> None:
        super().__init__(players, **{"sync": SYNC, **options})
        self.episodes = options.get("episodes", 1)
        self.connect()
        self.newest: dict[tuple[int, int], int] = {}
        self.first_own: dict[int, int] = {}
        self._links = itertools.count(1)
        for cut in cuts:
            self.clock.call_at(cut.at_s, partial(self.cut, cut))
            self.clock.call_at(cut.at_s + cut.for_s, partial(self._mend, cut))
            if cut.rebuilt_s is not None:
                self.clock.call_at(cut.at_s + cut.rebuilt_s, partial(self._rebuild, cut))

    def finished(self) -> bool:
        return all(
            (len(seat.played) >= self.episodes * seat.frames and seat.played_all)
            or seat.over
            or seat.stopped
            or (seat.events_of(PlayerGone) and self._waits_for_the_next_episode(seat))
            for seat in self.seats
        )

    @staticmethod
    def _waits_for_the_next_episode(seat: Player) -> bool:
        """Return whether no episode runs, in which an ending would be seen: there the wait for one ends."""
        return len(seat.played) == seat.frames * len(seat.events_of(EpisodeBegan))

    def cut(self, cut: Cut) -> None:
        """Break a path now."""
        one, other = cut.pair
        self.network.darken(one, other)
        if not cut.one_way:
            self.network.darken(other, one)

    def _mend(self, cut: Cut) -> None:
        for ends in (cut.pair, cut.pair[::-1]):
            self.network.brighten(*ends)

    def _rebuild(self, cut: Cut) -> None:
        self.make_link_anew(*cut.pair)

    def make_link_anew(self, one: int, other: int) -> None:
        """Make a new link over a path that carries: it mends the pair, whatever became of the old one."""
        for ends in ((one, other), (other, one)):
            self.network._dark.discard(ends)
            self.network._waiting.pop(ends, None)
        self.make_link(one, other)

    def make_link(self, one: int, other: int) -> None:
        """Make a new link between two players who are there."""
        number = self.newest[min(one, other), max(one, other)] = next(self._links)
        for here, there in ((one, other), (other, one)):
            self._offer(here, there, self.network.link(here, there, number), number)
        for here, there in ((one, other), (other, one)):
            self.seats[here].driver.introduce(there, self.network.link(here, there, number), number)

    def _offer(self, here: int, there: int, link: MemoryLink, attempt: int) -> None:
        driver = self.seats[here].driver
        known = False

        def on_message(_channel: Channel, data: bytes | str) -> None:
            nonlocal known
            if known:
                driver.message(there, data)
            elif driver.recognises(there, link, attempt, data):
                known = True
                driver.replace(there, link)
                for older in range(self.first_own.get(here, 0), attempt):
                    old = self.network.link(here, there, older)
                    old.on_message = lambda _channel, _data: None
                    old.on_state = lambda _state: None

        link.on_message = on_message
        link.on_state = lambda state: driver.link_state(there, state) if known else None


def inputs_of(table: Table, seat: int) -> list[tuple[bytes, ...]]:
    return [advance.inputs for advance in table.seats[seat].played]


def assert_undisturbed(table: CutTable) -> None:
    """Everybody played everything, all the same, and nobody was missed."""
    frames = table.seats[0].frames
    wanted = [
        tuple(table.action(player, frame) for player in range(table.players)) for frame in range(frames)
    ]
    for seat in table.seats:
        assert not seat.events_of(PlayerGone)
        assert not seat.events_of(ProtocolErrorSeen)
        assert inputs_of(table, seat.index) == wanted * table.episodes
        assert seat.state == table.seats[0].state
    assert not table.desyncs()
    assert all(table.agreed(seat.index) for seat in table.seats)


def assert_nobody_differs(table: Table) -> None:
    """Whatever frames two of them have played for good, they have played with the same inputs."""
    final = [
        [inputs for inputs, _ in seat.confirmed]
        if table.options.get("window")
        else inputs_of(table, seat.index)
        for seat in table.seats
    ]
    for one, other in itertools.combinations(final, 2):
        both = min(len(one), len(other))
        assert one[:both] == other[:both]
