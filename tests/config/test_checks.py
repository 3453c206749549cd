"""Every refusal names the option, what was wanted and what came; what is secret is never shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from gym_p2p.config import (
    ExportConfig,
    IceServer,
    LinkConfig,
    LinkEmulation,
    MatchmakingConfig,
    P2PConfig,
    ServiceConfig,
    SyncConfig,
    TelemetryConfig,
    from_mapping,
    to_mapping,
)
from gym_p2p.config.checks import require_number, require_whole
from gym_p2p.config.public_ids import PUBLIC_ID
from gym_p2p.errors import ConfigurationError


@pytest.mark.parametrize(
    ("kind", "option", "value", "problem"),
    [
        (LinkEmulation, "loss", 1.5, "wanted 0 to 1, got 1.5"),
        (LinkEmulation, "loss", "much", "wanted a number, got 'much'"),
        (LinkEmulation, "one_way_ms", float("nan"), "wanted a number, got nan"),
        (LinkEmulation, "jitter_ms", True, "wanted a number, got True"),
        (LinkEmulation, "seed", 1.0, "wanted a whole number, got 1.0"),
        (LinkConfig, "relay_only", 1, "wanted true or false, got 1"),
        (LinkConfig, "connect_timeout_s", 0, "wanted 0.1 to 600, got 0"),
        (LinkConfig, "emulation", {"loss": 0.5}, "wanted a LinkEmulation, got {'loss': 0.5}"),
        (LinkConfig, "ice_servers", "stun:stun.example", "wanted a list of servers, got a str"),
        (
            LinkConfig,
            "ice_servers",
            {"urls": "turn:x", "credential": "hush"},
            "wanted a list of servers, got a dict",
        ),
        (
            IceServer,
            "urls",
            "http://stun.example",
            "wanted stun:, stuns:, turn: or turns: URLs, got 'http://stun.example'",
        ),
        (SyncConfig, "mode", "lock", "wanted one of auto, lockstep, rollback, got 'lock'"),
        (SyncConfig, "input_delay", 61, "wanted 0 to 60, got 61"),
        (SyncConfig, "input_delay", "some", "wanted a whole number or auto, got 'some'"),
        (SyncConfig, "input_delay", None, "wanted a whole number, got None"),
        (SyncConfig, "checksum_interval", 0, "wanted 1 to 1000000, got 0"),
        (SyncConfig, "prediction", "", "wanted a non-empty text, got ''"),
        (TelemetryConfig, "max_samples", 0, "wanted 1 to 10000000, got 0"),
        (ExportConfig, "upload", "yes", "wanted true or false, got 'yes'"),
        (P2PConfig, "room", None, f"wanted {PUBLIC_ID}, got None"),
        (P2PConfig, "subject_id", 5, f"wanted {PUBLIC_ID}, got 5"),
        (P2PConfig, "spectators", 17, "wanted 0 to 16, got 17"),
        (P2PConfig, "sync", "rollback", "wanted a SyncConfig, got 'rollback'"),
        (MatchmakingConfig, "group_size", 1, "wanted 2 to 16, got 1"),
        (ServiceConfig, "port", 65_536, "wanted 0 to 65535, got 65536"),
        (
            ServiceConfig,
            "cors_origins",
            ["*"],
            "wanted origins such as 'https://lab.example', never '*', got '*'",
        ),
        (ServiceConfig, "matchmaking", None, "wanted a MatchmakingConfig, got None"),
    ],
)
def test_a_refusal_names_the_option_what_was_wanted_and_what_came(
    kind: type[Any], option: str, value: Any, problem: str
) -> None:
    required = {"urls": "stun:stun.example"} if kind is IceServer else {}
    with pytest.raises(ConfigurationError, match=f"^{re.escape(f'{option}: {problem}')}$") as caught:
        kind(**{**required, option: value})
    assert caught.value.option == option


@pytest.mark.parametrize(
    ("kind", "option", "problem"),
    [
        (P2PConfig, "token", "wanted a text"),
        (IceServer, "credential", "wanted a text"),
        (ServiceConfig, "join_secret", "wanted at least 32 characters"),
        (ServiceConfig, "turn_secret", "wanted at least 32 characters"),
    ],
)
def test_a_wrong_secret_is_refused_without_being_shown(kind: type[Any], option: str, problem: str) -> None:
    required = {"urls": "turn:turn.example"} if kind is IceServer else {}
    for wrong in (b"hush-hush", "hush-hush"):
        if isinstance(wrong, str) and "characters" not in problem:
            assert "hush" not in repr(kind(**{**required, option: wrong}))
            continue
        with pytest.raises(ConfigurationError) as caught:
            kind(**{**required, option: wrong})
        assert str(caught.value) == f"{option}: {problem}"


def test_the_arguments_of_a_function_are_checked_with_the_same_words() -> None:
    require_whole("frames", 1, 1)
    require_number("loss", 0.5, 0.0, 1.0)
    refused: list[tuple[Callable[[], None], str]] = [
        (lambda: require_whole("frames", 0, 1), "frames: wanted at least 1, got 0"),
        (lambda: require_whole("frames", 1.0, 1), "frames: wanted a whole number, got 1.0"),
        (lambda: require_number("loss", -0.1, 0.0, 1.0), "loss: wanted 0 to 1, got -0.1"),
        (lambda: require_number("loss", float("inf"), 0.0), "loss: wanted a number, got inf"),
    ]
    for check, said in refused:
        with pytest.raises(ConfigurationError) as caught:
            check()
        assert str(caught.value) == said


def test_what_contradicts_each_other_is_refused() -> None:
    for contradiction in (
        lambda: SyncConfig(disconnect_notice_s=2.0),
        lambda: SyncConfig(input_delay="auto"),
        lambda: SyncConfig(on_peer_loss="stand_in"),
        lambda: SyncConfig(stand_in="m:f"),
        lambda: P2PConfig(queue="q", room="lab"),
        lambda: P2PConfig(pre_match=50.0),
        lambda: ServiceConfig(host="0.0.0.0"),  # noqa: S104  # what is refused
        lambda: ServiceConfig(open=True, join_secret="s" * 32),
    ):
        with pytest.raises(ConfigurationError):
            contradiction()


def test_a_configuration_goes_through_plain_data_and_back() -> None:
    config = P2PConfig(
        link=LinkConfig(
            ice_servers=(IceServer(urls="stun:stun.example"),), emulation=LinkEmulation(loss=0.1)
        ),
        sync=SyncConfig(mode="rollback", fps=60.0),
    )
    plain = to_mapping(config)
    assert plain["link"]["ice_servers"][0]["urls"] == ["stun:stun.example"]
    assert from_mapping(P2PConfig, plain) == config


def test_an_unknown_name_in_a_mapping_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigurationError, match="no such option of LinkEmulation; did you mean 'jitter_ms'"):
        from_mapping(P2PConfig, {"link": {"emulation": {"jiter_ms": 1.0}}})
    with pytest.raises(ConfigurationError, match="urls: is required by IceServer"):
        from_mapping(P2PConfig, {"link": {"ice_servers": [{}]}})
