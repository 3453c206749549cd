"""A table whose players close as the shells do: their links and their line to the service go with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from gym_p2p.core.match.commands import GiveChecksum, Leave, LineClosed
from gym_p2p.core.match.events import ChecksumsAgreed, Desynced, Event, Left
from tests.core.match.cut_table import Cut, CutTable
from tests.core.match.served_table import SERVICE_ONE_WAY_S, ServedTable
from tests.core.tables import Player, Table

_FLUSH_S = 0.5
"""For so long a link that is closed still carries what was sent before."""


class ClosingPlayer(Player):
    """Whose states differ from everybody's; who leaves once everything is played for good, or is over.

    Attributes:
        checked: the frames whose checksums were given.
        asked_at: when this player wanted to leave.
        left_at: when that was over.
    """

    def __init__(self, table: Table, index: int, **options: Any) -> None:
        super().__init__(table, index, **options)
        assert isinstance(table, EndingTable)
        self._ends = table
        self.checked: list[int] = []
        self.asked_at: float | None = None
        self.left_at: float | None = None

    def compared_with(self, player: int) -> list[int]:
        """Return the frames that were compared with a player."""
        return [event.frame for event in self.events_of(Desynced) if event.player == player]

    @property
    def agreed(self) -> list[int]:
        return [event.frame for event in self.events_of(ChecksumsAgreed)]

    def _check(self, frame: int, state: int) -> None:
        if (frame + 1) % self._ends.sync.checked_every == 0:
            self.checked.append(frame)
            digest = (state + self.index * self._ends.differ) & 0xFFFFFFFF
            self.driver.command(GiveChecksum(frame, digest.to_bytes(8, "big")))

    def play(self) -> None:
        if self.asked_at is not None:
            return
        super().play()
        last = self._ends.last_of.get(self.index, self.frames)
        played = len(self.confirmed if self._ends.options.get("window") else self.played)
        if self.asked_at is None and (self.over is not None or played >= last):
            self.asked_at = self._ends.clock.time() + self._ends.closes_after_s.get(self.index, 0.0)
            self._ends.clock.call_at(self.asked_at, self.close)

    def close(self) -> None:
        self.asked_at = self._ends.clock.time()
        self.driver.command(Leave("normal"))

    def _on_event(self, event: Event) -> None:
        super()._on_event(event)
        if isinstance(event, Left):
            self.left_at = self._ends.clock.time()
            self._later(partial(self._ends.hang_up, self))


class EndingTable(ServedTable, CutTable):
    """Players who play one episode, compare every fifth frame of it, and close.

    Args:
        closes_after_s: how long a player waits with it, by index; 0 where nothing is said.
        last_of: after how many frames a player closes, by index; after all of them where nothing is said.
        differ: by how much the players' states differ; 0: not at all.
    """

    def __init__(
        self,
        players: int,
        cuts: Sequence[Cut] = (),
        *,
        closes_after_s: Mapping[int, float] | None = None,
        last_of: Mapping[int, int] | None = None,
        relay: str = "service",
        differ: int = 1,
        **options: Any,
    ) -> None:
        self.closes_after_s = dict(closes_after_s or {})
        self.last_of = dict(last_of or {})
        self.differ = differ
        super().__init__(
            players, cuts, match_options={"relay": relay}, seated=ClosingPlayer, **{"frames": 50, **options}
        )
        self.closing: list[ClosingPlayer] = self.seats  # type: ignore[assignment]  # as they were seated

    def all_left(self) -> bool:
        return all(seat.left_at is not None for seat in self.closing)

    def took_s(self) -> list[float]:
        """Return how long each took to leave, of those who have."""
        return [
            seat.left_at - seat.asked_at
            for seat in self.closing
            if seat.left_at is not None and seat.asked_at is not None
        ]

    def hang_up(self, seat: ClosingPlayer) -> None:
        """Stop, close all links, and be gone from the service."""
        seat.stopped = True
        seat.driver.stop()
        for other in range(self.players):
            if other == seat.index:
                continue
            newest = self.newest.get((min(seat.index, other), max(seat.index, other)), 0)
            for number in range(newest + 1):
                self._close_link(seat.index, other, number)
            if self.service_there:
                told_at = self.clock.time() + SERVICE_ONE_WAY_S
                self.clock.call_at(told_at, partial(self._tell_line_closed, other, seat.index))

    def _close_link(self, here: int, other: int, number: int) -> None:
        """Close a link; over a dark path nobody hears of it, and what waits for light is lost in time."""
        link = self.network.link(here, other, number)
        if (here, other) not in self.network._dark:
            link.shut()
            return
        link.on_message = lambda _channel, _data: None
        until = self.clock.time() + _FLUSH_S
        self.clock.call_at(until, lambda: self.network._waiting.pop((here, other), None))

    def _tell_line_closed(self, player: int, gone: int) -> None:
        if self.closing[player].left_at is None:
            self.closing[player].driver.command(LineClosed(gone, cut_off=False))

    def assert_all_compared_alike(self) -> None:
        """Of every two, each has compared what both had checked, and nothing else."""
        for one in self.closing:
            for other in self.closing:
                if one is not other:
                    both = sorted({*one.checked} & {*other.checked})
                    found = one.compared_with(other.index)
                    assert found == both, (one.index, other.index, found, both)


def is_control(data: bytes) -> bool:
    """Whether what the service passes on is of the control channel."""
    return data[1:2] == b"\x0d"
