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
sys.modules.update(dict.fromkeys(sys.argv[1:]))  # whoever imports one of these fails
code = pytest.main(["tests/core", "--collect-only", "-q"])
sys.exit(code or ("numpy was imported" if "numpy" in sys.modules else 0))  # Hypothesis looks at that itself
"""
NOT_THERE = [
    *("aiohttp", "aioice", "aiortc", "gymnasium", "pettingzoo", "socketio", "starlette", "uvicorn"),
    *("coverage", "jsonschema", "psutil", "pytest_timeout", "xdist"),
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
