"""Every bench with next to nothing to do: what is counted, not how long it took."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gym_p2p.bench.connect import bench_connect
from gym_p2p.bench.echo import bench_echo
from gym_p2p.bench.figures import Report
from gym_p2p.bench.placement import named, placements
from gym_p2p.bench.step import bench_learner, bench_step
from gym_p2p.bench.telemetry import bench_telemetry
from gym_p2p.cli import main

pytestmark = pytest.mark.timeout(180)


def counts(report: Report) -> dict[str, list[int]]:
    """Return how many samples every round of every series has, as the JSON has them."""
    mapping = json.loads(json.dumps(report.to_mapping(), allow_nan=False))
    return {one["name"]: [r["count"] for r in one["rounds"]] for one in mapping["series"]}


def test_echo_counts_every_echo_of_every_way() -> None:
    said: list[str] = []
    report = bench_echo(rounds=2, echoes=20, progress=said.append)
    ways = [named(wire, place) for place in placements() for wire in ("ours", "UDP", "bare aiortc")]
    assert counts(report) == {way: [20, 20] for way in ways}
    assert len(report.rows) == len(ways)
    assert "round 2 of 2" in said
    assert all(row.ours and row.floor for row in report.rows)


def test_connect_opens_every_kind_once_a_round() -> None:
    report = bench_connect(rounds=1, progress=lambda _text: None)
    names = {"bare aioice", "bare aiortc", "bare python", "sign in", "open", "agree", "--help"}
    names |= {
        f"{which}, {network}" for which in ("first reset", "reset again") for network in ("thread", "process")
    }
    assert counts(report) == {name: [1] for name in names}


def test_step_counts_every_frame_in_both_networks_beside_floor_and_anchor() -> None:
    report = bench_step(rounds=2, frames=30, progress=lambda _text: None)
    found = counts(report)
    for name in ("step, network=thread", "step, network=process", "bare exchange", "usual exchange"):
        assert found[name] == [30, 30]
    beyond = [row for row in report.rows if row.what.startswith("beyond env.step")]
    assert len(beyond) == 4
    assert all(row.ours and row.per_floor and row.per_anchor for row in beyond)


def test_a_learner_between_steps_is_measured_in_all_three_cases() -> None:
    report = bench_learner(learner_ms=2.0, rounds=1, frames=20, progress=lambda _text: None)
    found = counts(report)
    for case in ("process", "thread", "thread, stock switch interval"):
        assert found[f"step, {case}"] == [20]
        assert found[f"RTT, {case}"][0] >= 1
    assert report.columns == ("process", "thread", "stock thread")


def test_telemetry_is_measured_on_every_path() -> None:
    report = bench_telemetry(rounds=1, round_s=0.2, path_s=2.0, round_trips_ms=(0.0, 40.0), progress=print)
    found = counts(report)
    assert all(found[f"telemetry over {rtt_ms:g} ms"][0] >= 1 for rtt_ms in (0, 40))
    assert all(found[f"UDP over {rtt_ms:g} ms"][0] >= 3 for rtt_ms in (0, 40))
    assert found["poll, processor time"][0] >= 1
    shown = {row.what: row.ours for row in report.rows}
    assert (shown["median RTT, path of 40 ms"] or 0) >= 39


def test_the_command_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "echo", "--rounds", "1", "--count", "10", "--json", "--quiet"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert report["bench"] == "echo"
    assert report["settings"] == {"rounds": 1, "echoes": 10, "bytes": 64}


def test_the_command_prints_a_table_and_what_floor_and_anchor_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "echo", "--rounds", "1", "--count", "10"]) == 0
    printed = capsys.readouterr()
    assert "ours / floor" in printed.out
    assert "anchor: a data channel of bare aiortc" in printed.out
    assert "round 1 of 1" in printed.err


def test_a_count_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "echo", "--rounds", "0"])
    assert ended.value.code == 2
    assert "from 1" in capsys.readouterr().err
