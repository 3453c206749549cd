"""Strangers in a queue: probed before the match, asked about it, and what was measured is in the exports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import jsonschema
import pytest

from gym_p2p import (
    ConfigurationError,
    MatchmakingConfig,
    MatchProposed,
    MatchRefused,
    NoMatch,
    P2PEnv,
    P2PParallelEnv,
    PeerLost,
    ProposedMatch,
    ServiceRefused,
    Verdict,
    WideningMatchmaker,
)
from gym_p2p.config import LinkConfig, ServiceConfig
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.envs.rally import parallel_env
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.net.probing.manager import ProbeManager
from gym_p2p.server import Service, serve_in_thread
from tests.players import Lobby, left_running, play_episode, together
from tests.toys import BLEND
from tests.waiting import PATIENCE_S, in_time, until

SCHEMA = json.loads(
    (Path(__file__).parent.parent / "gym_p2p" / "schemas" / "multiplayer.schema.json").read_text()
)


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    yield
    until(lambda: not left_running())


def _env(lobby: Lobby, name: str, **changes: Any) -> P2PEnv:
    options = {"room": "default", "queue": lobby.room, "subject_id": f"{name}-{lobby.room}", **changes}
    seat = options.pop("seat", "a" if name == "ann" else "b")
    game = gymnasium.make(BLEND, kind=options.pop("kind", "dict"), length=20)
    return P2PEnv(game, seat=seat, **lobby.options(**options))


FAR_MS = 10_000.0
"""Farther than anybody is on this machine, however busy it may be."""


def _near(match: MatchProposed) -> bool:
    return match.probe.worst_rtt_ms is not None and match.probe.worst_rtt_ms < FAR_MS


def _queued(lobby: Lobby, service: Service) -> list[str]:
    """Return who is in the queue."""
    return [row.subject_id for row in service.queue_report().queues.get(lobby.room, ())]


@contextlib.contextmanager
def _waits_on(env: P2PEnv, name: str, lobby: Lobby, service: Service) -> Iterator[None]:
    """Let somebody wait, who in the end is in the queue still, and goes."""
    waiting = threading.Thread(target=together, args=(env.reset,))
    waiting.start()
    yield
    until(lambda: _queued(lobby, service) == [f"{name}-{lobby.room}"])
    assert waiting.is_alive()
    env.close()
    waiting.join(PATIENCE_S)


@pytest.mark.parametrize("network", ["thread", "process"])
def test_strangers_are_probed_and_matched_and_the_exports_say_what_was_measured(
    network: str, lobby: Lobby
) -> None:
    envs = [
        _env(lobby, "ann", network=network, seat="b", pre_match=_near),
        _env(lobby, "bob", network=network, seat="a", pre_match=FAR_MS),
    ]
    together(*[lambda env=env: play_episode(env) for env in envs])
    documents = [env.export_multiplayer_metrics() for env in envs]
    together(*[env.close for env in envs])
    assert [document["playerId"] for document in documents] == ["b", "a"]
    for document in documents:
        jsonschema.validate(document, SCHEMA)
        (pair,) = document["probe"]["pairs"]
        assert set(pair["reports"]) == {f"ann-{lobby.room}", f"bob-{lobby.room}"} == set(pair["subjects"])
        medians = [report["rttMs"] for report in pair["reports"].values()]
        assert pair["rttMs"] == max(medians)
        assert pair["rttMs"] > 0
        with in_time():
            assert pair["rttMs"] < 60
        assert all(len(report["samplesMs"]) >= 5 for report in pair["reports"].values())
        assert all(report["path"]["local"] == "host" for report in pair["reports"].values())
    assert documents[0]["config"]["pre_match"] == "tests.test_queue:_near"


def test_a_refusal_of_ones_own_is_an_error_that_says_what_was_measured(
    lobby: Lobby, wrapper_service: Service
) -> None:
    ann, bob = _env(lobby, "ann", pre_match="tests.test_queue:refuse_all"), _env(lobby, "bob")

    def refuse() -> MatchRefused:
        with pytest.raises(MatchRefused, match="requeue") as error:
            ann.reset()
        return error.value

    with _waits_on(bob, "bob", lobby, wrapper_service):
        (refused,) = together(refuse)
    assert isinstance(refused, MatchRefused)
    assert refused.worst_rtt_ms is not None
    assert f"bob-{lobby.room}" in refused.subjects
    together(ann.close, bob.close)


def refuse_all(_match: MatchProposed) -> bool:
    return False


def test_after_a_refusal_one_can_wait_for_somebody_else(lobby: Lobby, wrapper_service: Service) -> None:
    refused: list[str] = []

    def not_bob(match: MatchProposed) -> Verdict:
        others = [name for name in match.subjects if not name.startswith("ann")]
        if others[0].startswith("bob"):
            refused.append(others[0])
            return Verdict.REJECT
        return Verdict.ACCEPT

    ann = _env(lobby, "ann", pre_match=not_bob, on_refusal="requeue")
    bob, eve = _env(lobby, "bob"), _env(lobby, "eve")

    def late() -> None:
        until(lambda: bool(refused))
        play_episode(eve)

    with _waits_on(bob, "bob", lobby, wrapper_service):
        together(lambda: play_episode(ann), late)
    assert len(refused) == 1
    together(ann.close, bob.close, eve.close)


def test_a_pre_match_that_raises_refuses(
    lobby: Lobby, wrapper_service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_match: MatchProposed) -> bool:
        raise RuntimeError("the user's bug")

    ann, bob = _env(lobby, "ann", pre_match=broken), _env(lobby, "bob")

    def refuse() -> None:
        with pytest.raises(MatchRefused):
            ann.reset()

    with _waits_on(bob, "bob", lobby, wrapper_service):
        assert together(refuse) == [None]
    assert "the user's bug" in caplog.text
    together(ann.close, bob.close)


def test_one_who_plays_something_else_than_those_who_wait_is_told_so_at_once(
    lobby: Lobby, wrapper_service: Service
) -> None:
    ann, bob = _env(lobby, "ann"), _env(lobby, "bob", fps=30.0)
    with _waits_on(ann, "ann", lobby, wrapper_service):
        until(lambda: _queued(lobby, wrapper_service) == [f"ann-{lobby.room}"])
        with pytest.raises(ServiceRefused, match="another fps") as error:
            bob.reset()
        assert error.value.code == "queue_mismatch"
    together(ann.close, bob.close)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"room": "kitchen"}, "room"),
        ({"queue": None, "pre_match": 50}, "queue="),
        ({"pre_match": "no.such:thing"}, "cannot import"),
        ({"pre_match": "tests.test_queue:SCHEMA"}, "cannot be called"),
        ({"pre_match": -1}, "0 ms or more"),
        ({"on_refusal": "cry"}, "raise, requeue"),
        ({"queue": ""}, "wanted 1 to 128 characters"),
    ],
)
def test_options_that_make_no_sense_are_refused_at_once(
    options: dict[str, Any], says: str, lobby: Lobby
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        _env(lobby, "ann", **options)


def test_a_queue_takes_one_seat_a_player(lobby: Lobby) -> None:
    with pytest.raises(ConfigurationError, match="one player on each seat"):
        P2PParallelEnv(
            parallel_env(), agents=["left", "right"], **lobby.options(room="default", queue=lobby.room)
        )


# A service of one's own policy.


@pytest.fixture
def asked() -> list[ProposedMatch]:
    return []


@pytest.fixture
def strict(tmp_path: Path, asked: list[ProposedMatch]) -> Iterator[Service]:
    """A service whose hook refuses whoever is called eve, and that gives up soon."""

    async def hook(match: ProposedMatch) -> bool:
        asked.append(match)
        return not any(candidate.subject_id.startswith("eve") for candidate in match.candidates)

    config = ServiceConfig(
        port=0, data_dir=str(tmp_path / "data"), matchmaking=MatchmakingConfig(give_up_after_s=8.0)
    )
    with serve_in_thread(config, matchmaker=WideningMatchmaker(), pre_match=hook) as running:
        yield running


def test_the_services_hook_sees_what_was_measured_and_decides(
    strict: Service, asked: list[ProposedMatch], tmp_path: Path
) -> None:
    lobby = Lobby(strict.url, tmp_path / "exports")
    ann, eve = _env(lobby, "ann"), _env(lobby, "eve")

    def give_up(env: P2PEnv) -> Callable[[], NoMatch]:
        def run() -> NoMatch:
            with pytest.raises(NoMatch) as error:
                env.reset()
            return error.value

        return run

    gave_up = together(give_up(ann), give_up(eve))
    assert [getattr(error, "reason", error) for error in gave_up] == ["refused"] * 2
    assert asked[0].worst_rtt_ms is not None
    log = (tmp_path / "data" / "decisions.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["kind"] for line in log]
    assert {"considered", "probed", "rejected", "gave_up"} <= set(kinds)
    assert "made" not in kinds
    bob = _env(lobby, "bob")
    together(lambda: play_episode(ann), lambda: play_episode(bob))
    together(ann.close, bob.close, eve.close)
    made = [json.loads(line) for line in (tmp_path / "data" / "decisions.jsonl").read_text().splitlines()]
    assert [set(line["subjects"]) for line in made if line["kind"] == "made"] == [
        {f"ann-{lobby.room}", f"bob-{lobby.room}"}
    ]


class _Vanishing:
    """Somebody who is matched out of a queue, and gone before they have connected."""

    def __init__(self, url: str, queue: str, seats: tuple[str, ...]) -> None:
        self._url, self._queue, self._seats = url, queue, seats

    def run(self) -> None:
        asyncio.run(asyncio.wait_for(self._run(), PATIENCE_S))

    async def _run(self) -> None:
        client = SignalingClient()
        await client.connect(self._url, f"gone-{self._queue}", timeout_s=PATIENCE_S)
        probes = ProbeManager(client, client.subject_id, link=LinkConfig())
        await client.join_queue(QueueTicket(queue=self._queue, seats=self._seats, client="gym_p2p/0"))
        await client.wait_for_match(PATIENCE_S)
        await probes.close()
        await client.close()


def test_one_who_vanishes_between_match_and_connection_does_not_keep_the_other_waiting(lobby: Lobby) -> None:
    env = _env(lobby, "ann", network="thread")
    vanishing = _Vanishing(lobby.url, lobby.room, ("a", "b"))

    def reset() -> float:
        began = time.monotonic()
        with pytest.raises(PeerLost, match="before the connection was open"):
            env.reset()
        return time.monotonic() - began

    took_s, _ = together(reset, vanishing.run)
    env.close()
    assert isinstance(took_s, float)
    with in_time():
        assert took_s < 15  # from the match on it would try for so long
