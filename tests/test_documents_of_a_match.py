"""What is left of a match of two participants with tokens, each in a process of their own.

Enough for a paper: who played, with which seed, what they earned, and what the round trip was at which frame;
the same by both players' documents, by the service's account, and by a re-execution of a recording.
"""

from __future__ import annotations

import bisect
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gym_p2p.config import ServiceConfig
from gym_p2p.core.latency.delta_series import decode_series
from gym_p2p.exports import KINDS, schema
from gym_p2p.game.replay.reader import read_replay
from gym_p2p.game.replay.verify import ReplayStep, verify_replay
from gym_p2p.server import serve_in_thread
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner
from tests.toys import BLEND
from tests.waiting import PATIENCE_S, until

SECRET = "s" * 32
FRAMES = 150
FPS = 60
ROOT = Path(__file__).parents[1]


def _join(folder: Path, url: str, seat: int, name: str) -> subprocess.Popen[str]:
    signer = TokenSigner(SECRET.encode(), JoinClaims)
    claims = JoinClaims(experiment="default", subject_id=name, expires_at=time.time() + 60, token_id=name)
    command = [sys.executable, "-m", "gym_p2p", "join", f"tests.toys:{BLEND}", "--server", url, "--json"]
    command += ["--env-arg", "kind=tuple", "--env-arg", f"length={FRAMES}", "--episodes", "1"]
    command += ["--seat", str(seat), "--fps", str(FPS), "--one-way-ms", "15", "--sync", "rollback"]
    command += ["--exports", str(folder / name), "--record", str(folder / f"{name}.p2preplay")]
    told = {**os.environ, "GYM_P2P_TOKEN": signer.issue(claims)}
    return subprocess.Popen(command, cwd=ROOT, env=told, stdout=subprocess.PIPE, text=True)


def _documents(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in KINDS:
        (path,) = folder.rglob(f"*.{kind}.json")
        found[kind] = json.loads(path.read_text())
        jsonschema.validate(found[kind], schema(kind))
    return found


def _frame_at(episode: dict[str, Any], unix_ms: float) -> int:
    """Return the frame that was the newest at a moment; -1 before the first."""
    return bisect.bisect_right(decode_series(episode["timing"]["t"]), unix_ms - episode["startedAt"]) - 1


@pytest.fixture(scope="module")
def match(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Play the match; return both players' documents, the aggregate, and a re-execution of the recording."""
    folder = tmp_path_factory.mktemp("match")
    config = ServiceConfig(
        port=0, data_dir=str(folder / "service"), join_secret=SECRET, private_candidates=True
    )
    with serve_in_thread(config) as service:
        players = [_join(folder, service.url, seat, name) for seat, name in enumerate(("ann", "bob"))]
        try:
            for player in players:
                out, _ = player.communicate(timeout=2 * PATIENCE_S)
                assert player.returncode == 0, out
        finally:
            for player in players:
                player.kill()
        until(lambda: any((folder / "service").rglob("aggregate.json")))
    (aggregate,) = (folder / "service").rglob("aggregate.json")
    jsonschema.validate(json.loads(aggregate.read_text()), schema("aggregate"))
    steps: list[ReplayStep] = []
    verification = verify_replay(read_replay(folder / "ann.p2preplay"), trust=True, watch=steps.append)
    assert verification.ok
    return {
        "documents": {name: _documents(folder / name) for name in ("ann", "bob")},
        "aggregate": json.loads(aggregate.read_text()),
        "steps": steps,
    }


def test_everybody_says_who_played(match: dict[str, Any]) -> None:
    for name, documents in match["documents"].items():
        for document in documents.values():
            assert {player["subjectId"] for player in document["players"]} == {"ann", "bob"}
            (local,) = (player for player in document["players"] if player["local"])
            assert (local["subjectId"], local["playerId"]) == (name, str(document["playerId"]))
            assert all(player["version"] and player["platform"] for player in document["players"])
    told = match["aggregate"]["participants"]
    assert {player["subjectId"]: player["seats"] for player in told} == {
        player["subjectId"]: player["seats"] for player in match["documents"]["ann"]["session"]["players"]
    }
    assert all(player["version"] for player in told)


def test_everybody_says_the_same_seed_and_the_same_totals_and_so_does_a_re_execution(
    match: dict[str, Any],
) -> None:
    episodes = [
        document["episodes"] for documents in match["documents"].values() for document in documents.values()
    ]
    ((first,), *_) = episodes
    same = ("seed", "options", "frames", "endedBy", "returns", "lengths", "finalInfo", "inputDelays")
    for (episode,) in episodes:
        assert {key: episode[key] for key in same} == {key: first[key] for key in same}
    assert (first["frames"], first["endedBy"]) == (FRAMES, "terminated")
    returns = [0.0, 0.0]
    assert [step.frame for step in match["steps"]] == list(range(FRAMES))
    for step in match["steps"]:
        returns = [total + reward for total, reward in zip(returns, step.outcome.rewards, strict=True)]
    assert list(first["returns"].values()) == returns
    assert returns[0] > 1
    (told,) = match["aggregate"]["results"]["episodes"]
    assert match["aggregate"]["summary"]["resultsMatch"] is True
    assert match["aggregate"]["summary"]["fullySynced"] is True
    assert (told["seed"], told["returnsMatch"], told["seedsMatch"]) == (first["seed"], True, True)
    assert all(one == first["returns"] for one in told["returns"].values())


def test_the_round_trip_at_a_frame_is_a_join_by_time(match: dict[str, Any]) -> None:
    for documents in match["documents"].values():
        (episode,) = documents["session"]["episodes"]
        series = documents["session"]["latency"]["series"]
        times, rtts = decode_series(series["t"]), decode_series(series["rtt"])
        assert len(times) == len(rtts) == series["samples"] > 0
        at = [_frame_at(episode, series["startMs"] + t_ms) for t_ms in times]
        assert any(0 < frame < FRAMES for frame in at)
        samples = documents["session"]["latency"]["samples"]
        assert [round(10 * sample["rttMs"]) for sample in samples] == pytest.approx(rtts, abs=1)
        played, final = (decode_series(episode["timing"][key]) for key in ("t", "confirmed"))
        assert len(played) == len(final) == FRAMES
        assert all(before <= after for before, after in zip(played, final, strict=True))
        assert played[-1] >= 0.9 * FRAMES * 1000 / FPS


def test_both_players_frames_lie_on_one_clock(match: dict[str, Any]) -> None:
    ours, theirs = (documents["session"] for documents in match["documents"].values())
    (offsets,) = ours["clockOffsets"].values()
    (back,) = theirs["clockOffsets"].values()
    # On one machine there is one clock; what is known of it is right within its bound (and the rounding).
    for offset in [*offsets, *back]:
        assert abs(offset["offsetMs"]) <= offset["boundMs"] + 0.2
    start = [document["episodes"][0]["startedAt"] for document in (ours, theirs)]
    first = decode_series(ours["episodes"][0]["timing"]["t"])[0] + start[0] + offsets[0]["offsetMs"]
    other = decode_series(theirs["episodes"][0]["timing"]["t"])[0] + start[1]
    assert abs(first - other) < 1000 * PATIENCE_S


def test_the_same_environment_can_be_told_years_later(match: dict[str, Any]) -> None:
    ours, theirs = (documents["validation"]["environment"] for documents in match["documents"].values())
    assert ours["id"] == BLEND
    assert ours["arguments"] == {"kind": "tuple", "length": FRAMES}
    assert ours["packages"].keys() >= {"gym_p2p", "gymnasium", "numpy"}
    assert len(ours["sourceHash"]) == 64
    assert ours["sourceHash"] == theirs["sourceHash"]


def test_every_input_that_was_guessed_wrong_is_told_by_its_frame(match: dict[str, Any]) -> None:
    for name, documents in match["documents"].items():
        told = documents["session"]["rollbacks"]
        wrong = [
            (seat, frame)
            for one in told["wrongGuesses"]
            for seat, series in one["frames"].items()
            for frame in decode_series(series)
        ]
        assert len(set(wrong)) == len(wrong) == told["mispredictions"] > 0
        firsts = {(str(event["playerId"]), event["frame"]) for event in told["events"]}
        assert firsts <= set(wrong)
        assert {seat for seat, _ in wrong} == {"1" if name == "ann" else "0"}
