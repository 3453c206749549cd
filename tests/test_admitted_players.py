"""Whole matches of players who were let in by join tokens: out of a room, and out of a queue."""

from __future__ import annotations

import json
import time
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from gym_p2p import ConnectFailed, P2PEnv, ServiceRefused
from gym_p2p.config import ServiceConfig
from gym_p2p.server import Service, serve_in_thread
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner
from tests.players import Lobby, assert_all_played_the_same, play_episode, together, until
from tests.toys import BLEND

SECRET = "s" * 32


def _pair(lobby: Lobby, **options: Any) -> list[P2PEnv]:
    tokens = TokenSigner(SECRET.encode(), JoinClaims)
    pair = []
    for seat, name in enumerate(("ann", "bob")):
        expires_at = time.time() + 60
        token = tokens.issue(
            JoinClaims(experiment="default", subject_id=name, expires_at=expires_at, token_id=name)
        )
        game = gymnasium.make(BLEND, kind="tuple", length=30)
        pair.append(P2PEnv(game, seat=seat, **lobby.options(token=token, **options)))
    return pair


def _config(tmp_path: Path, **options: Any) -> ServiceConfig:
    return ServiceConfig(port=0, data_dir=str(tmp_path / "data"), join_secret=SECRET, **options)


@pytest.mark.parametrize("where", [{}, {"room": "default", "queue": "lab"}])
def test_players_with_tokens_play_and_are_who_their_tokens_say(tmp_path: Path, where: dict[str, Any]) -> None:
    with serve_in_thread(_config(tmp_path, private_candidates=True)) as service:
        envs = _pair(Lobby(service.url, tmp_path / "exports"), subject_id="somebody-else", **where)
        together(*(partial(play_episode, env) for env in envs))
        together(*(env.close for env in envs))
        assert_all_played_the_same([env.export_multiplayer_metrics() for env in envs])
        recorder = envs[0].p2p.recorder
        assert recorder is not None
        assert [player.subject_id for player in recorder.found.players] == ["ann", "bob"]


def test_who_waits_hears_of_another_player_with_the_same_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serve_in_thread(_config(tmp_path)) as service:
        lobby = Lobby(service.url, tmp_path / "exports")
        waits, comes = _pair(lobby, room_timeout_s=3)[0], _pair(lobby)[0]

        def come_later() -> None:
            until(lambda: waits_in_a_room(service))
            comes.reset()

        failures = together(waits.reset, come_later)
        together(waits.close, comes.close)
    assert isinstance(failures[1], ServiceRefused)
    assert "'ann' is connected already" in str(failures[0])
    assert "'ann' is connected already" in caplog.text


def waits_in_a_room(service: Service) -> bool:
    with urllib.request.urlopen(f"{service.url}/healthz", timeout=5) as answer:  # noqa: S310  # ours
        return bool(json.load(answer)["rooms"])


def test_where_private_addresses_are_kept_back_the_error_says_so(tmp_path: Path) -> None:
    with serve_in_thread(_config(tmp_path)) as service:
        envs = _pair(Lobby(service.url, tmp_path / "exports"), connect_timeout_s=2)
        failures = together(*(env.reset for env in envs))
        assert any(
            isinstance(error, ConnectFailed) and "--private-candidates" in str(error) for error in failures
        )
        together(*(env.close for env in envs))
