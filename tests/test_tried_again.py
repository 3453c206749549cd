"""What becomes of a test that fails for something that ran beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.parallel import CHANCES
from tests.players import together
from tests.waiting import PATIENCE_S, Late, in_time

PROGRAM = """
import collections
import pytest
from tests.waiting import in_time
tried = collections.Counter()

@pytest.fixture
def fresh(request):
    {setup}
    yield []
    assert tried[request.node.name] > 1 or not {leaves}, 'left behind'

{marked}
def test_it(fresh, request):
    fresh.append(1)
    assert fresh == [1]
    tried[request.node.name] += 1
    tries = tried[request.node.name]
    {body}
"""
LATE_TWICE = "with in_time(): assert tries > 2, 'took long'"
WRONG_ONCE = "print('printed'); assert tries > 1, 'came early'"
OF_ITS_OWN = """
from pathlib import Path
from tests import parallel
here = Path(__file__)
parallel.VIRTUAL = here.with_name("virtual")
parallel.IDLING = here
parallel.PLACES = tuple(here.with_name(f"place {number}") for number in range(3))
for place in parallel.PLACES:
    place.touch()

def pytest_configure(config):
    config.addinivalue_line("markers", "alone")
"""


def _outcome(
    folder: Path,
    body: str,
    *options: str,
    file: str = "test_times.py",
    marked: str = "",
    setup: str = "",
    leaves: bool = False,
) -> str:
    """Run a test of its own in processes of its own; return what pytest printed."""
    (folder / "conftest.py").write_text(OF_ITS_OWN)
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(PROGRAM.format(body=body, marked=marked, setup=setup, leaves=leaves))
    command = [sys.executable, "-m", "pytest", "-p", "tests.parallel", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *options, "--rootdir", str(folder), str(folder)],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    failed = " failed" in done.stdout or " error in" in done.stdout
    assert done.returncode == failed, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("body", "summary"),
    [
        (LATE_TWICE, "1 passed, 2 tried again"),
        ("with in_time(): assert tries > 3, 'took long'", "1 failed, 2 tried again"),
        ("with in_time(): raise ValueError", "1 failed"),
        (WRONG_ONCE, "1 failed"),
    ],
    ids=["late twice", "late each time", "broken", "wrong"],
)
def test_what_is_late_is_tried_twice_again_and_what_is_wrong_fails_at_once(
    body: str, summary: str, tmp_path: Path
) -> None:
    said = _outcome(tmp_path, body, "-n0")
    assert f"= {summary} in " in said
    assert ("Late: took long" in said) == ("again" in summary)


@pytest.mark.parametrize(
    ("body", "summary"),
    [
        (WRONG_ONCE, "1 passed, 1 tried again"),
        ("assert tries > 2, 'came early'", "1 failed, 1 tried again"),
        (LATE_TWICE, "1 passed, 2 tried again"),
    ],
    ids=["once", "twice", "late"],
)
def test_what_is_wrong_beside_others_is_tried_once_again_and_told_in_full(
    body: str, summary: str, tmp_path: Path
) -> None:
    said = _outcome(tmp_path, body, "-n1")
    assert f"= {summary} in " in said
    assert "tried again with nothing beside it" in said
    assert "def test_it(fresh, request)" in said
    assert body in said
    assert ("\nprinted\n" in said) == ("printed" in body)


def test_what_had_nothing_beside_it_or_is_on_virtual_time_fails_at_once(tmp_path: Path) -> None:
    alone = _outcome(tmp_path, WRONG_ONCE, "-n1", marked="@pytest.mark.alone")
    assert "= 1 failed in " in alone
    (tmp_path / "test_times.py").unlink()
    assert "= 1 failed in " in _outcome(tmp_path, WRONG_ONCE, "-n1", file="virtual/test_times.py")


def test_what_a_try_leaves_behind_that_does_not_count_does_not_count(tmp_path: Path) -> None:
    assert "= 1 passed, 2 tried again in " in _outcome(tmp_path, WRONG_ONCE, "-n1", leaves=True)
    assert "= 1 passed, 1 error in " in _outcome(tmp_path, "", "-n1", leaves=True)


def test_what_could_not_begin_fails_at_once(tmp_path: Path) -> None:
    assert "= 1 error in " in _outcome(tmp_path, "", "-n1", setup="assert False")


def test_where_many_fail_it_is_no_chance(tmp_path: Path) -> None:
    many = f"@pytest.mark.parametrize('fresh', range({CHANCES + 3}), indirect=True)"
    said = _outcome(tmp_path, WRONG_ONCE, "-n1", marked=many)
    assert f"= 3 failed, {CHANCES} passed, {CHANCES} tried again in " in said


def test_what_is_late_in_one_of_several_threads_is_late_for_the_test() -> None:
    def late() -> None:
        with in_time():
            raise AssertionError("took long")

    with pytest.raises(Late, match="took long"):
        together(lambda: 1, late)
