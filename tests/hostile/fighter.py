"""A player who attacks over a real DataChannel, in a process of its own; one process fights many matches.

Run as ``python -m tests.hostile.fighter``. A line on standard input is a match, as JSON: ``script``, the
arguments of the ``environment``, ``options`` of the wrapper; once it is over, a line says ``done``. It plays
as anybody does, with a match machine that says what the script wants.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import gymnasium

from gym_p2p import P2PEnv, P2PError
from gym_p2p.net.worker import player
from tests.hostile.attacker import AttackerMatch
from tests.hostile.scripts import SCRIPTS
from tests.players import act
from tests.toys import BLEND
from tests.waiting import PATIENCE_S

__all__ = ["Fighter", "fighter"]

ROOT = Path(__file__).parents[2]


class Fighter:
    """The process, from outside."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.fighter"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # an attacker may fall over their own lies
            text=True,
        )

    def attack(self, script: str, **match: Any) -> None:
        """Begin to play a match by a script."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"script": script, **match}) + "\n")
        self.process.stdin.flush()

    def join(self) -> None:
        """Wait until the match is over for the attacker too."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "done\n"


@contextlib.contextmanager
def fighter() -> Iterator[Fighter]:
    """Start one; it is killed in the end."""
    one = Fighter()
    try:
        yield one
    finally:
        one.process.kill()
        one.process.communicate(timeout=PATIENCE_S)


def _fight(script: str, environment: dict[str, Any], options: dict[str, Any]) -> None:
    def attacking(**match: Any) -> AttackerMatch:
        return AttackerMatch(SCRIPTS[script], **match)

    with patch.object(player, "Match", attacking):
        env = P2PEnv(gymnasium.make(BLEND, **environment), **options)
        try:
            env.reset(seed=1)
            frame, over = 0, False
            while not over:
                _, _, terminated, truncated, _ = env.step(act(env.action_space, frame))
                frame, over = frame + 1, terminated or truncated
        except P2PError:
            pass  # those who were attacked have had enough
        finally:
            env.close()


def main() -> None:
    """Fight the matches that come in."""
    for line in sys.stdin:
        with contextlib.suppress(Exception):  # whatever becomes of an attacker, the next match waits
            _fight(**json.loads(line))
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
