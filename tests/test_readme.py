from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from gym_p2p.config import ServiceConfig
from gym_p2p.server import serve_in_thread

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
        assert float(latency.removesuffix(" ms")) < 1000


def test_the_program_in_the_readme_is_short() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(program.splitlines()) < 25
