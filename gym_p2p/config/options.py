"""A wrapper's flat keyword options: which field of a configuration each sets, and what a spec says of them.

Knows the names; refuses to know what they mean.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.config.mappings import from_mapping, nested_class, to_mapping
from gym_p2p.config.names import did_you_mean, load_named, name_of
from gym_p2p.config.player import P2PConfig
from gym_p2p.errors import ConfigurationError

__all__ = ["config_from_options", "option_fields", "recorded_options"]

_OPTION_NAMES = {
    ("sync", "mode"): "sync",
    ("exports", "directory"): "exports",
    ("exports", "fallback"): "exports_fallback",
}
"""What a wrapper calls a field, by its group and name, where that is not the field's own name."""


def option_fields() -> dict[str, tuple[str | None, attrs.Attribute[Any]]]:
    """Return, by the name of each option of a wrapper, the field it sets and that field's group.

    A group is a field of :class:`P2PConfig`; ``None`` is the configuration itself.

    >>> group, field = option_fields()["warning_ms"]
    >>> group, field.name, field.default
    ('telemetry', 'warning_ms', 150.0)
    """
    found: dict[str, tuple[str | None, attrs.Attribute[Any]]] = {}
    for field in attrs.fields(P2PConfig):
        inside = nested_class(field)
        if inside is None:
            found[field.name] = (None, field)
        else:
            for inner in attrs.fields(inside):
                found[_OPTION_NAMES.get((field.name, inner.name), inner.name)] = (field.name, inner)
    return found


def config_from_options(options: Mapping[str, Any]) -> P2PConfig:
    """Build a configuration from a wrapper's flat keyword options.

    Every field of :class:`P2PConfig` and of the classes in it is an option by its own name, but for
    ``sync`` (the mode), ``exports`` (the directory) and ``exports_fallback`` (where it goes on).

    >>> config = config_from_options({"room": "lab", "sync": "rollback", "fps": 60.0})
    >>> config.room, config.sync.mode, config.sync.checked_every
    ('lab', 'rollback', 30)

    Raises:
        ConfigurationError: an unknown option (with the nearest known one), or a value out of range.
    """
    fields = option_fields()
    chosen: dict[str | None, dict[str, Any]] = {}
    for name, value in options.items():
        if name not in fields:
            raise ConfigurationError(name, f"no such option{did_you_mean(name, fields)}")
        group, field = fields[name]
        chosen.setdefault(group, {})[field.name] = value
    tree = chosen.pop(None, {})
    for group, values in chosen.items():
        tree[str(group)] = _group(str(group), values)
    return from_mapping(P2PConfig, tree)


def _group(name: str, values: Mapping[str, Any]) -> Any:
    """Build a group of options; an error names the option as the user does."""
    cls = nested_class(getattr(attrs.fields(P2PConfig), name))
    assert cls is not None  # noqa: S101 - groups are the fields that hold a class
    try:
        return from_mapping(cls, values)
    except ConfigurationError as error:
        option = _OPTION_NAMES.get((name, error.option))
        if option is None:
            raise
        raise ConfigurationError(option, error.problem) from None


def recorded_options(options: Mapping[str, Any], config: P2PConfig) -> dict[str, Any]:
    """Return a wrapper's options as its spec may name them: as plain data, without secrets.

    A spec travels as JSON, and ends up in logs and papers. Whoever makes the environment again passes
    the token by ``GYM_P2P_TOKEN``. A function stands there by its name; one that has none (a lambda, a
    function within a function) as it is, and such a spec cannot become JSON.

    Args:
        options: as given.
        config: what was built of them.
    """
    fields, plain = option_fields(), to_mapping(config)
    recorded: dict[str, Any] = {}
    for name, given in options.items():
        group, field = fields[name]
        if field.repr:
            recorded[name] = _by_name((plain if group is None else plain[group])[field.name])
            if isinstance(given, str | os.PathLike):  # a folder as it was named, not as it is called here
                recorded[name] = os.fspath(given)
    return recorded


def _by_name(value: Any) -> Any:
    """Return a function's name, or those of several, where that leads to it; anything else as it is."""
    if isinstance(value, list):
        return list(map(_by_name, value))
    if not callable(value):
        return value
    name = name_of(value)
    try:
        return name if load_named("", name) is value else value
    except ConfigurationError:
        return value
