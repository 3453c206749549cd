"""``gym-p2p watch`` beside a demo of two ``join``s, as processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from gym_p2p.cli import main
from gym_p2p.config import ServiceConfig
from gym_p2p.errors import WatchDiverged
from gym_p2p.server import serve_in_thread
from gym_p2p.spectate import spectator
from tests.waiting import PATIENCE_S

GAME = "gym_p2p/Rally-v0"


def _command(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gym_p2p", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
    )


def test_a_match_is_watched_to_its_end_beside_two_players(tmp_path: Path) -> None:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path / "service"))) as service:
        where = ["--server", service.url, "--room", "lab"]
        watching = _command("watch", GAME, *where, "--json", "--picture", cwd=tmp_path)
        play = ["--frames", "240", "--fps", "60", "--policy", "scripted", "--json", "--spectators", "1"]
        joining = [_command("join", GAME, *where, *play, cwd=tmp_path) for _ in range(2)]
        try:
            outputs = [process.communicate(timeout=100) for process in (watching, *joining)]
        finally:
            for process in (watching, *joining):
                process.kill()
    assert [process.returncode for process in (watching, *joining)] == [0, 0, 0], outputs
    summary = json.loads(outputs[0][0])
    assert summary["match_id"] == json.loads(outputs[1][0])["match_id"]
    assert summary["frames"] > 200
    assert summary["checksums_agreed"] > 5
    assert (summary["desyncs"], summary["ending"]) == (0, "normal")


def test_nothing_to_watch_is_exit_code_3(tmp_path: Path) -> None:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path / "service"))) as service:
        watching = _command("watch", GAME, "--server", service.url, "--wait", "1", cwd=tmp_path)
        _, errors = watching.communicate(timeout=PATIENCE_S)
    assert watching.returncode == 3
    assert "--spectators" in errors


@pytest.mark.parametrize(("what", "code"), [("the state", 4), ("what step returned", 1)])
def test_what_differs_in_the_state_alone_has_an_exit_code_of_its_own(
    what: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Differing(spectator.Spectator):
        def reset(self) -> NoReturn:
            self.desyncs = 1
            raise WatchDiverged(1, 29, what, theirs="aa", ours="bb")

    monkeypatch.setattr(spectator, "Spectator", Differing)
    assert main(["watch", GAME, "--json"]) == code
    assert f"episode 1, frame 29: {what} differs" in capsys.readouterr().err
