from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import psutil
import pytest

from gym_p2p.exports import KINDS, schema
from gym_p2p.net.links.emulation import EARLY_S
from tests.waiting import PATIENCE_S, until


def start(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gym_p2p", *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(directory: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(directory, *arguments)
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


def exported(directory: Path) -> dict[str, list[dict[str, object]]]:
    def read(kind: str) -> list[dict[str, object]]:
        paths = sorted(directory.glob(f"p2p-exports/*T*Z-*/*.{kind}.json"))
        return [json.loads(path.read_text()) for path in paths]

    return {kind: read(kind) for kind in KINDS}


def test_the_demo_plays_measures_compares_and_leaves_valid_exports(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "demo", "--frames", "75", "--json", "--one-way-ms", "10")
    assert code == 0, err
    told = json.loads(out)
    assert told["aggregate"]["fullySynced"] is True
    assert told["aggregate"]["totalActionsCompared"] == 150
    for player in told["players"]:
        assert player["status"]["frames_total"] == 75
        assert player["uploaded"] is True
        (latency,) = player["status"]["latency"].values()
        assert latency["medianMs"] >= 2 * (10 - EARLY_S * 1e3)
    documents = exported(tmp_path)
    for kind in KINDS:
        assert len(documents[kind]) == 2
        for document in documents[kind]:
            jsonschema.validate(document, schema(kind))


def test_the_summary_for_people_names_the_verdict_and_the_files(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "demo", "--frames", "40", "--fps", "60")
    assert code == 0
    assert "fully synchronised" in out
    assert "left.multiplayer.json" in out.replace("\n", "")


def test_a_rate_that_cannot_be_is_refused_and_not_taken_for_none(tmp_path: Path) -> None:
    code, _, err = run(tmp_path, "demo", "--fps", "0")
    assert code == 2
    assert "--fps: wanted 0.01 to 10000, got 0" in err


def test_three_players_of_a_watched_environment_can_be_shown(tmp_path: Path) -> None:
    code, out, err = run(
        tmp_path, "demo", "--env", "CartPole-v1", "--players", "3", "--frames", "40", "--fps", "60", "--json"
    )
    assert code == 0, err
    seats = [player["status"]["seat"] for player in json.loads(out)["players"]]
    assert seats == ["player", "watcher_1", "watcher_2"]


def interrupt(process: subprocess.Popen[str]) -> tuple[list[psutil.Process], str]:
    """Press Ctrl-C; return whoever of the family is still there afterwards, and what was said."""
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode in {130, -signal.SIGINT}
    _, alive = psutil.wait_procs(family, timeout=PATIENCE_S)
    return alive, err


def carries_out(process: subprocess.Popen[str]) -> bool:
    """Tell whether it has read its command, and begun to import what that needs."""
    return any("numpy" in loaded.path for loaded in psutil.Process(process.pid).memory_maps())


@pytest.mark.parametrize("after_s", [0.3, 1.1, 2.1])
def test_ctrl_c_while_the_demo_starts_leaves_nothing_running(tmp_path: Path, after_s: float) -> None:
    process = start(tmp_path, "demo", "--frames", "3000", "--json")
    until(lambda: carries_out(process))
    time.sleep(after_s)
    alive, err = interrupt(process)
    assert not alive
    assert "Traceback" not in err


UNNAMED = [signal.SIGRTMIN + 1] if hasattr(signal, "SIGRTMIN") else []
"""One of the realtime signals, where there are any: all but the first and the last have no name."""


@pytest.mark.parametrize("number", [signal.SIGKILL, *UNNAMED])
def test_a_player_of_the_demo_who_is_killed_is_named_and_the_other_learns_of_it_as_anywhere(
    tmp_path: Path, number: int
) -> None:
    process = start(tmp_path, "demo", "--frames", "3000", "--json")
    try:
        until(lambda: len(list(tmp_path.glob("p2p-exports/*/*.journal.jsonl"))) == 2, 2 * PATIENCE_S)
        time.sleep(2.0)  # until the command has heard of it
        below = psutil.Process(process.pid).children(recursive=True)
        (right,) = (one for one in below if {"join", "right"} <= set(one.cmdline()))
        right.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 3
    assert "Traceback" not in err
    name = "SIGKILL" if number == signal.SIGKILL else f"signal {number}"
    assert f"right was killed by {name}" in err
    (left,) = json.loads(out)["players"]
    assert left["status"]["seat"] == "left"
    assert left["ending"] == "peer_crashed"


def test_ctrl_c_while_the_demo_plays_still_writes_every_export(tmp_path: Path) -> None:
    process = start(tmp_path, "demo", "--frames", "3000", "--json")
    until(lambda: len(list(tmp_path.glob("p2p-exports/*/*.journal.jsonl"))) == 2, 2 * PATIENCE_S)
    alive, err = interrupt(process)
    assert not alive
    assert "Traceback" not in err
    documents = exported(tmp_path)["multiplayer"]
    assert len(documents) == 2
    for document in documents:
        jsonschema.validate(document, schema("multiplayer"))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["join", "gym_p2p/Raly-v0"], 2, "did you mean 'gym_p2p/Rally-v0'"),
        (["join", "no_such_module:make"], 2, "no module 'no_such_module'"),
        (["join", "gym_p2p/Rally-v0", "--seat", "middle"], 2, "its seats are 'left', 'right'"),
        (["join", "gym_p2p/Rally-v0", "--env-arg", "points"], 2, "wants KEY=VALUE"),
        (["join", "gym_p2p/Rally-v0", "--env-arg", "colour=3"], 2, "colour"),
        (["join", "gym_p2p/Rally-v0", "--policy", "clever"], 2, "no policy 'clever'"),
        (["join", "gym_p2p/Rally-v0", "--frames", "0"], 2, "from 1"),
        (["join", "gym_p2p/Rally-v0", "--loss", "2"], 2, "loss"),
        (["join", "gym_p2p/Rally-v0", "--server", "http://127.0.0.1:9"], 3, "gym-p2p serve"),
        (["join", "gym_p2p/Rally-v0", "--server", "nonsense"], 2, "--server: wanted"),
        (["demo", "--players", "5"], 2, "--players 2"),
        (["demo", "--policy", "clever"], 2, "no policy 'clever'"),
        (["demo", "--human", "--no-browser", "--keys", "none.json"], 2, "cannot read none.json"),
        (["demo", "--env", "CartPole-v1", "--players", "1"], 2, "player"),
        (["nonsense"], 2, "invalid choice"),
        ([], 2, "required"),
    ],
)
def test_wrong_usage_is_one_clear_line_and_an_exit_code(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    got, _, err = run(tmp_path, *arguments)
    assert got == code, err
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", [[], ["demo"], ["serve"], ["join"], ["bench"]])
def test_help_tells_what_the_exit_codes_mean(tmp_path: Path, command: list[str]) -> None:
    code, out, _ = run(tmp_path, *command, "--help")
    assert code == 0
    assert "exit codes:" in out
