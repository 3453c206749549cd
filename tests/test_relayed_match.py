"""Whole matches of players whose addresses stay hidden: over a real relay that the service hands out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from gym_p2p import ConnectFailed, P2PEnv, PeerLost
from gym_p2p.config import IceServer, ServiceConfig
from gym_p2p.net.worker import opening
from gym_p2p.server import serve_in_thread
from gym_p2p.wrapper import P2POptions
from tests.net.coturn import SECRET, coturn
from tests.net.peers import loopback_only
from tests.players import Lobby, assert_all_played_the_same, play_episode, together
from tests.toys import BLEND


@pytest.fixture(autouse=True)
def _on_loopback() -> Iterator[None]:
    with loopback_only():
        yield


def _config(tmp_path: Path, **options: Any) -> ServiceConfig:
    return ServiceConfig(port=0, data_dir=str(tmp_path / "data"), open=True, **options)


@pytest.fixture
def asks_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let players ask the service soon: how long they wait otherwise is tested where that is decided."""
    monkeypatch.setattr(opening, "SERVICE_AFTER_S", 0.5)


def _pair(
    url: str, exports: Path, *, length: int = 20, second: P2POptions | None = None, **options: Any
) -> list[P2PEnv]:
    """Return two players of a room; ``second`` are options of the second one alone."""
    lobby = Lobby(url, exports)
    games = [gymnasium.make(BLEND, kind="tuple", length=length) for _ in range(2)]
    own = [options, {**options, **(second or {})}]
    return [P2PEnv(game, seat=seat, **lobby.options(**own[seat])) for seat, game in enumerate(games)]


@pytest.mark.parametrize("everybody", [False, True], ids=["one of them", "the service"])
def test_players_who_want_relays_alone_wait_for_those_of_the_service(
    tmp_path: Path,
    everybody: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    with coturn(tmp_path) as url:
        servers = (IceServer(urls=(url,)),)
        config = _config(tmp_path, ice_servers=servers, turn_secret=SECRET, relay_only=everybody)
        with serve_in_thread(config) as service:
            envs = _pair(service.url, tmp_path / "exports", relay_only=not everybody)
            played = together(*(partial(play_episode, env) for env in envs))
            assert not [one for one in played if isinstance(one, BaseException)]
            together(*(env.close for env in envs))
            assert_all_played_the_same([env.export_multiplayer_metrics() for env in envs])


def test_over_a_relay_that_loses_a_third_of_all_they_play_by_records_both_ways(tmp_path: Path) -> None:
    lossy = {"one_way_ms": 5.0, "jitter_ms": 2.0, "loss": 0.3, "seed": 3}
    with coturn(tmp_path) as url:
        config = _config(tmp_path, ice_servers=(IceServer(urls=(url,)),), turn_secret=SECRET)
        with serve_in_thread(config) as service:
            paced: dict[str, Any] = {"fps": 20.0, "poll_interval_ms": 50.0, "relay": "none"}
            envs = _pair(
                service.url, tmp_path / "exports", length=70, relay_only=True, emulation=lossy, **paced
            )
            played = together(*(partial(play_episode, env) for env in envs))
            assert not [one for one in played if isinstance(one, BaseException)]
            together(*(env.close for env in envs))
    documents = [env.export_multiplayer_metrics() for env in envs]
    assert_all_played_the_same(documents)
    for document in documents:
        (path,) = next(iter(document["connectionPaths"].values()))
        assert (path["type"], path["connectionDetails"]["localCandidateType"]) == ("relay", "relay")
        assert (path["gameTransport"], path["gameTransportCounts"]["returns"]) == ("dtls", 0)
        assert document["latency"]["missed"] > 0


@pytest.mark.usefixtures("asks_soon")
@pytest.mark.parametrize("sync", ["lockstep", "rollback"])
def test_players_whose_datagrams_are_all_lost_play_by_the_service(tmp_path: Path, sync: str) -> None:
    with serve_in_thread(_config(tmp_path)) as service:
        envs = _pair(service.url, tmp_path / "exports", sync=sync, fps=60.0, emulation={"loss": 1.0})
        played = together(*(partial(play_episode, env) for env in envs))
        assert not [one for one in played if isinstance(one, BaseException)], played
        told = [str(one) for env in envs for one in env.p2p.progress.relayed]
        together(*(env.close for env in envs))
    assert [line.partition(" for ")[0] for line in told] == [
        "1 is reached through the service (no direct path)",
        "0 is reached through the service (no direct path)",
    ]
    documents = [env.export_multiplayer_metrics() for env in envs]
    assert_all_played_the_same(documents)
    for document in documents:
        assert (document["connection"]["type"], document["connection"]["relayedBy"]) == ("relay", "service")
        assert document["connection"]["fallback"]["triggered"] is True
        delivery = document["inputDelivery"]
        assert (delivery["sentViaSocketIO"], delivery["receivedViaSocketIO"]) == (20, 20)
        assert (delivery["sentViaP2P"], delivery["p2pReceiveRatio"]) == (0, 0.0)
        (way,) = document["waysTaken"]
        assert (way["way"], way["reason"]) == ("service", "no_direct_path")


@pytest.mark.usefixtures("asks_soon")
@pytest.mark.parametrize("where", ["the service", "a player"])
def test_where_one_side_passes_nothing_on_no_match_begins_without_a_path(tmp_path: Path, where: str) -> None:
    config = _config(tmp_path, relay_messages=where != "the service")
    second: P2POptions = {"relay": "none"} if where == "a player" else {}
    with serve_in_thread(config) as service:
        envs = _pair(
            service.url, tmp_path / "exports", second=second, emulation={"loss": 1.0}, connect_timeout_s=2
        )
        failures = together(*(env.reset for env in envs))
        together(*(env.close for env in envs))
    assert all(isinstance(error, ConnectFailed | PeerLost) for error in failures), failures
    # They have met: what is missing is the way from one to the other.
    assert any("the connection to" in str(error) for error in failures), failures


def test_without_any_relay_they_hear_that_there_is_none(tmp_path: Path) -> None:
    with serve_in_thread(_config(tmp_path)) as service:
        envs = _pair(service.url, tmp_path / "exports", relay_only=True, relay="none", connect_timeout_s=2)
        failures = together(*(env.reset for env in envs))
        together(*(env.close for env in envs))
    assert all(isinstance(error, ConnectFailed | PeerLost) for error in failures), failures
    assert any("no relay from a TURN server" in str(error) for error in failures)
