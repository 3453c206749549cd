"""What the players of the fault bench play, and who plays: both write down what they see, line by line.

These lines are the players' own account, by which the audit judges the documents: the environment notes every
step that is taken in it (of a frame that was guessed and played again the last one counts), the policy every
action that it was asked for. Nothing here passes through the recorder, the journal or the exporter.

Lines go to the files that ``GYM_P2P_FAULTS_ACCOUNT`` begins the name of (``<it>.steps.jsonl`` and
``<it>.asked.jsonl``), each by one write to a file open for appending, so that a process may be killed at any
moment and only its last line is in danger.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pettingzoo
from gymnasium import spaces
from pettingzoo.utils.wrappers.base_parallel import BaseParallelWrapper

from gym_p2p.envs.rally import RallyEnv

__all__ = [
    "ACCOUNT",
    "SEATS",
    "Tally",
    "act",
    "chosen",
    "digest",
    "plain",
    "played",
    "pong",
    "rally",
    "tally",
    "tally4",
]

ACCOUNT = "GYM_P2P_FAULTS_ACCOUNT"
SEAT = "GYM_P2P_FAULTS_SEAT"
ACTIONS = 3
_PRIME = 2_147_483_647

SEATS = {
    "rally": ("left", "right"),
    "pong": ("first_0", "second_0"),
    "tally": ("seat_0", "seat_1", "seat_2"),
    "tally4": ("seat_0", "seat_1", "seat_2", "seat_3"),
}
"""Of each game."""


def chosen(seat: str, frame: int) -> int:
    """Return what the player of a seat does in a frame: held for some frames, so that it can be guessed."""
    drawn = hashlib.blake2b(f"{seat}/{frame // 6}".encode(), digest_size=2).digest()
    return int.from_bytes(drawn) % ACTIONS


def digest(seen: Any) -> str:
    """Return a short name for what a seat sees, equal for equal ones."""
    array = np.asarray(seen)
    return hashlib.blake2b(f"{array.dtype.str}{array.tolist()}".encode(), digest_size=8).hexdigest()


class Tally(gymnasium.Env[dict[str, Any], dict[str, Any]]):
    """A game for any number of seats whose state is two numbers: every action changes all that follows.

    Args:
        seats: their names.
        max_frames: an episode's length.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}  # type: ignore[misc]  # Gymnasium declares it without ClassVar

    def __init__(self, seats: tuple[str, ...], max_frames: int) -> None:
        self.seats = seats
        self.max_frames = max_frames
        self.frame, self.sum = 0, 1
        self.action_space = spaces.Dict({seat: spaces.Discrete(ACTIONS) for seat in seats})
        space = spaces.Box(0, _PRIME, (3,), np.int64)
        self.observation_space = spaces.Dict(dict.fromkeys(seats, space))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin again, with a sum that is drawn."""
        super().reset(seed=seed, options=options)
        self.frame, self.sum = 0, int(self.np_random.integers(1, _PRIME))
        return self._seen(), {}

    def step(self, action: dict[str, Any]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Add everybody's action."""
        self.frame += 1
        for number, seat in enumerate(self.seats):
            self.sum = (self.sum * 48_271 + int(action[seat]) * (number + 1)) % _PRIME
        rewards = {seat: float((self.sum >> number) % 3 - 1) for number, seat in enumerate(self.seats)}
        over = self.frame >= self.max_frames
        return self._seen(), rewards[self.seats[0]], False, over, {"rewards": rewards}

    def get_state(self) -> dict[str, Any]:
        """Return all that decides how it goes on."""
        return {"frame": self.frame, "sum": self.sum}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go back to that."""
        self.frame, self.sum = state["frame"], state["sum"]

    def _seen(self) -> dict[str, Any]:
        return {
            seat: np.array([number, self.frame, self.sum], np.int64) for number, seat in enumerate(self.seats)
        }


class Noted(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A game whose steps are written down."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.seed = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin again; the seed names the episode."""
        self.seed = seed or 0
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step and note it."""
        game: Any = self.env.unwrapped
        frame = game.court.frame if isinstance(game, RallyEnv) else game.frame
        outcome = self.env.step(action)
        _note_step(self.seed, frame, action, outcome[0], outcome[4]["rewards"])
        return outcome


class NotedParallel(BaseParallelWrapper):  # type: ignore[misc]  # PettingZoo does not say what it is
    """A game of PettingZoo's whose steps are written down."""

    def __init__(self, env: pettingzoo.ParallelEnv[Any, Any, Any]) -> None:
        super().__init__(env)
        self.seed, self.frame = 0, 0

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Begin again; the seed names the episode."""
        self.seed, self.frame = seed or 0, 0
        begun: tuple[Any, Any] = self.env.reset(seed=seed, options=options)
        return begun

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, Any]:
        """Take a step and note it."""
        outcome: tuple[Any, Any, Any, Any, Any] = self.env.step(actions)
        _note_step(self.seed, self.frame, actions, outcome[0], outcome[1])
        self.frame += 1
        return outcome


def rally(max_frames: int) -> gymnasium.Env[Any, Any]:
    """Return Rally as the players of two seats have it."""
    return Noted(plain("rally", max_frames))


def pong(max_frames: int) -> pettingzoo.ParallelEnv[Any, Any, Any]:
    """Return Atari's Pong as they have it."""
    return NotedParallel(plain("pong", max_frames))


def tally(max_frames: int) -> gymnasium.Env[Any, Any]:
    """Return the game of three as they have it."""
    return Noted(plain("tally", max_frames))


def tally4(max_frames: int) -> gymnasium.Env[Any, Any]:
    """Return the same for four."""
    return Noted(plain("tally4", max_frames))


def plain(name: str, max_frames: int) -> Any:
    """Return a game for the oracle, which notes nothing."""
    if name == "rally":
        return RallyEnv(points=1000, max_frames=max_frames)
    if name == "pong":
        from pettingzoo.atari import pong_v3  # noqa: PLC0415 - what the other games need not have installed

        ale = importlib.util.find_spec("ale_py")
        assert ale is not None
        assert ale.origin is not None
        roms = str(Path(ale.origin).parent / "roms")
        return pong_v3.parallel_env(obs_type="ram", max_cycles=max_frames, auto_rom_install_path=roms)
    return Tally(SEATS[name], max_frames)


def played(env: Any, actions: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, float]]:
    """Play a frame of a plain game; return what every seat sees, and its reward."""
    seen, rewards, _, _, info = env.step(actions)
    return seen, rewards if isinstance(rewards, Mapping) else info["rewards"]


def act(observation: Any, frame: int) -> int:
    """Play, as a policy does: note what was seen, and return what the seat does in this frame."""
    action = chosen(os.environ[SEAT], frame)
    line = {"frame": frame, "action": action, "seen": digest(observation), "pid": os.getpid()}
    _write("asked", {**line, "at": time.monotonic()})
    if _told("chdir"):
        with tempfile.TemporaryDirectory() as folder:  # which is not there any more right after
            os.chdir(folder)
    return action


def _told(word: str) -> bool:
    """Whether the bench has told this player's program to do something; once each time."""
    begins = os.environ.get(ACCOUNT)
    if begins is None:
        return False
    with contextlib.suppress(OSError):
        Path(f"{begins}.{word}").unlink()
        return True
    return False


def _note_step(
    seed: int, frame: int, actions: Mapping[str, Any], seen: Mapping[str, Any], rewards: Mapping[str, float]
) -> None:
    _write(
        "steps",
        {
            "seed": seed,
            "frame": frame,
            "actions": {seat: int(one) for seat, one in actions.items()},
            "seen": {seat: digest(one) for seat, one in seen.items()},
            "rewards": {seat: float(one) for seat, one in rewards.items()},
            "at": time.monotonic(),
        },
    )
    if _told("fail"):
        raise ArithmeticError("the bench wants a step to fail")


def _write(what: str, line: Mapping[str, Any]) -> None:
    begins = os.environ.get(ACCOUNT)
    if begins is None:
        return
    # Opened for every line: what a module of an environment keeps is taken for a part of the game's state.
    file = os.open(f"{begins}.{what}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)
