"""What could not work, or was lost, is answered: never accepted in silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gym_p2p.cli import main
from gym_p2p.cli.commands import COMMANDS, make_parser
from gym_p2p.cli.demo import compared_in_words
from gym_p2p.cli.status import Status, Summary

_TURN = "turn:turn.example.org:3478"


@pytest.fixture(autouse=True)
def _no_turn_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GYM_P2P_TURN_SECRET", "GYM_P2P_TURN_USERNAME", "GYM_P2P_TURN_CREDENTIAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def _refused(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    return said


def test_relay_alone_wants_a_relay(capsys: pytest.CaptureFixture[str]) -> None:
    for servers in ([], ["--ice-server", "stun:stun.example.org"]):
        said = _refused("serve", "--relay-only", "--port", "0", *servers, capsys=capsys)
        assert "--relay-only: wanted a TURN server" in said


@pytest.mark.parametrize("given", [{}, {"GYM_P2P_TURN_USERNAME": "ann"}, {"GYM_P2P_TURN_CREDENTIAL": "hush"}])
def test_a_turn_server_wants_credentials(
    given: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    said = _refused("serve", "--port", "0", "--ice-server", _TURN, capsys=capsys)
    assert "username and credential" in said
    assert "hush" not in said


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        ("a diary\nof two lines\n", "none of its 2 lines is a record"),
        ('{"v": 1, "kind": "diary"}\n', "none of its 1 lines is a record"),
        ('{"v": 99, "kind": "made"}\n', "none of its 1 lines is a record"),
        (json.dumps({"schemaVersion": "1.0.0"}), "none of its 1 lines is a record"),
    ],
)
def test_what_is_no_decision_log_is_not_replayed(
    text: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    log.write_text(text)
    said = _refused("matchmaking", "replay", str(log), "--matchmaker", "fifo", capsys=capsys)
    assert f"is no decision log of version 1: {why}" in said


def test_a_log_with_a_damaged_line_is_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    log.write_text('{"v": 1, "t": 0.0, "kind": "gave_up", "subject": "ann"}\n{"v": 1, "t"')
    assert main(["matchmaking", "replay", str(log), "--matchmaker", "fifo"]) == 0
    assert "1 lines skipped" in capsys.readouterr().err


def _summary(**changes: bool) -> Summary:
    return Summary(
        match_id="m", status=Status(seat="a", state="closed"), ending="done", exports={}, uploaded=False,
        problems=("writing a: the disk is full",), **changes,  # type: ignore[arg-type]  # of one kind here
    )  # fmt: skip


def test_a_match_whose_documents_are_lost_is_not_done() -> None:
    assert _summary(lost=True).exit_code == 1
    assert _summary().exit_code == 0  # it waits in the spool


@pytest.mark.parametrize(
    ("compared", "same", "differing", "words"),
    [
        (0, False, [], "compared nothing"),
        (4, True, [], "fully synchronised"),
        (4, False, [], "nothing differed"),
        (4, False, [[1, 30]], "NOT synchronised"),
    ],
)
def test_what_was_compared_decides_what_is_said(
    compared: int, differing: list[list[int]], words: str, *, same: bool
) -> None:
    aggregate = {
        "fullySynced": same,
        "totalHashesCompared": compared,
        "totalActionsCompared": 2 * compared,
        "hashDivergenceFrames": differing,
        "actionDivergenceFrames": [],
    }
    assert words in compared_in_words(aggregate)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_its_own_exit_codes_mean(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        make_parser([command]).parse_args([command, "--help"])
    codes = capsys.readouterr().out.partition("exit codes:")[2]
    assert "  2    wrong usage" in codes
    plays = command in {"demo", "join", "watch", "simulate", "replay"}
    assert plays or "match ended" not in codes


@pytest.mark.parametrize("what", ["simulate", "replay"])
def test_the_kinds_of_matchmaking_describe_themselves(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_parser(["matchmaking"]).parse_args(["matchmaking", what, "--help"])
    assert "polic" in capsys.readouterr().out.partition("options:")[0].partition("\n\n")[2]
