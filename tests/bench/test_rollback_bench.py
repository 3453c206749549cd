"""``bench rollback`` with next to nothing to do: what is counted, and that rollbacks took place."""

from __future__ import annotations

import json

import pytest

from gym_p2p.bench.figures import Report
from gym_p2p.bench.input_message import INPUT_MESSAGE
from gym_p2p.bench.rollback import bench_rollback
from gym_p2p.bench.rollback_match import bench_match
from gym_p2p.bench.still import StillEnv
from gym_p2p.bench.table import Table
from gym_p2p.cli import main
from gym_p2p.core.wire.messages import decode, encode
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.state.snapshot import snapshots_named
from tests.waiting import in_time

pytestmark = pytest.mark.timeout(180)


def _shown(report: Report) -> dict[str, float | None]:
    json.dumps(report.to_mapping(), allow_nan=False)
    return {row.what: row.ours for row in report.rows}


def _table(late: int, held: int) -> Table:
    games = [make_game(StillEnv()) for _ in range(2)]
    snapshots = [snapshots_named(game, "get_state/set_state") for game in games]
    return Table(games, snapshots, plans=(lambda _frame: 0, lambda frame: frame // held % 2), late=late)


@pytest.mark.parametrize("late", [3, 8])
def test_every_changed_action_is_one_rollback_as_deep_as_messages_are_late(late: int) -> None:
    costs = _table(late, held=16).play(160)
    again = [cost.played_again for cost in costs if cost.played_again]
    assert len(again) in {9, 10}
    assert set(again[1:]) == {late}
    assert all(cost.playing_us > 0 and cost.network_us > 0 for cost in costs)


def test_guesses_that_hold_are_played_once() -> None:
    assert {cost.played_again for cost in _table(4, held=10_000).play(100)} == {0}


def test_the_session_the_environments_and_the_messages_are_measured() -> None:
    report = bench_rollback(rounds=1, frames=64, progress=lambda _text: None)
    shown = _shown(report)
    for what in ("tick, p50", "tick, p99", "  network half, p50", "again, a frame", "rally: rollback"):
        assert shown[what] is not None
    assert (shown["rally: state"] or 0) > 50
    assert shown["messages"] == pytest.approx(60, abs=3)
    assert 0.3 < (shown["payload"] or 0) <= 2.4
    assert (shown["inputs: coding"] or 0) > 0
    assert shown["inputs: size"] == len(encode(INPUT_MESSAGE))
    counts = {one.name: [r.count for r in one.rounds] for one in report.series}
    assert counts["nothing: tick"] == counts["inputs: coding"] == [64]
    assert counts["rally: rollback of 8"][0] >= 3


@pytest.mark.quiet
def test_a_match_in_real_time_is_measured() -> None:
    report = bench_match(rounds=1, frames=150, progress=lambda _text: None)
    shown = _shown(report)
    with in_time():
        assert (shown["frames on time"] or 0) > 30
        assert 14 <= (shown["frame to frame, p50"] or 0) <= 25
    assert (shown["  depth, p50"] or 0) >= 2, "50 ms are three frames"
    assert (shown["frames played again"] or 0) > 10


def test_the_table_fits_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "rollback", "--rounds", "1", "--count", "40", "--quiet"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert max(len(line.rstrip()) for line in printed) <= 80
    assert any(line.startswith("tick, p50") for line in printed)


def test_the_message_that_is_measured_travels_whole() -> None:
    assert decode(encode(INPUT_MESSAGE)) == INPUT_MESSAGE
