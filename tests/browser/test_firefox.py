"""A match in Firefox: the same page in the other family of browsers that a Linux distribution has."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.browser.demos import play_demo
from tests.browser.driver import Driver
from tests.browser.lone_person import Alone, Painter, reached
from tests.browser.seat_page import DRAWN, Page
from tests.waiting import until


def test_a_match_is_played_in_firefox(firefox: Driver, tmp_path: Path) -> None:
    human = play_demo(firefox, tmp_path)["human"]
    assert (human["link"], human["browser"], human["input"]) == ("websocket", "Firefox", "keys")
    assert human["browserVersion"] == firefox.version.partition(".")[0]
    assert human["actionLatency"]["count"] >= 1


def test_over_data_channels_firefox_has_every_picture_pixel_by_pixel(firefox: Driver) -> None:
    env = Painter()
    with Alone(env) as alone:
        page = Page(firefox, f"{alone.seat.url}?link=datachannel")
        page.until(DRAWN)
        assert page.ask("value", expression="window.page.link.kind") == "datachannel"
        reached(env, 60)
        alone.pauses.set()
        until(alone.stands.is_set)
        page.until(f"window.page.screen.drawn?.frame === {env.steps - 1} && !window.page.screen.simplified")
        assert np.array_equal(page.canvas(), env.canvas)
        alone.pauses.clear()
        page.ask("press", code="ArrowLeft")
        until(lambda: env.actions[-1] == 1)
    page.phase("over")
