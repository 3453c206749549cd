"""How a Gymnasium environment's action is laid out over seats: which part of it is whose.

Knows the spaces that have parts, and how a user names the parts of a seat. Refuses to know what the
environment returns.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import gymnasium
import numpy as np
from gymnasium import spaces

from gym_p2p.config.checks import require_whole
from gym_p2p.core.api.rooms import MAX_PLAYERS
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError

__all__ = ["ALONE", "SeatsOption", "Split", "plain_seats", "split_actions"]

ALONE = "player"
"""The seat that has all of an action."""

SeatsOption = int | Mapping[str, Any] | None
"""``None``: as the space shows it. A number: so many seats with equal shares of it, in order. A mapping: each
seat's parts, as one index (or key) or a list of them."""


@attrs.frozen(eq=False)
class Split:
    """The seats that act.

    Attributes:
        spaces: each seat's action space.
        join: makes the environment's action of theirs, in that order; can be pickled.
    """

    spaces: dict[SeatId, gymnasium.Space[Any]]
    join: Callable[[Sequence[Any]], Any]


def split_actions(space: gymnasium.Space[Any], seats: SeatsOption = None) -> Split:
    """Lay an action space out over seats.

    Without ``seats`` a ``Dict``, ``Tuple``, ``MultiDiscrete`` or ``MultiBinary`` has a seat for each of its
    parts; any other space, and an array of more parts than a match has players, is the one seat
    :data:`ALONE`'s: a console's twelve buttons are one player's.

    Raises:
        ConfigurationError: ``seats`` do not fit the space; the message says where.
    """
    parts = _parts(space)
    if seats is None:
        return _alone(space) if _is_one_players(space, parts) else _parted(space, {p: p for p in parts})
    if isinstance(seats, Mapping):
        return _parted(space, _named(space, parts, seats))
    require_whole("seats", seats, 1)
    if seats == 1:
        return _alone(space)
    size, rest = divmod(len(parts), seats)
    if rest or not size:
        raise ConfigurationError(
            "seats", f"{space} has {len(parts)} parts: no equal shares for {seats} seats"
        )
    if size == 1:
        return _parted(space, dict(enumerate(parts)))
    return _parted(space, {n: list(parts[n * size : (n + 1) * size]) for n in range(seats)})


def plain_seats(seats: SeatsOption) -> Any:
    """Return the option as plain JSON data."""
    if not isinstance(seats, Mapping):
        return seats
    return {name: owned if _is_key(owned) else list(map(_plain, owned)) for name, owned in seats.items()}


def _plain(key: Any) -> Any:
    return int(key) if isinstance(key, np.integer) else key


def _parts(space: gymnasium.Space[Any]) -> Sequence[SeatId]:
    """Return the keys of a ``Dict``, or the indices of what has items; nothing of a space in one piece."""
    if isinstance(space, spaces.Dict):
        keys = list(space.spaces)
        return keys if all(_is_key(key) for key in keys) else []
    if isinstance(space, spaces.Tuple):
        return range(len(space.spaces))
    if isinstance(space, spaces.MultiDiscrete | spaces.MultiBinary | spaces.Box) and space.shape:
        return range(space.shape[0])
    return []


def _is_one_players(space: gymnasium.Space[Any], parts: Sequence[SeatId]) -> bool:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        return not parts
    return not isinstance(space, spaces.MultiDiscrete | spaces.MultiBinary) or len(parts) > MAX_PLAYERS


def _is_key(key: Any) -> bool:
    return isinstance(key, str | int | np.integer) and not isinstance(key, bool)


def _named(
    space: gymnasium.Space[Any], parts: Sequence[SeatId], seats: Mapping[Any, Any]
) -> dict[SeatId, Any]:
    """Return the parts by seat, once every part has exactly one seat."""
    if not parts:
        raise ConfigurationError("seats", f"{space} is in one piece: it is one seat's (seats=1)")
    owners: dict[Any, Any] = {}
    found: dict[SeatId, Any] = {}
    for seat, owned in seats.items():
        found[seat] = _owned(space, seat, owned)
        for part in found[seat] if isinstance(found[seat], list) else [found[seat]]:
            if isinstance(part, bool) or part not in parts:
                wanted = _shown(parts)
                raise ConfigurationError("seats", f"{seat!r}: {space} has no part {part!r}, wanted {wanted}")
            if part in owners:
                raise ConfigurationError("seats", f"{part!r} belongs to {owners[part]!r} and to {seat!r}")
            owners[part] = seat
    left = [part for part in parts if part not in owners]
    if left:
        raise ConfigurationError("seats", f"{left[0]!r} of {space} belongs to no seat")
    return found


def _owned(space: gymnasium.Space[Any], seat: Any, owned: Any) -> Any:
    """Return the part of a seat, or a list of them, as plain data."""
    if not isinstance(seat, str) or not seat:
        raise ConfigurationError("seats", f"wanted texts as names of the seats, got {seat!r}")
    if _is_key(owned):
        return _plain(owned)
    if not isinstance(owned, Iterable) or isinstance(owned, Mapping):
        problem = f"wanted an index or key of {space} for {seat!r}, or a list of them, got {owned!r}"
        raise ConfigurationError("seats", problem)
    parts = list(map(_plain, owned))
    if not parts:
        raise ConfigurationError("seats", f"{seat!r} has no part of {space}; watchers=n are who look on")
    return parts


def _shown(parts: Sequence[SeatId]) -> str:
    return f"0 to {len(parts) - 1}" if isinstance(parts, range) else ", ".join(map(repr, parts))


def _alone(space: gymnasium.Space[Any]) -> Split:
    return Split({ALONE: space}, operator.itemgetter(0))


def _parted(space: Any, owned: Mapping[SeatId, Any]) -> Split:
    """Return the split in which a seat has one part of the space, or a list of them."""
    if isinstance(space, spaces.Box):  # a share of one is an array of one, as policies give it
        owned = {seat: part if isinstance(part, list) else [part] for seat, part in owned.items()}
    parts = list(owned.values())
    by_seat = {seat: _part_of(space, part) for seat, part in owned.items()}
    if isinstance(space, spaces.Dict):
        return Split(by_seat, partial(_joined_dict, space, parts))
    if isinstance(space, spaces.Tuple):
        return Split(by_seat, partial(_joined_tuple, space, parts))
    if parts == list(range(len(parts))):
        return Split(by_seat, partial(np.array, dtype=space.dtype))
    return Split(by_seat, partial(_joined_array, space, parts))


def _part_of(space: Any, part: Any) -> gymnasium.Space[Any]:
    """Return the space of one part, or of a list of them together."""
    several = isinstance(part, list)
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: space.spaces[key] for key in part}) if several else space.spaces[part]
    if isinstance(space, spaces.Tuple):
        return spaces.Tuple([space.spaces[index] for index in part]) if several else space.spaces[part]
    return _share_of(space, part) if several else _entry_of(space, part)


def _share_of(space: Any, part: list[int]) -> gymnasium.Space[Any]:
    """Return the space of some entries of an array."""
    if isinstance(space, spaces.Box):
        return spaces.Box(space.low[part], space.high[part], dtype=space.dtype.type)
    if isinstance(space, spaces.MultiDiscrete):
        return spaces.MultiDiscrete(space.nvec[part], dtype=space.dtype.type, start=space.start[part])
    rest = space.shape[1:]
    return spaces.MultiBinary([len(part), *rest] if rest else len(part))


def _entry_of(space: Any, part: int) -> gymnasium.Space[Any]:
    """Return the space of one entry of an array."""
    if isinstance(space, spaces.MultiDiscrete):
        entry: gymnasium.Space[Any] = space[part]
        return entry
    rest = space.shape[1:]
    return spaces.MultiBinary(rest) if rest else spaces.Discrete(2)


def _joined_dict(space: spaces.Dict, parts: Sequence[Any], actions: Sequence[Any]) -> dict[Any, Any]:
    joint: dict[Any, Any] = {}
    for part, action in zip(parts, actions, strict=True):
        joint |= action if isinstance(part, list) else {part: action}
    return {key: joint[key] for key in space.spaces}


def _joined_tuple(space: spaces.Tuple[Any], parts: Sequence[Any], actions: Sequence[Any]) -> tuple[Any, ...]:
    joint: dict[int, Any] = {}
    for part, action in zip(parts, actions, strict=True):
        joint |= dict(zip(part, action, strict=True)) if isinstance(part, list) else {part: action}
    return tuple(joint[index] for index in range(len(space.spaces)))


def _joined_array(space: Any, parts: Sequence[Any], actions: Sequence[Any]) -> Any:
    joint = np.empty(space.shape, space.dtype)
    for part, action in zip(parts, actions, strict=True):
        joint[part] = action
    return joint
