"""Two players at one table, in this process: what a tick of one of them costs, without a network.

Messages go from hand to hand, a fixed number of ticks late. Both halves of the measured player are the
product's own: the match machine, which runs where the network is, and the episode, on the user's thread.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.commands import BeginEpisode, Command
from gym_p2p.core.match.events import EpisodeBegan
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.wire.messages import Channel
from gym_p2p.errors import P2PError
from gym_p2p.game.env.game import Game
from gym_p2p.game.state.snapshot import Snapshots
from gym_p2p.play.played_match import PlayedMatch
from gym_p2p.play.runner import EpisodeRunner
from gym_p2p.play.sync_mode import SyncChoice

__all__ = ["Table", "TickCost"]

FPS = 60.0
WINDOW = 8

Plan = Callable[[int], Any]
"""``plan(frame) -> action`` of one player."""


@attrs.frozen
class TickCost:
    """What one tick took.

    Attributes:
        playing_us: the user's half: take in events, give the input, play, record.
        network_us: the network's half: take messages and the input, make messages.
        played_again: how many frames the tick played a second time.
    """

    playing_us: float
    network_us: float
    played_again: int


class Table:
    """A match of two, of which the first player is measured.

    Args:
        games: each player's copy.
        snapshots: how each is saved.
        plans: what each player does.
        late: after how many ticks a message arrives.
        save_again_every: of frames that are played again, every how many-th is saved.
    """

    def __init__(
        self,
        games: Sequence[Game],
        snapshots: Sequence[Snapshots],
        *,
        plans: Sequence[Plan],
        late: int,
        save_again_every: int = 1,
    ) -> None:
        sync = SyncConfig(mode="rollback", fps=FPS, prediction_window=WINDOW)
        self._halves = [
            _TablePlayer(game, index, saving, sync, save_again_every)
            for index, (game, saving) in enumerate(zip(games, snapshots, strict=True))
        ]
        self._plans = tuple(plans)
        self._late = late
        self._tick = 0
        self._under_way: deque[tuple[int, int, bytes]] = deque()
        self._meet()

    def play(self, ticks: int) -> list[TickCost]:
        """Play so many ticks; return what each cost the first player."""
        return [self._play_one() for _ in range(ticks)]

    def _play_one(self) -> TickCost:
        now = self._tick / FPS
        costs = []
        arrived: tuple[list[bytes], list[bytes]] = ([], [])
        while self._under_way and self._under_way[0][0] <= self._tick:
            _, receiver, data = self._under_way.popleft()
            arrived[receiver].append(data)
        for index, player in enumerate(self._halves):
            cost, sent = player.tick(arrived[index], self._plans[index], now)
            costs.append(cost)
            self._under_way.extend((self._tick + self._late, 1 - index, data) for data in sent)
        self._tick += 1
        return costs[0]

    def _meet(self) -> None:
        """Shake hands and begin, with no delay between the two."""
        waiting: deque[tuple[int, bytes]] = deque()
        for index, player in enumerate(self._halves):
            player.open()
            waiting.extend((1 - index, data) for data in player.outgoing())
        while waiting:
            receiver, data = waiting.popleft()
            self._halves[receiver].receive(data)
            waiting.extend((1 - receiver, data) for data in self._halves[receiver].outgoing())
        self._tick += 1


class _TablePlayer:
    """One player: the match machine, and the episode once it has begun."""

    def __init__(
        self, game: Game, index: int, snapshots: Snapshots, sync: SyncConfig, save_again_every: int
    ) -> None:
        self._game = game
        self._index = index
        self._seat = game.seats[index]
        self._sync = sync
        self._choice = SyncChoice(
            mode="rollback",
            why="the bench",
            window=WINDOW,
            snapshots=snapshots,
            compares_states=True,
            save_again_every=save_again_every,
        )
        self._match = Match(
            local=index,
            players=2,
            description={"must": {}, "about": {}},
            match_seed=1,
            sync=sync,
            secret=bytes([index]),
        )
        self._commands: list[Command] = []
        self._begun: EpisodeRunner | None = None

    def open(self) -> None:
        """Open the link, and be ready."""
        self._match.opened(1 - self._index, 0.0)
        self._match.command(BeginEpisode(1, None, 0), 0.0)

    def receive(self, data: bytes) -> None:
        """Take a message of the time before the first frame."""
        self._match.receive(1 - self._index, data, 0.0)

    def outgoing(self) -> list[bytes]:
        """Return what this player sends before the first frame; the episode begins when it is time."""
        sent = []
        while (output := self._match.poll()) is not None:
            if isinstance(output, Transmit):
                sent.append(output.data)
            elif isinstance(output, EpisodeBegan):
                self._begun = self._begin(output)
        return sent

    def tick(self, arrived: Sequence[bytes], plan: Plan, now: float) -> tuple[TickCost, list[bytes]]:
        """Play a tick; return what it cost, and the messages to the other player."""
        runner, match, sent = self._runner, self._match, list[bytes]()
        began = time.perf_counter_ns()
        for data in arrived:
            match.receive(1 - self._index, data, now)
        events = self._pump(sent)
        heard = time.perf_counter_ns()
        for event in events:
            runner.receive(event)
        runner.add_input({self._seat: plan(runner.session.frame)})
        tick = runner.advance()
        played = time.perf_counter_ns()
        for command in self._commands:
            match.command(command, now)
        self._commands.clear()
        due = match.next_timeout()
        if due is not None and due <= now:
            match.handle_timeout(now)
        late_events = self._pump(sent)
        ended = time.perf_counter_ns()
        for event in late_events:
            runner.receive(event)
        network_us = (heard - began + ended - played) / 1e3
        return TickCost((played - heard) / 1e3, network_us, tick.played_again), sent

    @property
    def _runner(self) -> EpisodeRunner:
        if self._begun is None:
            raise P2PError("the players of the bench did not come together")
        return self._begun

    def _pump(self, sent: list[bytes]) -> list[Any]:
        events = []
        while (output := self._match.poll()) is not None:
            if not isinstance(output, Transmit):
                events.append(output)
            elif output.channel is Channel.GAME:
                sent.append(output.data)
        return events

    def _begin(self, began: EpisodeBegan) -> EpisodeRunner:
        players = tuple(self._game.seats)
        record = MatchRecord(
            game_id="bench",
            player_id=players[self._index],
            players=players,
            peers=[players[1 - self._index]],
            session_start_ms=0,
            environment={},
            config={},
        )
        match = PlayedMatch(
            game=self._game,
            holders=range(2),
            local=self._index,
            config=self._sync,
            choice=self._choice,
            record=record,
            command=self._commands.append,
            now_ms=lambda: 0,
            monotonic_s=lambda: 0.0,
        )
        return EpisodeRunner(match, began)
