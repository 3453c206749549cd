"""`HumanSeat` beside environments of every kind, with a page that is no browser."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from pettingzoo.classic import tictactoe_v3

import gym_p2p.envs  # noqa: F401 - registers the bundled game
from gym_p2p import HumanSeat, P2PEnv, P2PParallelEnv, PersonGone, UsageError
from gym_p2p.envs.rally import parallel_env
from gym_p2p.errors import ConfigurationError, UnsupportedEnvironment
from gym_p2p.human import stages
from tests.human.fake_page import FakePage
from tests.players import Lobby, left_running, together
from tests.waiting import PATIENCE_S, until

RALLY = "gym_p2p/Rally-v0"


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


@pytest.mark.parametrize("leaves", ["says so", "closes the page"])
def test_who_goes_while_others_are_waited_for_is_not_waited_with(lobby: Lobby, leaves: str) -> None:
    env = P2PEnv(gymnasium.make(RALLY, render_mode="rgb_array"), seat="left", **lobby.options(fps=30))

    def play(_person: HumanSeat, page: FakePage) -> None:
        going = threading.Thread(target=go, args=[page])
        going.start()
        try:
            env.reset()
        finally:
            going.join(PATIENCE_S)

    def go(page: FakePage) -> None:
        until(lambda: page.phase == "waiting")
        if leaves == "says so":
            page.say(t="leave")
        else:
            page.__exit__()

    with pytest.raises(PersonGone) as caught:
        opened(seat(env, hold_s=0.1), play)
    assert caught.value.reason == {"says so": "left", "closes the page": "page_closed"}[leaves]
    env.close()
    assert left_running() == []


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
        {"agent": "left"},
        {"port": 70_000},
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        alone(**wrong)


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


def test_a_countdown_is_told_and_what_is_pressed_meanwhile_is_not_played() -> None:
    person = alone(countdown_s=1.2)
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


def _person_in(lobby: Lobby, name: str, keys: tuple[str, ...], told: dict[str, Any]) -> None:
    game = gymnasium.make(RALLY, render_mode="rgb_array", max_frames=90)
    options = lobby.options(fps=60, emulation={"one_way_ms": 50.0}, sync="rollback")
    env = P2PEnv(game, seat=name, **options)

    def play(person: HumanSeat, page: FakePage) -> None:
        env.reset(seed=3)
        over = False
        while not over:
            frame = env.p2p.progress.frame
            if frame in {20, 40}:
                page.press(*keys if frame == 20 else ())
            if frame == 60:
                page.say(t="focus", focused=False)
            *_, terminated, truncated, _ = env.step(person.action())
            over = terminated or truncated
        told["phases"] = [state["phase"] for state in page.states]
        told["seats"] = page.states[-1]["seats"]

    try:
        opened(seat(env), play)
    finally:
        env.close()
    told["document"], told["totals"] = env.export_multiplayer_metrics(), env.p2p.progress.totals


def test_two_people_play_each_other_over_a_long_path_and_the_documents_say_so(lobby: Lobby) -> None:
    left: dict[str, Any] = {}
    right: dict[str, Any] = {}
    ends = together(
        lambda: _person_in(lobby, "left", ("ArrowUp",), left),
        lambda: _person_in(lobby, "right", ("ArrowDown", "Space"), right),
    )
    assert ends == [None, None]
    for told, name in ((left, "left"), (right, "right")):
        assert told["totals"].rollbacks > 0  # the other one's keys were guessed, and not always rightly
        document = told["document"]
        assert [player["playedBy"] for player in document["players"]] == ["person", "person"]
        assert document["human"]["actionLatency"]["count"] >= 1
        assert document["human"]["framesShown"] >= 10
        rows = [row for row in document["validation"]["allActions"] if row["playerId"] == name]
        assert any(row["action"] for row in rows)
        unfocused = [row["frame"] for row in rows if not row["isFocused"]]
        assert unfocused
        assert min(unfocused) >= 55
        assert document["focusLoss"]["periodCount"] == 1
        assert "playing" in told["phases"]
        assert [(one["seat"], one["you"]) for one in told["seats"]] == [
            ("left", name == "left"),
            ("right", name == "right"),
        ]
    actions = [told["document"]["validation"]["allActions"] for told in (left, right)]
    assert [(row["frame"], row["action"]) for row in actions[0]] == [
        (row["frame"], row["action"]) for row in actions[1]
    ]
    assert left_running() == []


def _leaves_to_a_program(lobby: Lobby) -> None:
    env = P2PEnv(
        gymnasium.make(RALLY, render_mode="rgb_array"), seat="left", **lobby.options(sync="lockstep")
    )

    def play(person: HumanSeat, _page: FakePage) -> None:
        with pytest.raises(UsageError, match="another HumanSeat"):
            seat(env).__enter__()
        with pytest.raises(UsageError, match=r"call reset\(\)"):
            person.action()
        env.reset(seed=3)
        for _ in range(5):
            env.step(person.action())

    try:
        opened(seat(env), play)
        for _ in range(5):
            env.step(0)
    finally:
        env.close()


def _plays(lobby: Lobby, frames: int) -> dict[str, Any]:
    env = P2PEnv(gymnasium.make(RALLY), seat="right", **lobby.options(sync="lockstep"))
    try:
        env.reset(seed=3)
        for _ in range(frames):
            if env.step(0)[3]:
                break
    finally:
        env.close()
    return env.export_multiplayer_metrics()


def test_a_match_is_shown_to_one_person_and_no_longer_than_they_have_the_seat(
    lobby: Lobby, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures: list[Any] = []

    def counted(drawn: Any) -> Any:
        pictures.append(drawn)
        return drawn

    monkeypatch.setattr(stages, "require_picture", counted)
    left, _ = together(lambda: _leaves_to_a_program(lobby), lambda: _plays(lobby, 10))
    assert left is None
    assert len(pictures) == 6  # of reset, and of the five steps that were the person's
    assert left_running() == []


def _goes_in_the_middle(lobby: Lobby) -> dict[str, Any]:
    env = P2PEnv(gymnasium.make(RALLY, render_mode="rgb_array"), seat="left", **lobby.options())

    def play(person: HumanSeat, page: FakePage) -> None:
        env.reset(seed=3)
        for frame in range(1000):
            if frame == 5:
                page.say(t="leave")
            env.step(person.action())

    with pytest.raises(PersonGone, match="they left"):  # noqa: PT012 - the closing is on the error's way
        try:
            opened(seat(env), play)
        finally:
            env.close()
    return env.export_multiplayer_metrics()


def test_a_person_who_leaves_is_told_of_as_that_and_not_as_a_fault(lobby: Lobby) -> None:
    ours, theirs = together(lambda: _goes_in_the_middle(lobby), lambda: _plays(lobby, 1000))
    assert isinstance(ours, dict)
    assert ours["sessionStatus"]["terminationReason"] == "left"
    assert isinstance(theirs, dict)
    assert theirs["sessionStatus"]["terminationReason"] == "peer_left"
    assert [gone["statedReason"] for gone in theirs["departures"]] == ["left"]


def _turns_of_a_person(lobby: Lobby, told: dict[str, Any]) -> None:
    game = tictactoe_v3.env(render_mode="rgb_array")
    env = P2PParallelEnv(game, agents=["player_2"], **lobby.options())
    keys = {str(1 + square): square for square in range(9)}

    def play(person: HumanSeat, page: FakePage) -> None:
        env.reset(seed=3)
        page.press("Digit1")  # too early, and it would be against the rules
        page.press()
        until(lambda: person._person.keys.events == 1)
        until(lambda: bool(page.states) and page.states[-1]["illegal"] == list(range(9)))
        until(lambda: page.states[-1]["turn"] is False)
        env.step({"player_2": person.action()})  # the other one's turn: not waited for
        until(lambda: bool(page.states) and page.states[-1]["illegal"] == [0])  # where the other one is
        until(lambda: page.states[-1]["turn"] is True)

        def choose() -> None:
            page.press("Digit1")  # which does nothing, and is waited on
            page.press()
            until(lambda: person._person.keys.events == 2)
            page.press("Digit5")

        choosing = threading.Thread(target=choose)
        choosing.start()
        told["chosen"] = person.action()
        choosing.join()
        _, _, terminated, _, _ = env.step({"player_2": told["chosen"]})
        told["terminated"] = any(terminated.values())

    try:
        opened(seat(env, agent="player_2", keys=keys), play)
    finally:
        env.close()


def _turns_of_a_policy(lobby: Lobby) -> None:
    env = P2PParallelEnv(tictactoe_v3.env(), agents=["player_1"], **lobby.options())
    try:
        env.reset(seed=3)
        for _ in range(2):
            env.step({"player_1": 0})
    finally:
        env.close()


def test_a_person_is_waited_for_in_their_own_turn_alone_and_no_earlier_key_counts(lobby: Lobby) -> None:
    told: dict[str, Any] = {}
    assert together(lambda: _turns_of_a_policy(lobby), lambda: _turns_of_a_person(lobby, told)) == [
        None,
        None,
    ]
    assert told == {"chosen": 4, "terminated": False}


def _leaves_while_the_other_chooses(lobby: Lobby, chooses: threading.Event) -> None:
    env = P2PParallelEnv(tictactoe_v3.env(), agents=["player_1"], **lobby.options())
    env.reset(seed=3)
    env.step({"player_1": 0})
    chooses.wait(PATIENCE_S)
    env.close()


def _chooses(lobby: Lobby, chooses: threading.Event) -> str | None:
    env = P2PParallelEnv(tictactoe_v3.env(render_mode="rgb_array"), agents=["player_2"], **lobby.options())
    keys = {str(1 + square): square for square in range(9)}
    reasons: list[str | None] = []

    def play(person: HumanSeat, _page: FakePage) -> None:
        env.reset(seed=3)
        env.step({"player_2": person.action()})
        chooses.set()
        env.step({"player_2": person.action()})  # which would be waited for, for ever
        reasons.append(None if env.p2p.ending is None else env.p2p.ending.reason)

    try:
        opened(seat(env, agent="player_2", keys=keys), play)
    finally:
        env.close()
    return reasons[0]


def test_a_person_who_chooses_learns_that_the_other_one_has_left(lobby: Lobby) -> None:
    chooses = threading.Event()
    assert together(
        lambda: _leaves_while_the_other_chooses(lobby, chooses), lambda: _chooses(lobby, chooses)
    ) == [None, "peer_left"]


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
