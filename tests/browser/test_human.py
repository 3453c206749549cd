"""A person's seat in a real browser: the picture pixel by pixel, what the page says, and how it ends."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import gym_p2p
from gym_p2p import PersonGone
from gym_p2p.exports import schema
from gym_p2p.study.report.report import report_html
from tests.browser.driver import Driver
from tests.browser.lone_person import Alone, Painter, reached
from tests.browser.seat_page import DRAWN, Page
from tests.waiting import PATIENCE_S, until

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


class Slow(Painter):
    """Takes its time to begin."""

    def __init__(self) -> None:
        super().__init__()
        self.begins = threading.Event()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        assert self.begins.wait(PATIENCE_S)
        return super().reset(seed=seed, options=options)


def test_who_waits_is_told_for_how_long_though_nothing_else_changes(browser: Driver) -> None:
    env = Slow()
    with Alone(env) as alone:
        page = Page(browser, alone.seat.url)
        page.phase("waiting")
        assert "waited" not in page.text()
        # A minute that is over at once.
        page.ask(
            "value", expression="{ const now = performance.now(); performance.now = () => now + 61000; }"
        )
        page.until("document.body.innerText.includes('You have waited 1 min.')")
        env.begins.set()
        page.phase("playing")
        page.until("!document.body.innerText.includes('You have waited')")


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
        page.until("window.page?.screen.drawn?.frame > 90")
        assert page.ask("value", expression="window.page.screen.kept") <= 17  # under way, and their base
        counts = page.ask("value", expression="window.counts")
        assert counts["got"] > 20
        assert counts["blobs"] == 0  # each would be a trip to another process of the browser, and back
        assert counts["sent"] <= 1.2 * counts["got"] + 5  # an answer each, and what was drawn late


def test_a_reload_takes_the_seat_again_and_a_second_tab_takes_it_over(browser: Driver) -> None:
    env = Painter()
    with Alone(env) as alone:
        page = Page(browser, alone.seat.url)
        page.until(DRAWN)
        page.ask("reload")
        page.until(DRAWN)
        second = Page(browser, alone.seat.url, beside=page.number)
        second.until(DRAWN)
        page.until("document.body.innerText.includes('another tab')")
        second.ask("press", code="ArrowLeft")
        until(lambda: 1 in env.actions)
        page.ask("click", selector="#card-button")
        page.until(DRAWN)
        second.until("document.body.innerText.includes('another tab')")
    assert alone.error is None


class Forbidding(Painter):
    """Forbids one action after another."""

    forbidden = 1

    def mask(self) -> list[int]:
        return [number != self.forbidden for number in range(3)]


def test_what_is_illegal_is_greyed_out_and_its_key_does_nothing(browser: Driver) -> None:
    env = Forbidding()
    with Alone(env, mask=env.mask) as alone:
        page = Page(browser, alone.seat.url, touch=True)
        page.until(DRAWN)
        grey = "[...document.querySelectorAll('#pad .illegal')].map((one) => one.dataset.code).join()"
        page.until(f"{grey} === 'ArrowLeft'")
        assert page.ask("value", expression="document.querySelectorAll('#controls .illegal').length") == 1
        page.ask("press", code="ArrowLeft")
        page.until("window.page.screen.drawn.frame > 30")
        assert set(env.actions) == {0}
        env.forbidden = 2
        page.until(f"{grey} === 'ArrowRight'")
        until(lambda: env.actions[-1] == 1)


def test_whose_turn_it_is_stands_beside_a_long_list_of_keys(browser: Driver, monkeypatch: Any) -> None:
    keys = {letter: {"action": n, "label": f"the square of {letter}"} for n, letter in enumerate("qazwsxedc")}
    with Alone(Painter(actions=9), keys=keys) as alone:
        page = Page(browser, alone.seat.url, width=1024)
        page.until(DRAWN)
        status = "document.getElementById('status').textContent"
        monkeypatch.setattr(alone.seat._stage, "own_turn", True)
        page.until(f"{status}.startsWith('It is your turn.') && document.title.startsWith('Your turn')")
        height = page.ask("value", expression="document.getElementById('leave').offsetHeight")
        assert height < 60  # of two lines it is 63
        monkeypatch.setattr(alone.seat._stage, "own_turn", False)
        page.ask("press", code="KeyQ")  # which was waited for
        page.until(f"{status}.startsWith('Another player')")


def test_a_page_that_loses_the_focus_releases_its_keys_and_leaving_ends_the_seat(browser: Driver) -> None:
    env = Painter()
    with Alone(env) as alone:
        page = Page(browser, alone.seat.url)
        page.until(DRAWN)
        page.ask("press", code="ArrowLeft")
        until(lambda: env.actions[-3:] == [1, 1, 1])
        # A headless page always says that it has the focus: the event by hand, as a real one would come.
        page.ask("value", expression="document.hasFocus = () => false; dispatchEvent(new Event('blur'))")
        until(lambda: env.actions[-3:] == [0, 0, 0])
        page.until("document.getElementById('status').textContent.includes('keys go elsewhere')")
        page.ask("click", selector="#leave")
        page.ask("click", selector="#leave")
        until(lambda: alone.error is not None)
    assert isinstance(alone.error, PersonGone)
    assert alone.error.reason == "left"
    page.until("document.getElementById('card-head').textContent === 'You left the game'")


BAD = {
    "garbage": "page.link.send('{')",
    "ten thousand keys": "for (let n = 1; n <= 10000; n++) "
    "page.link.send({ t: 'keys', held: [], changes: [[n, 1, 'ArrowLeft', 'keys']] })",
}


@pytest.mark.parametrize("link", ["websocket", "datachannel"])
@pytest.mark.parametrize("what", BAD)
def test_a_page_that_sends_what_no_page_does_reads_so_and_its_seat_is_a_lost_players(
    browser: Driver, what: str, link: str
) -> None:
    with Alone(Painter()) as alone:
        page = Page(browser, f"{alone.seat.url}?link={link}")
        page.until(DRAWN)
        assert page.ask("value", expression="window.page.link.kind") == link
        page.ask("value", expression=BAD[what])
        page.until("document.getElementById('card-head').textContent === 'Disconnected'")
        until(lambda: alone.error is not None)
        assert isinstance(alone.error, PersonGone)
        assert alone.error.reason == "page_dropped"
        page.ask("close")


def _demo(folder: Path, *arguments: str) -> tuple[subprocess.Popen[str], str]:
    """Start a demo for a person; return it and the link that it prints."""
    command = [sys.executable, "-m", "gym_p2p", "demo", "--human", "--no-browser", "--json", *arguments]
    demo = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert demo.stderr is not None
    for line in demo.stderr:
        found = re.search(r"http://\S+", line)
        if found:
            return demo, found[0]
    raise AssertionError("no link was printed")


def test_the_demo_is_played_by_a_person_and_says_so_in_its_exports(browser: Driver, tmp_path: Path) -> None:
    demo, url = _demo(tmp_path, "--env-arg", "max_frames=150")
    page = Page(browser, url)
    page.phase("playing")
    page.until(DRAWN)
    before = page.canvas()
    page.ask("press", code="ArrowUp")
    page.until("window.page.screen.drawn.frame > 60")
    rows = slice(0, before.shape[0] // 3)  # the paddle is up there now
    assert not np.array_equal(page.canvas()[rows, 20:40], before[rows, 20:40])
    page.ask("release", code="ArrowUp")
    page.phase("over")
    out, err = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 0, err
    assert json.loads(out)["aggregate"]["fullySynced"] is True

    (path,) = tmp_path.glob("p2p-exports/*T*Z-*/left.multiplayer.json")
    document = json.loads(path.read_text())
    jsonschema.validate(document, schema("multiplayer"))
    human = document["human"]
    assert (human["link"], human["browser"], human["input"]) == ("websocket", "Chrome", "keys")
    assert human["pageSize"] == [1000, 700]
    assert human["framesShown"] > 20
    assert human["actionLatency"]["count"] >= 1
    assert human["pageRtt"]["sampleCount"] >= 1
    assert document["focusLoss"]["periodCount"] == 0
    assert [player["playedBy"] for player in document["players"]] == ["person", "policy"]
    actions = [row["action"] for row in document["validation"]["allActions"] if row["playerId"] == "left"]
    assert 1 in actions
    study = gym_p2p.load(tmp_path / "p2p-exports")
    own = [row for row in study.frames() if row["seat"] == "left"]
    assert {row["actor"] for row in own} == {"person"}
    assert {row["focused"] for row in own} == {True}
    seen = [(row["t_ms"], row["shown_ms"]) for row in own if row["shown_ms"] is not None]
    assert len(seen) >= human["framesShown"] - 3  # and what reset gave, and the end
    assert all(0 <= shown - played < 5000 for played, shown in seen)  # on the clock of this process
    others = [row for row in study.frames() if row["seat"] == "right"]
    assert {(row["actor"], row["shown_ms"], row["focused"]) for row in others} == {("policy", None, None)}
    assert {(row["from"], row["to"]) for row in study.latency if row["link"] == "page"} == {("left", "left")}
    assert {(row["from"], row["to"]) for row in study.latency if row["link"] == "peer"} == {
        ("left", "right"),
        ("right", "left"),
    }
    player = next(row for row in study.players if row["player"] == "left")
    assert player["page_link"] == "websocket"
    assert player["action_latencies"] == len(player["action_latencies_ms"])
    assert "What people felt" in report_html(study)

    (recording,) = tmp_path.glob("p2p-exports/*T*Z-*/left.p2preplay")
    replay = [sys.executable, "-m", "gym_p2p", "replay", str(recording)]
    subprocess.run(replay, check=True, timeout=PATIENCE_S)  # all that was recorded comes out again


def test_ctrl_c_before_the_page_is_opened_leaves_nothing(tmp_path: Path) -> None:
    demo, _ = _demo(tmp_path)
    demo.send_signal(2)
    demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 130
