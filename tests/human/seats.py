"""Seats of people whose page is no browser."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import pytest

import gym_p2p.envs  # noqa: F401 - registers the bundled game
from gym_p2p import HumanSeat
from tests.human.fake_page import FakePage
from tests.waiting import PATIENCE_S, until

__all__ = ["RALLY", "Clock", "alone", "opened", "seat"]

RALLY = "gym_p2p/Rally-v0"


class Clock:
    """The clock of seats, by which limits and countdowns are over: it stands until it is put forward."""

    time_ns, monotonic_ns = staticmethod(time.time_ns), staticmethod(time.monotonic_ns)

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.monotonic()
        monkeypatch.setattr("gym_p2p.human.seat.time", self)

    def monotonic(self) -> float:
        return self.now


def alone(**options: Any) -> HumanSeat:
    env = gymnasium.make("MountainCar-v0", render_mode="rgb_array")
    return seat(env, **options)


def seat(env: Any, **options: Any) -> HumanSeat:
    told: dict[str, Any] = {"browser": False, "announce": lambda _url: None, "countdown_s": 0.0}
    return HumanSeat(env, **{**told, **options})


def opened(person: HumanSeat, play: Callable[[HumanSeat, FakePage], None]) -> None:
    """Take the seat, with a page that is opened as soon as there is a link."""
    pages: list[FakePage] = []

    def open_page() -> None:
        until(lambda: not person.url.startswith("http://127.0.0.1:0/"))
        pages.append(FakePage(person.url).__enter__())

    opening = threading.Thread(target=open_page)
    opening.start()
    try:
        with person:
            opening.join(PATIENCE_S)
            play(person, pages[0])
    finally:
        opening.join(PATIENCE_S)
        for page in pages:
            page.__exit__()
