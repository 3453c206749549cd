"""Whole matches of players who were let in by join tokens: out of a room, and out of a queue."""

from __future__ import annotations

import itertools
import json
import logging
import time
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import jsonschema
import pytest

from gym_p2p import ConnectFailed, P2PEnv, ServiceRefused
from gym_p2p.config import ServiceConfig
from gym_p2p.exports import KINDS, schema
from gym_p2p.game.replay.reader import read_replay
from gym_p2p.server import Service, serve_in_thread
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner
from tests.players import Lobby, assert_all_played_the_same, play_episode, together
from tests.toys import BLEND
from tests.waiting import PATIENCE_S, until

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
        for env, kind in itertools.product(envs, KINDS):
            document = env.p2p.document(kind)
            jsonschema.validate(document, schema(kind))
            assert [player["subjectId"] for player in document["players"]] == ["ann", "bob"]


def test_who_waits_hears_of_another_player_with_the_same_token(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serve_in_thread(_config(tmp_path)) as service:
        lobby = Lobby(service.url, tmp_path / "exports")
        waits, comes = _pair(lobby, room_timeout_s=8)[0], _pair(lobby)[0]

        def come_later() -> None:
            until(lambda: waits_in_a_room(service))
            comes.reset()

        failures = together(waits.reset, come_later)
        together(waits.close, comes.close)
    assert isinstance(failures[1], ServiceRefused)
    assert "'ann' is connected already" in str(failures[0])
    assert "'ann' is connected already" in caplog.text


def waits_in_a_room(service: Service) -> bool:
    with urllib.request.urlopen(f"{service.url}/healthz", timeout=PATIENCE_S) as answer:  # noqa: S310  # ours
        return bool(json.load(answer)["rooms"])


def test_nothing_that_is_written_or_printed_holds_a_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    turn = {"urls": "turn:127.0.0.1:9", "username": "us3rname", "credential": "cr3dential"}
    written = tmp_path / "written"
    with serve_in_thread(_config(tmp_path, private_candidates=True)) as service:
        lobby = Lobby(service.url, written / "exports")
        envs = _pair(lobby, ice_servers=[turn], record=str(written / "matches"), upload=False)
        together(*(partial(play_episode, env) for env in envs))
        shown = [repr((env, env.spec, env.p2p.progress, env.p2p.config)) for env in envs]
        found = [env.p2p.recorder.found for env in envs if env.p2p.recorder is not None]
        together(*(env.close for env in envs))
    tokens = [env.p2p.config.token for env in envs]
    assert len(found) == len(tokens) == 2
    secrets = ["us3rname", "cr3dential", SECRET, *(match.token.reveal() for match in found)]
    secrets += [token.reveal() for token in tokens if token is not None]
    files = [path for path in written.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".jsonl", ".p2preplay"}
    texts = [*shown, repr(found), caplog.text, *(path.read_bytes().decode("latin-1") for path in files)]
    texts += [repr(read_replay(path)) for path in files if path.suffix == ".p2preplay"]
    for number, text in enumerate(texts):
        assert [hidden for hidden in secrets if hidden in text] == [], number


def test_where_private_addresses_are_kept_back_the_error_says_so(tmp_path: Path) -> None:
    with serve_in_thread(_config(tmp_path)) as service:
        envs = _pair(Lobby(service.url, tmp_path / "exports"), connect_timeout_s=4, relay="none")
        failures = together(*(env.reset for env in envs))
        assert any(
            isinstance(error, ConnectFailed) and "--private-candidates" in str(error) for error in failures
        )
        together(*(env.close for env in envs))
