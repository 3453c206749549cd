from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.config import IceServer, ServiceConfig
from gym_p2p.config.ice import require_turn_credentials
from gym_p2p.errors import ConfigurationError

STUN = IceServer(urls="stun:stun.example")
BARE = IceServer(urls=("stun:turn.example", "turns:turn.example"))


@pytest.mark.parametrize("half", [{}, {"username": "ann"}, {"credential": "c"}])
def test_a_relay_without_username_and_credential_is_refused_by_its_address(half: dict[str, Any]) -> None:
    server = IceServer(urls="turn:turn.example", **half)
    with pytest.raises(ConfigurationError, match=r"username and credential .* or so: turn:turn\.example"):
        require_turn_credentials([STUN, server], "or so")


def test_who_finds_addresses_wants_no_credentials_and_a_relay_with_both_passes() -> None:
    require_turn_credentials([STUN, IceServer(urls="turn:turn.example", username="ann", credential="c")])


def test_a_service_has_credentials_or_the_secret_that_they_are_made_of() -> None:
    with pytest.raises(ConfigurationError, match="or a turn_secret"):
        ServiceConfig(ice_servers=(STUN, BARE))
    assert ServiceConfig(ice_servers=(STUN, BARE), turn_secret="s" * 64).ice_servers == (STUN, BARE)


def test_a_service_that_relays_everything_has_a_relay() -> None:
    with pytest.raises(ConfigurationError, match="without one nobody could connect"):
        ServiceConfig(ice_servers=(STUN,), relay_only=True)
    assert ServiceConfig(ice_servers=(BARE,), turn_secret="s" * 64, relay_only=True).relay_only
