"""``bench rollback``: what playing on guesses costs, part by part, in this process."""

from __future__ import annotations

import gc
import hashlib
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from gym_p2p.bench.figures import Report, Row, less
from gym_p2p.bench.input_message import INPUT_MESSAGE, measure_input_message
from gym_p2p.bench.player import FRAMES_MOST
from gym_p2p.bench.run import Progress, Rounds, turns
from gym_p2p.bench.still import StillEnv
from gym_p2p.bench.table import WINDOW, Plan, Table, TickCost
from gym_p2p.core.latency.statistics import nearest_rank
from gym_p2p.core.wire.messages import encode
from gym_p2p.envs.rally import RallyEnv
from gym_p2p.errors import UsageError
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.state.proof import choose_snapshots
from gym_p2p.game.state.snapshot import Snapshots, snapshots_named
from gym_p2p.play.sync_mode import how_often_to_save
from gym_p2p.simulation import simulate

__all__ = ["NETWORK", "bench_rollback"]

ON_TIME_LATE = 3
"""At 60 a second and 50 ms one way an input arrives in its fourth frame."""

HELD = 16
"""Frames for which an action is held: every change is one rollback."""

WARM_UP = 40

NETWORK: Mapping[str, float] = {"one_way_ms": 50.0, "jitter_ms": 5.0, "loss": 0.02}
"""100 ms of round trip, as the targets have it."""

# Targets, as the project's table of floors and targets has them.
_TICK_P50_US, _TICK_P99_US, _AGAIN_US = 45.0, 150.0, 12.0
_OF_PARTS: Mapping[str, float] = {"pong": 1.2, "rally": 1.8}
_CHECKSUM_US: Mapping[str, float] = {"rally": 10.0, "pong": 300.0, "spread": 300.0}
_MESSAGES, _KB = 60.0, 2.4


@attrs.frozen
class _Benched:
    """An environment, and how its joint action is made of two seats' ones."""

    name: str
    make: Callable[[], Any]
    joint: Callable[[int, int], Any]


def bench_rollback(*, rounds: int = 5, frames: int = 400, progress: Progress) -> Report:
    """Measure the session, the saving and loading of environments, and rollbacks of a whole window."""
    found, notes = Rounds("us"), list[str]()
    still = _Bench(_Benched("nothing", StillEnv, _by_name), found, saves_all=True)
    benches = [_Bench(subject, found) for subject in _subjects(notes)]
    for count in turns(found, rounds, progress, count=frames, warm_up=WARM_UP):
        still.parts(count)
        still.held(count)
        for depth in (WINDOW // 2, WINDOW):
            still.rollbacks(count, depth)
        found.add("inputs: coding", measure_input_message(count))
        for bench in benches:
            bench.parts(max(WARM_UP, count // 4))
            bench.rollbacks(count, WINDOW)
    progress("messages, on virtual time")
    rows = [
        *_session_rows(found),
        *(row for bench in benches for row in bench.rows()),
        *_message_rows(found, frames),
    ]
    for bench in (still, *benches):
        bench.close()
    return Report(
        bench="rollback",
        settings={"rounds": rounds, "frames": frames, "window": WINDOW, "fps": 60},
        notes=(
            "tick: session, play and record, on the user's thread; no env.step, no save",
            "  network half: messages in and out; by default in another process",
            "again: each further frame of a rollback, without env.step and save",
            "floor of save and load: the emulator's own, where there is one",
            "floor of a checksum: one BLAKE2b over the state's bytes",
            "floor of a rollback, of 8 frames: 8 bare steps, 8 saves and 1 load",
            "  emulator alone: the same with its own saving, without wrappers",
            "inputs: a message of four frames of two players; coding: encode and decode",
            "messages: simulated, 60 Hz and 100 ms of round trip",
            *notes,
        ),
        rows=rows,
        series=found.all(),
        columns=("ours", "floor", "target"),
    )


def _subjects(notes: list[str]) -> list[_Benched]:
    """Return what is here to be played."""
    found = [_Benched("rally", lambda: RallyEnv(points=FRAMES_MOST, max_frames=FRAMES_MOST), _by_name)]
    others: dict[str, tuple[str, dict[str, Any], tuple[str, str]]] = {
        "pong": ("pettingzoo.atari.pong_v3", {"obs_type": "ram"}, ("first_0", "second_0")),
        "spread": ("mpe2.simple_spread_v3", {"N": 2, "max_cycles": 10**6}, ("agent_0", "agent_1")),
    }
    for name, (module, arguments, agents) in others.items():
        try:
            load_environment(module, arguments).close()
        except (UsageError, ImportError):
            notes.append(f"{name}: not here ({module})")
            continue
        found.append(
            _Benched(
                name,
                lambda module=module, arguments=arguments: load_environment(module, arguments),  # type: ignore[misc]  # bound now
                lambda a, b, agents=agents: dict(zip(agents, (a, b), strict=True)),  # type: ignore[misc]  # bound now
            )
        )
    return found


def _by_name(left: int, right: int) -> dict[str, int]:
    return {"left": left, "right": right}


class _Bench:
    """What is measured of one environment, round after round.

    Args:
        subject: the environment.
        found: where to.
        saves_all: whether every frame that is played again is saved, also where a match would not do so.
    """

    def __init__(self, subject: _Benched, found: Rounds, *, saves_all: bool = False) -> None:
        self.name = subject.name
        self._joint = subject.joint
        self._found = found
        self._bare = subject.make()
        self._games = [make_game(subject.make()) for _ in range(2)]
        self._snapshots, every = _saving(self._games)
        self._save_again_every = 1 if saves_all else every
        self._state_bytes = 0

    def close(self) -> None:
        """Close the environments."""
        self._bare.close()
        for game in self._games:
            game.close()

    def parts(self, count: int) -> None:
        """Measure a bare step, saving, loading and hashing, one by one and taking turns."""
        took: dict[str, list[float]] = {}
        saving, emulator = self._snapshots[0], getattr(self._bare.unwrapped, "ale", None)
        self._bare.reset(seed=1)
        self._games[0].reset(1)
        for frame in range(count):
            action = self._joint(frame // HELD % 2, 0)
            _timed(took, "env.step", lambda action=action: self._bare.step(action))  # type: ignore[misc]  # bound now
            snapshot = _timed(took, "save", saving.save)
            _timed(took, "load", lambda snapshot=snapshot: saving.load(snapshot))  # type: ignore[misc]  # bound now
            if frame % HELD == 0:
                _timed(took, "checksum", lambda snapshot=snapshot: saving.checksum(snapshot))  # type: ignore[misc]  # bound now
                state = pickle.dumps(saving.fields(snapshot), protocol=5)
                _timed(took, "blake2b", lambda state=state: hashlib.blake2b(state, digest_size=8).hexdigest())  # type: ignore[misc]  # bound now
                self._state_bytes = len(state)
            saving.free(snapshot)
            if emulator is not None:
                _time_clone(took, emulator)
        for what, samples in took.items():
            self._add(what, samples)

    def held(self, count: int) -> None:
        """Measure ticks in which every guess holds."""
        costs = self._play(count, late=ON_TIME_LATE, change=lambda _frame: 0)
        quiet = [cost for cost in costs if not cost.played_again]
        self._add("tick", [cost.playing_us for cost in quiet])
        self._add("network half of a tick", [cost.network_us for cost in quiet])

    def rollbacks(self, count: int, depth: int) -> None:
        """Measure ticks that play ``depth`` frames again, less those that do not."""
        costs = self._play(count, late=depth, change=lambda frame: frame // HELD % 2)
        plain = [cost.playing_us for cost in costs if not cost.played_again]
        usual = nearest_rank(plain, 0.5)
        deep = [cost.playing_us - usual for cost in costs if cost.played_again == depth]
        self._add(f"rollback of {depth}", deep)

    def rows(self) -> list[Row]:
        """Return the environment's part of the table."""
        measured = ("env.step", "save", "load", "checksum", "blake2b", "clone", "restore")
        p50 = {what: self._p50(what) for what in measured}
        rollback = self._found.series(f"{self.name}: rollback of {WINDOW}").p50
        parts = _sum_of_parts(p50["env.step"], p50["save"], p50["load"])
        bare = _sum_of_parts(p50["env.step"], p50["clone"], p50["restore"])
        times = _OF_PARTS.get(self.name)
        target = None if times is None or parts is None else times * parts
        wanted = _CHECKSUM_US.get(self.name)
        emulated = Row("  emulator alone", "us", rollback, floor=bare)
        return [
            Row(f"{self.name}: env.step", "us", p50["env.step"]),
            Row(f"{self.name}: save", "us", p50["save"], floor=p50["clone"]),
            Row(f"{self.name}: load", "us", p50["load"], floor=p50["restore"]),
            Row(f"{self.name}: checksum", "us", p50["checksum"], floor=p50["blake2b"], anchor=wanted),
            Row(f"{self.name}: state", "B", float(self._state_bytes)),
            Row(f"{self.name}: rollback", "us", rollback, floor=parts, anchor=target),
            *([] if bare is None else [emulated]),
        ]

    def _p50(self, what: str) -> float | None:
        return self._found.series(f"{self.name}: {what}").p50

    def _play(self, count: int, *, late: int, change: Plan) -> list[TickCost]:
        table = Table(
            self._games,
            self._snapshots,
            plans=(lambda _frame: 0, change),
            late=late,
            save_again_every=self._save_again_every,
        )
        table.play(WARM_UP)
        gc.collect()
        return table.play(count)

    def _add(self, what: str, samples: Sequence[float]) -> None:
        self._found.add(f"{self.name}: {what}", samples)


def _saving(games: Sequence[Game]) -> tuple[list[Snapshots], int]:
    """Return what saves each game, and how often a match saves what it plays again."""
    chosen = choose_snapshots(games[0])
    if chosen.snapshots is None:
        raise UsageError(f"the bench's environment cannot be saved: {chosen.reason}")
    name = chosen.snapshots.name
    _, save_again_every = how_often_to_save(chosen, WINDOW)
    return [snapshots_named(game, name) for game in games], save_again_every


def _timed(took: dict[str, list[float]], what: str, call: Callable[[], Any]) -> Any:
    began = time.perf_counter_ns()
    result = call()
    took.setdefault(what, []).append((time.perf_counter_ns() - began) / 1e3)
    return result


def _time_clone(took: dict[str, list[float]], emulator: Any) -> None:
    """Save and restore as whoever knows the emulator would."""

    def clone() -> Any:
        state = emulator.cloneSystemState()
        if hasattr(emulator, "deleteState"):
            states.append(state)
        return state

    states: list[Any] = []
    state = _timed(took, "clone", clone)
    _timed(took, "restore", lambda: emulator.restoreSystemState(state))
    for one in states:
        emulator.deleteState(one)


def _sum_of_parts(step: float | None, save: float | None, load: float | None) -> float | None:
    if step is None or save is None or load is None:
        return None
    return WINDOW * (step + save) + load


def _session_rows(found: Rounds) -> list[Row]:
    tick, network = found.series("nothing: tick"), found.series("nothing: network half of a tick")
    step, save = found.series("nothing: env.step").p50, found.series("nothing: save").p50
    own = (step or 0.0) + (save or 0.0)
    deep, half = (found.series(f"nothing: rollback of {depth}").p50 for depth in (WINDOW, WINDOW // 2))
    again = None if deep is None or half is None else (deep - half) / (WINDOW - WINDOW // 2) - own
    return [
        Row("tick, p50", "us", less(tick.p50, own), anchor=_TICK_P50_US),
        Row("tick, p99", "us", less(tick.p99, own), anchor=_TICK_P99_US),
        Row("  network half, p50", "us", network.p50),
        Row("  network half, p99", "us", network.p99),
        Row("again, a frame", "us", again, anchor=_AGAIN_US),
    ]


def _message_rows(found: Rounds, frames: int) -> list[Row]:
    result = simulate(
        lambda: RallyEnv(points=FRAMES_MOST, max_frames=FRAMES_MOST),
        {"left": lambda _seen, frame: frame // 7 % 3, "right": lambda _seen, frame: frame // 5 % 3},
        frames=max(600, frames),
        seed=1,
        one_way_ms=NETWORK["one_way_ms"],
        sync="rollback",
    )
    counters = result.players["left"].counters
    seconds = result.seconds
    return [
        Row("inputs: coding", "us", found.series("inputs: coding").p50),
        Row("inputs: size", "B", float(len(encode(INPUT_MESSAGE)))),
        Row("messages", "1/s", counters.messages / seconds, anchor=_MESSAGES),
        Row("payload", "KB/s", counters.bytes / seconds / 1e3, anchor=_KB),
    ]
