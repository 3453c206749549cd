"""``bench scale`` with next to nothing to do: what is counted, and that it is as it says."""

from __future__ import annotations

import json

import pytest

from gym_p2p.bench.figures import Report
from gym_p2p.bench.scale import bench_scale
from gym_p2p.bench.scale_match import bench_scale_match
from gym_p2p.cli import main

NUMBERS = (2, 4)

pytestmark = pytest.mark.timeout(180)


def _counts(report: Report) -> dict[str, list[int]]:
    mapping = json.loads(json.dumps(report.to_mapping(), allow_nan=False))
    return {one["name"]: [r["count"] for r in one["rounds"]] for one in mapping["series"]}


def test_every_number_of_players_is_measured_in_both_modes_beside_two() -> None:
    report = bench_scale(rounds=2, frames=5, players=NUMBERS, progress=lambda _text: None)
    modes = ("lockstep", "rollback")
    assert _counts(report) == {f"{mode}, {n} players": [1, 1] for mode in modes for n in NUMBERS}
    frames = [row for row in report.rows if row.what.endswith(": a frame")]
    peers = [row for row in report.rows if row.what == "  a frame and peer"]
    assert len(frames) == len(peers) == 2 * len(NUMBERS)
    for frame, peer, players in zip(frames, peers, NUMBERS * 2, strict=True):
        assert (frame.ours or 0) > 0
        assert peer.ours == pytest.approx((frame.ours or 0) / (players - 1))
    assert [row.per_floor for row in peers if row.floor == row.ours] == [1.0, 1.0], "two, beside themselves"


def test_matches_of_processes_are_measured() -> None:
    report = bench_scale_match(rounds=1, frames=30, players=(3,), progress=lambda _text: None)
    found = _counts(report)
    assert found["3 players: a frame"] == [1] * 3
    assert found["3 players: from frame to frame"] == [29] * 3


def test_the_command_prints_a_table_and_says_what_a_peer_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "scale", "--rounds", "1", "--count", "5"]) == 0
    printed = capsys.readouterr()
    assert "ours / of two" in printed.out
    assert "a frame and peer: the same, divided by how many others there are" in printed.out
    assert "round 1 of 1" in printed.err
