"""A table of players on virtual time: match machines, drivers and lockstep over the network in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gym_p2p.config import SyncConfig
from gym_p2p.core.events import (
    BeginEpisode,
    ChecksumsAgreed,
    Connected,
    Desynced,
    EpisodeBegan,
    Event,
    GiveChecksum,
    InputsArrived,
    Leave,
    PlayerFinished,
    PlayerGone,
)
from gym_p2p.core.match import Match
from gym_p2p.core.messages import Channel
from gym_p2p.core.sync import Advance, Lockstep, Over
from gym_p2p.net.driver import Driver
from gym_p2p.net.memory import MemoryNetwork, Path, VirtualClock
from gym_p2p.net.transport import LinkState

Action = Callable[[int, int], bytes]
"""``(player, frame) -> input``."""


def plain_action(player: int, frame: int) -> bytes:
    return bytes([player, frame % 251, (frame * 7 + player * 13) % 256])


class Player:
    """One player: plays ``frames`` frames an episode as soon as it can, then waits at the next barrier."""

    def __init__(self, table: Table, index: int, *, frames: int, episodes: int, delay: int) -> None:
        self.index = index
        self.events: list[Event] = []
        self.played: list[Advance] = []
        self.over: Over | None = None
        self.frames = frames
        self.episodes_left = episodes
        self.delay = delay
        self.stopped = False
        self.state = 0
        self._table = table
        self._sync: Lockstep | None = None
        match = Match(
            local=index,
            players=table.players,
            description=table.descriptions.get(index, {"must": {"game": "counting"}, "about": {}}),
            match_seed=7,
            sync=table.sync,
        )
        self.driver = Driver(match, clock=table.clock, emit=self._on_event)
        self.match = match

    @property
    def played_all(self) -> bool:
        return len(self.played) >= self.frames

    def events_of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def begin(self, seed: int | None = None, options: Mapping[str, Any] | None = None) -> None:
        self.episodes_left = max(0, self.episodes_left - 1)
        self.driver.command(BeginEpisode(seed, options))

    def leave(self, reason: str = "normal") -> None:
        self.stopped = True
        self.driver.command(Leave(reason))

    def vanish(self) -> None:
        self.stopped = True
        self._table.network.sever(self.index)

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        match event:
            case Connected() if self.episodes_left:
                self._later(self.begin)
            case EpisodeBegan():
                self._sync = Lockstep(
                    local=self.index, players=self._table.players, input_delay=self.delay, default_input=b"d"
                )
                self._later(self._start)
            case InputsArrived() | PlayerFinished() | PlayerGone() if self._sync is not None:
                self._sync.receive(event)
                self._later(self._play)

    def _later(self, call: Callable[[], None]) -> None:
        # The driver is not re-entrant: commands come from the user's thread, after its events.
        self._table.clock.call_at(self._table.clock.time(), call)

    def _start(self) -> None:
        assert self._sync is not None
        for give in self._sync.begin():
            self.driver.command(give)
        self._play()

    def _play(self) -> None:
        sync = self._sync
        if sync is None or self.stopped or self.over is not None or sync.frame >= self.frames:
            return
        give = sync.give(self._table.action(self.index, sync.frame))
        if give is not None:
            self.driver.command(give)
        match sync.poll():
            case Advance() as advance:
                self._advance(advance)
            case Over() as over:
                self.over = over

    def _advance(self, advance: Advance) -> None:
        self.played.append(advance)
        for data in advance.inputs:
            self.state = hash((self.state, *data)) & 0xFFFFFFFF
        if (advance.frame + 1) % self._table.sync.checked_every == 0:
            self.driver.command(GiveChecksum(advance.frame, self.state.to_bytes(8, "big")))
        if advance.frame + 1 < self.frames:
            self._later(self._play)
        elif self.episodes_left:
            self._later(self.begin)


class Table:
    """Players around one network."""

    def __init__(
        self,
        players: int,
        *,
        seed: int = 1,
        path: Path | None = None,
        frames: int = 60,
        episodes: int = 1,
        delays: Mapping[int, int] | None = None,
        sync: SyncConfig | None = None,
        action: Action = plain_action,
        descriptions: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> None:
        self.players = players
        self.sync = sync or SyncConfig(checksum_interval=10)
        self.action = action
        self.descriptions = dict(descriptions or {})
        self.clock = VirtualClock()
        self.network = MemoryNetwork(self.clock, seed=seed, path=path)
        self.seats = [
            Player(self, i, frames=frames, episodes=episodes, delay=(delays or {}).get(i, 0))
            for i in range(players)
        ]

    def connect(self) -> None:
        for seat in self.seats:
            for other in range(self.players):
                if other != seat.index:
                    self._wire(seat, other)
        for seat in self.seats:
            for other in range(self.players):
                if other != seat.index:
                    seat.driver.attach(other, self.network.link(seat.index, other))

    def _wire(self, seat: Player, other: int) -> None:
        link = self.network.link(seat.index, other)

        def on_message(_channel: Channel, data: bytes | str) -> None:
            seat.driver.message(other, data)

        def on_state(state: LinkState) -> None:
            seat.driver.link_state(other, state)

        link.on_message, link.on_state = on_message, on_state

    def run(self, seconds: float = 60.0, *, until: Callable[[], bool] | None = None) -> bool:
        """Run until everybody has played everything (or ``until``), at most for so much virtual time."""
        deadline = self.clock.time() + seconds
        return self.clock.run_until(deadline, done=until or self.finished)

    def finished(self) -> bool:
        return all(
            seat.stopped or seat.over is not None or (seat.played_all and not seat.episodes_left)
            for seat in self.seats
        )

    def agreed(self, seat: int) -> list[ChecksumsAgreed]:
        return self.seats[seat].events_of(ChecksumsAgreed)

    def desyncs(self) -> list[Desynced]:
        return [event for seat in self.seats for event in seat.events_of(Desynced)]
