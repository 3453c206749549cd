from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

import gym_p2p
from gym_p2p.study.report.report import report_html
from tests.browser.chromium import Chromium
from tests.study import made

DATA = Path(__file__).parents[1] / "study" / "data" / "version_1"


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("one", [False, True], ids=["study", "match"])
def test_a_report_opens_without_a_network_and_fits(
    chromium: Chromium, tmp_path: Path, *, width: int, one: bool
) -> None:
    study = gym_p2p.load(DATA)
    (match,) = study.matches["match"].to_pylist()
    path = tmp_path / "report.html"
    path.write_text(report_html(study, match if one else None))
    seen = asyncio.run(chromium.ask("file", path=str(path), width=width))
    assert seen["requests"] == [f"file://{path}"]
    assert seen["errors"] == []
    assert seen["overflow"] <= 0  # nothing sticks out to the side
    assert seen["smallest"] >= 8  # pixels of the smallest letters in a plot
    assert len(seen["pictures"]) >= 4
    assert all(width / 4 < drawn < width for drawn in seen["pictures"])
    assert seen["printed"] > 10_000
    median = np.median(study.latency["rtt_ms"].to_pylist())
    assert f"{median:.1f} ms" in seen["text"]
    assert f"{len(study.frames) // 2}" in seen["text"]


def test_what_a_player_is_called_is_run_by_no_browser(chromium: Chromium, tmp_path: Path) -> None:
    evil = "</title></svg><script>alert(1)</script><img src=http://127.0.0.1:9/x onerror=alert(2)>"
    whole = made.document(evil, match=evil)
    whole["latencyByPeer"] = {evil + "2": whole["latency"]}
    made.write(tmp_path / "x.multiplayer.json", whole)
    path = tmp_path / "report.html"
    path.write_text(report_html(gym_p2p.load(tmp_path), evil))
    seen = asyncio.run(chromium.ask("file", path=str(path), width=1280))
    assert seen["requests"] == [f"file://{path}"]
    assert seen["errors"] == []
    assert "<script>alert(1)</script>" in seen["text"]
