"""`HumanSeat` beside environments of every kind, with a page that is no browser."""

from __future__ import annotations

import threading
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo.butterfly import pistonball_v6

from gym_p2p import HumanSeat, P2PEnv, P2PParallelEnv, PersonGone, UsageError
from gym_p2p.envs.rally import parallel_env
from gym_p2p.errors import ConfigurationError, UnsupportedEnvironment
from tests.browser.lone_person import Painter
from tests.human.fake_page import FakePage
from tests.human.seats import RALLY, Clock, alone, opened, seat
from tests.players import left_running
from tests.waiting import PATIENCE_S, until


def test_nobody_who_opens_the_link_in_time_is_told_and_nothing_is_left() -> None:
    told: list[str] = []
    person = alone(open_limit_s=0.05, announce=told.append)
    with pytest.raises(PersonGone, match="nobody opened") as caught, person:
        pass
    assert caught.value.reason == "page_unopened"
    assert told == [person.url]
    assert left_running() == []


def test_an_environment_that_was_made_without_pictures_is_refused_with_what_to_do() -> None:
    with pytest.raises(UnsupportedEnvironment, match='render_mode="rgb_array"'):
        seat(gymnasium.make("MountainCar-v0"))


def test_an_environment_that_renders_no_picture_is_named() -> None:
    class Blind(gymnasium.Wrapper[Any, Any, Any, Any]):
        def render(self) -> Any:
            return None

    person = seat(Blind(gymnasium.make("MountainCar-v0", render_mode="rgb_array")))

    def play(person: HumanSeat, _page: FakePage) -> None:
        with pytest.raises(UnsupportedEnvironment, match="shows a person nothing"):
            person.action()

    opened(person, play)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hold_s": -1.0},
        {"countdown_s": float("nan")},
        {"next_url": "survey.example.org"},
        {"next_url": "javascript:alert(1)"},
        {"next_url": "http://[x"},
        {"keys": {"ArrowUp": 9}},
        {"fps": 0.0},
        {"fps": float("nan")},
        {"fps": "30"},
        {"fps": 1e9},
        {"agent": "left"},
        {"port": 70_000},
        {"port": "8000"},
        {"port": 80.5},
        {"hold_s": None},
        {"open_limit_s": "5"},
        {"title": 5},
        {"title": "\ud800"},
        {"next_url": 5},
        {"emulation": {"delay": 5}},
        {"emulation": 5},
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        alone(**wrong)


@pytest.mark.parametrize("wrong", [None, "CartPole-v1", gymnasium.Env, pistonball_v6.parallel_env])
def test_what_is_no_environment_is_refused_with_what_is(wrong: Any) -> None:
    with pytest.raises(UnsupportedEnvironment, match="wanted a P2PEnv, "):
        seat(wrong)


@pytest.mark.parametrize("said", [None, 0, -5, "fast", float("nan"), float("inf"), np.float32(20)])
def test_a_rate_that_an_environment_cannot_mean_is_none(said: Any) -> None:
    env = Painter()
    env.metadata = {"render_modes": ["rgb_array"], "render_fps": said}
    assert seat(env, keys={"a": 1})._stage.fps == (20.0 if isinstance(said, np.float32) else 30.0)


@pytest.mark.parametrize(("outer", "words"), [(True, r"call reset\(\) before"), (False, "was it reset")])
def test_an_action_before_reset_is_refused_with_what_to_do(outer: bool, words: str) -> None:  # noqa: FBT001 - a case
    env = gymnasium.make("CartPole-v1", render_mode="rgb_array")

    def play(person: HumanSeat, page: FakePage) -> None:
        with pytest.raises(UsageError, match=words):
            person.action()
        until(lambda: page.phase == "waiting")
        env.reset()
        for frame in range(3):
            env.step(person.action())
            until(lambda wanted=frame: page.shown[-1:] == [wanted - 1])  # type: ignore[misc]  # the loop's own

    opened(seat(env if outer else env.unwrapped), play)


def test_a_link_that_is_good_for_its_seat_alone_offers_no_other_match() -> None:
    def play(person: HumanSeat, page: FakePage) -> None:
        person.again = True
        person.close()
        until(lambda: page.phase == "over")
        assert page.states[-1]["again"] is False

    opened(alone(), play)


@pytest.mark.parametrize("mask", [[1, 0], 5, "abc", {"a": 1}, np.ones((1, 3))])
def test_a_callers_mask_that_is_none_is_refused_and_never_passed_over(mask: Any) -> None:
    env = gymnasium.make("MountainCar-v0", render_mode="rgb_array")

    def play(person: HumanSeat, _page: FakePage) -> None:
        env.reset()
        with pytest.raises(UsageError, match=r"wanted a mask of Discrete\(3\)"):
            person.action(mask=mask)
        assert person.action(mask=[1, 1, 0]) == 1

    opened(seat(env), play)


@pytest.mark.parametrize("text", [5, b"abc", object(), "\ud800", "x" * 10_001])
def test_what_is_no_text_for_a_page_is_refused_and_the_page_goes_on(text: Any) -> None:
    env = gymnasium.make("MountainCar-v0", render_mode="rgb_array")

    def play(person: HumanSeat, page: FakePage) -> None:
        env.reset()
        with pytest.raises(ConfigurationError, match="text: "):
            person.show(text=text)
        person.show(text="<b>on</b>")
        until(lambda: bool(page.states) and page.states[-1]["text"] == "<b>on</b>")

    opened(seat(env), play)
    assert left_running() == []


def test_an_environment_is_shown_to_one_person_at_a_time() -> None:
    env = gymnasium.make("MountainCar-v0", render_mode="rgb_array")

    def play(_person: HumanSeat, _page: FakePage) -> None:
        with pytest.raises(UsageError, match="another HumanSeat"):
            seat(env.unwrapped).__enter__()

    opened(seat(env), play)
    opened(seat(env), lambda _person, _page: None)
    assert left_running() == []


def test_an_environment_that_changes_its_action_changes_no_table() -> None:
    env = Painter()
    env.action_space = spaces.MultiBinary(2)

    def play(person: HumanSeat, page: FakePage) -> None:
        env.reset()
        page.press("KeyA")
        until(lambda: person.action().tolist() == [1, 0])
        person.action()[:] = 7
        assert person.action().tolist() == [1, 0]
        page.press()
        until(lambda: person.action().tolist() == [0, 0])
        person.action()[:] = 7
        assert person.action().tolist() == [0, 0]

    opened(seat(env, keys={"a": [1, 0]}, fps=200.0), play)


@pytest.mark.parametrize(("patience_s", "longest_s"), [(3.0, 2.0), (0.5, 0.0)])
def test_a_countdown_that_the_others_would_not_wait_for_is_refused(
    patience_s: float, longest_s: float
) -> None:
    game = gymnasium.make(RALLY, render_mode="rgb_array")
    env = P2PEnv(game, seat="left", fps=30, input_timeout_s=patience_s)
    try:
        with pytest.raises(ConfigurationError, match=f"countdown_s: wanted at most {longest_s:g} here"):
            seat(env, countdown_s=longest_s + 0.1)
        seat(env, countdown_s=longest_s)
        with pytest.raises(ConfigurationError, match="fps: the match has its own"):
            seat(env, countdown_s=0.0, fps=30.0)
    finally:
        env.close()


@pytest.mark.parametrize("fps", [None, 30.0])
def test_a_match_that_nobody_paces_is_warned_of(fps: float | None, caplog: pytest.LogCaptureFixture) -> None:
    env = P2PEnv(gymnasium.make(RALLY, render_mode="rgb_array"), seat="left", fps=fps)
    try:
        seat(env)
    finally:
        env.close()
    assert ("frames are not paced" in caplog.text) is (fps is None)


def test_a_seat_is_for_one_block() -> None:
    person = alone(open_limit_s=0.05)
    with pytest.raises(PersonGone), person:
        pass
    with pytest.raises(UsageError, match="one with block"), person:
        pass
    assert left_running() == []


def test_outside_of_its_block_a_seat_has_no_action() -> None:
    person = alone()
    with pytest.raises(UsageError, match="with block"):
        person.action()
    person.close()
    person.close()


def test_a_person_plays_alone_sees_every_step_and_is_told_texts() -> None:
    person = alone(fps=200.0)
    env = person._stage._outer  # type: ignore[attr-defined]  # of a lone stage

    def play(person: HumanSeat, page: FakePage) -> None:
        env.reset(seed=1)
        assert person.action() == 1  # nothing is held
        page.press("ArrowRight")
        until(lambda: env.step(person.action()) is not None and person.action() == 2)
        page.press()
        until(lambda: person.action() == 1)
        person.show(text="faster!")
        until(lambda: page.states[-1]["text"] == "faster!")
        until(lambda: page.frames > 3)

    opened(person, play)
    assert left_running() == []


def test_a_countdown_is_told_and_what_is_pressed_meanwhile_is_not_played(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, person = Clock(monkeypatch), alone(countdown_s=1.2)
    person._stage._outer.reset(seed=1)  # type: ignore[attr-defined]  # of a lone stage

    def play(person: HumanSeat, page: FakePage) -> None:
        chosen: list[int] = []
        beginning = threading.Thread(target=lambda: chosen.append(person.action()))
        beginning.start()
        until(lambda: page.phase == "countdown")
        page.press("ArrowRight")
        page.press()
        until(lambda: person._person.keys.events == 1)
        assert not chosen
        clock.now += 1.0
        until(lambda: page.states[-1]["countdown"] == 1)
        assert not chosen
        clock.now += 0.3
        beginning.join(PATIENCE_S)
        assert chosen == [1]
        until(lambda: page.phase == "playing")
        told = [state["countdown"] for state in page.states if state["phase"] == "countdown"]
        assert list(dict.fromkeys(told)) == [2, 1]

    opened(person, play)


def test_a_game_that_takes_turns_waits_for_a_key() -> None:
    person = alone()
    person._stage._outer.reset(seed=1)  # type: ignore[attr-defined]  # of a lone stage

    def play(person: HumanSeat, page: FakePage) -> None:
        chosen: list[int] = []
        waiting = threading.Thread(target=lambda: chosen.append(person.action(wait=True)))
        waiting.start()
        until(lambda: page.frames > 0)
        assert not chosen
        page.press("ArrowLeft")
        waiting.join(PATIENCE_S)
        assert chosen == [0]

    opened(person, play)


def test_a_person_alone_is_shown_what_the_last_step_gave_too() -> None:
    person = alone()
    env = person._stage._outer  # type: ignore[attr-defined]  # of a lone stage
    env.reset(seed=1)

    def play(person: HumanSeat, page: FakePage) -> None:
        for _ in range(3):
            env.step(person.action())
        until(lambda: page.shown[-1:] == [1])  # the picture before the third action
        person.show(text="the end")
        until(lambda: page.shown[-1] == 2)

    opened(person, play)
    assert left_running() == []


def test_a_person_who_leaves_while_they_get_ready_is_gone_before_that_is_over() -> None:
    person = alone(countdown_s=3600.0)

    def play(person: HumanSeat, page: FakePage) -> None:
        person._stage._outer.reset(seed=1)  # type: ignore[attr-defined]  # of a lone stage

        def leave() -> None:
            until(lambda: page.phase == "countdown")
            page.say(t="leave")

        leaving = threading.Thread(target=leave)
        leaving.start()
        try:
            with pytest.raises(PersonGone) as caught:
                person.action()
        finally:
            leaving.join(PATIENCE_S)
        assert caught.value.reason == "left"
        until(lambda: person.told["gone"] == "left" and person.told["phase"] != "countdown")

    opened(person, play)


def test_a_person_who_leaves_ends_a_wait_and_is_gone_from_then_on() -> None:
    person = alone()
    person._stage._outer.reset(seed=1)  # type: ignore[attr-defined]  # of a lone stage

    def play(person: HumanSeat, page: FakePage) -> None:
        page.say(t="leave")
        for _ in range(2):
            with pytest.raises(PersonGone, match="they left"):
                person.action(wait=True)

    opened(person, play)


def test_a_page_that_is_killed_while_a_key_is_waited_for_is_a_lost_player() -> None:
    person = alone(hold_s=0.1)
    person._stage._outer.reset(seed=1)  # type: ignore[attr-defined]  # of a lone stage

    def play(person: HumanSeat, page: FakePage) -> None:
        page.__exit__()
        with pytest.raises(PersonGone) as caught:
            person.action(wait=True)
        assert caught.value.reason == "page_closed"

    opened(person, play)


def test_a_page_that_sends_garbage_ends_the_wait_of_the_program() -> None:
    person = alone()
    person._stage._outer.reset(seed=1)  # type: ignore[attr-defined]  # of a lone stage

    def play(person: HumanSeat, page: FakePage) -> None:
        page.say(t="action", action=2)
        with pytest.raises(PersonGone) as caught:
            person.action(wait=True)
        assert caught.value.reason == "page_dropped"
        until(lambda: page.code == 4002)

    opened(person, play)


def test_an_agent_of_a_parallel_environment_is_played_and_another_is_refused() -> None:
    env = P2PParallelEnv(parallel_env(render_mode="rgb_array"), agents=["left", "right"])
    try:
        with pytest.raises(ConfigurationError, match="say which"):
            seat(env)
        with pytest.raises(ConfigurationError, match="local seats"):
            seat(env, agent="middle")
        person = seat(env, agent="right")
        assert np.array_equal(person._stage.nothing, 0)
        assert person._stage.seat == "right"
    finally:
        env.close()
