"""What becomes of a test that finds itself late."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.players import together
from tests.waiting import PATIENCE_S, Late, in_time

PROGRAM = """
import pytest
from tests.waiting import in_time
tries = []

@pytest.fixture
def fresh():
    return []

def test_it(fresh):
    fresh.append(1)
    assert fresh == [1]
    tries.append(1)
    {body}
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("with in_time(): assert len(tries) > 2, 'took long'", "1 passed, 2 late"),
        ("with in_time(): assert len(tries) > 3, 'took long'", "1 failed, 2 late"),
        ("with in_time(): raise ValueError", "1 failed"),
        ("assert len(tries) > 1", "1 failed"),
    ],
    ids=["late twice", "late each time", "broken", "wrong"],
)
def test_what_is_late_is_tried_twice_again_and_what_is_wrong_fails_at_once(
    body: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "test_times.py"
    file.write_text(PROGRAM.format(body=body))
    command = [sys.executable, "-m", "pytest", "-n0", "-p", "tests.parallel", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(file)],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    assert f"= {said} in " in done.stdout, done.stdout + done.stderr
    assert done.returncode == ("failed" in said)
    assert ("test_it: tests.waiting.Late: took long" in done.stdout) == ("late" in said)


def test_what_is_late_in_one_of_several_threads_is_late_for_the_test() -> None:
    def late() -> None:
        with in_time():
            raise AssertionError("took long")

    with pytest.raises(Late, match="took long"):
        together(lambda: 1, late)
