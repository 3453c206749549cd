"""Matches at a service with pseudonyms: nobody's own id is in what another one receives or stores."""

from __future__ import annotations

import asyncio
import base64
import gzip
import itertools
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import jsonschema
import pytest

from gym_p2p import P2PEnv, ProposedMatch
from gym_p2p.config import MatchmakingConfig, ServiceConfig
from gym_p2p.exports import KINDS, schema
from gym_p2p.game.replay.reader import read_replay
from gym_p2p.server import Service, serve_in_thread
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner
from gym_p2p.server.subjects import SUBJECTS, read_subjects
from tests.players import Lobby, play_episode, together
from tests.server.raw import RawClient, before_its_end
from tests.toys import BLEND
from tests.waiting import PATIENCE_S, until

SECRET = "s" * 32
NAMES = ("ann-miller@lab.example", "bob-4711")


def join_token(name: str) -> str:
    claims = JoinClaims(experiment="default", subject_id=name, expires_at=time.time() + 60, token_id="t")  # noqa: S106  # no secret
    return TokenSigner(SECRET.encode(), JoinClaims).issue(claims)


def texts(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield everything below a folder as text, unpacked, with what its tokens say."""
    for path in folder.rglob("*"):
        if path.is_dir() or (path.parent == folder and path.name.startswith(".")):
            continue
        data = path.read_bytes()
        yield path, in_clear(gzip.decompress(data) if path.suffix == ".gz" else data)
        if path.suffix == ".p2preplay":
            yield path, str(read_replay(path).header)


def in_clear(data: bytes) -> str:
    text = data.decode(errors="replace")
    claims = [word.partition(".")[0] for word in text.split('"') if word.startswith("eyJ")]
    return text + "".join(
        base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode(errors="replace") for body in claims
    )


def assert_nobody_is_named(folder: Path, *, least: int) -> None:
    found = dict(texts(folder))
    assert len(found) >= least, found.keys()
    for path, text in found.items():
        assert not [name for name in NAMES if name in text or name in str(path)], path


@pytest.mark.parametrize(("queue", "with_tokens"), [("lab", True), (None, False)])
def test_in_what_players_and_the_service_store_of_a_match_nobodys_own_id_occurs(
    tmp_path: Path,
    queue: str | None,
    with_tokens: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    data_dir = tmp_path / "data"
    asked: list[ProposedMatch] = []

    def hook(match: ProposedMatch) -> bool:
        asked.append(match)
        return True

    config = ServiceConfig(
        port=0,
        data_dir=data_dir,
        join_secret=SECRET if with_tokens else None,
        private_candidates=True,
        pseudonyms=True,
        matchmaking=MatchmakingConfig(probe="always"),
    )
    with serve_in_thread(config, pre_match=hook) as service:
        envs = []
        for seat, name in enumerate(NAMES):
            lobby = Lobby(service.url, tmp_path / f"exports-{seat}")
            who: dict[str, Any] = {"token": join_token(name)} if with_tokens else {"subject_id": name}
            where = {"room": "default", "queue": queue} if queue else {"room": "lab"}
            game = gymnasium.make(BLEND, kind="tuple", length=20)
            envs.append(P2PEnv(game, seat=seat, **lobby.options(**where, **who)))
        together(*(partial(play_episode, env) for env in envs))
        documents = [env.p2p.document(kind) for env, kind in itertools.product(envs, KINDS)]
        together(*(env.close for env in envs))
        until(lambda: any(data_dir.rglob("aggregate.json")))
    pseudonyms = read_subjects(data_dir)
    assert pseudonyms.keys() == set(NAMES)
    for document, kind in zip(documents, itertools.cycle(KINDS), strict=False):
        jsonschema.validate(document, schema(kind))
        assert [player["subjectId"] for player in document["players"]] == [pseudonyms[n] for n in NAMES]
    (aggregate,) = data_dir.rglob("aggregate.json")
    told = json.loads(aggregate.read_text())["participants"]
    assert [player["subjectId"] for player in told] == [pseudonyms[name] for name in NAMES]
    for seat in (0, 1):
        assert_nobody_is_named(tmp_path / f"exports-{seat}", least=4)
    assert_nobody_is_named(data_dir, least=3 + (queue is not None))
    if queue:  # the host's own hook knows whom it is about
        assert {candidate.subject_id for candidate in asked[0].candidates} == set(NAMES)
        assert {*asked[0].pairs[0].subjects} == {*asked[0].pairs[0].reports} == set(NAMES)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with serve_in_thread(ServiceConfig(port=0, data_dir=tmp_path, pseudonyms=True)) as running:
        yield running


def test_a_player_learns_their_own_pseudonym_and_nothing_else_names_them(
    service: Service, tmp_path: Path
) -> None:
    with RawClient(service.url) as ann, RawClient(service.url) as bob:
        known = [
            client.call("register_subject", {"subject_id": name})["subject_id"]
            for client, name in zip((ann, bob), NAMES, strict=True)
        ]
        until(lambda: read_subjects(tmp_path) == dict(zip(NAMES, known, strict=True)))
        for client in (ann, bob):
            assert client.call("join_room", {"room": "r", "seats": ["a", "b"]})["ok"]
        found = [client.event("match_found") for client in (ann, bob)]
        text = in_clear(json.dumps(found).encode())
        assert '"subject_ids":' in text  # the tokens were looked into, too
        assert all(pseudonym in text for pseudonym in known)
        assert not any(name in text for name in NAMES)


def test_a_probe_may_name_its_target_by_either_name_and_tells_pseudonyms(service: Service) -> None:
    with RawClient(service.url, subject=NAMES[0]) as ann, RawClient(service.url) as bob:
        known = bob.call("register_subject", {"subject_id": NAMES[1]})["subject_id"]
        assert bob.call("probe_wait", {"waiting": True}) == {"ok": True}
        for target in (NAMES[1], known):
            answer = ann.call("probe_request", {"target_subject_id": target})
            assert answer["ok"], answer
            prepared = [client.event("probe_prepare") for client in (ann, bob)]
            assert prepared[0]["peer_subject_id"] == known
            assert not any(name in json.dumps(prepared) for name in NAMES)
            probe = {"probe_session_id": answer["probe_session_id"]}
            for client in (ann, bob):
                assert before_its_end(client.call("probe_ready", probe))["ok"]
            for client in (ann, bob):
                assert client.event("probe_start") == probe
                result = {**probe, "rtt_ms": 20.0, "success": True}
                assert before_its_end(client.call("probe_result", result))["ok"]


def test_who_reconnects_takes_their_place_again_by_their_own_id_and_nobody_by_a_pseudonym(
    service: Service,
) -> None:
    room = {"room": "again", "seats": ["a", "b"]}
    with RawClient(service.url) as ann, RawClient(service.url) as thief, RawClient(service.url) as again:
        known = ann.call("register_subject", {"subject_id": NAMES[0]})["subject_id"]
        assert ann.call("join_room", room)["player_id"] == "a"
        assert thief.call("register_subject", {"subject_id": known})["subject_id"] != known
        assert thief.call("leave_room", {"room": "again"})["ok"]
        assert again.call("register_subject", {"subject_id": NAMES[0]})["subject_id"] == known
        assert ann.event("replaced") == {"subject_id": known}
        assert again.call("join_room", room)["player_id"] == "a"


def test_the_host_probes_by_own_ids_and_is_answered_by_them(tmp_path: Path) -> None:
    async def probe() -> None:
        service = Service(ServiceConfig(port=0, data_dir=tmp_path, pseudonyms=True))
        await service.start()
        try:
            outcome = await asyncio.wait_for(service.probe(*NAMES), PATIENCE_S)
            assert (outcome.reason, outcome.subjects) == ("absent", NAMES)
        finally:
            await service.stop()

    asyncio.run(probe())
    assert not (tmp_path / SUBJECTS).exists()
