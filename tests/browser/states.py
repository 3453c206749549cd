"""A person's page in every state, without a game behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import gymnasium

import gym_p2p.envs  # noqa: F401 - registers the bundled game
from gym_p2p.human.encoding import Picture, require_picture
from gym_p2p.human.entrance import OwnPort
from gym_p2p.human.messages import CLOSE_CODES
from gym_p2p.human.person import ClosePage, Person, Presence
from gym_p2p.human.server import PageServer
from tests.browser.driver import Driver
from tests.browser.seat_page import DRAWN, Page
from tests.waiting import until

__all__ = ["CLOSED", "TOLD", "Stage", "picture"]

KEYS = {"ArrowUp": ("↑", "up"), "ArrowDown": ("↓", "down"), "Space": ("Space", "swing"), "KeyX": ("X", "lob")}

WELCOME = {
    "title": "Rally",
    "controls": [
        {"codes": [code], "keys": [key], "label": label, "same": place}
        for place, (code, (key, label)) in enumerate(KEYS.items())
    ],
}

SEATS = [
    {"seat": "left", "you": True, "score": 3.0, "playedBy": "person"},
    {"seat": "right", "you": False, "score": -1.0, "playedBy": "policy"},
]

CODE = "7f3a-91c2"

TOLD: Mapping[str, Mapping[str, Any]] = {
    "waiting": {"phase": "waiting", "waiting": {"others": None}},
    "waiting, with others": {"phase": "waiting", "waiting": {"others": 2}},
    "returning": {"phase": "returning", "waiting": {"others": None}},
    "countdown": {"phase": "countdown", "countdown": 3},
    "countdown, of another round": {"phase": "countdown", "countdown": 2, "before": "lost"},
    "playing": {"phase": "playing", "quality": "good"},
    "playing, slowly": {"phase": "playing", "quality": "critical", "text": "Two points to go!"},
    "playing, the other one's turn": {"phase": "playing", "turn": False, "illegal": [0, 1, 2, 3]},
    "playing, one's own turn": {"phase": "playing", "turn": True, "illegal": [0, 3]},
    "playing, the other one away": {
        "phase": "playing",
        "quality": "good",
        "away": {"who": "right", "by": "default_action"},
    },
    "playing, a program for the other one": {
        "phase": "playing",
        "quality": "warning",
        "away": {"who": "right", "by": "stand_in"},
    },
    "paused": {"phase": "paused", "partner": {"who": "right", "why": "silent", "leftS": 12}},
    "paused, for one who is gone": {
        "phase": "paused",
        "partner": {"who": "right", "why": "away", "leftS": 27},
    },
    "between": {"phase": "between", "ending": {"reason": None, "result": "lost"}},
    "over": {"phase": "over", "code": CODE, "ending": {"reason": None, "result": "won"}},
    "over, broken off": {"phase": "over", "code": CODE, "ending": {"reason": "excluded", "result": None}},
    "over, and what is next": {
        "phase": "over",
        "code": CODE,
        "ending": {"reason": "peer_left", "result": None},
        "next": "https://example.org/",
    },
    "over, nobody came": {
        "phase": "over",
        "ending": {"reason": "nobody_came", "result": None},
        "again": True,
    },
    "gone": {"phase": "over", "gone": "page_closed", "again": True},
}
"""What a page is told, by what that is."""

CLOSED = tuple(reason for reason in CLOSE_CODES if reason not in {"over", "elsewhere"})
"""What it is closed with, and says something of; of ``over`` it has been told more before."""


def picture() -> Picture:
    """Return the bundled game in the middle of a point."""
    env = gymnasium.make("gym_p2p/Rally-v0", render_mode="rgb_array")
    try:
        env.reset(seed=3)
        for _ in range(25):
            env.step({"left": 1, "right": 2})
        return require_picture(env.render())
    finally:
        env.close()


class Stage:
    """A page, and whoever tells it everything that it can be told.

    Args:
        browser: of the page.
        pictured: what it shows of the game.
        how: as the driver opens it.
    """

    def __init__(self, browser: Driver, pictured: Picture, **how: Any) -> None:
        self._browser, self._pictured, self._how = browser, pictured, how
        self._person = Person(known=KEYS, welcome=WELCOME, hold_s=60.0)
        self._server = PageServer(self._person, OwnPort())
        self._told = 0
        self.page: Page

    def __enter__(self) -> Self:
        self._server.start()
        try:
            self.page = Page(self._browser, self._server.url, **self._how)
            until(lambda: self._person.presence is Presence.HERE)
        except BaseException:
            self._server.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.page.ask("close")
        self._server.close()

    @property
    def url(self) -> str:
        """The link."""
        return self._server.url

    def show(self) -> None:
        """Show the game."""
        self._do(lambda: self._person.offer(self._pictured, frame=0, seq=0, now=0.0))
        self.page.until(DRAWN)

    def tell(self, state: Mapping[str, Any]) -> None:
        """Tell how it stands, and wait until the page has heard it."""
        self._told += 1
        self._do(lambda: self._person.tell(seats=SEATS, number=self._told, **state))
        self.page.until(f"window.page.told.number === {self._told}")

    def close_with(self, reason: str) -> None:
        """Close the page's connection with a reason, and wait until the page says so."""
        said = self.page.head()
        connection = self._person._page
        assert connection is not None
        self._do(lambda: self._person._outputs.append(ClosePage(connection, reason)))
        until(lambda: self.page.head() != said)

    def again(self, state: Mapping[str, Any]) -> None:
        """Have the page opened again, where it stands so."""
        self._person.tell(**state, number=0)
        self.page.ask("reload")
        self.page.until("window.page?.told.number === 0")

    def _do(self, what: Callable[[], object]) -> None:
        with self._server.lock:
            what()
        self._server.flush()
