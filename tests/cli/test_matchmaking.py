from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gym_p2p.cli.commands import make_parser
from gym_p2p.errors import UsageError

PLUG_IN = """
from gym_p2p import FIFOMatchmaker

class Newest(FIFOMatchmaker):
    def rank_candidates(self, arriving, waiting, group_size):
        return waiting[::-1]

def nonsense():
    return 3
"""
FOUR = {"fifo", "latency-fifo", "reunion", "widening"}


def run(*arguments: str) -> int:
    parsed = make_parser(["matchmaking"]).parse_args(["matchmaking", *arguments])
    code: int = parsed.run(parsed)
    return code


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_simulate_compares_the_four_matchmakers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("simulate", "--arrivals", "300", "--json") == 0
    results = printed(capsys)["results"]
    assert set(results) == FOUR
    assert results["widening"]["rtt_p50_ms"] < results["fifo"]["rtt_p50_ms"]


def test_simulate_says_the_same_for_the_same_seed(capsys: pytest.CaptureFixture[str]) -> None:
    answers = []
    for seed in ("1", "1", "2"):
        run("simulate", "--arrivals", "100", "--matchmaker", "widening", "--seed", seed, "--json")
        answers.append(printed(capsys)["results"])
    assert answers[0] == answers[1] != answers[2]


def test_simulate_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("simulate", "--arrivals", "50") == 0
    assert "latency-fifo" in capsys.readouterr().out


def test_a_written_log_replays_under_another_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = str(tmp_path / "decisions.jsonl")
    run("simulate", "--arrivals", "200", "--matchmaker", "widening", "--log", log, "--json")
    capsys.readouterr()
    assert run("replay", log, "--matchmaker", "widening", "--json") == 0
    own = printed(capsys)
    assert own["same"] == own["situations"] > 0
    assert run("replay", log, "--matchmaker", "fifo", "--set", "max_p2p_rtt_ms=50", "--json") == 0
    other = printed(capsys)
    assert other["differences"]
    assert other["verdicts"]["passed->rejected"] > 0
    assert run("replay", log, "--matchmaker", "fifo") == 0
    assert "situations" in capsys.readouterr().out


def test_lines_that_are_no_records_are_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "decisions.jsonl"
    record = '{"v": 1, "t": 0.0, "kind": "gave_up", "subject": "ann"}'
    log.write_text(f'{{"v": 1}}\nnot JSON\n{{"v": 2, "kind": "considered"}}\n{record}\n')
    assert run("replay", str(log), "--matchmaker", "fifo", "--json") == 0
    assert printed(capsys)["skipped"] == 3


def test_a_matchmaker_of_ones_own_is_found_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_matching.py").write_text(PLUG_IN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert run("simulate", "--arrivals", "50", "--matchmaker", "own_matching:Newest", "--json") == 0
    assert printed(capsys)["results"]["own_matching:Newest"]["matches"] > 0
    with pytest.raises(UsageError):
        run("simulate", "--matchmaker", "own_matching:nonsense")


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate", "--matchmaker", "chess"),
        ("simulate", "--matchmaker", "no_such_module:Maker"),
        ("simulate", "--matchmaker", "widening", "--set", "speed=1"),
        ("simulate", "--matchmaker", "widening", "--set", "slack"),
        ("simulate", "--matchmaker", "widening", "--set", "slack=0.1"),
        ("simulate", "--log", "x.jsonl"),
        ("simulate", "--set", "max_p2p_rtt_ms=1"),
        ("simulate", "--per-s", "100", "--population", "50"),
        ("replay", "no-such-file.jsonl", "--matchmaker", "fifo"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        run(*arguments)
