"""What a process of a trial does: it plays the same runs again and again, and says what came of them.

Each round has a new copy that lies in memory another way: what is ordered by addresses is ordered by chance.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import msgspec

from gym_p2p.game.determinism.clocks import fix_clocks_and_chance
from gym_p2p.game.determinism.trial import Run, play_trial
from gym_p2p.game.env.game import Game
from gym_p2p.game.state.fields import Fields
from gym_p2p.game.state.fields_json import fields_from_json, fields_to_json

__all__ = ["play_rounds", "runs_from_bytes", "runs_to_bytes"]


def play_rounds(
    new_game: Callable[[], Game],
    runs: Sequence[tuple[int, Sequence[Sequence[bytes]]]],
    *,
    rounds: int,
    stirred_by: int,
    fixed: bool,
    options: dict[str, Any] | None,
    strategy: str | None,
    hooks: Any,
) -> list[Run]:
    """Return the runs of one round after those of another.

    Args:
        new_game: makes a copy.
        runs: the seed of each, and every frame's encoded actions.
        rounds: how many times they are played.
        stirred_by: a number by which the order of addresses is another one than in other processes.
        fixed: whether clocks and chance are to be the same in each round.
        options: as for :func:`~gym_p2p.game.determinism.trial.play_trial`.
        strategy: the same.
        hooks: the same.
    """
    played: list[Run] = []
    for number in range(rounds):
        if fixed:
            fix_clocks_and_chance()
        ballast = _stir(1000 * stirred_by + number)
        game = new_game()
        played += [
            play_trial(
                game,
                seed=seed,
                steps=len(actions),
                options=options,
                actions=actions,
                strategy=strategy,
                hooks=hooks,
            )
            for seed, actions in runs
        ]
        del ballast
    return played


def runs_to_bytes(runs: Sequence[Run]) -> bytes:
    """Return runs as JSON text of one line, which :func:`runs_from_bytes` turns back exactly."""
    return msgspec.json.encode([_with_state(run, fields_to_json) for run in runs])


def runs_from_bytes(data: bytes) -> list[Run]:
    """Return the runs of another process of ours."""
    return [_with_state(run, fields_from_json) for run in msgspec.json.decode(data, type=list[Run])]


def _with_state(run: Run, convert: Callable[[Fields], Fields]) -> Run:
    """Return a run with its states, if it has any, from or to JSON data."""
    first, state = (None if fields is None else convert(fields) for fields in (run.first_state, run.state))
    return attrs.evolve(run, first_state=first, state=state)


_BALLASTS = [type("Ballast", (), {"__slots__": [f"s{n}" for n in range(count)]}) for count in range(60)]
"""Classes whose instances have all the sizes that Python's own allocator has places for, 16 to 512 bytes."""


def _stir(seed: int) -> list[Any]:
    """Let what is made from now on lie at addresses in another order; return what is to be kept for it."""
    kept = [kind() for kind in _BALLASTS for _ in range(300)]
    kept += [_Attributes() for _ in range(10_000)]
    random.Random(seed).shuffle(kept)
    del kept[len(kept) // 2 :]
    return kept


class _Attributes:
    """Has them in a dict, and so other memory beside its own."""
