"""The same runs in a process of its own, which shares nothing with this one but the code.

Run as a program it reads a job from standard input and prints the runs, of several rounds. There, text hashes
otherwise and the clock shows another time: what depends on either of them comes to light.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from gym_p2p.config.names import name_of
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.game.determinism.clocks import shift_clocks
from gym_p2p.game.determinism.rounds import play_rounds, runs_from_bytes, runs_to_bytes
from gym_p2p.game.determinism.trial import Run
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.isolation import isolate_global_random
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.seats import make_game
from gym_p2p.processes.python import can_start_python, python_command

__all__ = ["FreshProcess", "NoRecipe", "in_fresh_process", "portable_recipe"]

_TIMEOUT_S = 120.0  # the import of a large framework takes tens of seconds on a cold disk


_MARK = "GYM_P2P_FRESH_PROCESS"


def in_fresh_process() -> bool:
    """Whether this is such a process, or one that it has started."""
    return _MARK in os.environ


class NoRecipe(Exception):
    """An environment that another process cannot make; the text says why."""


def portable_recipe(make_env: Any, env_args: Mapping[str, Any]) -> dict[str, Any]:
    """Return, as plain JSON data, how another process makes an environment.

    Raises:
        NoRecipe: it cannot.
    """
    if not can_start_python():
        raise NoRecipe("there is no Python interpreter to start another process with")
    args: Sequence[Any] = ()
    if isinstance(make_env, functools.partial):
        args, env_args = make_env.args, {**make_env.keywords, **env_args}
        make_env = make_env.func
    if isinstance(make_env, str):
        recipe = {"name": make_env, "args": [], "kwargs": dict(env_args)}
    else:
        name = name_of(make_env)
        if not _is_found(name, make_env):
            raise NoRecipe("make_env is no name and no function of a module that another process can import")
        recipe = {"callable": name, "args": list(args), "kwargs": dict(env_args)}
    try:
        json.dumps(recipe)
    except (TypeError, ValueError) as error:
        raise NoRecipe(f"its arguments are no plain data: {error}") from error
    return recipe


class FreshProcess:
    """A process that plays some runs again; it begins at once.

    Args:
        recipe: what :func:`portable_recipe` returned.
        runs: what is played again.
        hash_seed: the process's ``PYTHONHASHSEED``.
        settings: ``options``, ``default_actions``, ``seats``, ``strategy``, ``hooks`` (names only),
            ``isolate``, ``rounds``, and ``fixed``: whether clocks and chance are the same in all such
            processes, or the clocks ahead.

    Attributes:
        how: in what it differs from its like, in words.
    """

    def __init__(
        self, recipe: Mapping[str, Any], runs: Sequence[Run], hash_seed: int, settings: Mapping[str, Any]
    ) -> None:
        again = [(run.seed, [[action.hex() for action in joint] for joint in run.actions]) for run in runs]
        job = {"recipe": dict(recipe), "runs": again, "hash_seed": hash_seed, **settings}
        self._job = json.dumps(job).encode()
        self.how = f"PYTHONHASHSEED={hash_seed}{'' if settings['fixed'] else ', clocks ahead'}"
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            python_command("gym_p2p.game.determinism.fresh_process"),
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed), _MARK: "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def result(self) -> list[Run]:
        """Wait for the runs, those of one round after those of another.

        Raises:
            NoRecipe: it could not make or play the environment; the text has its last words.
        """
        try:
            out, err = self._process.communicate(self._job, timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise NoRecipe(f"the fresh process was not done after {_TIMEOUT_S:.0f} s") from None
        finally:
            self.close()
        if self._process.returncode != 0:
            words = err.decode(errors="replace").strip().splitlines() or ["no error message"]
            raise NoRecipe(f"the fresh process failed: {printable(words[-1], 200)}")
        return runs_from_bytes(out.splitlines()[-1])

    def close(self) -> None:
        """End the process. Idempotent."""
        if self._process.poll() is None:
            self._process.kill()
        with contextlib.suppress(ValueError, OSError):
            self._process.communicate()


def _is_found(name: str, wanted: Any) -> bool:
    module, _, path = name.partition(":")
    if module in {"", "__main__"} or "<" in path or not path:
        return False
    try:
        return pkgutil.resolve_name(name) is wanted
    except (ImportError, AttributeError, ValueError):
        return False


def _make(recipe: Mapping[str, Any]) -> Any:
    if "name" in recipe:
        return load_environment(recipe["name"], recipe["kwargs"])
    return pkgutil.resolve_name(recipe["callable"])(*recipe["args"], **recipe["kwargs"])


def _main() -> None:
    job = json.load(sys.stdin)
    if not job["fixed"]:
        shift_clocks()
    runs = play_rounds(
        functools.partial(_new_game, job),
        [(seed, [list(map(bytes.fromhex, joint)) for joint in actions]) for seed, actions in job["runs"]],
        rounds=job["rounds"],
        stirred_by=job["hash_seed"],
        fixed=job["fixed"],
        options=job["options"],
        strategy=job["strategy"],
        hooks=job["hooks"],
    )
    print()  # noqa: T201 it ends what the environment may have printed
    print(runs_to_bytes(runs).decode())  # noqa: T201 the result


def _new_game(job: Mapping[str, Any]) -> Game:
    game = make_game(_make(job["recipe"]), default_actions=job["default_actions"], seats=job["seats"])
    return isolate_global_random(game) if job["isolate"] else game


if __name__ == "__main__":
    _main()
