"""One run of a game with given actions, as digests that two runs can be compared by.

Knows how to play, to write down and to compare; :mod:`gym_p2p.game.determinism.check` decides which runs
there are and what follows from them.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from gym_p2p.errors import UnsupportedEnvironment
from gym_p2p.game.checksum import checksum
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.isolation import GlobalRandom
from gym_p2p.game.env.load import own_words
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.state.fields import Fields, differences
from gym_p2p.game.state.plays import Actor, outcome_digests, random_actor
from gym_p2p.game.state.snapshot import snapshots_named

__all__ = ["Broke", "Run", "bag_digest", "first_difference", "is_shuffled", "play_trial"]


class Broke(Exception):
    """The environment raised an error of its own while it was played."""


@attrs.define
class Run:
    """What came of one episode; grows while it is played.

    Attributes:
        seed: the episode's seed.
        actions: every frame's encoded actions, in seat order.
        frames: digests of what ``reset`` and every step returned, by what it is.
        infos: digests of what they returned as info, by key and seat; None where there is no canonical form.
        first_state: the fields of the state after ``reset``; None where it was not read.
        state: the fields of the last state; None where it was not read.
        random_use: which global generators it drew from or seeded, and when.
        step_us: median cost of a step, in microseconds.
    """

    seed: int
    actions: list[tuple[bytes, ...]] = attrs.field(factory=list)
    frames: list[dict[str, str]] = attrs.field(factory=list)
    infos: list[dict[str, str | None]] = attrs.field(factory=list)
    first_state: Fields | None = None
    state: Fields | None = None
    random_use: list[str] = attrs.field(factory=list)
    step_us: float | None = None

    def add(self, game: Game, outcome: Outcome) -> None:
        """Write down what ``reset`` or a step returned."""
        try:
            self.frames.append(outcome_digests(game, outcome))
        except TypeError as error:
            raise Broke(f"what it returned cannot be compared: {error}") from error
        self.infos.append(
            {
                f"{key!r}" if len(game.seats) == 1 else f"{key!r} of {seat!r}": _digest(value)
                for seat, info in zip(game.seats, outcome.infos, strict=True)
                for key, value in info.items()
            }
        )


def play_trial(
    game: Game,
    *,
    seed: int,
    steps: int,
    options: dict[str, Any] | None = None,
    actions: Sequence[Sequence[bytes]] | None = None,
    strategy: str | None = None,
    hooks: Any = None,
    disturb: bool = False,
) -> Run:
    """Play an episode and write it down.

    Args:
        game: is reset, with this seed and these options.
        seed: of the episode.
        steps: how many at most.
        options: of the episode.
        actions: the encoded actions of every frame; at random if there are none.
        strategy: by which the first and the last state are read.
        hooks: as for :func:`~gym_p2p.game.state.snapshot.snapshots_named`.
        disturb: draw from the global generators between the frames, as a policy might.

    Raises:
        Broke: the environment raised an error.
    """
    codecs = [game.codec(seat) for seat in game.seats]
    choose = random_actor(game, seed) if actions is None else _repeated(game, actions)
    run, steps_us = Run(seed), list[float]()
    before = GlobalRandom.now()
    outcome = _guarded("reset", lambda: game.reset(seed, options))
    run.random_use += [f"{name} in reset" for name in before.moved()]
    run.add(game, outcome)
    run.first_state = _state(game, strategy, hooks)
    before = GlobalRandom.now()
    for frame in range(steps if actions is None else len(actions)):
        if outcome.ended:
            break
        if disturb:
            random.random()
            np.random.random()
        joint = choose(outcome, frame)
        run.actions.append(tuple(codec.encode(one) for codec, one in zip(codecs, joint, strict=True)))
        started = time.perf_counter()
        outcome = _guarded(f"step {frame}", lambda joint=joint: game.step(joint))
        steps_us.append((time.perf_counter() - started) * 1e6)
        run.add(game, outcome)
    if not disturb:
        run.random_use += [f"{name} in step" for name in before.moved()]
    run.state = _state(game, strategy, hooks)
    run.step_us = statistics.median(steps_us) if steps_us else None
    return run


def _repeated(game: Game, actions: Sequence[Sequence[bytes]]) -> Actor:
    codecs = [game.codec(seat) for seat in game.seats]
    return lambda _outcome, frame: [
        codec.decode(data) for codec, data in zip(codecs, actions[frame], strict=True)
    ]


def first_difference(one: Run, other: Run) -> str | None:
    """Say where two runs with the same actions differ first in what they returned; None if nowhere."""
    for frame, (ours, theirs) in enumerate(zip(one.frames, other.frames, strict=False)):
        if ours != theirs:
            what = next((what for what in ours if ours[what] != theirs.get(what)), "the seats")
            where = "after reset" if frame == 0 else f"after {frame} {'step' if frame == 1 else 'steps'}"
            return f"{what} differs {where} with seed {one.seed}{_field_of(one, other)}"
    if len(one.frames) != len(other.frames):
        return f"the episode with seed {one.seed} ends at another frame"
    return None


def _field_of(one: Run, other: Run) -> str:
    if one.state is None or other.state is None:
        return ""
    found = differences(one.state, other.state, most=1)
    return f" ({found[0][0]}: {found[0][1]} and {found[0][2]} at the end)" if found else ""


def _digest(value: Any) -> str | None:
    """Return a digest of a value, and one that minds no order."""
    try:
        return f"{checksum(value).hex()} {bag_digest(value)}"
    except TypeError:
        return None


def is_shuffled(one: str | None, other: str | None) -> bool:
    """Whether two digests of an info are of the same things in another order."""
    return one is not None and other is not None and one != other and one.split()[1] == other.split()[1]


def bag_digest(value: Any) -> str:
    """Return a digest that is the same for the same things in another order.

    Raises:
        TypeError: something in it has no canonical form.
    """
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:  # a picture has many
            bits = np.sort(value.ravel().view(f"u{value.dtype.itemsize}"))
            return checksum([value.dtype.str, bits.tobytes()]).hex()
        value = value.ravel().tolist()
    if isinstance(value, list | tuple):
        return checksum(sorted(map(bag_digest, value))).hex()
    if isinstance(value, dict):
        return checksum([(key, bag_digest(item)) for key, item in value.items()]).hex()
    return checksum(value).hex()


def _guarded(what: str, call: Any) -> Outcome:
    try:
        outcome: Outcome = call()
    except Exception as error:
        raise Broke(f"{what} raised {own_words(error)}") from error
    return outcome


def _state(game: Game, strategy: str | None, hooks: Any) -> Fields | None:
    if strategy is None:
        return None
    try:
        return snapshots_named(game, strategy, hooks=hooks).fields_now()
    except UnsupportedEnvironment:
        return None
