"""Configurations to and from plain mappings. Knows attrs classes; refuses to know which there are."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from gym_p2p.config.names import did_you_mean
from gym_p2p.errors import ConfigurationError

__all__ = ["from_mapping", "nested_class", "plain_number", "to_mapping"]

_T = TypeVar("_T")


def nested_class(field: attrs.Attribute[Any]) -> type[Any] | None:
    """Return the configuration class that a field holds by default; ``None`` for one that holds none."""
    factory = getattr(field.default, "factory", None)
    return factory if isinstance(factory, type) and attrs.has(factory) else None


def to_mapping(config: Any) -> dict[str, Any]:
    """Return a configuration as nested dicts of plain data (tuples become lists).

    What ``repr`` hides is left out: mappings end up in specs, documents and logs, where no secret belongs.

    >>> from gym_p2p.config import LinkEmulation
    >>> to_mapping(LinkEmulation(one_way_ms=50.0))
    {'one_way_ms': 50.0, 'jitter_ms': 0.0, 'loss': 0.0, 'seed': 0}
    """
    return attrs.asdict(
        config,
        filter=lambda attribute, _value: bool(attribute.repr),
        value_serializer=lambda _i, _a, v: list(v) if isinstance(v, tuple) else v,
    )


def from_mapping(cls: type[_T], mapping: Mapping[str, Any]) -> _T:
    """Build a configuration class from a mapping.

    >>> from gym_p2p.config import LinkConfig
    >>> from_mapping(LinkConfig, {"emulation": {"loss": 0.02}}).emulation.loss
    0.02

    Raises:
        ConfigurationError: an unknown name (with the nearest known one), or a value out of range.
    """
    known = {field.name: field for field in attrs.fields(cls)}  # type: ignore[arg-type]  # all are attrs classes
    unknown = [name for name in mapping if name not in known]
    if unknown:
        hint = did_you_mean(unknown[0], known)
        raise ConfigurationError(unknown[0], f"no such option of {cls.__name__}{hint}")
    values = dict(mapping)
    for name, field in known.items():
        nested = nested_class(field)
        if nested is not None and name in values:
            values[name] = _nested(name, nested, values[name])
        if field.default is attrs.NOTHING and name not in values:
            raise ConfigurationError(name, f"is required by {cls.__name__}")
    return cls(**{name: plain_number(value) for name, value in values.items()})


def _nested(name: str, cls: type[_T], value: Any) -> _T:
    if isinstance(value, cls):
        return value
    if not isinstance(value, Mapping):
        known = ", ".join(field.name for field in attrs.fields(cls))  # type: ignore[arg-type]  # as above
        raise ConfigurationError(name, f"wanted a mapping of {known}, got {value!r}")
    try:
        return from_mapping(cls, value)
    except ConfigurationError as error:
        raise ConfigurationError(name, str(error)) from None


def plain_number(value: Any) -> Any:
    """Make Python's own of another library's number: it has to travel as JSON."""
    if isinstance(value, bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value
