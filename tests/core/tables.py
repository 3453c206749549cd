"""A table of players on virtual time: match machines, drivers and sessions over the network in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.commands import BeginEpisode, GiveChecksum, Leave
from gym_p2p.core.match.events import (
    ChecksumsAgreed,
    Connected,
    Desynced,
    EpisodeBegan,
    Event,
    FramesAhead,
    InputsArrived,
    PlayerFinished,
    PlayerGone,
)
from gym_p2p.core.match.match import Match
from gym_p2p.core.sync.outputs import (
    Advance,
    FramesConfirmed,
    Load,
    Over,
    RolledBack,
    Save,
    Stalled,
    SyncOutput,
)
from gym_p2p.core.sync.patience import Patience
from gym_p2p.core.sync.session import SyncSession
from gym_p2p.core.wire.messages import Channel, Inputs, decode
from gym_p2p.net.links.driver import Driver
from gym_p2p.net.links.memory import MemoryNetwork, Path, VirtualClock
from gym_p2p.net.links.transport import LinkState


def is_inputs(data: bytes | str) -> bool:
    """Whether a message is one of inputs."""
    return isinstance(data, bytes) and data[1:2] == b"\x10" and isinstance(decode(data), Inputs)


Action = Callable[[int, int], bytes]
"""``(player, frame) -> input``."""


def plain_action(player: int, frame: int) -> bytes:
    return bytes([player, frame % 251, (frame * 7 + player * 13) % 256])


TICK_S = 1 / 60


def held_action(player: int, frame: int) -> bytes:
    """Buttons that are held for a while: mostly predictable, and not for ever. Sometimes there is none."""
    pressed = (frame + 3 * player) // (5 + player)
    return bytes([player, pressed % 7]) if pressed % 5 else b""


def next_state(state: int, inputs: tuple[bytes, ...]) -> int:
    """The game: everything that was ever done is in its state."""
    for data in inputs:
        state = hash((state, len(data), *data)) & 0xFFFFFFFF
    return state


class Player:
    """One player: plays ``frames`` frames an episode, then waits at the next barrier.

    Without a tick it plays each frame as soon as it can; with one, by the clock: a tick of its own without a
    frame is a stalled one.
    """

    def __init__(self, table: Table, index: int, *, frames: int, episodes: int, delay: int) -> None:
        self.index = index
        self.events: list[Event] = []
        self.played: list[Advance] = []
        self.confirmed: list[tuple[tuple[bytes, ...], int]] = []
        self.rollbacks: list[RolledBack] = []
        self.stalls: list[Stalled] = []
        self.simulated_again = 0
        self.saves = 0
        self.ticks = 0
        self.stalled_ticks = 0
        self.advantages: list[int] = []
        self.over: Over | None = None
        self.frames = frames
        self.episodes_left = episodes
        self.delay = delay
        self.stopped = False
        self.state = 0
        self.tick_s = table.tick_s
        self.saved: dict[int, int] = {}
        self._states: dict[int, int] = {}
        self._table = table
        self.session: SyncSession | None = None
        patience_s = table.patience_s
        self.patience = None if patience_s is None else Patience(patience_s, paced=True)
        match = Match(
            local=index,
            players=table.players,
            description=table.descriptions.get(index, {"must": {"game": "counting"}, "about": {}}),
            match_seed=7,
            sync=table.sync,
            secret=bytes([index]),
            **table.match_options,
        )
        self.driver = Driver(match, clock=table.clock, emit=self._on_event)
        self.match = match

    @property
    def played_all(self) -> bool:
        return len(self.confirmed if self._table.options.get("window") else self.played) >= self.frames

    def events_of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def begin(self, seed: int | None = None, options: Mapping[str, Any] | None = None) -> None:
        self.episodes_left = max(0, self.episodes_left - 1)
        self.driver.command(BeginEpisode(seed, options, self.delay))

    def leave(self, reason: str = "normal") -> None:
        self.stopped = True
        self.driver.command(Leave(reason))

    def vanish(self) -> None:
        self.stopped = True
        self._table.network.sever(self.index)

    def set_delay(self, frames: int) -> None:
        assert self.session is not None
        for command in self.session.set_input_delay(frames):
            self.driver.command(command)

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        match event:
            case Connected() if self.episodes_left:
                self._later(self.begin)
            case EpisodeBegan():
                self.session = SyncSession(
                    local=self.index,
                    default_inputs=[b"d"] * self._table.players,
                    input_delay=self.delay,
                    delays=event.delays,
                    **self._table.options,
                )
                self._later(self._start)
            case InputsArrived() | PlayerFinished() | PlayerGone() | FramesAhead() if (
                self.session is not None
            ):
                self.session.receive(event)
                if self.patience is not None and isinstance(event, PlayerGone):
                    self.patience.excuse(self._table.clock.time())
                if self.tick_s is None:
                    self._later(self.play)

    def _later(self, call: Callable[[], None], after_s: float = 0.0) -> None:
        # The driver is not re-entrant: commands come from the user's thread, after its events.
        self._table.clock.call_at(self._table.clock.time() + after_s, call)

    def _start(self) -> None:
        assert self.session is not None
        for give in self.session.begin():
            self.driver.command(give)
        self.play()

    def play(self) -> None:
        """One tick: an input, and whatever the session asks for then."""
        session = self.session
        if session is None or self.stopped or self.over is not None:
            return
        frame = session.frame
        if frame < self.frames:
            give = session.add_local_input(self._table.action(self.index, frame))
            if give is not None:
                self.driver.command(give)
            self.ticks += 1
        before = session.frame
        while (output := session.poll()) is not None:
            self._carry_out(output)
        self.saved = {f: state for f, state in self.saved.items() if f >= session.needed_from}
        self.stalled_ticks += before == session.frame < self.frames
        self._bear(session, stalled=before == session.frame < self.frames)
        self._next(session, advanced=session.frame > before)

    def _bear(self, session: SyncSession, *, stalled: bool) -> None:
        """Give up whoever is waited for in vain, as a session does."""
        now = self._table.clock.time()
        if self.patience is None or self.over is not None:
            return
        if not stalled:
            self.patience.play(now)
            return
        for give_up in self.patience.wait(session.waits_for(), now):
            self.driver.command(give_up)

    def _next(self, session: SyncSession, *, advanced: bool) -> None:
        if self.tick_s is not None:
            self._later(self.play, self.tick_s * session.stretch)
        elif advanced and session.frame < self.frames:
            self._later(self.play)
        elif advanced and self.episodes_left and not self._table.options.get("window"):
            self._later(self.begin)

    def _carry_out(self, output: SyncOutput) -> None:
        match output:
            case Save(frame):
                self.saves += 1
                self.saved[frame] = self.state
            case Load(frame):
                self.state = self.saved[frame]
                self.saved = {f: state for f, state in self.saved.items() if f <= frame}
                del self.played[self._session_start + frame :]
            case Advance():
                self._advance(output)
            case FramesConfirmed(start, inputs):
                self._confirm(start, inputs)
            case RolledBack():
                self.rollbacks.append(output)
            case Stalled():
                self.stalls.append(output)
            case Over(frame) if frame < self.frames:  # otherwise it had ended by itself
                self.over = output

    @property
    def _session_start(self) -> int:
        """How many frames earlier episodes had."""
        return self.frames * (len(self.events_of(EpisodeBegan)) - 1)

    def _advance(self, advance: Advance) -> None:
        self.simulated_again += advance.again
        self.played.append(advance)
        self.state = self._states[advance.frame] = next_state(self.state, advance.inputs)
        if not self._table.options.get("window"):
            self._check(advance.frame, self.state)

    def _confirm(self, start: int, inputs: tuple[tuple[bytes, ...], ...]) -> None:
        for frame, joint in enumerate(inputs, start):
            state = self._states.pop(frame)
            self.confirmed.append((joint, state))
            if self._table.options.get("window"):
                self._check(frame, state)

    def _check(self, frame: int, state: int) -> None:
        if (frame + 1) % self._table.sync.checked_every == 0:
            self.driver.command(GiveChecksum(frame, state.to_bytes(8, "big")))


class Table:
    """Players around one network; ``options`` are the sessions'.

    Attributes:
        deaf: pairs of a player and one whose game messages do not reach them any more.
        starved: the same, of inputs alone.
        patience_s: how long a player waits for the input of another; ``None`` for as long as it takes.
    """

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
        paths: Mapping[tuple[int, int], Path] | None = None,
        tick_s: float | None = None,
        seated: type[Player] = Player,
        patience_s: float | None = None,
        match_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.players = players
        self.tick_s = tick_s
        self.options = options
        self.deaf: set[tuple[int, int]] = set()
        self.starved: set[tuple[int, int]] = set()
        self.patience_s = patience_s
        self.match_options = dict(match_options or {})
        self.sync = sync or SyncConfig(checksum_interval=10, reconnect_timeout_s=0)
        self.action = action
        self.descriptions = dict(descriptions or {})
        self.clock = VirtualClock()
        self.network = MemoryNetwork(self.clock, seed=seed, path=path, paths=paths)
        self.seats = [
            seated(self, i, frames=frames, episodes=episodes, delay=(delays or {}).get(i, 0))
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

        def on_message(channel: Channel, data: bytes | str) -> None:
            if channel is Channel.GAME and (seat.index, other) in self.deaf:
                return
            if (seat.index, other) in self.starved and is_inputs(data):
                return
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


def rollback_table(players: int, *, window: int = 8, one_way_ms: float = 50, **options: Any) -> Table:
    """Return connected players of 60 frames a second who guess."""
    settings = {"path": Path(one_way_ms=one_way_ms), "action": held_action, "tick_s": TICK_S, **options}
    table = Table(players, window=window, **settings)
    table.connect()
    return table
