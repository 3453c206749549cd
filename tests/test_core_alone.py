"""The core's tests want nothing but the package, pytest and Hypothesis, and start quickly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

PROGRAM = """
import sys
import pytest

class NotThere:
    def find_spec(self, name, path=None, target=None):
        if name in sys.argv[1:]:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotThere())
sys.exit(pytest.main(["tests/core", "--collect-only", "-q"]))
"""
NOT_THERE = [
    *("aiohttp", "aioice", "aiortc", "gymnasium", "pettingzoo", "numpy", "socketio", "starlette", "uvicorn"),
    *("coverage", "jsonschema", "psutil", "pytest_timeout"),
]


def test_the_cores_tests_import_nothing_of_the_network_the_game_or_other_tests_tools() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *NOT_THERE],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split(" tests collected")[0].rsplit(None, 1)[-1]) > 900
