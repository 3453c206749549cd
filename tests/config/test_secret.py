"""A secret is shown by no text and in no document, whoever prints or encodes what it is part of."""

from __future__ import annotations

import copy
import json
import pickle
import pprint
from collections.abc import Callable

import msgspec
import pytest

from gym_p2p.config import IceServer, P2PConfig, Secret, ServiceConfig, config_from_options, to_mapping
from gym_p2p.errors import ConfigurationError
from gym_p2p.play.exported import exported_config

HUSH = "hush" * 8
SERVER = {"urls": "turn:relay.example", "username": f"us3r-{HUSH}", "credential": HUSH}


def _configs() -> list[P2PConfig | ServiceConfig]:
    return [
        config_from_options({"token": HUSH, "ice_servers": [SERVER, IceServer(**SERVER)]}),
        ServiceConfig(join_secret=HUSH, turn_secret=HUSH, ice_servers=[SERVER]),
    ]


WAYS: list[Callable[[object], str]] = [
    repr,
    str,
    ascii,
    "{}".format,
    "{!s}".format,
    "{0!r:>5}".format,
    pprint.pformat,
]


@pytest.mark.parametrize("shown", WAYS)
def test_a_secret_prints_as_stars(shown: Callable[[object], str]) -> None:
    for holder in (Secret(HUSH), [Secret(HUSH)], {"token": Secret(HUSH)}, *_configs(), IceServer(**SERVER)):
        assert "hush" not in shown(holder)
    assert shown(Secret(HUSH)).split()[0] == "***"


def test_no_encoder_takes_a_secret() -> None:
    with pytest.raises(TypeError) as refused:
        json.dumps({"token": Secret(HUSH)})
    assert HUSH not in str(refused.value)
    with pytest.raises((TypeError, NotImplementedError)):
        msgspec.json.encode(Secret(HUSH))


def test_a_configuration_as_plain_data_names_no_secret() -> None:
    for config in _configs():
        text = json.dumps(to_mapping(config))
        assert "hush" not in text
        assert "turn:relay.example" in text
    player = _configs()[0]
    assert isinstance(player, P2PConfig)
    exported = exported_config(player)
    assert "hush" not in json.dumps(exported)
    assert "token" not in exported
    assert exported["link"]["ice_servers"] == [{"urls": ["turn:relay.example"]}] * 2


def test_a_secret_equals_itself_and_its_text_wherever_it_travels() -> None:
    hidden = Secret(HUSH)
    for again in (copy.deepcopy(hidden), pickle.loads(pickle.dumps(hidden)), Secret(HUSH)):  # noqa: S301  # our own
        assert again == hidden
        assert hash(again) == hash(hidden)
        assert again.reveal() == HUSH
    assert hidden == HUSH
    assert hidden != Secret("other")
    assert hidden != 3
    assert hidden != "naïve"


def test_an_address_with_a_password_in_it_is_refused_and_not_shown() -> None:
    for options in (
        {"server_url": f"https://lab:{HUSH}@play.example/lab/"},
        {"server_url": f"lab:{HUSH}@play.example"},
        {"ice_servers": [{"urls": [f"turn:lab:{HUSH}@relay.example"]}]},
        {"ice_servers": [f"turn:lab:{HUSH}@relay.example"]},
        {"ice_servers": [{"urls": "turn:relay.example", "credential": HUSH.encode()}]},
        {"ice_servers": [{"urls": "turn:relay.example", "password": HUSH}]},
        {"token": HUSH.encode()},
        {"token": [HUSH]},
    ):
        with pytest.raises(ConfigurationError) as refused:
            config_from_options(options)
        assert refused.value.option == next(iter(options))
        assert "hush" not in str(refused.value)
    assert (
        config_from_options({"server_url": "https://play.example/@lab"}).server_url
        == "https://play.example/@lab"
    )
