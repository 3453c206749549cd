"""The options that both wrappers take by keyword are the configuration, name by name and type by type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
import pytest

from gym_p2p.config import P2PConfig, config_from_options
from gym_p2p.config.player import option_fields
from gym_p2p.errors import ConfigurationError
from gym_p2p.wrapper import P2POptions

OPTIONS = get_type_hints(P2POptions)

CALLABLES = {"pre_match", "stand_in", "snapshot_hooks"}
"""The configuration keeps these as they come; what can be called depends on classes of layers above it."""

PLAIN = {"ice_servers", "emulation"}
"""An option is plain data here, of which the configuration makes its classes."""


def test_every_field_is_an_option_and_every_option_a_field() -> None:
    assert set(OPTIONS) == set(option_fields())


@pytest.mark.parametrize("name", sorted(set(OPTIONS) - CALLABLES - PLAIN))
def test_an_option_has_its_fields_type(name: str) -> None:
    assert OPTIONS[name] == _type_of(name)


@pytest.mark.parametrize("name", sorted(CALLABLES))
def test_what_can_be_called_is_kept_as_it_comes(name: str) -> None:
    assert _type_of(name) is Any
    assert get_origin(OPTIONS[name]) in {Union, type(int | None)}
    assert NoneType in get_args(OPTIONS[name])


def test_plain_data_becomes_the_configurations_classes() -> None:
    config = config_from_options(
        {"ice_servers": [{"urls": ["stun:stun.example"]}], "emulation": {"loss": 0.5}}
    )
    for name in PLAIN:
        assert isinstance(getattr(config.link, name), get_origin(_type_of(name)) or _type_of(name))
    assert config.link.emulation.loss == 0.5


def test_no_two_fields_are_set_by_one_option() -> None:
    count = sum(1 for _ in _leaves(P2PConfig))
    assert len(option_fields()) == count


@pytest.mark.parametrize("name", sorted(option_fields()))
def test_a_default_given_as_an_option_changes_nothing(name: str) -> None:
    group, field = option_fields()[name]
    owner = P2PConfig() if group is None else getattr(P2PConfig(), group)
    default = getattr(owner, field.name)
    if name == "emulation":
        default = attrs.asdict(default)
    assert config_from_options({name: default}) == P2PConfig()


def test_an_unknown_option_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigurationError, match="input_dely: no such option; did you mean 'input_delay'"):
        config_from_options({"input_dely": 2})


def _type_of(name: str) -> Any:
    group, field = option_fields()[name]
    owner: Callable[..., Any] = P2PConfig if group is None else type(getattr(P2PConfig(), group))
    return get_type_hints(owner)[field.name]


def _leaves(cls: type[Any]) -> Any:
    for field in attrs.fields(cls):
        group = {"link", "sync", "telemetry", "exports"}
        if cls is P2PConfig and field.name in group:
            yield from attrs.fields(type(getattr(P2PConfig(), field.name)))
        else:
            yield field


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sync": "fast"}, "sync: wanted one of auto, lockstep, rollback, got 'fast'"),
        ({"exports": 3}, "exports: wanted a path, got 3"),
        ({"exports": ""}, "exports: wanted a path, got ''"),
        ({"fps": "60"}, "fps: wanted a number, got '60'"),
        ({"ice_servers": "stun:a.example"}, "ice_servers: wanted a list of servers, got a str"),
    ],
)
def test_a_wrong_value_is_refused_by_the_options_own_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        config_from_options(options)
    assert str(refused.value) == message
    assert refused.value.option == message.split(":", maxsplit=1)[0]


def test_a_folder_may_be_a_path() -> None:
    assert str(config_from_options({"exports": Path("somewhere")}).exports.directory) == str(
        Path.cwd() / "somewhere"
    )
