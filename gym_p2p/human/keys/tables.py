"""The controls of a seat: the first table that applies.

1. The caller's ``keys``, or a file of them (:mod:`gym_p2p.human.keys.files`). 2. What the environment offers
(:mod:`gym_p2p.human.keys.offered`). 3. A default by the action space (:mod:`gym_p2p.human.keys.defaults`).
Else an error with a table to fill in.

A table maps keys to actions, ``{"ArrowLeft": 1, "ArrowLeft+Space": 4}``; keys that are to be held together
are joined by ``+``, or a tuple; ``""`` is no key at all. A list has a table for every part of a
``MultiDiscrete`` or ``MultiBinary`` space, and for every number of a ``Box`` a pair
``{"down": …, "up": …}``. An action with a name for the page is ``{"action": 1, "label": "left"}``.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError
from gym_p2p.game.env.game import Game
from gym_p2p.game.spaces.composites import encoding_of
from gym_p2p.game.spaces.leaves import ActionProblem, UnsupportedSpace, shown
from gym_p2p.human.keys.codes import code_of
from gym_p2p.human.keys.controls import Axes, Axis, Binding, Choice, Controls, Parts, effects
from gym_p2p.human.keys.defaults import SWING_S, bounds_of, default_controls
from gym_p2p.human.keys.files import FORM, read_keys, told_of
from gym_p2p.human.keys.known import known_axes
from gym_p2p.human.keys.offered import Offer, offers
from gym_p2p.human.words import require_words

__all__ = ["KeysOption", "controls_for", "seat_controls"]

KeysOption = Mapping[Any, Any] | Sequence[Any] | str | Path | None
"""A table of keys, or the path of a JSON or TOML file; ``None`` takes what is offered."""

_MOST_LISTED = 24


def controls_for(
    space: Space[Any], *, env: Any, agent: object, keys: KeysOption, nothing: Any, fps: float
) -> Controls:
    """Return the controls of a seat.

    Args:
        space: its actions.
        env: the environment itself, without wrappers; asked what it offers.
        agent: the seat's id there.
        keys: the caller's table, or the path of its file, which is then named in whatever is wrong with it;
            ``None`` takes what is offered.
        nothing: the action when no key is held, where no table says.
        fps: frames a second, for axes that move by and by.

    Raises:
        ConfigurationError: a table does not fit the space, or there is none.
    """
    if isinstance(keys, str | Path):
        table = read_keys(keys)
        with told_of(keys):
            return controls_for(space, env=env, agent=agent, keys=table, nothing=nothing, fps=fps)
    if keys is not None:
        given = _given(space, keys, nothing, fps)
        if not given.bindings:
            raise ConfigurationError("keys", f"{FORM}; got {keys!r}, by which no key does anything")
        return given
    for offer in offers(env, agent):
        controls = _offered(space, offer, nothing)
        if controls is not None:
            return controls
    axes = known_axes(env, agent)
    if axes is not None and isinstance(space, spaces.Box) and len(axes) <= np.size(nothing):
        return _axes(space, axes, nothing, fps)
    found = default_controls(space, nothing, fps)
    if found is None:
        raise ConfigurationError("keys", f"nobody says which keys play {space}: {_to_fill_in(space)}")
    return found


def seat_controls(game: Game, seat: SeatId, *, keys: KeysOption, fps: float) -> Controls:
    """Return the controls of a game's seat.

    Args:
        game: whose seat it is.
        seat: the person's.
        keys: as for :func:`controls_for`.
        fps: the same.

    Raises:
        ConfigurationError: a table does not fit the seat's actions, or there is none.
    """
    space, nothing = game.users_spaces(seat)[0], game.default_action(seat)
    return controls_for(space, env=game.env.unwrapped, agent=seat, keys=keys, nothing=nothing, fps=fps)


def _given(space: Space[Any], keys: KeysOption, nothing: Any, fps: float) -> Controls:
    if isinstance(keys, Mapping):
        bindings, no_key = _bindings(space, keys)
        return Choice(tuple(bindings), nothing if no_key is None else no_key)
    if not isinstance(keys, Sequence) or isinstance(keys, bytes):
        raise ConfigurationError("keys", f"{FORM}; got {keys!r}")
    if isinstance(space, spaces.Box):
        return _axes(space, keys, nothing, fps)
    parts = _parts(space)
    if parts is None or len(parts) != len(keys):
        wanted = "a table" if parts is None else f"a list of {len(parts)} tables"
        raise ConfigurationError("keys", f"{space} wants {wanted}, got a list of {len(keys)}")
    rest = np.asarray(nothing).flat
    choices = []
    for number, (part, table, none) in enumerate(zip(parts, keys, rest, strict=True), 1):
        with told_of(f"table {number} of the list"):
            bindings, no_key = _bindings(part, _mapping(table))
        choices.append(Choice(tuple(bindings), int(none) if no_key is None else no_key))
    return Parts(tuple(choices), np.dtype(space.dtype))


def _parts(space: Space[Any]) -> list[Space[Any]] | None:
    """Return the choices that a space is made of; ``None`` where it is none of those."""
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        starts = np.asarray(space.start)
        return [spaces.Discrete(int(n), start=int(s)) for n, s in zip(space.nvec, starts, strict=True)]
    if isinstance(space, spaces.MultiBinary) and len(space.shape) == 1:
        return [spaces.Discrete(2)] * space.shape[0]
    return None


def _axes(space: spaces.Box, keys: Sequence[Any], nothing: Any, fps: float) -> Axes:
    rest = np.asarray(nothing, space.dtype)
    if len(keys) > rest.size:
        raise ConfigurationError("keys", f"{space} has {rest.size} numbers, got {len(keys)} pairs of keys")
    axes = {}
    for place, pair in enumerate(keys):
        with told_of(f"table {place + 1} of the list"):
            axes[place] = _axis(space, place, _mapping(pair), float(rest.flat[place]), fps)
    return Axes(axes, rest)


def _axis(space: spaces.Box, place: int, table: Mapping[Any, Any], rest: float, fps: float) -> Axis:
    if unknown := table.keys() - _OF_AN_AXIS:
        raise ConfigurationError(
            "keys", f"wanted {', '.join(_OF_AN_AXIS)} for an axis, got {', '.join(map(repr, unknown))}"
        )
    low, high = bounds_of(space, place)
    down, up = _several(table.get("down", ())), _several(table.get("up", ()))
    if both := down & up:
        raise ConfigurationError("keys", f"{min(both)} is to lower and to raise one number: {table!r}")
    return Axis(
        down=down,
        up=up,
        low=_bound(space, place, table.get("low", low)),
        high=_bound(space, place, table.get("high", high)),
        rest=rest,
        step=max((high - low) / max(1.0, SWING_S * fps), 1e-9),
        label=_label(table),
    )


_OF_AN_AXIS = ("down", "up", "low", "high", "label")


def _bound(space: spaces.Box, place: int, value: Any) -> float:
    """Return how far an axis is to go, which its number of the action has to allow."""
    least, most = float(space.low.flat[place]), float(space.high.flat[place])
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            number = float(value)
    if not (least <= number <= most and math.isfinite(number)):
        wanted = f"from {least:g} to {most:g}"
        raise ConfigurationError("keys", f"an axis of {space} goes {wanted}, and not to {shown(value)}")
    return number


def _mapping(table: Any) -> Mapping[Any, Any]:
    if not isinstance(table, Mapping):
        raise ConfigurationError("keys", f"{FORM}; got {table!r}")
    return table


def _several(keys: Any) -> frozenset[str]:
    return frozenset(map(code_of, keys if isinstance(keys, list | tuple) else (keys,)))


def _bindings(space: Space[Any], table: Mapping[Any, Any]) -> tuple[list[Binding], Any]:
    """Return a table's bindings, and the action of no key: ``None`` where it does not say."""
    bindings: dict[frozenset[str], Binding] = {}
    names: dict[frozenset[str], Any] = {}
    for key, said in table.items():
        action, label = (said["action"], _label(said)) if _is_named(space, said) else (said, "")
        codes = _combination(key)
        binding = Binding(codes, _as_action(space, action, key), label)
        if not _same_action(bindings.setdefault(codes, binding), binding):
            one, actions = names[codes], f"{bindings[codes].action} and {binding.action}"
            raise ConfigurationError(
                "keys", f"{one!r} and {key!r} are the same keys, for two actions: {actions}"
            )
        names.setdefault(codes, key)
    nothing = bindings.pop(frozenset(), None)
    return list(bindings.values()), None if nothing is None else nothing.action


def _same_action(one: Binding, other: Binding) -> bool:
    return len(set(effects((one, other)))) == 1


_OF_A_NAMED = ("action", "label")


def _is_named(space: Space[Any], said: Any) -> bool:
    """Whether a table says an action with its name.

    Raises:
        ConfigurationError: it does, and something else.
    """
    if not isinstance(said, Mapping) or "action" not in said:
        return False
    if isinstance(space, spaces.Dict) and said.keys() == space.spaces.keys():
        return False  # an action one of whose parts is called so
    if unknown := said.keys() - set(_OF_A_NAMED):
        raise ConfigurationError(
            "keys", f"wanted {' and '.join(_OF_A_NAMED)}, got {', '.join(map(repr, unknown))} in {said!r}"
        )
    return True


def _label(table: Mapping[Any, Any]) -> str:
    """Return what an action is called on the page."""
    label = table.get("label")
    return "" if label is None else require_words("keys", label)


def _combination(key: Any) -> frozenset[str]:
    if isinstance(key, tuple | frozenset):
        return frozenset(map(code_of, key))
    if isinstance(key, str) and len(key) > 1:
        return frozenset(code_of(part.strip() or part) for part in key.split("+"))
    return frozenset() if key == "" else frozenset({code_of(key)})


def _as_action(space: Space[Any], action: Any, key: Any) -> Any:
    """Return an action as its space has it.

    Raises:
        ConfigurationError: it is none of the space.
    """
    try:
        return _cast(space, action)
    except ActionProblem as problem:
        raise ConfigurationError("keys", f"{key!r} is for no action of {space}: {problem}") from None


def _cast(space: Space[Any], action: Any) -> Any:
    """Return an action as its space has it, of one number for all of them, too. Raises ActionProblem."""
    try:
        check = encoding_of(space).check
    except UnsupportedSpace as problem:
        raise ActionProblem(f"it has {problem}") from None
    if not isinstance(space, spaces.Box | spaces.MultiDiscrete | spaces.MultiBinary):
        found = check(action)
        return int(found) if isinstance(space, spaces.Discrete) else found
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        wide = np.asarray(action)
        cast = np.broadcast_to(wide, space.shape).astype(space.dtype)
        if isinstance(space, spaces.Box) or np.array_equal(cast, wide):
            return check(cast)
    return check(action)


def _offered(space: Space[Any], offer: Offer, nothing: Any) -> Choice | None:
    """Return the controls that an environment offers; ``None`` where they do not fit the space."""
    try:
        bindings = [Binding(one.codes, _cast(space, one.action), one.label) for one in offer.bindings]
        no_key = nothing if offer.nothing is None else _cast(space, offer.nothing)
    except ActionProblem:
        return None
    return Choice(tuple(bindings), no_key) if bindings else None


def _to_fill_in(space: Space[Any]) -> str:
    """Return what to write for a space of which nobody knows the keys."""
    keys = iter(_TO_FILL_IN)
    parts = _parts(space)
    table: Any
    if isinstance(space, spaces.Discrete):
        table = _choices(space, keys)
    elif parts is not None:
        table = [_choices(part, keys) for part in parts[:_MOST_LISTED]]
    else:
        form = encoding_of(space)
        nothing = form.to_json(form.default())
        table = {"": nothing, next(keys): {"action": nothing, "label": "what it does"}}
    return f"give keys={json.dumps(table)}, with the keys that you want, or --keys FILE with that as JSON"


_TO_FILL_IN = ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Space", *"ZXCVBNMASDFGHJKLQWERTYUIOP")


def _choices(space: Any, keys: Iterator[str]) -> dict[str, int]:
    """Return a table of a choice, as far as there are keys for it."""
    nothing = int(encoding_of(space).default())
    actions = range(int(space.start), int(space.start) + min(int(space.n), _MOST_LISTED))
    others = [action for action in actions if action != nothing]
    return {"": nothing, **{key: action for action, key in zip(others, keys, strict=False)}}
