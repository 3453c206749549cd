"""What presses keys in a person's page, in a real browser: the keyboard, fingers, gamepads."""

from __future__ import annotations

import pytest

from tests.browser.driver import Driver
from tests.browser.lone_person import Alone, Painter, reached
from tests.browser.seat_page import DRAWN, Page
from tests.waiting import until


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


def test_what_is_held_on_the_keyboard_is_released_with_command_and_not_on_a_gamepad(browser: Driver) -> None:
    """As on macOS, where nobody is told which keys were released while Command was held."""
    env = Painter()

    def does(action: int) -> None:
        until(lambda: env.actions[-3:] == [action] * 3)

    with Alone(env) as alone:
        page = Page(browser, alone.seat.url)
        page.until(DRAWN)
        page.ask("press", code="ArrowRight")
        does(2)
        page.ask("press", code="MetaLeft")
        does(2)
        page.ask("press", code="ArrowLeft")  # the browser's: back, perhaps
        does(2)
        page.ask("release", code="MetaLeft")
        does(0)
        page.ask("release", code="ArrowLeft")
        page.ask("release", code="ArrowRight")
        page.ask("press", code="ArrowRight")  # and all is as before
        does(2)
        page.ask("press", code="MetaRight")
        page.ask("release", code="MetaRight")
        does(0)
        page.ask("value", expression=GAMEPADS)
        page.ask("value", expression="plug(0); pads[0].buttons[14].pressed = true")
        does(1)
        page.ask("press", code="MetaLeft")
        page.ask("release", code="MetaLeft")
        steps = env.steps
        reached(env, steps + 10)
        assert set(env.actions[steps:]) == {1}  # of which the browser says when it is let go


def test_the_space_bar_presses_a_button_with_the_focus_also_in_a_game_that_has_it(browser: Driver) -> None:
    env = Painter()
    with Alone(env, keys={"Space": 1, "ArrowRight": 2}) as alone:
        page = Page(browser, alone.seat.url)
        page.until(DRAWN)
        page.ask("value", expression="document.getElementById('leave').focus()")
        page.ask("press", code="Space")
        page.ask("release", code="Space")
        page.until("document.activeElement.id === 'screen'")  # which it gives the focus to
        assert 1 not in env.actions
        page.ask("press", code="Space")
        until(lambda: 1 in env.actions)


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
        for code, action in (("ArrowLeft", 1), ("ArrowRight", 2)):
            page.ask("press", code=code)
            until(lambda wanted=action: env.actions[-1] == wanted)  # type: ignore[misc]  # the loop's own
            page.ask("release", code=code)
        facts = alone.seat.measured.facts
        assert facts is not None
        assert facts.input == "keys"  # most of them, on a device for fingers


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
        facts = alone.seat.measured.facts
        assert facts is not None
        assert facts.input == "gamepad"
