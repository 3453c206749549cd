"""A person's seat in a real browser: keys by trusted events, and the picture pixel by pixel."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import gymnasium
import jsonschema
import numpy as np
import pytest
from gymnasium import spaces

import gym_p2p
from gym_p2p import HumanSeat, PersonGone
from gym_p2p.exports import schema
from gym_p2p.study.report.report import report_html
from tests.browser.driver import Driver
from tests.browser.seat_page import DRAWN, Page
from tests.waiting import PATIENCE_S, until

NEVER_OPEN = (
    "RTCPeerConnection.prototype.setRemoteDescription = () => new Promise(() => {});"
    "const after = setTimeout; setTimeout = (work, ms) => after(work, Math.min(ms, 1000));"
)
"""A connection that comes to nothing, and clocks that are soon over."""


class Painter(gymnasium.Env[Any, Any]):
    """Paints another corner in every step: noise, flat colours, and everything at once."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 60}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(self, render_mode: str | None = "rgb_array", actions: int = 3) -> None:
        self.render_mode = render_mode
        self.action_space = spaces.Discrete(actions)
        self.observation_space = spaces.Discrete(100_000)
        self._random = np.random.default_rng(1)
        self.canvas = self._random.integers(0, 256, (90, 120, 3), np.uint8)
        self.steps = 0
        self.actions: list[int] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.actions.append(action)
        x, y = self._random.integers(0, 110), self._random.integers(0, 80)
        self.canvas[y : y + 9, x : x + 9] = self._random.integers(0, 256, 3, np.uint8)
        if self.steps % 25 == 0:
            self.canvas = self._random.integers(0, 256, self.canvas.shape, np.uint8)
        return self.steps, 0.0, False, False, {}

    def render(self) -> Any:
        return self.canvas


def reached(env: Painter, steps: int) -> None:
    until(lambda: env.steps >= steps)


class Alone:
    """A person alone with an environment, on a thread; stands still whenever it is told to."""

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        keys: dict[str, Any] | None = None,
        mask: Callable[[], Any] = lambda: None,
        emulation: dict[str, float] | None = None,
    ) -> None:
        self.env = env
        self.mask = mask
        self.pauses = threading.Event()
        self.stands = threading.Event()
        self.over = threading.Event()
        self.error: BaseException | None = None
        self.seat = HumanSeat(
            env,
            keys=keys or {"ArrowLeft": 1, "ArrowRight": 2},
            announce=lambda _: None,
            browser=False,
            countdown_s=0,
            emulation=emulation,
        )
        self.thread = threading.Thread(target=self._play)

    def __enter__(self) -> Self:
        self.thread.start()
        until(lambda: not self.seat.url.startswith("http://127.0.0.1:0/"))
        return self

    def __exit__(self, *_error: object) -> None:
        self.over.set()
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()

    def _play(self) -> None:
        try:
            with self.seat as person:
                self.env.reset()
                while not self.over.is_set():
                    action = person.action(mask=self.mask())
                    while self.pauses.is_set() and not self.over.is_set():
                        self.stands.set()
                        self.over.wait(0.01)
                    self.env.step(action)
        except PersonGone as error:
            self.error = error


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


def test_of_pictures_that_change_all_over_the_page_keeps_few(browser: Driver) -> None:
    with Alone(Scroller()) as alone:
        page = Page(browser, alone.seat.url)
        page.until("window.page?.screen.drawn?.frame > 90")
        assert page.ask("value", expression="window.page.screen.kept") <= 17  # under way, and their base


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


def test_a_modifier_of_the_browser_is_a_key_where_the_controls_have_it(browser: Driver) -> None:
    env = Painter()
    with Alone(env, keys={"ControlLeft": 1, "ArrowRight": 2}) as alone:
        page = Page(browser, alone.seat.url)
        page.until(DRAWN)
        page.ask("press", code="AltLeft")
        page.ask("press", code="ArrowRight")  # with Alt it is the browser's
        page.ask("release", code="ArrowRight")
        page.ask("release", code="AltLeft")
        page.ask("press", code="ControlLeft")
        until(lambda: 1 in env.actions)
        assert 2 not in env.actions
        page.ask("press", code="ArrowRight")
        until(lambda: 2 in env.actions)


def test_fingers_press_the_same_keys(browser: Driver) -> None:
    env = Painter()
    with Alone(env) as alone:
        page = Page(browser, alone.seat.url, width=390, height=844, touch=True)
        page.until("document.querySelector('#pad [data-code=ArrowRight]') !== null")
        assert page.ask("value", expression="document.getElementById('pad').hidden") is False
        sizes = page.ask(
            "value", expression="[...document.querySelectorAll('#pad button')].map((one) => one.offsetWidth)"
        )
        assert min(sizes) >= 44  # WCAG 2.5.5
        page.ask("tap", selector="#pad [data-code=ArrowRight]")
        until(lambda: 2 in env.actions)
        assert page.ask("value", expression="document.documentElement.scrollWidth <= innerWidth") is True


TABLES = {
    "a cross and two buttons": (
        {"ArrowLeft": 1, "ArrowRight": 2, "ArrowUp": 3, "ArrowDown": 4, "a": 1, "d": 2, "w": 3, "s": 4}
        | {"Space": {"action": 5, "label": "fire"}, "x": 6},
        ["ArrowUp", "ArrowLeft", "ArrowDown", "ArrowRight", "Space", "KeyX"],
    ),
    "two crosses": (
        dict(zip(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", *"wasd"], range(1, 9), strict=True)),
        ["ArrowUp", "ArrowLeft", "ArrowDown", "ArrowRight", "KeyW", "KeyA", "KeyS", "KeyD"],
    ),
    "letters that lie in a square": (
        {letter: number for number, letter in enumerate("qazwsxedc", 1)},
        [f"Key{letter}" for letter in "QWEASDZXC"],
    ),
    "a key that only counts with another one": ({"ArrowUp": 1, "ArrowUp+Space": 2}, ["ArrowUp", "Space"]),
    "as many as a keyboard of ALE": (
        {f"{key}": number for number, key in enumerate("qwertyuiopfghjklz", 1)},
        [f"Key{letter}" for letter in "QWERTYUIOPFGHJKLZ"],
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_key_of_a_table_has_a_button_for_a_thumb_in_sight(browser: Driver, name: str) -> None:
    keys, codes = TABLES[name]
    env = Painter(actions=20)
    with Alone(env, keys=keys) as alone:
        page = Page(browser, alone.seat.url, width=390, height=844, touch=True)
        page.until("document.querySelectorAll('#pad button').length > 0")
        for width, height in ((390, 844), (844, 390)):
            page.ask("resize", width=width, height=height)
            page.until(DRAWN)
            buttons = page.ask("value", expression=BUTTONS)
            assert [button["code"] for button in buttons] == codes
            for button in buttons:
                assert min(button["width"], button["height"]) >= 44, button  # WCAG 2.5.5
                assert button["inSight"], button
            assert page.ask("value", expression="document.documentElement.scrollWidth <= innerWidth") is True
        page.ask("tap", selector=f"#pad [data-code={codes[0]}]")
        until(lambda: any(env.actions))
        page.ask("close")


BUTTONS = """[...document.querySelectorAll("#pad button")].map((one) => {
  const { left, right, top, bottom, width, height } = one.getBoundingClientRect();
  const under = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  return { code: one.dataset.code, width, height, inSight: under === one };
})"""

GAMEPADS = """{
  window.pads = [];
  const buttons = () => Array.from({ length: 17 }, () => ({ pressed: false, value: 0 }));
  window.plug = (index, mapping = "standard") => {
    pads[index] = { index, mapping, connected: true, axes: [0, 0, 0, 0], buttons: buttons() };
    dispatchEvent(Object.assign(new Event("gamepadconnected"), { gamepad: pads[index] }));
  };
  window.pull = (index) => {
    const gamepad = pads[index];
    gamepad.connected = false;
    pads[index] = null;
    dispatchEvent(Object.assign(new Event("gamepaddisconnected"), { gamepad }));
  };
  navigator.getGamepads = () => pads;
}"""
"""Gamepads that are plugged in by hand: a headless browser has none."""


def test_gamepads_press_the_same_keys_several_at_once_and_a_lost_focus_releases_them(browser: Driver) -> None:
    env = Painter(actions=20)
    keys = {"ArrowLeft": 1, "ArrowRight": 2, "ArrowUp": 3, "ArrowDown": 4, "a": 1, "d": 2, "Space": 5, "x": 6}

    def does(action: int) -> None:
        until(lambda: env.actions[-3:] == [action] * 3)

    with Alone(env, keys=keys) as alone:
        page = Page(browser, alone.seat.url)
        page.until(DRAWN)
        page.ask("value", expression=GAMEPADS)
        page.ask("value", expression="plug(0)")
        page.until("document.getElementById('status').textContent === 'Gamepad connected.'")
        for push, action in (
            ("pads[0].buttons[14].pressed = true", 1),  # the cross
            ("pads[0].buttons[14].pressed = false", 0),
            ("pads[0].axes[0] = 0.3", 0),  # a thumb that lies on the stick
            ("pads[0].axes[0] = 0.8", 2),
            ("pads[0].axes[0] = 0.4", 2),  # it trembles
            ("pads[0].axes[0] = 0.1", 0),
            ("pads[0].axes[1] = -1", 3),
            ("pads[0].axes[1] = 1", 4),
            ("pads[0].axes[1] = 0", 0),
            ("pads[0].buttons[0].pressed = true", 5),
            ("pads[0].buttons[0].pressed = false", 0),
            ("pads[0].buttons[1].pressed = true", 6),
        ):
            page.ask("value", expression=push)
            does(action)
        page.ask("value", expression="plug(1)")
        page.ask("value", expression="pads[1].buttons[1].pressed = true")
        page.ask("value", expression="pads[0].buttons[1].pressed = false")
        does(6)  # the other one holds it
        page.ask("press", code="KeyX")
        page.ask("value", expression="pull(1)")
        page.until("document.getElementById('status').textContent === 'Gamepad disconnected.'")
        does(6)  # and now the keyboard
        page.ask("release", code="KeyX")
        does(0)
        page.ask("value", expression="pads[0].buttons[15].pressed = true")
        does(2)
        page.ask("value", expression="document.hasFocus = () => false; dispatchEvent(new Event('blur'))")
        does(0)
        page.ask("value", expression="document.hasFocus = () => true; dispatchEvent(new Event('focus'))")
        does(0)  # until it is pressed again
        page.ask(
            "value", expression="pads[0].buttons[15].pressed = false; pads[0].buttons[12].pressed = true"
        )
        does(3)
        page.ask("value", expression="plug(2, '')")
        page.until("document.getElementById('status').textContent.includes('does not know')")
        page.ask("value", expression="pull(0); pull(2)")
        does(0)
        seen = page.ask("seen")
        assert seen["errors"] == []


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


def test_a_finger_brings_the_buttons_also_after_a_mouse(browser: Driver) -> None:
    env = Painter()
    with Alone(env) as alone:
        page = Page(browser, alone.seat.url)
        page.until(DRAWN)
        hidden = "document.getElementById('pad').hidden"
        page.ask("click", selector="#screen")
        assert page.ask("value", expression=hidden) is True
        page.ask("value", expression="dispatchEvent(new PointerEvent('pointerdown', {pointerType: 'touch'}))")
        assert page.ask("value", expression=hidden) is False


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
