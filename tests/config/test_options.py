"""The options that both wrappers take by keyword are the configuration, name by name and type by type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs
import numpy as np
import pytest

from gym_p2p import P2PEnv
from gym_p2p.config import P2PConfig, Secret, SyncConfig, config_from_options
from gym_p2p.config.options import option_fields
from gym_p2p.envs.rally import RallyEnv
from gym_p2p.errors import ConfigurationError
from gym_p2p.wrapper import P2POptions

OPTIONS = get_type_hints(P2POptions)

CALLABLES = {"pre_match", "on_pause", "stand_in", "snapshot_hooks"}
"""The configuration keeps these as they come; what can be called depends on classes of layers above it."""

PLAIN = {"ice_servers", "emulation"}
"""An option is plain data here, of which the configuration makes its classes."""

HIDDEN = {"token"}
"""An option is a text here, of which the configuration makes a secret."""


def test_every_field_is_an_option_and_every_option_a_field() -> None:
    assert set(OPTIONS) == set(option_fields())


@pytest.mark.parametrize("name", sorted(set(OPTIONS) - CALLABLES - PLAIN - HIDDEN))
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


@pytest.mark.parametrize("name", sorted(HIDDEN))
def test_what_nobody_is_to_see_becomes_a_secret(name: str) -> None:
    assert OPTIONS[name] == str | None
    assert _type_of(name) == Secret | None


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


WRONG: dict[str, list[Any]] = {
    "server_url": [3, "", None],
    "server_prefix": [3, None, "p2p ", "1", "_p", "p" * 33],
    "server_namespace": [3, None, "", "lab"],
    "room": [3, "", None],
    "queue": [3, ""],
    "on_pause": [3, ["f"]],
    "pre_match": [50.0],  # without a queue
    "on_refusal": ["give up", None],
    "subject_id": [3, ""],
    "token": [3, b"text"],
    "spectators": [-1, 17, "2", 1.0, True],
    "network": ["fork", None],
    "ice_servers": [
        "stun:a.example",
        None,
        3,
        [3],
        ["stun:a.example"],
        {"urls": "stun:a.example"},
        [{"url": "stun:a.example"}],
        [{}],
        [{"urls": 3}],
        [{"urls": []}],
        [{"urls": "a.example"}],
        [{"urls": ["stun:"]}],
        [{"urls": ["turn://a.example"]}],
        [{"urls": "turn:a.example", "username": 3}],
        [{"urls": "turn:a.example", "credential": 3}],
    ],
    "relay_only": ["yes", 1, None],
    "connect_timeout_s": ["15", 0, float("nan"), None],
    "relay": ["yes", True, None, "turn"],
    "relay_above_ms": ["500", 0, 60_001, None],
    "emulation": [3, None, "slow", [50], {"loss": 2}, {"loss": "much"}, {"delay": 3}],
    "sync": ["fast", None, 3],
    "input_delay": ["some", -1, 61, 1.5, None, "auto"],  # without fps
    "prediction_window": [0, 61, "8", 2.0, None],
    "prediction": ["", 3, None],
    "view": ["newest", None],
    "snapshot_hooks": [3, "save", ("save",), ("save", 3), ("a", "b", "c")],
    "isolate_random": ["no", 0, None],
    "fps": ["60", 0, -1, float("inf"), True, [60]],
    "checksum_interval": [0, "30", 1.5, True],
    "on_peer_loss": ["wait", None, "stand_in"],  # without one
    "stand_in": ["tests.toys:Blend", 3],  # without on_peer_loss
    "on_desync": ["raise", None],
    "disconnect_timeout_s": [0, "2", 0.4, None],  # 0.4 is below the notice
    "rejoin": [1, "yes", None],
    "rejoin_timeout_s": [-1, "10", 3601, None],
    "while_away": ["wait", None, 1, "default_action"],  # the last without rejoin_timeout_s
    "reconnect_timeout_s": [-1, "10", 601, None],
    "disconnect_notice_s": [0, "1", 2.5, None],
    "input_timeout_s": [0, "300", -1],
    "reset_timeout_s": [0, "300", True],
    "room_timeout_s": [0, "300", None],
    "poll_interval_ms": [0, "1000", None],
    "max_samples": [0, 1.0, None],
    "warning_ms": [-1, "150", None],
    "critical_ms": [-1, "300", None],
    "exports": [3, "", ["here"]],
    "exports_fallback": [3, "", ["here"]],
    "checkpoint_interval_s": [0, "10", None],
    "upload": ["yes", 1, None],
    "record": [3, "", ["here"]],
}


def test_every_option_has_wrong_values_here() -> None:
    assert set(WRONG) == set(option_fields())


@pytest.mark.parametrize(("name", "wrong"), [(name, wrong) for name in WRONG for wrong in WRONG[name]])
def test_every_option_is_refused_by_its_own_name_where_it_is_given(name: str, wrong: Any) -> None:
    """Whatever is wrong with it, and however deep: by what the user called it, before anything connects."""
    with pytest.raises(ConfigurationError) as refused:
        P2PEnv(RallyEnv(), seat="left", **{name: wrong})
    assert refused.value.option == name or (name, wrong) in {("on_peer_loss", "stand_in")}
    assert str(refused.value) == f"{refused.value.option}: {refused.value.problem}"


def test_numbers_of_other_libraries_become_plain_ones() -> None:
    given = {
        "fps": np.float32(60),
        "input_delay": np.int64(2),
        "warning_ms": np.float64(90),
        "spectators": np.uint8(1),
    }
    config = config_from_options(given)
    assert (config.sync.fps, config.sync.input_delay) == (60.0, 2)
    for value in (config.sync.fps, config.sync.input_delay, config.telemetry.warning_ms, config.spectators):
        assert type(value) in {int, float}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sync": "fast"}, "sync: wanted one of auto, lockstep, rollback, got 'fast'"),
        ({"exports": 3}, "exports: wanted a path, got 3"),
        ({"exports": ""}, "exports: wanted a path, got ''"),
        ({"fps": "60"}, "fps: wanted a number, got '60'"),
        ({"ice_servers": "stun:a.example"}, "ice_servers: wanted a list of servers, got a str"),
        (
            {"ice_servers": ["stun:a.example"]},
            "ice_servers: [0]: wanted a mapping such as {'urls': 'stun:stun.example'}, got a str",
        ),
        (
            {"ice_servers": [{"urls": "stun:a.example"}, {"url": "stun:b.example"}]},
            "ice_servers: [1]: url: no such option of IceServer; did you mean 'urls'?",
        ),
        ({"emulation": {"loss": 2}}, "emulation: loss: wanted 0 to 1, got 2"),
        (
            {"emulation": "slow"},
            "emulation: wanted a mapping of one_way_ms, jitter_ms, loss, seed, got 'slow'",
        ),
        ({"disconnect_timeout_s": 0.4}, "disconnect_timeout_s: wanted more than disconnect_notice_s (0.5)"),
        ({"snapshot_hooks": "save"}, "snapshot_hooks: wanted a pair of functions or names, got 'save'"),
    ],
)
def test_a_wrong_value_is_refused_by_the_options_own_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        config_from_options(options)
    assert str(refused.value) == message
    assert refused.value.option == message.split(":", maxsplit=1)[0]


def test_a_folder_may_be_a_path() -> None:
    config = config_from_options({"exports": Path("somewhere"), "record": Path("matches")})
    here = Path.cwd()
    assert (config.exports.directory, config.record) == (str(here / "somewhere"), str(here / "matches"))


@pytest.mark.parametrize(
    ("options", "takes_turns", "input_s", "reset_s"),
    [
        ({"fps": 60.0}, False, 7.0, 60.0),
        ({"fps": 60.0, "reconnect_timeout_s": 30.0}, False, 7.0, 60.0),
        ({"fps": 60.0, "reconnect_timeout_s": 0.0}, False, 7.0, 60.0),
        ({"fps": 2.0, "reconnect_timeout_s": 3.0}, False, 7.0, 60.0),
        ({"fps": 0.1}, False, 100.0, 100.0),
        ({"fps": 0.01}, False, 300.0, 300.0),
        ({"fps": 60.0}, True, 300.0, 300.0),
        ({}, False, 300.0, 300.0),
        ({}, True, 300.0, 300.0),
        ({"fps": 60.0, "input_timeout_s": 42.0}, False, 42.0, 42.0),
        ({"input_timeout_s": 3.0}, True, 3.0, 3.0),
        ({"fps": 60.0, "reset_timeout_s": 9.0}, False, 7.0, 9.0),
        ({"input_timeout_s": 3.0, "reset_timeout_s": 600.0}, False, 3.0, 600.0),
    ],
)
def test_a_pace_bounds_what_is_waited_for_a_player_unless_it_is_said_or_they_take_turns(
    options: dict[str, Any],
    takes_turns: bool,  # noqa: FBT001 - a table
    input_s: float,
    reset_s: float,
) -> None:
    config = SyncConfig(**options)
    assert config.input_limit_s(takes_turns=takes_turns) == input_s
    assert config.reset_limit_s(takes_turns=takes_turns) == reset_s
