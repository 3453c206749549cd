"""One player in a process of its own, for the tests that interrupt, stop and kill it.

It catches nothing and closes nothing: what is left in order when it dies is the package's doing. Run as
``python -m tests.lone_player '{"seat": "a", "options": {}, "arguments": {}, "episodes": 1, "heir": null}'``;
it says ``ready``, ``began`` with what the info tells of ours and, every ten frames, ``frame N``; at the end
of every episode ``over``. With an heir it says ``heir PID`` once it has begun: of a process that inherits
what it can of this one's, and sleeps.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import psutil

from gym_p2p import P2PEnv
from tests.players import act, network_processes
from tests.toys import BLEND
from tests.waiting import PATIENCE_S

__all__ = ["ENDS", "HEIRS", "LonePlayer", "lone_player"]

ROOT = Path(__file__).parents[1]

HEIR_S = 60
"""Longer than any test waits."""


class LonePlayer:
    """The process, from outside."""

    def __init__(
        self,
        seat: str | int,
        options: Mapping[str, Any],
        arguments: Mapping[str, Any],
        *,
        episodes: int,
        heir: str | None,
        ends: str | None,
        stops: int | None,
    ) -> None:
        told = json.dumps(
            {
                "seat": seat,
                "options": dict(options),
                "arguments": dict(arguments),
                "episodes": episodes,
                "heir": heir,
                "ends": ends,
                "stops": stops,
            }
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.lone_player", told],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_it_says(self, text: str) -> str:
        """Read on until it says this; return what follows on the line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(text):
                return line.removeprefix(text).strip()
        raise AssertionError(f"it ended without {text!r}: {self.errors()}")

    def network_processes(self) -> list[psutil.Process]:
        """Return those that play for it."""
        return network_processes(self.process.pid)

    def family(self) -> list[psutil.Process]:
        """Return all that it has started, and what those have."""
        children: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return children

    def errors(self) -> str:
        """Return what it wrote to stderr, once it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read()


@contextmanager
def lone_player(
    seat: str | int,
    options: Mapping[str, Any],
    *,
    episodes: int = 1,
    heir: str | None = None,
    ends: str | None = None,
    stops: int | None = None,
    **arguments: Any,
) -> Iterator[LonePlayer]:
    """Start one in an environment of these arguments; whatever is left of it in the end is killed.

    Args:
        seat: theirs.
        options: of the wrapper.
        episodes: how many they play.
        heir: of :data:`HEIRS`.
        ends: what they do at frame 60, of :data:`ENDS`; ``None`` plays on.
        stops: after how many episodes' beginnings and ends they do nothing any more; ``None`` plays on.
        arguments: of the environment.
    """
    player = LonePlayer(seat, options, arguments, episodes=episodes, heir=heir, ends=ends, stops=stops)
    try:
        yield player
    finally:
        left = [] if player.process.poll() is not None else player.family()
        player.process.kill()
        for child in left:
            child.kill()
        player.process.communicate(timeout=PATIENCE_S)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class _Episodes:
    """Says what becomes of episodes; after so much it is for others to end this process."""

    def __init__(self, stops: int | None) -> None:
        self._left = stops

    def say(self, text: str, info: Mapping[str, Any]) -> None:
        _say(f"{text} {json.dumps(info.get('p2p'))}")
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                time.sleep(HEIR_S)


def _slept(fork: Callable[[], int]) -> int:
    child = fork()
    if child == 0:
        time.sleep(HEIR_S)
        os._exit(0)
    return child


def _twice() -> int:
    """Fork a process that forks another one and ends; return the second's id."""
    reads, writes = os.pipe()
    if os.fork() == 0:
        os.write(writes, str(_slept(os.fork)).encode())
        os._exit(0)
    os.wait()
    return int(os.read(reads, 20))


def _multiprocessing() -> int:
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(HEIR_S,))
    child.start()
    assert child.pid is not None
    return child.pid


HEIRS: dict[str, Callable[[], int]] = {
    "fork": lambda: _slept(os.fork),
    "fork in C": lambda: _slept(ctypes.CDLL(None).fork),
    "double fork": _twice,
    "multiprocessing": _multiprocessing,
    "program": lambda: subprocess.Popen(["sleep", str(HEIR_S)], close_fds=False).pid,
}


class _OfTheirOwn(Exception):
    """What a player's own loop raises."""


def _close(env: P2PEnv) -> None:
    env.close()
    sys.exit()


def _raise(env: P2PEnv) -> None:
    raise _OfTheirOwn(str(env.p2p.seat))


def _raise_and_clean_up(env: P2PEnv) -> None:
    try:
        _raise(env)
    finally:
        env.close()


ENDS: dict[str, Callable[[P2PEnv], object]] = {
    "close": _close,
    "raise": _raise,
    "raise and clean up": _raise_and_clean_up,
    "exit": lambda _env: sys.exit(),
    "go away": lambda _env: time.sleep(HEIR_S),
}


def main() -> None:
    """Play until something ends it."""
    told = json.loads(sys.argv[1])
    env = P2PEnv(gymnasium.make(BLEND, **told["arguments"]), seat=told["seat"], fps=100, **told["options"])
    _say("ready")
    episodes = _Episodes(told["stops"])
    for _ in range(told["episodes"]):
        _play_episode(env, episodes, told["heir"], told["ends"])


def _play_episode(env: P2PEnv, episodes: _Episodes, heir: str | None, ends: str | None) -> None:
    _, info = env.reset()
    episodes.say("began", info)
    if heir is not None:
        _say(f"heir {HEIRS[heir]()}")
    frame, over = 0, False
    while not over:
        _, _, terminated, truncated, info = env.step(act(env.action_space, frame))
        frame, over = frame + 1, terminated or truncated
        if frame % 10 == 0:
            _say(f"frame {frame}")
        if frame == 60 and ends is not None:
            ENDS[ends](env)
    episodes.say("over", info)


if __name__ == "__main__":
    main()
