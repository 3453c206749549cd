"""The live view on a terminal: what is logged meanwhile stands above it."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from gym_p2p.cli.live import live_view
from tests.waiting import until


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_is_logged_while_a_view_is_shown_stands_above_it_and_not_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)  # here: pytest has put its own there for the test alone
    monkeypatch.setenv("TERM", "xterm")
    handler = logging.StreamHandler(terminal)
    elsewhere = logging.StreamHandler(io.StringIO())
    log = logging.getLogger("test of live views")
    root = logging.getLogger()
    root.addHandler(handler)
    root.addHandler(elsewhere)
    try:
        with live_view(str, plain=str) as show:
            show("first\nsecond")
            until(lambda: "second" in terminal.getvalue())
            drawn = len(terminal.getvalue())
            log.warning("paused: path to 'right' lost")
        log.warning("after it")
    finally:
        root.removeHandler(handler)
        root.removeHandler(elsewhere)
    before, _, after = terminal.getvalue()[drawn:].partition("paused: path to 'right' lost")
    assert "\x1b[2K" in before  # the view was taken away for it
    assert "second" in after  # and drawn again below
    assert after.endswith("after it\n")
    assert isinstance(elsewhere.stream, io.StringIO)
    assert "after it" in elsewhere.stream.getvalue()
