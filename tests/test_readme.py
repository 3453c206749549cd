from __future__ import annotations

import math
import re
import shlex
import subprocess
import sys
from pathlib import Path

import gym_p2p
from gym_p2p.config import ServiceConfig
from gym_p2p.server import serve_in_thread
from tests.waiting import in_time

README = Path(__file__).parents[1] / "README.md"


def test_the_program_in_the_readme_plays_a_match(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "program.py").write_text(program)
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path / "service"))) as service:
        players = [
            subprocess.Popen(
                [sys.executable, "program.py", seat, service.url],
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for seat in ("left", "right")
        ]
        outputs = [player.communicate(timeout=90)[0] for player in players]
    assert [player.returncode for player in players] == [0, 0], outputs
    for output in outputs:
        ending, latency = output.splitlines()[-2:]
        assert ending == "the game's own end"
        with in_time():
            assert float(latency.removesuffix(" ms")) < 1000


def test_the_program_in_the_readme_is_short() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(program.splitlines()) < 25


def test_the_line_in_the_readme_makes_a_table_of_two_demos(tmp_path: Path) -> None:
    (commands,) = re.findall(r"```sh\n(\.venv/bin/gym-p2p demo && .*?)```", README.read_text(), re.DOTALL)
    python = shlex.quote(sys.executable)
    ours = {"gym-p2p demo": f"{python} -m gym_p2p demo --frames 75", "gym-p2p": f"{python} -m gym_p2p"}
    program = re.sub(
        r"(?<!\S)\.venv/bin/(gym-p2p demo|gym-p2p|python)", lambda found: ours.get(found[1], python), commands
    )
    # Arrow's own in place of pandas, which is a user's choice and not installed with the tests.
    program = program.replace(".pandas()[[", ".select([").replace('"reward"]])', '"reward"]))')
    done = subprocess.run(
        ["sh", "-e", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stderr
    assert "rtt_ms: double" in done.stdout
    assert "reward: double" in done.stdout
    assert "<title>" in (tmp_path / "report.html").read_text()
    study = gym_p2p.load(tmp_path / "p2p-exports")
    assert [row["frames"] for row in study.matches] == [75, 75]
    assert list(study.problems) == []
    frames = list(study.frames_with_latency())
    assert {row["player"] for row in frames} == {"left", "right"}
    assert all(row["subject"] for row in study.players)
    assert None not in {row["reward"] for row in frames}
    assert any(row["rtt_ms"] is not None for row in frames)
    again = study.frames(observations=True)
    for match in study.matches["match"].to_pylist():
        for seat in ("left", "right"):
            own = [row["reward"] for row in again if (row["match"], row["seat"]) == (match, seat)]
            told = [r["return"] for r in study.episodes if (r["match"], r["seat"]) == (match, seat)]
            assert math.fsum(own) == math.fsum(told)
