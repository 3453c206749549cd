from __future__ import annotations

import contextlib
import fcntl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import parallel
from tests.waiting import PATIENCE_S

ORDINARY, QUIET, ALONE = 0, 1, len(parallel.PLACES)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ...]:
    """Places of this test, for it runs in one of the suite's own."""
    own = tuple(tmp_path / path.name for path in parallel.PLACES)
    idling = tmp_path / "idling"
    for path in (*own, idling):
        path.touch()
    monkeypatch.setattr(parallel, "PLACES", own)
    monkeypatch.setattr(parallel, "IDLING", idling)
    return own


def _kept(places: tuple[Path, ...], how: int) -> list[bool]:
    """Say of each place whether somebody keeps others from locking it so."""
    kept = []
    for path in places:
        with path.open() as file:
            try:
                fcntl.flock(file, how | fcntl.LOCK_NB)
            except BlockingIOError:
                kept.append(True)
            else:
                kept.append(False)
    return kept


@contextlib.contextmanager
def _waiting(needed: int) -> Iterator[threading.Event]:
    """Let somebody come who waits for places; the event is set when they have them."""
    came = threading.Event()

    def come() -> None:
        with parallel.taken(needed):
            came.set()

    thread = threading.Thread(target=come)
    thread.start()
    yield came
    thread.join(PATIENCE_S)
    assert came.is_set()


def test_ordinary_tests_run_beside_each_other_and_beside_nothing_else(places: tuple[Path, ...]) -> None:
    with parallel.taken(ORDINARY), parallel.taken(ORDINARY), parallel.taken(ORDINARY):
        assert _kept(places, fcntl.LOCK_EX) == [True] * ALONE
    assert _kept(places, fcntl.LOCK_EX) == [False] * ALONE


def test_as_many_quiet_tests_as_there_are_places_run_beside_each_other_and_beside_nothing_else(
    places: tuple[Path, ...],
) -> None:
    with contextlib.ExitStack() as running:
        for number in range(1, ALONE + 1):
            running.enter_context(parallel.taken(QUIET))
            assert sum(_kept(places, fcntl.LOCK_SH)) == number
    assert _kept(places, fcntl.LOCK_EX) == [False] * ALONE


def test_nothing_runs_beside_a_test_alone(places: tuple[Path, ...]) -> None:
    with parallel.taken(ALONE):
        assert _kept(places, fcntl.LOCK_SH) == [True] * ALONE
    assert _kept(places, fcntl.LOCK_EX) == [False] * ALONE


@pytest.mark.parametrize("needed", [ORDINARY, QUIET])
def test_what_computes_where_a_processor_would_be_idle_is_beside_what_is_not_alone(needed: int) -> None:
    with parallel.IDLING.open() as idling:
        fcntl.flock(idling, fcntl.LOCK_SH)
        with parallel.taken(needed):
            pass


def test_a_test_alone_waits_for_what_computes_and_keeps_nobody_waiting(places: tuple[Path, ...]) -> None:
    with contextlib.ExitStack() as stack:
        with parallel.IDLING.open() as idling:
            fcntl.flock(idling, fcntl.LOCK_SH)
            came = stack.enter_context(_waiting(ALONE))
            assert not came.wait(3 * parallel.LOOKS_AGAIN_S)
            assert _kept(places, fcntl.LOCK_EX) == [False] * ALONE
        assert came.wait(PATIENCE_S)


@pytest.mark.parametrize(
    ("running", "comes"),
    [(ORDINARY, QUIET), (ORDINARY, ALONE), (QUIET, ORDINARY), (QUIET, ALONE), (ALONE, QUIET)],
)
def test_who_needs_another_kind_of_place_has_it_when_the_others_have_left(running: int, comes: int) -> None:
    with contextlib.ExitStack() as stack:
        with parallel.taken(running):
            came = stack.enter_context(_waiting(comes))
            assert not came.wait(3 * parallel.LOOKS_AGAIN_S)
        assert came.wait(PATIENCE_S)
