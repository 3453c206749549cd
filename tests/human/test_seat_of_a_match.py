"""A person's seat in a match: who waits for whom, what the others and the documents are told."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import gymnasium
import pygame.surfarray
import pytest
from mpe2 import simple_spread_v3
from pettingzoo.classic import tictactoe_v3

import gym_p2p
from gym_p2p import ConfigurationError, HumanSeat, P2PEnv, P2PParallelEnv, PersonGone, PolicySeat, UsageError
from gym_p2p.human import stages
from tests.human.fake_page import FakePage
from tests.human.seats import RALLY, opened, seat
from tests.players import Lobby, left_running, together
from tests.requirements import require
from tests.waiting import PATIENCE_S, until

# This module is loaded at its first use, which two threads cannot do at once (gh-114763), as people who draw.
pygame.surfarray.pixels3d  # noqa: B018 - its first use


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
                until(lambda: not person._person.focused)
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


def _two_rounds(lobby: Lobby, name: str, *, whole: bool) -> tuple[list[float], list[str | None]]:
    """Play two rounds of a point each; return who got what in them, and what the page's countdowns said.

    Rounds that are not whole go on for another point, and are broken off after the first one.
    """
    game = gymnasium.make(RALLY, render_mode="rgb_array", points=1 if whole else 2)
    env = P2PEnv(game, seat=name, **lobby.options(fps=120, sync="lockstep"))
    returns = [0.0, 0.0]
    before: list[str | None] = []

    def play(person: HumanSeat, page: FakePage) -> None:
        for number in (0, 1):
            env.reset(seed=3)
            over = False
            while not over:
                _, reward, terminated, truncated, _ = env.step(person.action())
                returns[number] += float(reward)
                over = terminated or truncated or (not whole and returns[number] != 0)
        phases = ((state["phase"], state.get("before")) for state in page.states)
        # Once a countdown, which is told again where the line's quality changes meanwhile.
        before.extend(said for (phase, said), _ in itertools.groupby(phases) if phase == "countdown")

    try:
        opened(seat(env, countdown_s=0.2), play)
    finally:
        env.close()
    return returns, before


@pytest.mark.parametrize("whole", [True, False])
def test_who_gets_ready_for_another_round_is_told_how_the_one_before_it_ended_if_it_was_whole(
    lobby: Lobby,
    whole: bool,  # noqa: FBT001 - a case
) -> None:
    ends = together(
        lambda: _two_rounds(lobby, "left", whole=whole), lambda: _two_rounds(lobby, "right", whole=whole)
    )
    for end in ends:
        assert isinstance(end, tuple), end
        (first, _), before = end
        assert first in {1.0, -1.0}
        assert before == [None, ("won" if first > 0 else "lost") if whole else None]


def test_who_cannot_write_documents_is_told_before_a_person_is_asked_to_come(
    lobby: Lobby, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    links: list[str] = []
    for option in ("exports", "exports_fallback", "record"):
        options = lobby.options(fps=30, **{option: str(tmp_path / "file")})
        env = P2PEnv(gymnasium.make(RALLY, render_mode="rgb_array"), seat="left", **options)
        with pytest.raises(ConfigurationError, match="cannot write to"):
            seat(env, announce=links.append).__enter__()
        env.close()
    assert links == []


def _people_and_programs(lobby: Lobby, agents: list[str], programs: list[str]) -> dict[str, Any]:
    """Play as several agents, the first of whom a person is; return who plays, by page and by document."""
    game = simple_spread_v3.parallel_env(render_mode="rgb_array", max_cycles=10)
    env = P2PParallelEnv(game, agents=agents, **lobby.options(fps=30, sync="lockstep"))
    policies = {agent: PolicySeat(env, "random", agent=agent) for agent in programs}
    told: dict[str, Any] = {}

    def play(person: HumanSeat, page: FakePage) -> None:
        env.reset(seed=3)
        while env.agents:
            chosen = {agents[0]: person.action()}
            env.step({**chosen, **{agent: policy.action() for agent, policy in policies.items()}})
        until(lambda: bool(page.states[-1]["seats"]))
        told["page"] = [one["playedBy"] for one in page.states[-1]["seats"]]

    try:
        opened(seat(env, agent=agents[0]), play)
    finally:
        env.close()
    players = env.export_multiplayer_metrics()["players"]
    told["document"] = [(one["playedBy"], one["playedBySeat"]) for one in players]
    return told


def test_a_policy_beside_a_person_is_a_program_to_everybody(lobby: Lobby) -> None:
    ours, theirs = together(
        lambda: _people_and_programs(lobby, ["agent_0", "agent_1"], ["agent_1"]),
        lambda: _people_and_programs(lobby, ["agent_2"], []),
    )
    assert ours == theirs
    assert ours == {
        "page": ["person", "policy", "person"],
        "document": [("person", {"agent_1": "policy"}), ("person", {})],
    }
    require("pyarrow", "pip install 'gym_p2p[data]'")
    own = list(lobby.exports.glob("*/agent_0.*"))
    assert own
    for file in own:
        file.unlink()  # what the other one says of them is left
    frames = gym_p2p.load(lobby.exports).frames.arrow.to_pydict()
    assert set(zip(frames["seat"], frames["actor"], strict=True)) == {
        ("agent_0", "person"),
        ("agent_1", "policy"),
        ("agent_2", "person"),
    }


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
