"""The one loader of policies: what somebody wrote to what plays a seat.

Code of others runs only where its user named it: a function's module is imported, a model of
Stable-Baselines3 is unpickled. See ``docs/security.md``.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from gym_p2p.config.names import name_of
from gym_p2p.core.record.policy import PolicyFacts
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, UsageError
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.load import load_function, own_words
from gym_p2p.game.env.random_policy import RandomPolicy
from gym_p2p.game.spaces.masks import Mask
from gym_p2p.policies.model_files import file_digest
from gym_p2p.policies.onnx_file import load_onnx
from gym_p2p.policies.reactions import ReactionLimits, forget
from gym_p2p.policies.sb3_file import load_sb3
from gym_p2p.policies.seat_policy import Actor, SeatPolicy
from gym_p2p.policies.specs import PolicySpec, read_spec

__all__ = ["PolicyOption", "load_policy"]

PolicyOption = str | Callable[[Any, int], Any]
"""A policy as it is given: by name, or ``policy(observation, frame) -> action``."""

_NO_LIMITS = ReactionLimits()


def load_policy(
    policy: PolicyOption,
    game: Game,
    seat: SeatId,
    *,
    seed: int = 0,
    limits: ReactionLimits = _NO_LIMITS,
    fps: float | None = None,
) -> SeatPolicy:
    """Return a policy for a seat.

    Args:
        policy: one of these, or what can be called as ``policy(observation, frame)``:

            * ``random``: every action of the space alike, minding an ``action_mask``;
            * ``scripted``: the environment's own, from its method ``scripted_policy(seat)``;
            * ``my_module:function``: the policy itself; of a class one is made for this seat, with ``seed=``
              where it takes one. Its ``reset()``, where it has one, is called when another episode begins;
            * ``sb3:FILE.zip``, ``sb3:PPO:FILE.zip``: a model of Stable-Baselines3
              (:mod:`gym_p2p.policies.sb3_file`);
            * ``onnx:FILE.onnx``: a model in ONNX (:mod:`gym_p2p.policies.onnx_file`).
        game: the game to be played.
        seat: the seat to be played.
        seed: for ``random``, and for classes that take one: equal seeds give equal actions.
        limits: how fast it may react.
        fps: frames a second, by which limits are counted.

    Raises:
        UsageError: there is no such policy, or it is for another seat.
        ConfigurationError: limits that cannot be kept here.
    """
    if limits and game.takes_turns:
        raise ConfigurationError("reaction_ms", "a game whose agents take turns has no pace to react to")
    if limits and fps is None:
        raise ConfigurationError("fps", "reactions are counted in frames: say how many there are in a second")
    actor, known = _actor_of(policy, game, seat, seed)
    facts = PolicyFacts(
        seat=str(seat),
        **attrs.asdict(known),
        reaction_ms=float(limits.reaction_ms),
        actions_per_s=limits.actions_per_s,
        fps=fps if limits else None,
    )
    return SeatPolicy(actor, game=game, seat=seat, facts=facts, limits=limits)


@attrs.frozen(kw_only=True)
class _Known:
    """What is known of a policy by itself."""

    policy: str
    kind: Any
    sha256: str | None = None
    algorithm: str | None = None


def _actor_of(policy: PolicyOption, game: Game, seat: SeatId, seed: int) -> tuple[Actor, _Known]:
    if not isinstance(policy, str):
        if not callable(policy):
            raise UsageError(f"a policy is a name or can be called, got {policy!r}")
        named = policy if hasattr(policy, "__qualname__") else type(policy)
        name = name_of(named)
        return _called(policy, name), _Known(policy=name, kind="function", sha256=_digest_of(policy))
    spec = read_spec(policy)
    observed, acted = game.observation_space(seat), game.action_space(seat)
    match spec:
        case PolicySpec(kind="random"):
            return _Random(RandomPolicy(acted, seed)), _Known(policy="random", kind="random")
        case PolicySpec(kind="scripted"):
            return _Function(_scripted(game, seat)), _Known(policy="scripted", kind="scripted")
        case PolicySpec(kind="sb3", file=Path() as file):
            model, algorithm = load_sb3(file, spec.algorithm, observed, acted, name=str(spec))
            digest = file_digest(file)
            return model, _Known(policy=str(spec), kind="sb3", sha256=digest, algorithm=algorithm)
        case PolicySpec(kind="onnx", file=Path() as file):
            onnx = load_onnx(file, observed, acted, name=str(spec))
            return onnx, _Known(policy=str(spec), kind="onnx", sha256=file_digest(file))
        case PolicySpec(module=str() as module, function=str() as function):
            found = load_function(module, function)
            made = _made(found, seed, str(spec)) if isinstance(found, type) else found
            known = _Known(policy=str(spec), kind="function", sha256=_digest_of(found))
            return _called(made, str(spec)), known
    raise AssertionError(spec)


def _scripted(game: Game, seat: SeatId) -> Any:
    env = game.env.unwrapped
    offered = getattr(env, "scripted_policy", None)
    if offered is None:
        raise UsageError(f"{type(env).__name__} has no scripted policy; use random or module:function")
    return offered(seat)


def _made(kind: type, seed: int, name: str) -> Any:
    try:
        takes_seed = "seed" in inspect.signature(kind).parameters
        made = kind(seed=seed) if takes_seed else kind()
    except Exception as error:
        raise UsageError(f"policy {name}: cannot make one: it raised {own_words(error)}") from error
    if not callable(made):
        raise UsageError(f"policy {name}: a {kind.__name__} cannot be called as policy(observation, frame)")
    return made


def _called(function: Callable[..., Any], name: str) -> Actor:
    """Return what decides by calling a function.

    Raises:
        UsageError: it takes other arguments; told before anybody plays against it.
    """
    try:
        takes = inspect.signature(function)
    except (TypeError, ValueError):  # of some that are written in C nobody knows
        return _Function(function)
    try:
        takes.bind(None, 0)
    except TypeError as error:
        raise UsageError(f"policy {name} cannot be called as policy(observation, frame): {error}") from None
    return _Function(function)


def _digest_of(function: Any) -> str | None:
    """Return the digest of the file that a function's module is in; ``None`` where there is none."""
    module = sys.modules.get(getattr(function, "__module__", None) or type(function).__module__)
    file = getattr(module, "__file__", None)
    try:
        return None if file is None else file_digest(Path(file))
    except OSError:
        return None


class _Function:
    """A function of Python decides."""

    def __init__(self, function: Callable[[Any, int], Any]) -> None:
        self._function = function

    def reset(self) -> None:
        """Have it forget the episode."""
        forget(self._function)

    def act(self, observation: Any, _mask: Mask | None, frame: int) -> Any:
        """Return what it wants to do."""
        return self._function(observation, frame)


class _Random:
    """Chance decides."""

    def __init__(self, policy: RandomPolicy) -> None:
        self._policy = policy

    def reset(self) -> None:
        """Nothing: chance remembers nothing."""

    def act(self, _observation: Any, mask: Mask | None, _frame: int) -> Any:
        """Return any legal action."""
        return self._policy.act(mask)
