"""A player for the network laboratory: plays as ``gym-p2p join`` does, and notes what happened and when.

Its one argument is a JSON object (:class:`Wish`); it prints lines of JSON: what the network half told, and at
last the summary with the time of every frame. All times are Unix seconds of the one machine.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from typing import Any

import attrs

from gym_p2p.cli.play import Part, play
from gym_p2p.cli.surroundings import ended_by_signals
from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.core.match.events import Connected, EpisodeBegan, Interrupted, PlayerGone, Resumed
from gym_p2p.core.match.ways import WayChanged
from gym_p2p.errors import P2PError
from gym_p2p.net.links.driver import Driver
from gym_p2p.net.worker.messages import LinkOpened, WorkerEvent
from gym_p2p.play.recorder import Recorder
from gym_p2p.wrapper import P2POptions

__all__ = ["Wish", "main", "policy"]

_TOLD = (MatchFound, LinkOpened, Connected, EpisodeBegan, Interrupted, Resumed, PlayerGone, WayChanged)

_frames: list[float] = []
_busy_s = 0.0
_shift = 0


@attrs.frozen(kw_only=True)
class Wish:
    """What to play.

    Attributes:
        options: the wrapper's.
        seat: the seat to take.
        env: the environment's name.
        env_args: what it is made with.
        frames: leave after so many; ``None`` plays until it is told to stop (``SIGTERM``).
        busy_ms: how long the policy computes for each action, in pure Python and without pause.
        shift: by how many frames this player's actions are ahead of those of one with 0.
        nice: the priority to play at. What is imported before delays nobody who plays already.
    """

    options: P2POptions
    seat: str
    env: str = "gym_p2p/Rally-v0"
    env_args: dict[str, Any] = attrs.field(factory=dict)
    frames: int | None = None
    busy_ms: float = 0.0
    shift: int = 0
    nice: int


def policy(_observation: Any, frame: int) -> int:
    """Note the time, compute for as long as was wished, and go back and forth."""
    _frames.append(time.time())
    until = time.perf_counter() + _busy_s
    while time.perf_counter() < until:
        pass
    return ((frame + _shift) // 7) % 3


def main() -> None:
    """Play, and exit as ``gym-p2p join`` would."""
    global _busy_s, _shift
    wish = Wish(**json.loads(sys.argv[1]))
    os.setpriority(os.PRIO_PROCESS, 0, wish.nice)
    _busy_s, _shift = wish.busy_ms / 1e3, wish.shift
    logging.basicConfig(level=logging.WARNING)
    _tap()
    part = Part(
        env=wish.env,
        env_args=wish.env_args,
        seat=wish.seat,
        policy=f"{__name__}:policy",
        frames=wish.frames,
        options=wish.options,
    )
    try:
        with ended_by_signals():
            summary = play(part, lambda _status: None)
    except P2PError as error:
        _print("error", kind=type(error).__name__, text=str(error))
        sys.exit(3)
    _print("summary", frames=_frames, **attrs.asdict(summary))
    sys.exit(summary.exit_code)


def _tap() -> None:
    """Print what is told to the recorder, and (where the network is a thread) what the driver sent."""
    fold, stop = Recorder.fold, Driver.stop

    def tapped_fold(self: Recorder, at_ms: int, event: WorkerEvent) -> None:
        if isinstance(event, _TOLD):
            _print(type(event).__name__, at=at_ms / 1e3, told=repr(event), **_figures(event))
        fold(self, at_ms, event)

    def tapped_stop(self: Driver) -> None:
        tasks = [repr(task.get_coro()) for task in asyncio.all_tasks()]
        _print("sent", messages=self.game_messages_sent, payload_bytes=self.game_bytes_sent, tasks=tasks)
        stop(self)

    Recorder.fold = tapped_fold  # type: ignore[method-assign]  # this process is a player of a test alone
    Driver.stop = tapped_stop  # type: ignore[method-assign]  # as above


def _figures(event: WorkerEvent) -> dict[str, float | str]:
    match event:
        case LinkOpened(player, waited_s):
            return {"player": player, "waited_s": waited_s}
        case Resumed(player, silent_s):
            return {"player": player, "silent_s": silent_s}
        case PlayerGone(player, reason):
            return {"player": player, "reason": reason}
    return {}


def _print(what: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"type": what, **fields}) + "\n")
    sys.stdout.flush()
