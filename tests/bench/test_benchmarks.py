"""The measurements beside the package: their arithmetic, and that each can be started as its README says."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from benchmarks import before_after_rows, hosted_study, rejoin_memory
from benchmarks.before_after import table
from benchmarks.before_after_rows import GROUPS, NETWORKS, ROWS
from benchmarks.probe_figures import ROUND_TRIPS_MS, LabPath, paths, probed, summarize, target_ms, truth
from benchmarks.sides import Side
from gym_p2p.game.env.seats import make_game

ROOT = Path(__file__).parents[2]
MEASURING = ("probe_accuracy", "probe_chromium")


@pytest.mark.parametrize("name", MEASURING)
def test_a_measurement_explains_its_options_and_is_in_the_readme(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "--probes" in shown
    readme = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert f"python -m benchmarks.{name}" in readme
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} >= set(MEASURING)


def test_before_and_after_explains_its_options_and_is_in_the_readme() -> None:
    command = [sys.executable, "-m", "benchmarks.before_after", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    assert all(f"--{option}" in shown for option in ("before", "rounds", "only", "json"))
    readme = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert "python -m benchmarks.before_after" in readme


def test_each_row_is_the_median_of_its_rounds_beside_what_was_measured_with_it() -> None:
    found = {
        ("old", "step thread p50"): [400.0, 300.0, 500.0],
        ("now", "step thread p50"): [100.0, 90.0, 120.0],
        ("", "bare exchange p50"): [50.0],
        ("", "usual exchange p50"): [800.0, 1000.0],
        ("now", "tick, p50"): [40.0],
        ("old", "tick, p99"): [40.0],
    }
    (step, tick, gone) = table(found, ("old", "now"))
    assert (step["old"], step["now"], step["after / before"]) == (400.0, 100.0, 0.25)
    assert (step["floor"], step["after / floor"]) == (50.0, 2.0)
    assert (step["anchor"], step["after / anchor"]) == (900.0, 100 / 900)
    assert (tick["old"], tick["now"], tick["after / before"]) == (None, 40.0, None)
    assert (gone["old"], gone["now"], gone["after / before"]) == (40.0, None, None)


def test_what_rows_are_of_is_what_the_measurements_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before_after_rows, "TICKS", 40)
    monkeypatch.setattr(before_after_rows, "FRAMES", 10)
    monkeypatch.setattr(before_after_rows, "HELP_STARTS", 1)
    both, found = (Side("old", sys.executable), Side("now", sys.executable)), dict[tuple[str, str], Any]()
    once = functools.cache(both[0].measured)  # they are the same version
    monkeypatch.setattr(Side, "measured", lambda _side, *arguments: once(*arguments))
    for name in ("rollback", "scale", "help"):
        GROUPS[name].measure(both, found, 1)
    keys = {row.key for row in ROWS}
    assert len(keys) == len(ROWS)
    measured = {f"{mode} {n}" for mode in ("lockstep", "rollback") for n in (2, 4, 8)}
    measured |= {"help", "tick, p50", "tick, p99", "again, a frame", "rally: rollback", "rally: checksum"}
    resets = {f"reset {network} {when}" for network in NETWORKS for when in ("first", "later")}
    assert measured | resets <= keys
    assert {(side.name, key) for side in both for key in measured} <= found.keys()
    assert {("", "bare Python"), ("", "rally: rollback floor"), ("", "rally: checksum floor")} <= found.keys()


def test_a_match_that_is_fetched_and_played_again_is_the_whole_of_it() -> None:
    game = make_game(gymnasium.make("gym_p2p.envs:gym_p2p/Rally-v0"))
    history = rejoin_memory.play(game, 1500)
    mine, messages, size_bytes = rejoin_memory.fetch(history)
    assert len(history.episodes) > 1
    assert [one.inputs for one in mine.episodes] == [one.inputs for one in history.episodes]
    assert messages >= len(history.episodes)
    assert size_bytes > 1500 * 2  # two inputs a frame, of a byte at least
    assert rejoin_memory.play_again(game, mine) == 1500


def test_the_package_does_not_ship_them() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["setuptools"]["packages"]["find"]["include"] == ["gym_p2p*"]


def test_the_truth_of_a_path_is_the_median_of_both_ways_together() -> None:
    assert truth([10.0], [15.0]) == 25.0
    shaken = truth([10.0, 12.0, 30.0], [10.0, 12.0, 30.0])
    assert shaken == 40.0, "the middle one of the sums 20, 22, 22, 24, 40, 40, 42, 42, 60"


def test_figures_are_held_to_a_millisecond_and_two_percent() -> None:
    assert target_ms(0.0) == 1.0
    assert target_ms(100.0) == 3.0
    line = summarize([49.0, 50.0, 51.0, 60.0], 50.0)
    assert (line.median_ms, line.error_ms, line.p95_error_ms, line.within) == (50.5, 0.5, 10.0, 0.75)


def test_every_path_is_measured_clean_and_shaken() -> None:
    chosen = paths(ROUND_TRIPS_MS, in_order=True)
    assert len(chosen) == 2 * len(ROUND_TRIPS_MS)
    assert chosen[1].settings == {"one_way_ms": 10.0, "jitter_ms": 0.0, "loss": 0.0, "in_order": False}
    assert chosen[-1].name == "200 ms +5 ms, 2%, in order"


def test_outcomes_are_sorted_into_reports_of_each_side_and_failures() -> None:
    report = {"rtt_ms": 50.2, "samples_ms": [50.0, 50.2, 50.4]}
    measured = {"reason": "measured", "rtt_ms": 50.3, "took_s": 0.6, "repeated": False}
    failed = {"reason": "timeout", "rtt_ms": None, "took_s": 9.0, "repeated": True, "reports": {"a": None}}
    found = probed(
        LabPath(50.0), (50.0, None), [{**measured, "reports": {"a": report, "b": None}}, failed], [51.0], 0.1
    )
    assert found.sides_ms == {"a": [50.2]}
    assert (found.pair_ms, found.failed, found.samples, found.took_s) == ([50.3], ["timeout"], [3], [0.6])


def study(folder: Path, *, players: tuple[str, str] = ("p001", "p002")) -> Path:
    """Make what a match of a study leaves; return the folder of all."""
    exports, name = folder / "pairs", "2027-01-15T080000Z-lab-c0ffee00"
    for place in (exports / name, exports / "service" / name):
        place.mkdir(parents=True)
    (exports / "service" / name / "aggregate.json").write_text("{}")
    for seat in ("left", "right"):
        (exports / name / f"{seat}.p2preplay").touch()
        told = [
            {"seats": [one], "subjectId": code, "local": one == seat}
            for one, code in zip(("left", "right"), players, strict=True)
        ]
        document = json.dumps({"gameId": "match-0c0ffee00", "players": told})
        for kind in ("multiplayer", "session", "validation"):
            (exports / name / f"{seat}.{kind}.json").write_text(document)
        (exports / "service" / name / f"{seat}.multiplayer.json").write_text(document)
    return exports


def test_the_audit_of_a_study_finds_what_is_missing_and_what_is_mixed_up(tmp_path: Path) -> None:
    seen = {"p001": {"code": "c0ffee00"}, "p002": {"code": "c0ffee00"}}
    exports = study(tmp_path)
    assert hosted_study.audit(exports, seen) == []
    (match,) = exports.glob("*T*Z-*")
    for lost, told in (
        (match / "left.session.json", "has ["),
        (match / "right.p2preplay", "no recording of both"),
        (exports / "service" / match.name / "aggregate.json", "not whole at the service"),
    ):
        kept = lost.read_bytes()
        lost.unlink()
        (problem,) = hosted_study.audit(exports, seen)
        assert told in problem
        lost.write_bytes(kept)
    (match / "left.session.json").write_bytes((match / "right.session.json").read_bytes())
    assert hosted_study.audit(exports, seen) == [f"{match.name}/left.session.json is ['right']'s account"]


def test_the_audit_of_a_study_finds_who_was_told_another_match(tmp_path: Path) -> None:
    exports = study(tmp_path, players=("p001", "p003"))
    seen: dict[str, dict[str, Any]] = {code: {"code": "c0ffee00"} for code in ("p001", "p002")}
    seen["p004"] = {"code": None}
    assert hosted_study.audit(exports, seen) == [
        "p002 was told c0ffee00, and stands in the documents of None",
        "p004 was told no code of a match",
        "p003 is nobody's",
    ]
