"""Every state of a person's page: whether everybody can read, hear, reach and press what is there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gym_p2p.human import connections
from gym_p2p.human.encoding import Picture
from tests.browser.driver import Driver
from tests.browser.states import CLOSED, TOLD, Stage, picture

AUDIT = Path(__file__).with_name("audit.js").read_text()

SCREENS = {
    "phone": {"width": 390, "height": 844, "touch": True},
    "phone on its side": {"width": 844, "height": 390, "touch": True},
    "tablet": {"width": 820, "height": 1180, "touch": True},
    "computer": {"width": 1440, "height": 900},
    "magnified": {"width": 480, "height": 300},
}

IN_THE_DARK = ("phone", "phone on its side", "computer")
"""Where dark colours are looked at as well: they are the same everywhere."""


@pytest.fixture(scope="module")
def pictured() -> Picture:
    return picture()


STATUS = "document.getElementById('status').textContent"


def states(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Have a page in every state, one after the other; yield what each is."""
    for name, state in TOLD.items():
        stage.tell(state)
        yield name
        if name.startswith("waiting"):
            stage.show()
    for reason in CLOSED:
        stage.again(TOLD["waiting"])
        stage.close_with(reason)
        yield f"closed, {reason}"
    stage.again(TOLD["playing"])
    stage.page.ask("value", expression="document.hasFocus = () => false; dispatchEvent(new Event('blur'))")
    stage.page.until(f"{STATUS}.includes('to play')")
    yield "playing, without the focus"
    stage.page.ask("value", expression="document.hasFocus = () => true; dispatchEvent(new Event('focus'))")
    stage.page.until(f"{STATUS} === 'Your connection is good.'")
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 0)
    stage.close_with("silent")
    stage.page.until(f"{STATUS} === ''")  # a connection that is lost is not good
    yield "the line is broken"
    stage.page.ask(
        "value", expression="{ const now = performance.now(); performance.now = () => now + 60000; }"
    )
    stage.page.until("document.getElementById('card-head').textContent === 'No answer'")
    assert not stage.page.ask("value", expression="document.getElementById('card-button').hidden")
    yield "nobody answers"
    stage.page.ask(
        "value", expression="{ window.fetch = async () => new Response(null, { status: 403 }); null; }"
    )
    stage.page.ask("click", selector="#card-button")
    stage.page.until("document.getElementById('card-head').textContent === 'You are not let in'")
    yield "somebody in front lets nobody in"


@pytest.mark.parametrize("screen", SCREENS)
def test_everybody_can_read_hear_reach_and_press_what_is_there(
    browser: Driver, pictured: Picture, monkeypatch: pytest.MonkeyPatch, screen: str
) -> None:
    wrong = {}
    with Stage(browser, pictured, **SCREENS[screen]) as stage:
        for state in states(stage, monkeypatch):
            for colours in ("light", "dark") if screen in IN_THE_DARK else ("light",):
                stage.page.ask("media", colorScheme=colours)
                found = stage.page.ask("value", expression=AUDIT)
                if found:
                    wrong[f"{state}, {colours}"] = found
                _keep_picture(stage, f"{screen}, {colours}, {state}")
        seen = stage.page.ask("seen")
    assert wrong == {}
    assert all("503" in error for error in seen["errors"]), seen["errors"]  # of the line that is broken


def test_a_screen_reader_reads_every_state_once_however_its_numbers_count(
    browser: Driver, pictured: Picture
) -> None:
    paused, gone = TOLD["paused"], TOLD["paused, for one who is gone"]
    with Stage(browser, pictured) as stage:
        stage.tell(TOLD["playing"])
        stage.page.ask("value", expression=LISTENER)
        for left in (3, 2, 1):
            stage.tell({"phase": "countdown", "countdown": left})
        stage.tell(TOLD["playing"])
        for left in (12, 11, 10):
            stage.tell({**paused, "partner": {**paused["partner"], "leftS": left}})
        stage.tell(gone)
        stage.tell(TOLD["playing"])
        stage.tell(paused)
        heard = stage.page.ask("value", expression="window.heard")
    assert heard == [
        "3. Get ready",
        "",
        "One moment. Your partner's connection is being restored, 12 s left.",
        "One moment. Your partner is gone for now and may come back, up to 27 s more.",
        "",
        "One moment. Your partner's connection is being restored, 12 s left.",
    ]


LISTENER = """{
  window.heard = [];
  const said = document.getElementById("said");
  new MutationObserver(() => heard.push(said.textContent)).observe(said, { childList: true });
}"""
"""Notes what a screen reader would be given to read."""


def _keep_picture(stage: Stage, name: str) -> None:
    """Keep a picture of it in the folder ``GYM_P2P_SCREENSHOTS``, for somebody to look at."""
    folder = os.environ.get("GYM_P2P_SCREENSHOTS")
    if folder:
        path = Path(folder, f"{re.sub(r'[^a-z]+', '-', name)}.png")
        stage.page.ask("screenshot", path=str(path))
