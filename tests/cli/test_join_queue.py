from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gym_p2p.cli import main
from gym_p2p.cli.live import queue_line
from gym_p2p.config import MatchmakingConfig, ServiceConfig
from gym_p2p.core.api.queues import QueueStatus
from gym_p2p.server import Service, serve_in_thread
from tests.waiting import in_time

DEADLINE_S = 60
HOOKS = "def refuse(match):\n    return len(match.subjects) != 2\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Its queues never give up."""
    rules = MatchmakingConfig(give_up_after_s=None)
    data_dir = str(tmp_path_factory.mktemp("data"))
    with serve_in_thread(ServiceConfig(port=0, data_dir=data_dir, matchmaking=rules)) as running:
        yield running


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Service]:
    """Its queues wait for longer than a second player needs to start on a busy machine."""
    rules = MatchmakingConfig(give_up_after_s=10.0)
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path), matchmaking=rules)) as running:
        yield running


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Service]:
    rules = MatchmakingConfig(give_up_after_s=2.0)
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path), matchmaking=rules)) as running:
        yield running


def join(directory: Path, service: Service, *options: str) -> subprocess.Popen[str]:
    play = ("gym_p2p/Rally-v0", "--server", service.url, "--frames", "30")
    return subprocess.Popen(
        [sys.executable, "-m", "gym_p2p", "join", *play, *options],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ends(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
    return process.returncode, out, err


def test_two_players_of_a_queue_are_probed_matched_and_play(tmp_path: Path, service: Service) -> None:
    ann = join(tmp_path, service, "--queue", "lab", "--subject", "ann", "--pre-match", "500", "--lines")
    bob = join(tmp_path, service, "--queue", "lab", "--subject", "bob", "--json")
    code, out, err = ends(ann)
    assert (code, ends(bob)[0]) == (0, 0), err
    lines: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    places = [line["queue"] for line in lines if line["type"] == "status" and line["queue"]]
    assert {place["queue"] for place in places} <= {"lab"}
    summary = lines[-1]
    assert (summary["ending"], summary["status"]["queue"]) == ("done", None)
    document = json.loads(Path(tmp_path, summary["exports"]["multiplayer"]).read_text())
    assert document["probe"]["queue"] == "lab"
    (pair,) = document["probe"]["pairs"]
    assert set(pair["subjects"]) == {"ann", "bob"}
    assert pair["rttMs"] <= 500


def test_a_player_whom_nobody_joins_is_shown_their_place_and_told_so(
    tmp_path: Path, impatient: Service
) -> None:
    code, out, err = ends(join(tmp_path, impatient, "--queue", "lonely", "--lines"))
    assert code == 3
    said = re.search(r"no match in queue 'lonely' after (\d+\.\d) s: nobody else was there", err)
    assert said is not None, err
    assert "reset()" not in err
    places = [place for line in out.splitlines() if (place := json.loads(line)["queue"]) is not None]
    assert {place["state"] for place in places} == {"waiting"}
    with in_time():
        assert said[1] == "2.0"
        assert places[-1]["wait_s"] > places[0]["wait_s"] + 0.5, "the wait does not grow"


def test_ones_own_refusal_is_the_end(tmp_path: Path, service: Service) -> None:
    (tmp_path / "hooks.py").write_text(HOOKS)
    other = join(tmp_path, service, "--queue", "choosy")
    try:
        code, _, err = ends(join(tmp_path, service, "--queue", "choosy", "--pre-match", "hooks:refuse"))
    finally:
        other.terminate()
        assert ends(other)[0] == 130
    assert code == 3
    assert "pre_match refused a match of" in err
    assert "--on-refusal requeue" in err


def test_after_ones_own_refusal_one_can_wait_for_somebody_else(tmp_path: Path, patient: Service) -> None:
    other = join(tmp_path, patient, "--queue", "picky")
    again = ("--pre-match", "0", "--on-refusal", "requeue")
    code, _, err = ends(join(tmp_path, patient, "--queue", "picky", *again))
    assert (code, ends(other)[0]) == (3, 3)
    assert "proposed a match: reject" in err
    assert "no match in queue 'picky' after " in err
    with in_time():
        assert "no match in queue 'picky' after 10.0 s" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--queue", "lab", "--room", "den"), "not allowed with"),
        (("--pre-match", "80"), "want --queue"),
        (("--on-refusal", "requeue"), "want --queue"),
        (("--queue", "lab", "--on-refusal", "sulk"), "invalid choice"),
        (("--queue", "lab", "--pre-match", "nowhere"), "module:function"),
        (("--queue", "lab", "--pre-match", "-1"), "--pre-match: wanted"),
        (("--queue", "lab", "--pre-match", "nan"), "--pre-match: wanted"),
    ],
)
def test_wrong_usage_is_one_clear_line(
    options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["join", "gym_p2p/Rally-v0", "--json", *options])
    except SystemExit as end:  # argparse's own way
        code = int(end.code or 0)
    assert code == 2
    assert said in capsys.readouterr().err


def test_a_place_in_a_queue_is_one_line() -> None:
    told: dict[str, Any] = {"queue": "lab", "state": "probing", "waiting": 3, "wait_s": 12.4, "probes": 1}
    console = Console(width=80)
    with console.capture() as capture:
        console.print(queue_line(QueueStatus(threshold_ms=97.2, **told)))
        console.print(queue_line(QueueStatus(threshold_ms=None, **told)))
    limited, free = capture.get().splitlines()
    assert limited == "in queue 'lab': probing, 3 here, 12 s, up to 97 ms, probes: 1"
    assert "any distance" in free
