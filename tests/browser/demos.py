"""Demos for a person, each a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.browser.driver import Driver
from tests.browser.seat_page import DRAWN, PHASES, Page
from tests.waiting import PATIENCE_S

__all__ = ["demo_of", "play_demo"]


def demo_of(folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    """Start one; return it and the link that it prints."""
    command = [sys.executable, "-m", "gym_p2p", "demo", "--human", "--no-browser", "--json", *arguments]
    demo = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert demo.stderr is not None
    for line in demo.stderr:
        found = re.search(r"http://\S+", line)
        if found:
            return demo, found[0]
    raise AssertionError("no link was printed")


def play_demo(browser: Driver, folder: Path) -> dict[str, Any]:
    """Play one with an arrow key to its end; return the person's multiplayer document."""
    demo, url = demo_of(folder, "--env-arg", "points=99", "--env-arg", "max_frames=300")
    page = Page(browser, url, init=PHASES)
    page.has_been("playing")
    page.until(DRAWN)
    before = page.canvas()
    page.ask("press", code="ArrowUp")
    page.until("window.page.screen.drawn.frame > 60")
    rows = slice(0, before.shape[0] // 3)  # the paddle is up there now
    assert not np.array_equal(page.canvas()[rows, 20:40], before[rows, 20:40])
    page.ask("release", code="ArrowUp")
    page.phase("over")
    assert page.ask("seen")["errors"] == []
    out, err = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 0, err
    assert json.loads(out)["aggregate"]["fullySynced"] is True
    (path,) = folder.glob("p2p-exports/*T*Z-*/left.multiplayer.json")
    document: dict[str, Any] = json.loads(path.read_text())
    return document
