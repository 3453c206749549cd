"""A table of mortal players at which others act for those who are away, and what holds of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import attrs

from gym_p2p.core.match.acted import ActedFrames
from gym_p2p.core.match.commands import BeginEpisode, GiveFor
from gym_p2p.core.match.events import EpisodeBegan, Event, InputsArrived
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.match.return_events import ActFor, PastEpisode
from gym_p2p.core.sync.session import SyncSession
from gym_p2p.core.wire.acting import ActedBy
from gym_p2p.core.wire.messages import Ready, decode, encode
from gym_p2p.net.links.memory import Path
from tests.core.match.pairs import hello, outputs_of, seals_of
from tests.core.match.returning_table import SYNC, Death, MortalPlayer, MortalTable
from tests.core.tables import TICK_S, held_action

ACTING_SYNC = attrs.evolve(SYNC, while_away="default_action")

STANDS_IN = b"stands in at "


class ActingPlayer(MortalPlayer):
    """A player who gives the inputs of those who are away, where they are asked to.

    Attributes:
        acted: by episode and player, where others acted.
    """

    def __init__(self, table: Any, index: int, **options: Any) -> None:
        super().__init__(table, index, **options)
        self.acts: set[int] = set()
        self._running = 0
        self.acted: dict[tuple[int, int], ActedFrames] = defaultdict(ActedFrames)
        self._upcoming: dict[int, int] = defaultdict(int)

    @property
    def episode(self) -> int:
        began = self.events_of(EpisodeBegan)
        return began[-1].episode if began else 0

    def play(self) -> None:
        if not self.catches_up:
            self._act()
        super().play()

    def _next(self, session: SyncSession, *, advanced: bool) -> None:
        """Go on to the next episode by the clock, too, once all frames of this one are final."""
        final = self.confirmed if self._table.options.get("window") else self.played
        began = len(self.events_of(EpisodeBegan))
        if session.frame >= self.frames and len(final) >= began * self.frames and self.episodes_left:
            self._later(self.begin)
        elif self.tick_s is not None:
            super()._next(session, advanced=advanced)

    def _act(self) -> None:
        session = self.session
        if session is None or self.stopped or self.over is not None:
            return
        last = min(session.frame, self.frames - 1)
        delays = self.events_of(EpisodeBegan)[-1].delays
        for player in self.acts:
            while self._upcoming[player] <= last + delays[player]:
                frame = self._upcoming[player]
                self._upcoming[player] += 1
                data = STANDS_IN + b"%d by %d" % (frame, self.index)
                give = GiveFor(player, self.episode, frame, data, ActedBy.STAND_IN)
                self.driver.command(give)

    def _on_event(self, event: Event) -> None:
        if self.dead:
            return
        match event:
            case ActFor(player, True):
                self.acts.add(player)
                self._later(self._act if self.tick_s else self.play)
            case ActFor(player, False):
                self.acts.discard(player)
                self._upcoming.pop(player, None)
            case PastEpisode():
                self._running = event.episode
                for player, actors in enumerate(event.actors):
                    self.acted[event.episode, player].add(event.start[player], actors)
            case EpisodeBegan():
                self._running = event.episode
                self._upcoming.clear()
        super()._on_event(event)
        if isinstance(event, InputsArrived):
            self._learn(event)

    def _learn(self, event: InputsArrived) -> None:
        end = event.start + len(event.inputs)
        self._upcoming[event.player] = max(self._upcoming[event.player], end)
        if event.actors:
            self.acted[self._running, event.player].add(event.start, event.actors)


class ActingTable(MortalTable):
    """A table whose players act for those who are away."""

    def __init__(
        self, players: int, deaths: Sequence[Death] = (), cuts: Sequence[Any] = (), **options: Any
    ) -> None:
        super().__init__(players, deaths, cuts, **{"sync": ACTING_SYNC, "seated": ActingPlayer, **options})

    def acting_seat(self, index: int) -> ActingPlayer:
        seat = self.seats[index]
        assert isinstance(seat, ActingPlayer)
        return seat


def acting_rollback(players: int, deaths: Sequence[Death] = (), **options: Any) -> ActingTable:
    """Return players of 60 frames a second who guess."""
    settings = {"path": Path(one_way_ms=30), "action": held_action, "tick_s": TICK_S, "frames": 240}
    return ActingTable(players, deaths, window=8, **{**settings, **options})


def acting_lockstep(players: int, deaths: Sequence[Death] = (), **options: Any) -> ActingTable:
    """Return players who play a few short episodes in lockstep."""
    return ActingTable(
        players,
        deaths,
        **{"path": Path(one_way_ms=10), "tick_s": TICK_S, "frames": 120, "episodes": 3, **options},
    )


def inputs_played(table: ActingTable, seat: int) -> list[tuple[bytes, ...]]:
    """Return the inputs of all final frames of a player, over all episodes."""
    if table.options.get("window"):
        return [inputs for inputs, _ in table.seats[seat].confirmed]
    return [advance.inputs for advance in table.seats[seat].played]


def assert_acted_as_told(table: ActingTable, seats: Sequence[int]) -> int:
    """Whoever played knows of every input who chose it; return how many others chose."""
    count = 0
    for index in seats:
        seat = table.acting_seat(index)
        for number, inputs in enumerate(inputs_played(table, index)):
            episode, frame = divmod(number, seat.frames)
            for player, data in enumerate(inputs):
                acted = seat.acted[episode + 1, player].at(frame)
                assert acted == (ActedBy.STAND_IN if data.startswith(STANDS_IN) else 0), (
                    index,
                    number,
                    player,
                )
                count += bool(acted)
    return count


def playing_match(players: int = 4, local: int = 0, **options: Any) -> Match:
    """Return one player's match of so many, in its first episode."""
    match = Match(
        local=local,
        players=players,
        description={"must": {}},
        match_seed=7,
        sync=ACTING_SYNC,
        secret=b"ours",
        **options,
    )
    others = [player for player in range(players) if player != local]
    for player in others:
        match.opened(player, 0.0)
        greeting = hello(seals_of(player, players).key_for(local), 4_000, 20_000)
        match.receive(player, encode(greeting), 0.0)
    match.command(BeginEpisode(), 0.1)
    for player in others:
        match.receive(player, encode(Ready(1, None, None, 0, 0)), 0.2)
    match.handle_timeout(0.5)
    outputs_of(match)
    return match


def miss(match: Match, player: int) -> None:
    """Let a player's link be closed at 1 s, and two seconds go by."""
    match.closed(player, 1.0)
    for tenth in range(10, 32):
        match.handle_timeout(tenth / 10)


def sent_of(kind: type[Any], match: Match) -> list[tuple[int, Any]]:
    """Return the messages of a kind that were sent since, and to whom."""
    sent = [(one.player, decode(one.data)) for one in outputs_of(match) if isinstance(one, Transmit)]
    return [(player, message) for player, message in sent if isinstance(message, kind)]
