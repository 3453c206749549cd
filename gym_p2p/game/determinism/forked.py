"""The same runs in a fork of this process, for a game that no other program can make.

A maker that is a lambda or an object of a notebook exists here alone, and in a copy of here. There the clocks
and all chance can be fixed as in a fresh process (:mod:`gym_p2p.game.determinism.clocks`), and what is made
lies at other addresses; but text hashes as it does here, so that an order by hashes does not come to light.

Other threads do not live on in a fork, and a lock that one of them holds never opens there: hence a time
limit, after which nothing is known.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
import warnings
from collections.abc import Callable
from typing import NoReturn

import msgspec

from gym_p2p.game.determinism.clocks import forget_real_clocks_and_chance
from gym_p2p.game.determinism.fresh_process import NoRecipe
from gym_p2p.game.determinism.rounds import runs_from_bytes, runs_to_bytes
from gym_p2p.game.determinism.trial import Run

__all__ = ["Forked"]

_TIMEOUT_S = 30.0

_PIECE_BYTES = 1 << 16


class Forked:
    """A fork that plays some runs; it begins at once.

    Args:
        play: what it does there.

    Attributes:
        how: what it is, in words.

    Raises:
        NoRecipe: this system does not fork.
    """

    how = "a fork of this process"

    def __init__(self, play: Callable[[], list[Run]]) -> None:
        if not hasattr(os, "fork"):
            raise NoRecipe("this system does not fork processes")
        self._results, results = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # there may be other threads: see above
            self._process = os.fork()
        if self._process == 0:
            _play_and_exit(play, results)
        os.close(results)
        self._ended = False

    def result(self) -> list[Run]:
        """Wait for the runs.

        Raises:
            NoRecipe: they did not come.
        """
        found, deadline = bytearray(), time.monotonic() + _TIMEOUT_S
        try:
            while select.select([self._results], [], [], max(0.0, deadline - time.monotonic()))[0]:
                piece = os.read(self._results, _PIECE_BYTES)
                if not piece:
                    break
                found += piece
            else:
                raise NoRecipe(f"a fork of this process was not done after {_TIMEOUT_S:.0f} s")
        finally:
            self.close()
        try:
            return runs_from_bytes(bytes(found))
        except msgspec.DecodeError:  # nothing, or a part: it raised, or was killed as it wrote
            raise NoRecipe("a fork of this process failed") from None

    def close(self) -> None:
        """End the fork. Idempotent."""
        if self._ended:
            return
        self._ended = True
        os.close(self._results)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._process, 0)


def _play_and_exit(play: Callable[[], list[Run]], results: int) -> NoReturn:
    """Play, write what came of it, and leave nothing of the parent's to be done here: no hook of its end."""
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        with open(results, "wb") as out:
            forget_real_clocks_and_chance()
            out.write(runs_to_bytes(play()))
    finally:
        os._exit(0)
