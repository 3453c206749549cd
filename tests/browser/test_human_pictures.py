"""What a person's page shows in a real browser: every picture pixel by pixel, over either link."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.browser.driver import Driver
from tests.browser.lone_person import Alone, Painter, reached
from tests.browser.seat_page import DRAWN, Page
from tests.browser.states import TOLD, Stage, picture
from tests.waiting import until

NEVER_OPEN = (
    "RTCPeerConnection.prototype.setRemoteDescription = () => new Promise(() => {});"
    "const after = setTimeout; setTimeout = (work, ms) => after(work, Math.min(ms, 1000));"
)
"""A connection that comes to nothing, and clocks that are soon over."""


def test_the_canvas_is_what_the_environment_rendered_pixel_by_pixel(browser: Driver) -> None:
    env = Painter()
    with Alone(env) as alone:
        page = Page(browser, alone.seat.url)
        for frames in (1, 20, 60, 100):
            reached(env, frames)
            alone.stands.clear()
            alone.pauses.set()
            until(alone.stands.is_set)
            page.until(f"window.page.screen.drawn?.frame === {env.steps - 1}")
            assert np.array_equal(page.canvas(), env.canvas)
            alone.pauses.clear()
        seen = page.ask("seen")
        assert seen["errors"] == []
        assert all(url.startswith("http://127.0.0.1:") for url in seen["requests"])
        page.ask("press", code="ArrowLeft")
        until(lambda: 1 in env.actions)
        page.ask("release", code="ArrowLeft")
        page.ask("press", code="ArrowRight")
        until(lambda: 2 in env.actions)
    page.phase("over")
    page.ask("close")


def test_over_data_channels_the_canvas_is_the_same_pixel_by_pixel(browser: Driver) -> None:
    env = Painter()
    with Alone(env, emulation={"loss": 0.05, "seed": 1}) as alone:
        page = Page(browser, f"{alone.seat.url}?link=datachannel")
        page.until(DRAWN)
        assert page.ask("value", expression="window.page.link.kind") == "datachannel"
        for frames in (20, 60, 100):  # in the last ones the picture is drawn anew, in many pieces
            reached(env, frames)
            alone.stands.clear()
            alone.pauses.set()
            until(alone.stands.is_set)
            frame = f"window.page.screen.drawn?.frame === {env.steps - 1}"
            page.until(f"{frame} && !window.page.screen.simplified")
            assert np.array_equal(page.canvas(), env.canvas)
            alone.pauses.clear()
        page.ask("press", code="ArrowLeft")
        until(lambda: env.actions[-1] == 1)
        page.ask("release", code="ArrowLeft")
        until(lambda: env.actions[-1] == 0)
        until(lambda: len(alone.seat.measured.action_latencies) >= 2)
    page.phase("over")
    facts = alone.seat.measured.facts
    assert facts is not None
    assert (facts.link, facts.link_reason) == ("datachannel", "the page's link asks for it")
    assert alone.seat.measured.rtt.statistics() is not None
    assert page.ask("seen")["errors"] == []


@pytest.mark.parametrize(
    ("init", "reason"),
    [
        (NEVER_OPEN, "no data channel opened in time"),
        ("window.fetch = () => Promise.reject(new Error('no'));", "no data channel could be made"),
    ],
    ids=["late", "failed"],
)
def test_a_page_whose_data_channels_do_not_open_goes_on_with_a_websocket(
    browser: Driver, init: str, reason: str
) -> None:
    with Alone(Painter()) as alone:
        page = Page(browser, f"{alone.seat.url}?link=datachannel", init=init)
        page.until(DRAWN)
        assert page.ask("value", expression="window.page.link.kind") == "websocket"
        facts = alone.seat.measured.facts
        assert facts is not None
        assert (facts.link, facts.link_reason) == ("websocket", reason)


class Scroller(Painter):
    """Changes every pixel in every step."""

    def render(self) -> Any:
        return np.full_like(self.canvas, self.steps % 256)


COUNTING = """
window.counts = { blobs: 0, sent: 0, got: 0 };
window.Blob = class extends Blob {
  constructor(...given) {
    super(...given);
    counts.blobs += 1;
  }
};
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("message", () => (counts.got += 1));
  }
  send(...given) {
    super.send(...given);
    counts.sent += 1;
  }
};
"""
"""Counts what a page has done, and what it says and is told."""


def test_of_pictures_that_change_all_over_the_page_keeps_few_and_says_no_more_than_it_is_told(
    browser: Driver,
) -> None:
    with Alone(Scroller()) as alone:
        page = Page(browser, alone.seat.url, init=COUNTING)
        page.until("window.page?.screen.drawn?.frame > 90 && window.counts.got > 20")
        assert page.ask("value", expression="window.page.screen.kept") <= 17  # under way, and their base
        counts = page.ask("value", expression="window.counts")
        assert counts["blobs"] == 0  # each would be a trip to another process of the browser, and back
        assert counts["sent"] <= 2 * counts["got"] + 5  # an answer each, and when it was drawn


SCALES = {
    (1440, 900, 1.0): 2.0,
    (1440, 900, 2.0): 2.5,
    (1366, 650, 1.25): 1.6,
    (820, 1180, 2.0): 1.5,
    (820, 1180, 1.0): None,
    (390, 844, 2.0): None,
    (390, 844, 1.0): None,
}
"""Of the bundled game by the window and its dots a CSS pixel; ``None`` is as large as there is room for."""


@pytest.mark.parametrize("window", SCALES)
def test_a_pixel_is_a_square_of_whole_dots_unless_that_makes_the_picture_small(
    browser: Driver, window: tuple[int, int, float]
) -> None:
    width, height, ratio = window
    shown = picture()
    with Stage(browser, shown, width=width, height=height, ratio=ratio) as stage:
        stage.tell(TOLD["playing"])
        stage.show()
        wide, high, room, smooth = stage.page.ask("value", expression=SHOWN)
        rows, columns = shown.shape[:2]
        assert wide / high == pytest.approx(columns / rows, rel=1e-3)
        whole = SCALES[window]
        assert wide / columns == pytest.approx(room / columns if whole is None else whole, rel=1e-3)
        assert smooth is (whole is None)
        assert wide / room >= 2 / 3


SHOWN = """(() => {
  const canvas = document.getElementById("screen");
  const { width, height } = canvas.getBoundingClientRect();
  const box = canvas.parentElement.getBoundingClientRect();
  const room = Math.min(box.width, (box.height * canvas.width) / canvas.height);
  return [width, height, room, canvas.classList.contains("smooth")];
})()"""
