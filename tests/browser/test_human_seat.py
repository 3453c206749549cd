"""A person's seat in a real browser: what the page says of it, who has it, and how it ends."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gym_p2p import PersonGone
from gym_p2p.human.page_files import OURS
from tests.browser.driver import Driver
from tests.browser.lone_person import Alone, Painter
from tests.browser.seat_page import DRAWN, Page
from tests.browser.states import TOLD, Stage, picture
from tests.waiting import PATIENCE_S, until


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


def test_a_tab_that_was_taken_over_says_how_the_game_ended_in_the_other_one(browser: Driver) -> None:
    with Stage(browser, picture()) as stage:
        stage.tell(TOLD["playing"])
        first = stage.page
        stage.page = Page(browser, stage.url, beside=first.number)
        first.until("document.body.innerText.includes('another tab')")
        stage.tell(TOLD["between"])
        assert first.head() == "Open in another tab", "there is a game to be played on in yet"
        stage.tell(TOLD["over, and what is next"])
        first.until("document.getElementById('card-head').textContent === 'The game is over'")
        assert first.ask("value", expression=BUTTON) == "Continue"
        assert "Code of this game: 7f3a-91c2" in first.text()
        assert first.ask("value", expression="document.title") == "Over · Rally"
        first.ask("close")


@pytest.mark.parametrize(
    "init",
    [
        "delete window.BroadcastChannel;",
        "window.BroadcastChannel = class { constructor() { throw new DOMException('', 'SecurityError'); } };",
    ],
    ids=["not there", "not allowed"],
)
def test_a_browser_whose_tabs_cannot_tell_each_other_anything_shows_the_game(
    browser: Driver, init: str
) -> None:
    with Stage(browser, picture(), init=init) as stage:
        stage.show()
        stage.tell(TOLD["over"])
        assert stage.page.head() == "You won"


def test_who_plays_elsewhere_reads_that_nothing_answers_once_the_game_is_closed(browser: Driver) -> None:
    with Alone(Painter()) as alone:
        page = Page(browser, alone.seat.url)
        page.until(DRAWN)
        second = Page(browser, alone.seat.url)  # in another window, of whose tabs this one hears nothing
        page.until("document.body.innerText.includes('another tab')")
        second.until(DRAWN)
    page.ask("click", selector="#card-button")  # and nobody is there any more
    page.until("document.body.innerText.includes('the program that runs the game has ended')")
    assert page.ask("value", expression="document.title") == "No answer"
    assert page.ask("value", expression=BUTTON) == "Try again"


@pytest.mark.parametrize(
    "answer", ["no network", "silence", "gone", "somewhere else", 401, 403, 404, 429, 502]
)
def test_who_tries_again_in_vain_may_do_so_once_more_unless_the_link_is_not_good_any_more(
    browser: Driver, answer: str | int
) -> None:
    """An answer that is a number is a proxy's: of it nobody knows whether the link is good."""
    with Stage(browser, picture(), init=HASTE) as stage:
        page = stage.page
        stage.tell(TOLD["gone"])
        assert page.ask("value", expression=BUTTON) == "Try again"
        page.ask("value", expression=ANSWERING[answer])
        page.ask("click", selector="#card-button")
        page.until("window.disabled === true")  # as long as it asks
        head = HEADS.get(answer, "No answer")
        page.until(f"document.getElementById('card-head').textContent === '{head}'")
        assert page.ask("value", expression="document.title") == head
        button = "Reload" if head == "You are not let in" else "Try again"
        assert page.ask("value", expression=BUTTON) == ("" if answer == "gone" else button)
        if answer != "gone":
            page.ask("value", expression="window.fetch = window.fetchOnce; window.fetchOnce = undefined; 0")
            page.ask("press", code="Enter")  # the button has the focus
            page.until("Boolean(window.page?.link.open) && window.disabled === undefined")  # loaded anew


def test_a_page_that_asks_for_a_place_by_itself_goes_on_asking_while_nobody_answers(browser: Driver) -> None:
    with Stage(browser, picture(), init=HASTE) as stage:
        stage.tell(TOLD["waiting"])
        stage.page.ask("value", expression=ANSWERING["no network"])
        stage.close_with("full")
        stage.page.until("window.asked > 2")
        assert stage.page.head() == "All places are taken"


@pytest.mark.parametrize("answer", ["gone", 401])
def test_a_page_that_asks_for_a_place_asks_no_more_once_it_gets_none_by_asking(
    browser: Driver, answer: str | int
) -> None:
    with Stage(browser, picture(), init=HASTE) as stage:
        stage.tell(TOLD["waiting"])
        stage.page.ask("value", expression=ANSWERING[answer])
        stage.close_with("full")
        stage.page.until(f"document.title === '{HEADS[answer]}'")
        assert stage.page.ask("value", expression="window.asked") == 1


HEADS: dict[int | str, str] = {
    "gone": "This link is not good any more",
    "somewhere else": "You are not let in",
    401: "You are not let in",
    403: "You are not let in",
    404: "Not just now",
    429: "Not just now",
    502: "Not just now",
}
"""What stands on the card, by the answer."""

BUTTON = """(() => {
  const button = document.getElementById("card-button");
  return button.hidden || button.disabled ? "" : button.textContent;
})()"""
"""What stands on the card's button; "" where there is none to press."""

_ANSWER = """{{
  window.fetchOnce = window.fetch;
  window.fetch = (_, how) => {{
    window.disabled = document.getElementById("card-button").disabled;
    return {answer};
  }};
}}"""

ANSWERING: dict[int | str, str] = {
    "no network": _ANSWER.format(answer='Promise.reject(new Error("nobody"))'),
    "silence": _ANSWER.format(
        answer='new Promise((_, no) => how.signal.addEventListener("abort", () => no(how.signal.reason)))'
    ),
    "gone": _ANSWER.format(
        answer=f'Promise.resolve(new Response(null, {{ status: 404, headers: {{ "{OURS}": "page" }} }}))'
    ),
    "somewhere else": _ANSWER.format(  # as a browser gives it that is not to follow
        answer='how.redirect === "manual" && '
        'Promise.resolve({ status: 0, ok: false, type: "opaqueredirect" })'
    ),
    **{
        status: _ANSWER.format(answer=f"Promise.resolve(new Response(null, {{ status: {status} }}))")
        for status in HEADS
        if isinstance(status, int)
    },
}
"""What has a page's questions answered so."""


HASTE = """{
  const wait = window.setTimeout;
  window.asked = 0;
  window.setTimeout = (what, ms, ...rest) => {
    if (ms === 10000) window.asked += 1;
    return wait(what, ms === 10000 ? 50 : ms, ...rest);
  };
  const limit = AbortSignal.timeout;
  AbortSignal.timeout = (ms) => limit.call(AbortSignal, window.fetchOnce ? ms / 100 : ms);
}"""
"""Ten seconds are over at once; for what really asks they are as long as ever."""


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


@pytest.mark.parametrize("text", ["word " * 400, "x" * 2000, "a line\n" * 100])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (820, 1180), (844, 390)])
def test_a_long_text_leaves_the_game_and_its_buttons_in_sight(
    browser: Driver, text: str, width: int, height: int
) -> None:
    with Alone(Painter()) as alone:
        page = Page(browser, alone.seat.url, width=width, height=height)
        page.until(DRAWN)
        alone.seat.show(text=text)
        page.until("document.getElementById('message').textContent.length > 500")
        root = page.ask("value", expression="[document.body.scrollWidth, document.body.scrollHeight]")
        assert (root[0] <= width, root[1] <= height) == (True, True)
        assert page.ask("value", expression="document.getElementById('screen').offsetHeight") >= 90


def test_a_window_that_is_told_it_lost_the_focus_releases_until_something_is_pressed(browser: Driver) -> None:
    env = Painter()
    with Alone(env) as alone:
        page = Page(browser, alone.seat.url)
        page.until(DRAWN)
        page.ask("press", code="ArrowLeft")
        until(lambda: env.actions[-3:] == [1, 1, 1])
        page.ask("value", expression="dispatchEvent(new Event('blur'))")
        until(lambda: env.actions[-3:] == [0, 0, 0])
        until(lambda: not alone.seat._person.focused)
        page.until("document.getElementById('status').textContent.includes('keys go elsewhere')")
        page.ask("press", code="ArrowRight")
        until(lambda: env.actions[-3:] == [2, 2, 2])
        until(lambda: alone.seat._person.focused)
        page.until("!document.getElementById('status').textContent.includes('keys go elsewhere')")


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
        page.ask("click", selector="#leave", times=2)  # it asks for the second one for four seconds
        until(lambda: alone.error is not None)
    assert isinstance(alone.error, PersonGone)
    assert alone.error.reason == "left"
    page.until("document.getElementById('card-head').textContent === 'You left the game'")
    assert page.ask("value", expression="document.title").startswith("Over · ")


CUT = """
const Real = WebSocket;
window.WebSocket = class extends Real {
  constructor(url) {
    super(window.isCut ? new URL("nowhere", url) : url);
    window.cut = () => { window.isCut = true; this.close(); };
  }
};
"""


def test_who_leaves_while_the_line_is_broken_has_left_when_it_is_back(browser: Driver) -> None:
    with Alone(Painter()) as alone:
        page = Page(browser, alone.seat.url, init=CUT)
        page.until(DRAWN)
        page.ask("value", expression="window.cut()")
        page.until("document.getElementById('card-head').textContent === 'Connection lost'")
        page.ask("click", selector="#leave", times=2)  # it asks for the second one for four seconds
        page.until("document.getElementById('card-head').textContent === 'Leaving the game'")
        page.ask("value", expression="window.isCut = false")
        until(lambda: alone.error is not None)
        assert isinstance(alone.error, PersonGone)
        assert alone.error.reason == "left"
        page.until("document.getElementById('card-head').textContent === 'You left the game'")


BAD = {
    "garbage": "page.link.send('{')",
    "ten thousand keys": "for (let n = 1; n <= 10000; n += 10) "
    "page.link.send({ t: 'keys', held: [], changes: "
    "Array.from({ length: 10 }, (_, i) => [n + i, 1, 'ArrowLeft', 'keys']) })",
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
