"""A page that is gone from one moment to the next, in every state: what its program and the others learn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import gymnasium
import pytest

from gym_p2p import HumanSeat, P2PEnv, PersonGone
from gym_p2p.human import person as person_module
from tests.human.fake_page import FakePage
from tests.human.seats import RALLY, Clock, alone, opened, seat
from tests.players import Lobby, left_running, together
from tests.waiting import PATIENCE_S, until

HOLD_S = 0.1


@pytest.fixture(params=["killed", "silent"])
def goes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[FakePage], None]:
    """How a page is gone: its process has ended, or nothing comes from it any more."""
    if request.param == "killed":
        return FakePage.kill

    def fall_silent(page: FakePage) -> None:  # who spoke late before would be silent too
        page.fall_silent()
        monkeypatch.setattr(person_module, "SILENCE_LIMIT_S", 1.0)

    return fall_silent


def later(do: Callable[[], Any], when: Callable[[], bool]) -> threading.Thread:
    """Do something on another thread as soon as it is time for it."""

    def work() -> None:
        until(when)
        do()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_while_others_are_waited_for(lobby: Lobby, goes: Callable[[FakePage], None]) -> None:
    env = P2PEnv(gymnasium.make(RALLY, render_mode="rgb_array"), seat="left", **lobby.options(fps=30))

    def play(_person: HumanSeat, page: FakePage) -> None:
        going = later(lambda: goes(page), lambda: page.phase == "waiting")
        try:
            env.reset()
        finally:
            going.join(PATIENCE_S)

    with pytest.raises(PersonGone) as caught:
        opened(seat(env, hold_s=HOLD_S), play)
    assert caught.value.reason == "page_closed"
    env.close()
    assert left_running() == []


@pytest.mark.parametrize("phase", ["countdown", "playing"])
def test_while_a_person_plays_alone(goes: Callable[[FakePage], None], phase: str) -> None:
    person = alone(hold_s=HOLD_S, countdown_s=3600.0 if phase == "countdown" else 0.0)
    env = person._stage._outer  # type: ignore[attr-defined]  # of a lone stage

    def play(person: HumanSeat, page: FakePage) -> None:
        env.reset(seed=1)
        going = later(lambda: goes(page), lambda: page.phase == phase)
        try:
            for _ in range(3000):  # a hundred seconds of it
                env.step(person.action())
        finally:
            going.join(PATIENCE_S)

    with pytest.raises(PersonGone) as caught:
        opened(person, play)
    assert caught.value.reason == "page_closed"
    assert left_running() == []


def _goes_in_the_middle(lobby: Lobby, goes: Callable[[FakePage], None]) -> dict[str, Any]:
    env = P2PEnv(gymnasium.make(RALLY, render_mode="rgb_array"), seat="left", **lobby.options(fps=30))

    def play(person: HumanSeat, page: FakePage) -> None:
        env.reset(seed=3)
        for frame in range(3000):
            if frame == 5:
                goes(page)
            env.step(person.action())

    with pytest.raises(PersonGone):  # noqa: PT012 - the closing is on the error's way
        try:
            opened(seat(env, hold_s=HOLD_S), play)
        finally:
            env.close()
    return env.export_multiplayer_metrics()


def _plays(lobby: Lobby) -> dict[str, Any]:
    env = P2PEnv(gymnasium.make(RALLY), seat="right", **lobby.options(fps=30))
    try:
        env.reset(seed=3)
        while not env.step(0)[3]:
            pass
    finally:
        env.close()
    return env.export_multiplayer_metrics()


def test_in_the_middle_of_a_match(lobby: Lobby, goes: Callable[[FakePage], None]) -> None:
    ours, theirs = together(lambda: _goes_in_the_middle(lobby, goes), lambda: _plays(lobby))
    assert isinstance(ours, dict)
    assert ours["sessionStatus"]["terminationReason"] == "page_closed"
    assert ours["focusLoss"]["wasTimeoutTriggered"] is True
    assert isinstance(theirs, dict)
    assert [gone["statedReason"] for gone in theirs["departures"]] == ["page_closed"]
    assert left_running() == []


def test_when_all_is_over(goes: Callable[[FakePage], None]) -> None:
    person = alone(hold_s=HOLD_S)
    env = person._stage._outer  # type: ignore[attr-defined]  # of a lone stage

    def play(person: HumanSeat, page: FakePage) -> None:
        env.reset(seed=1)
        env.step(person.action())
        until(lambda: page.frames > 0)
        goes(page)

    opened(person, play)
    assert left_running() == []


def test_before_it_has_said_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, person = Clock(monkeypatch), alone(open_limit_s=1.0)
    told = threading.Event()

    def touch() -> None:
        until(lambda: not person.url.startswith("http://127.0.0.1:0/"))
        page = FakePage(person.url)
        page.fall_silent()  # it never says hello
        with page:
            page.kill()
        told.set()
        clock.now += 1.0

    touching = threading.Thread(target=touch)
    touching.start()
    with pytest.raises(PersonGone) as caught, person:
        pass
    touching.join(PATIENCE_S)
    assert told.is_set()
    assert caught.value.reason == "page_unopened"
    assert left_running() == []
