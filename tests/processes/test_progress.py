"""What is said while something takes its time."""

from __future__ import annotations

import io
import threading

import pytest

from gym_p2p.processes import progress
from gym_p2p.processes.progress import PlainLines, doing
from tests.waiting import until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST_LINE_S", 0.02)
    monkeypatch.setattr(progress, "NEXT_LINE_S", 0.02)


def test_what_takes_long_is_said_once_and_again_when_it_changes() -> None:
    stream = io.StringIO()
    with PlainLines(stream, "loading") as lines:
        until(lambda: "loading ...\n" in stream.getvalue())
        lines.say("1 of 2")
        until(lambda: "1 of 2 ...\n" in stream.getvalue())
    assert stream.getvalue() == "loading ...\n1 of 2 ...\n"
    assert not [thread for thread in threading.enumerate() if thread.name == "gym_p2p progress"]


def test_what_is_quick_is_not_spoken_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "FIRST_LINE_S", 60.0)
    with doing("loading") as say:
        say("still")
    assert capsys.readouterr().err == ""


def test_a_stream_that_nobody_reads_ends_nothing() -> None:
    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            asked.set()
            raise BrokenPipeError

    asked = threading.Event()
    with PlainLines(Broken(), "loading"):
        assert asked.wait(30)
