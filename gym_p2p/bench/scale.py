"""``bench scale``: what a match of many costs each player, on virtual time over links in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from gym_p2p.bench.figures import Report, Row
from gym_p2p.bench.rollback import NETWORK
from gym_p2p.bench.run import Progress, Rounds, turns
from gym_p2p.bench.still import StillEnv, still_seats
from gym_p2p.simulation import simulate

__all__ = ["FPS", "HELD_FRAMES", "PLAYERS", "bench_scale"]

PLAYERS = (2, 3, 4, 8)

FPS = 60.0

HELD_FRAMES = 16
"""For how long a player holds an action: the one after the other changes it, and is guessed wrong."""

WARM_UP = 30
"""Frames that are not measured."""

TARGET = 1.3
"""A frame and peer of eight players, as a multiple of that of two; from the table of floors and targets."""

_Mode = Literal["lockstep", "rollback"]
_MODES: tuple[_Mode, ...] = ("lockstep", "rollback")


def bench_scale(
    *, rounds: int = 5, frames: int = 200, players: Sequence[int] = PLAYERS, progress: Progress
) -> Report:
    """Play the same match with two and with more players, and see what a frame costs one of them."""
    found = Rounds("us")
    per_message: dict[tuple[_Mode, int], float] = {}
    for count in turns(found, rounds, progress, count=frames, warm_up=WARM_UP):
        for mode in _MODES:
            for number in players:
                frame_us, messages = _frame_us(number, mode, count)
                found.add(_name(mode, number), [frame_us])
                per_message[mode, number] = messages
    rows = [
        row
        for mode in _MODES
        for number in players
        for row in _rows(found, mode, number, per_message[mode, number])
    ]
    return Report(
        bench="scale",
        settings={"rounds": rounds, "frames": frames, "players": list(players), "fps": FPS, **NETWORK},
        notes=(
            "a frame: processor time of one player's frame, of all that they run: session, play, record and",
            "  network half, with links in memory; the environment does next to nothing",
            "a frame and peer: the same, divided by how many others there are; every player sends each of",
            "  them a message a frame, and gets one from each",
            "a further peer: what a frame takes longer than between two, by how many peers there are more",
            "a message: a frame, divided by the game messages that the player sends",
            "all at 60 Hz: how much of one processor the players take together, who share it in this process",
            f"the target is {TARGET:g} of what it is between two",
        ),
        rows=rows,
        series=found.all(),
        columns=("ours", "of two", "target"),
    )


def _rows(found: Rounds, mode: _Mode, players: int, messages: float) -> list[Row]:
    frame_us = found.series(_name(mode, players)).p50
    of_two = found.series(_name(mode, 2)).p50
    if frame_us is None or of_two is None:
        return []
    return [
        Row(f"{_name(mode, players)}: a frame", "us", frame_us),
        Row("  a frame and peer", "us", frame_us / (players - 1), floor=of_two, anchor=TARGET * of_two),
        *([] if players == 2 else [Row("  a further peer", "us", (frame_us - of_two) / (players - 2))]),
        Row("  a message", "us", frame_us / messages),
        Row("  all at 60 Hz", "% of one", 100 * frame_us * players * FPS / 1e6),
    ]


def _name(mode: _Mode, players: int) -> str:
    return f"{mode}, {players} players"


def _frame_us(players: int, mode: _Mode, frames: int) -> tuple[float, float]:
    """Return what a frame costs a player in processor time, and how many messages each sends for it."""
    seats = still_seats(players)
    read_ns: dict[int, int] = {}

    def first(_seen: Any, frame: int) -> int:
        # The players take turns in one thread: what it took between two frames of one is what all took.
        if frame in {WARM_UP, WARM_UP + frames}:
            read_ns.setdefault(frame, time.thread_time_ns())
        return 0

    policies: dict[str, Callable[[Any, int], int]] = {
        seat: partial(_hold, shift=index * HELD_FRAMES // players) for index, seat in enumerate(seats)
    }
    policies[seats[0]] = first
    length = WARM_UP + frames + 1
    result = simulate(
        partial(StillEnv, seats),
        policies,
        frames=length,
        seed=1,
        sync=mode,
        fps=FPS,
        one_way_ms=NETWORK["one_way_ms"],
        jitter_ms=NETWORK["jitter_ms"],
        loss=NETWORK["loss"],
    )
    took_us = (read_ns[WARM_UP + frames] - read_ns[WARM_UP]) / 1e3
    messages = result.players[seats[0]].counters.messages / length
    return took_us / frames / players, messages


def _hold(_seen: Any, frame: int, *, shift: int) -> int:
    return (frame + shift) // HELD_FRAMES % 2
