"""A table of players whose processes end, and who come back in new ones, as the shells do it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.catching_up import Comeback
from gym_p2p.core.match.commands import GiveChecksum, LearnMore, TakeSeat
from gym_p2p.core.match.events import Connected, EpisodeBegan, Event
from gym_p2p.core.match.match import Match
from gym_p2p.core.match.return_events import (
    CanReturn,
    PastComplete,
    PastEpisode,
    PastSoFar,
    ReturnFailed,
    SeatTaken,
)
from gym_p2p.core.sync.session import SyncSession
from gym_p2p.net.links.driver import Driver
from gym_p2p.net.links.memory import Path
from tests.core.match.cut_table import Cut, CutTable
from tests.core.tables import TICK_S, Player, held_action

SYNC = SyncConfig(checksum_interval=10, reconnect_timeout_s=4, rejoin_timeout_s=20)

_LITTLE = 10
"""Frames, after which a player who comes back claims the seat."""

MARGIN_S = 5.0
"""Beyond what the others wait: so long does who comes back look for somebody who knows the match."""


@attrs.frozen
class Death:
    """A player's process ends.

    Attributes:
        player: whose.
        at_s: when.
        back_s: how much later their next process is there; ``None``: none comes.
        word: whether the link is closed by it; else nothing comes any more.
        slowly_s: how long it takes to play everything again.
    """

    player: int
    at_s: float
    back_s: float | None = 2.0
    word: bool = True
    slowly_s: float = 0.5


class MortalPlayer(Player):
    """A player who may be the second process of theirs, or a later one."""

    def __init__(self, table: Any, index: int, **options: Any) -> None:
        super().__init__(table, index, **options)
        self.keys: dict[int, bytes] = {}
        self.incarnation = 0
        self.slowly_s = 0.0
        self.dead = False
        self.failed: str | None = None
        self.past: list[PastEpisode] = []
        self.stretches: list[int] = []
        """How many frames were played again at a time."""
        self.catches_up = False
        self.past_complete = False
        self._again = 0
        """The newest episode that was begun once more."""
        self._caught_up = 0
        self._meanwhile: list[Event] = []

    def come_back(self, first: MortalPlayer, incarnation: int, slowly_s: float) -> None:
        """Be the next process of a player's."""
        self.keys, self.incarnation, self.slowly_s = first.keys, incarnation, slowly_s
        self.catches_up = True
        table = self._table
        self.match = Match(
            local=self.index,
            players=table.players,
            description={"must": {"game": "counting"}, "about": {}},
            match_seed=7,
            sync=table.sync,
            secret=bytes([self.index]),
            comeback=Comeback(incarnation, self.keys),
            **table.match_options,
        )
        self.driver = Driver(self.match, clock=table.clock, emit=self._on_event)

    def die(self) -> None:
        """Be there no more, without a word."""
        self.dead = self.stopped = True
        self.driver.stop()

    def _check(self, frame: int, state: int) -> None:
        if (frame + 1) % self._table.sync.checked_every == 0:
            episode = self.events_of(EpisodeBegan)[-1].episode
            self.driver.command(GiveChecksum(frame, state.to_bytes(8, "big"), episode))

    def play(self) -> None:
        if not self.catches_up:
            super().play()

    def _on_event(self, event: Event) -> None:
        if self.dead:
            return
        match event:
            case CanReturn(_, keys):
                self.events.append(event)
                self.keys = dict(keys)
            case PastEpisode():
                self.past.append(event)
            case PastSoFar():
                self.past_complete = True
                self._later(self._play_on_again, self.slowly_s * (not self.stretches))
            case PastComplete():
                self.past_complete = True
                self._later(partial(self._play_again, event), self.slowly_s * (not self.stretches))
            case SeatTaken():
                self.events.append(event)
                self._later(partial(self._go_on, event))
            case ReturnFailed(why):
                self.failed, self.stopped = why, True
            case Connected() if self.catches_up:
                self.events.append(event)
            case _ if self.catches_up:
                self._meanwhile.append(event)
            case _:
                super()._on_event(event)

    def _play_on_again(self) -> None:
        """Play what was told so far, while the others play on; claim the seat once it is little."""
        if not (self.dead or self.failed is not None):
            self._play_told()
            self.driver.command(LearnMore(claims=self.stretches[-1] < _LITTLE or len(self.stretches) > 3))

    def _play_told(self) -> None:
        before = self._caught_up
        for episode in self.past:
            if episode.episode != self._again:
                self._begin_again(episode)
            session = self.session
            assert session is not None
            session.take_up(episode.start, episode.inputs)
            played, finished = -1, episode.frames is not None
            ends = [start + len(one) for start, one in zip(episode.start, episode.inputs, strict=True)]
            up_to = min(ends) if finished else 0
            while (session.was_played or session.frame < up_to) and played < session.frame < self.frames:
                played = session.frame
                session.add_local_input(b"of before")
                while (output := session.poll()) is not None:
                    self._carry_out(output)
                self._caught_up += session.frame > played
        self.past = []
        self.stretches.append(self._caught_up - before)

    def _begin_again(self, episode: PastEpisode) -> None:
        self._again = episode.episode
        self.events.append(EpisodeBegan(episode.episode, episode.seed, episode.options, episode.delays))
        self.episodes_left = max(0, self.episodes_left - 1)
        self.session = SyncSession(
            local=self.index,
            default_inputs=[b"d"] * self._table.players,
            input_delay=episode.delays[self.index],
            delays=episode.delays,
            **self._table.options,
        )
        self._states.clear()
        self.saved.clear()

    def _play_again(self, complete: PastComplete) -> None:
        if self.dead or self.failed is not None:
            return
        self._play_told()
        self.waits = complete.waits
        if self.waits:
            self.episodes_left = max(0, self.episodes_left - 1)
        self.driver.command(TakeSeat(self._caught_up))

    def _go_on(self, seat: SeatTaken) -> None:
        if self.dead:
            return
        self.catches_up = False
        for event in self._meanwhile:
            super()._on_event(event)
        self._meanwhile = []
        played = self.session is None or self.session.frame >= self.frames
        goes_on = played and self.episodes_left and not self.waits and seat.episode <= self._again
        if goes_on and (self.session is None or not self._table.options.get("window")):
            self.begin()
        else:
            self.play()


class MortalTable(CutTable):
    """A table whose players die and come back.

    Args:
        deaths: in any order; each is of whoever is that player by then.
        cuts: of their paths.
    """

    def __init__(
        self, players: int, deaths: Sequence[Death] = (), cuts: Sequence[Cut] = (), **options: Any
    ) -> None:
        super().__init__(players, cuts, **{"sync": SYNC, "seated": MortalPlayer, **options})
        for death in deaths:
            self.clock.call_at(death.at_s, partial(self._die, death))

    def seat(self, index: int) -> MortalPlayer:
        seat = self.seats[index]
        assert isinstance(seat, MortalPlayer)
        return seat

    def finished(self) -> bool:
        there = [self.seat(index) for index in range(self.players)]
        return super().finished() and not any(one.catches_up and not one.stopped for one in there)

    def _die(self, death: Death) -> None:
        seat = self.seat(death.player)
        if seat.dead:
            return
        seat.die()
        for there in range(self.players):
            if there != death.player:
                number = self.newest.get((min(death.player, there), max(death.player, there)), 0)
                link = self.network.link(death.player, there, number)
                if death.word:
                    link.shut()
                link.on_message = lambda _channel, _data: None
                link.on_state = lambda _state: None
                if not death.word:
                    self.network.link(there, death.player, link.number).on_message = lambda _c, _d: None
        if death.back_s is not None:
            self.clock.call_at(self.clock.time() + death.back_s, partial(self._return, death, seat))

    def _return(self, death: Death, before: MortalPlayer) -> None:
        if not before.keys:
            return  # there was no match yet
        seat = type(before)(
            self, death.player, frames=before.frames, episodes=self.episodes, delay=before.delay
        )
        seat.come_back(before, before.incarnation + 1, death.slowly_s)
        self.come_in(seat)

    def come_in(self, seat: MortalPlayer) -> None:
        """Let a player's next process take its place, and look for everybody who is there."""
        self.seats[seat.index] = seat
        self.link_up(seat.index)
        limit_s = self.sync.rejoin_timeout_s + MARGIN_S
        self.clock.call_at(self.clock.time() + limit_s, partial(self._give_up, seat))

    def _give_up(self, seat: MortalPlayer) -> None:
        """Let a player who has come back and reached nobody wait no longer, as the user's half does."""
        if seat.catches_up and not seat.past_complete and not seat.dead:
            seat.failed, seat.stopped = "nobody was reached", True

    def link_up(self, here: int) -> None:
        """Make a new link from a player who has come back to everybody who is there."""
        for there in range(self.players):
            if there != here:
                self.make_link(here, there)

    def make_link(self, one: int, other: int) -> None:
        if not (self.seat(one).dead or self.seat(other).dead):
            super().make_link(one, other)


def rollback(players: int, deaths: Sequence[Death] = (), **options: Any) -> MortalTable:
    """Return players of 60 frames a second who guess."""
    settings = {"path": Path(one_way_ms=30), "action": held_action, "tick_s": TICK_S, "frames": 240}
    return MortalTable(players, deaths, window=8, **{**settings, **options})


def lockstep(players: int, deaths: Sequence[Death] = (), **options: Any) -> MortalTable:
    """Return players who play a few short episodes in lockstep."""
    return MortalTable(
        players, deaths, **{"path": Path(one_way_ms=20), "frames": 60, "episodes": 3, **options}
    )
