"""What the players' sides have to agree on before they play, as texts that a person can compare.

Knows how Gymnasium and PettingZoo environments record what they were made from. Leaves out what may differ
without changing the game: how it is rendered, and where files lie on this machine (the content of a game's
ROM counts, its path does not).
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import (
    HumanRendering,
    OrderEnforcing,
    PassiveEnvChecker,
    RecordEpisodeStatistics,
    RecordVideo,
    RenderCollection,
)
from pettingzoo.utils import OrderEnforcingWrapper

from gym_p2p.config.names import without_addresses
from gym_p2p.core.record.plain import plain
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.game.checksum import checksum
from gym_p2p.game.env.versions import package_versions

__all__ = [
    "FILMING",
    "LOCAL_ARGUMENTS",
    "RECORDERS",
    "describe",
    "files_of",
    "game_layers",
    "layers",
    "made_of",
    "split_versions",
]

_VERSION_OF = "version of "

_ROM = "game ROM"

_MAX_ITEMS = 10_000
"""Of an array as an argument; of a larger one its digest is kept."""

_MAX_TEXT = 160  # longer ones end in a digest of the whole

LOCAL_ARGUMENTS = frozenset({"render_mode", "auto_rom_install_path"})
"""Arguments that concern this machine and its screen, and not the game."""

_NO_SETTINGS = LOCAL_ARGUMENTS | {"env", "self"}

FILMING = (HumanRendering, RecordVideo, RenderCollection)
"""Gymnasium's wrappers that draw every frame that is played."""

RECORDERS = (*FILMING, RecordEpisodeStatistics)
"""Those that keep or show what was played."""

_ONLOOKERS = (*RECORDERS, PassiveEnvChecker, OrderEnforcing, OrderEnforcingWrapper)
"""Wrappers that watch the game and change nothing in it."""

_ONLY_DRAW = frozenset({"pygame", "pygame-ce", "pyglet"})

_Spaces = Mapping[SeatId, tuple[gymnasium.Space[Any], gymnasium.Space[Any]]]


def describe(env: Any, seat_spaces: _Spaces) -> dict[str, str]:
    """Return every topic on which two sides that would play together have to agree."""
    base = env.unwrapped
    topics = {
        "environment": _identity(base),
        "wrappers": _shortened(", ".join(_wrappers(env)) or "none"),
        "seats": _shortened(", ".join(repr(seat) for seat in seat_spaces)),
    }
    topics |= {f"argument {key}": _shortened(_as_text(value)) for key, value in _arguments(base).items()}
    topics |= _per_seat("action space", {seat: pair[0] for seat, pair in seat_spaces.items()})
    topics |= _per_seat("observation space", {seat: pair[1] for seat, pair in seat_spaces.items()})
    rom = _rom(base)
    if rom is not None:
        topics[_ROM] = hashlib.blake2b(rom.read_bytes(), digest_size=8).hexdigest()
    return topics | {f"{_VERSION_OF}{name}": version for name, version in _versions(env).items()}


def files_of(env: Any) -> dict[str, str]:
    """Return the names, without folders, of files whose contents :func:`describe` compares, by topic."""
    rom = _rom(env.unwrapped)
    return {} if rom is None else {_ROM: rom.name}


def made_of(env: Any) -> dict[str, Any]:
    """Return what an environment is, as plain JSON data for the documents.

    ``id``, ``arguments`` by name (what is no plain data as a text that says what it is), and the versions of
    ``packages``.
    """
    base = env.unwrapped
    arguments = {str(key): _as_json(value) for key, value in _arguments(base).items()}
    return {"id": _identity(base), "arguments": arguments, "packages": _versions(env)}


def game_layers(env: Any) -> Iterator[Any]:
    """Yield the environment itself and, from the outside in before it, the wrappers that change the game."""
    base = env.unwrapped
    return (layer for layer in layers(env) if layer is base or not isinstance(layer, _ONLOOKERS))


def split_versions(description: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return a description without the versions in it, and those by package."""
    versions = {t: text for t, text in description.items() if t.startswith(_VERSION_OF)}
    rest = {topic: text for topic, text in description.items() if topic not in versions}
    return rest, {topic.removeprefix(_VERSION_OF): text for topic, text in versions.items()}


def layers(env: Any) -> Iterator[Any]:
    """Yield an environment and what it wraps, from the outside in."""
    seen: set[int] = set()
    layer = env
    while layer is not None and id(layer) not in seen:
        seen.add(id(layer))
        yield layer
        own = _attributes(layer)
        layer = own.get("env", own.get("aec_env"))


def _rom(base: Any) -> Path | None:
    path = getattr(base, "rom_path", None)
    return Path(path) if isinstance(path, str) and Path(path).is_file() else None


def _attributes(thing: Any) -> dict[str, Any]:
    return getattr(thing, "__dict__", {})


def _identity(base: Any) -> str:
    spec = getattr(base, "spec", None)
    if spec is not None:
        return str(spec.id)
    # Only the instance's own: mpe2's environments overwrite the name in one metadata dict that all share.
    own = _attributes(base)
    name = own.get("metadata", {}).get("name") or own.get("name")
    path = f"{type(base).__module__}.{type(base).__qualname__}"
    return f"{name} ({path})" if isinstance(name, str) else path


def _arguments(base: Any) -> dict[str, Any]:
    spec = getattr(base, "spec", None)
    if spec is not None:
        arguments = dict(spec.kwargs)
    elif hasattr(base, "_ezpickle_kwargs"):
        arguments = dict(getattr(base, "_ezpickle_kwargs", {})) | _positional(base)
    else:  # by convention, constructors keep their arguments under the same names
        names = inspect.signature(type(base).__init__).parameters
        arguments = {name: getattr(base, name) for name in names if hasattr(base, name)}
    return {key: value for key, value in arguments.items() if key not in _NO_SETTINGS}


def _positional(base: Any) -> dict[str, Any]:
    """Return, by name, the arguments that an ``EzPickle`` keeps by place: it copies by ``type(self)(*args)``.

    Those that the constructor does not name are ``#0`` and so on.
    """
    kinds = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    names = [p.name for p in inspect.signature(type(base)).parameters.values() if p.kind in kinds]
    values = tuple(getattr(base, "_ezpickle_args", ()))
    return {names[i] if i < len(names) else f"#{i}": value for i, value in enumerate(values)}


def _as_text(value: Any) -> str:  # noqa: PLR0911 one for each kind of data
    """Show plain data in one way; of anything else only what it is, for its ``repr`` may have an address."""
    if isinstance(value, Mapping):
        items = sorted((_as_text(key), _as_text(item)) for key, item in value.items())
        return "{" + ", ".join(f"{key}: {item}" for key, item in items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_as_text, value)) + "]"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(_as_text, value))) + "}"
    if isinstance(value, np.ndarray):
        digest = "" if value.dtype.hasobject else f" #{checksum(value).hex()}"
        return f"{value.dtype}{list(value.shape)}{digest}"
    if isinstance(value, np.generic):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return repr(value)
    named = value if isinstance(value, type) or inspect.isroutine(value) else type(value)
    return f"<{named.__module__}.{named.__qualname__}>"


def _as_json(value: Any) -> Any:
    """Return an argument as plain JSON data; of what is none, a text that says what it is."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, np.ndarray) and not value.dtype.hasobject and value.size <= _MAX_ITEMS:
        return plain(value)
    if isinstance(value, np.generic):
        return plain(value.item())
    return plain(value) if value is None or isinstance(value, bool | int | float | str) else _as_text(value)


def _wrappers(env: Any) -> Iterator[str]:
    for layer in game_layers(env):
        name = type(layer).__name__
        if layer is env.unwrapped:
            continue
        arguments = getattr(layer, "_saved_kwargs", {})  # gymnasium.utils.RecordConstructorArgs
        shown = [f"{key}={_as_text(value)}" for key, value in arguments.items() if key not in _NO_SETTINGS]
        yield f"{name}({', '.join(shown)})" if shown else name


def _space_data(space: gymnasium.Space[Any]) -> Any:  # noqa: PLR0911 one for each kind of space
    """Return a space as plain data with exact bounds."""
    kind = type(space).__name__
    if isinstance(space, spaces.Box):
        return [kind, space.dtype.str, space.low, space.high]
    if isinstance(space, spaces.Discrete):
        return [kind, space.dtype.str, int(space.n), int(space.start)]
    if isinstance(space, spaces.MultiDiscrete):
        return [kind, space.dtype.str, space.nvec, space.start]
    if isinstance(space, spaces.Dict):
        return [kind, [[str(key), _space_data(item)] for key, item in space.spaces.items()]]
    if isinstance(space, spaces.Tuple | spaces.OneOf):
        return [kind, [_space_data(item) for item in space.spaces]]
    if isinstance(space, spaces.Sequence):
        return [kind, space.stack, _space_data(space.feature_space)]
    if isinstance(space, spaces.Text):
        return [kind, int(space.min_length), int(space.max_length), sorted(space.character_set)]
    own = {key: item for key, item in _attributes(space).items() if key != "_np_random"}
    return [kind, _space_text(space), _as_text(own)]


def _space_text(space: gymnasium.Space[Any]) -> str:
    """Return a space's ``repr`` without addresses, which are others in every process."""
    return without_addresses(" ".join(repr(space).split()))


def _shortened(text: str, *, digest_of: Any = None) -> str:
    if len(text) <= _MAX_TEXT and "..." not in text:
        return text
    digest = checksum(text if digest_of is None else digest_of).hex()
    return f"{text[: _MAX_TEXT - 20]}... #{digest}"


def _described_space(space: gymnasium.Space[Any]) -> str:
    text = _space_text(space)
    if text != " ".join(repr(space).split()):  # an address said which object: what is in it says which kind
        return _shortened(f"{text} #{checksum(_space_data(space)).hex()}")
    # Numpy shortens long bounds in a repr, and in its own way in each version: hence the digest of the data.
    return _shortened(text, digest_of=_space_data(space))


def _per_seat(topic: str, by_seat: Mapping[SeatId, gymnasium.Space[Any]]) -> dict[str, str]:
    """Say it once if it is the same for every seat."""
    texts = {seat: _described_space(space) for seat, space in by_seat.items()}
    if len(set(texts.values())) == 1:
        return {f"{topic} of every seat": next(iter(texts.values()))}
    return {f"{topic} of {seat!r}": text for seat, text in texts.items()}


def _versions(env: Any) -> dict[str, str]:
    modules = {"gymnasium", "numpy"}
    for layer in layers(env):
        modules |= {kind.__module__ for kind in type(layer).__mro__}
    # An emulator or a physics engine that the environment holds counts too.
    modules |= {type(part).__module__ for part in _attributes(env.unwrapped).values()}
    return package_versions(modules, without=_ONLY_DRAW)
