from __future__ import annotations

import copy
import itertools
import json
import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gym_p2p import FIFOMatchmaker, Verdict, WideningMatchmaker
from gym_p2p.config import MatchmakingConfig
from gym_p2p.errors import UsageError
from gym_p2p.plugins.mug import seating
from gym_p2p.plugins.mug.coordinator import LINGER_S
from gym_p2p.plugins.mug.framework import Framework
from gym_p2p.plugins.mug.seating import Seating, matchmaker
from tests.plugins.mug.fakes import FakeServer


class TheirMatchmaker:
    """The framework's base class, as far as it counts here."""

    def __init__(self, max_p2p_rtt_ms: float | None = None) -> None:
        self.max_p2p_rtt_ms = max_p2p_rtt_ms


class TheirManager:
    """A waiting room that behaves as the framework's does."""

    def __init__(self, server: FakeServer, ours: Any, folder: Path, seats: int = 2) -> None:
        self.matchmaker = ours
        self.match_logger = SimpleNamespace(match_logs_dir=str(folder))
        self.waitroom_participants: list[str] = []
        self.games: list[set[str]] = []
        self._server = server
        self._seats = seats
        self._pending: set[frozenset[str]] = set()
        self._probing: set[str] = set()

    def join(self, subject: str) -> None:
        arriving, waiting = (
            self._candidate(subject),
            [self._candidate(one) for one in self.waitroom_participants],
        )
        matched = self.matchmaker.find_match(arriving, waiting, self._seats)
        self.waitroom_participants.append(subject)
        if matched is not None:
            self._start(arriving, self.matchmaker.rank_candidates(arriving, waiting, self._seats))

    def _retry_matchmaking_for_waitroom(self) -> None:
        for subject in tuple(self.waitroom_participants):
            if subject in self._probing:
                continue
            waiting = [
                self._candidate(one)
                for one in self.waitroom_participants
                if one != subject and one not in self._probing
            ]
            arriving = self._candidate(subject)
            if self.matchmaker.find_match(arriving, waiting, self._seats) is not None:
                self._start(arriving, self.matchmaker.rank_candidates(arriving, waiting, self._seats))

    def _start(self, arriving: Any, ranked: list[Any]) -> None:
        assert self.matchmaker.max_p2p_rtt_ms is not None  # without it the framework does not probe
        pair = frozenset((arriving.subject_id, ranked[0].subject_id))
        self._server.coordinator.create_probe(arriving.subject_id, ranked[0].subject_id, self._complete)
        self._probing |= pair
        self._pending.add(pair)

    def _complete(self, one: str, other: str, rtt_ms: float | None) -> None:
        pair = frozenset((one, other))
        assert pair in self._pending  # an answer inside create_probe would find nothing
        self._pending.remove(pair)
        self._probing -= pair
        assert not self.matchmaker.should_reject_for_rtt(rtt_ms)
        if pair <= set(self.waitroom_participants):
            self.waitroom_participants = [one for one in self.waitroom_participants if one not in pair]
            self.games.append(set(pair))

    def _build_match_candidate(self, subject: str) -> Any:
        return self._candidate(subject)

    def _candidate(self, subject: str) -> Any:
        return SimpleNamespace(subject_id=subject, rtt_ms=12, group_history=None)


class World:
    """The framework, its server and one scene."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, **options: Any) -> None:
        self.server = FakeServer("ada", "bob", "cyd")
        app: Any = ModuleType("app")
        app.PROBE_COORDINATOR, app.GAME_MANAGERS = self.server.coordinator, {}
        self.app = app
        theirs: Any = ModuleType("matchmaker")
        theirs.Matchmaker = TheirMatchmaker
        monkeypatch.setattr(seating, "framework", lambda: Framework(app, theirs, ModuleType("scenes")))
        self.ours = matchmaker(**options)
        self.ours.seating._now = lambda: self.server.time
        self.manager = self.app.GAME_MANAGERS["scene"] = TheirManager(self.server, self.ours, folder)
        self.folder = folder

    @property
    def kinds(self) -> list[str]:
        lines = (self.folder / "decisions.jsonl").read_text().splitlines()
        return [json.loads(line)["kind"] for line in lines]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    return World(monkeypatch, tmp_path)


def test_two_who_arrive_are_probed_seated_and_written_down(world: World) -> None:
    world.manager.join("ada")
    world.manager.join("bob")
    world.server.run_for(0.1)
    world.server.probe("ada", "bob", 20)
    world.server.run_for(0.3)
    assert world.manager.games == [{"ada", "bob"}]
    assert world.kinds == ["considered", "probed", "made"]
    assert world.server.names("ada").count("probe_prepare") == 1  # the framework's own probe was superfluous
    world.server.run_for(LINGER_S)
    assert not world.server.coordinator.tick()


def test_a_pair_that_was_turned_down_is_not_banned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    strategy = WideningMatchmaker(150, initial_rtt_ms=60, widen_ms_per_s=10, last_resort_rtt_ms=None)
    world = World(monkeypatch, tmp_path, strategy=strategy)
    world.manager.join("ada")
    world.manager.join("bob")
    world.server.run_for(0.1)
    world.server.probe("ada", "bob", 80)
    world.server.run_for(1.0)
    assert not world.manager.games
    world.server.run_for(2.0)
    assert world.manager.games == [{"ada", "bob"}]


def test_whoever_leaves_by_the_button_ends_their_probe(world: World) -> None:
    world.manager.join("ada")
    world.manager.join("bob")
    world.server.run_for(0.1)
    world.manager.waitroom_participants.remove("bob")
    world.server.run_for(0.1)
    assert world.server.names("ada")[-1] == "probe_cancel"
    world.manager.join("cyd")
    world.server.run_for(0.1)
    world.server.probe("ada", "cyd", 20)
    world.server.run_for(0.3)
    assert world.manager.games == [{"ada", "cyd"}]


def test_ten_who_arrive_at_once_all_play(world: World) -> None:
    names = [f"p{number}" for number in range(10)]
    world.server.sockets |= {name: f"socket-of-{name}" for name in names}
    for name in names:
        world.manager.join(name)
    for _ in range(20):
        world.server.run_for(0.1)
        for name in names:
            if world.server.names(name)[-1:] == ["probe_prepare"]:
                world.server.ready(name)
            if world.server.names(name)[-1:] == ["probe_start"]:
                world.server.report(name, 20)
    assert sorted(name for game in world.manager.games for name in game) == sorted(names)


def test_without_a_threshold_nobody_is_probed_and_all_are_seated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World(monkeypatch, tmp_path, strategy=FIFOMatchmaker())
    world.manager.join("ada")
    world.manager.join("bob")
    world.server.run_for(0.5)
    assert world.manager.games == [{"ada", "bob"}]
    assert not world.server.sent


@pytest.mark.parametrize(
    ("hook", "verdict"),
    [
        (lambda _proposed: True, "made"),
        (lambda _proposed: Verdict.REJECT, "hook:reject"),
        (lambda _proposed: 1 / 0, "hook_raised:reject"),
        (lambda _proposed: "maybe", "hook_raised:reject"),
        (lambda _proposed: sys.exit("no"), "hook_raised:reject"),
    ],
)
def test_the_hook_decides_and_a_bug_in_it_rejects(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hook: Any, verdict: str
) -> None:
    world = World(monkeypatch, tmp_path, pre_match=hook)
    world.manager.join("ada")
    world.manager.join("bob")
    world.server.run_for(0.1)
    world.server.probe("ada", "bob", 20)
    world.server.run_for(0.3)
    last = json.loads((tmp_path / "decisions.jsonl").read_text().splitlines()[-1])
    assert verdict in {last["kind"], last.get("reason")}
    assert bool(world.manager.games) == (verdict == "made")


def test_two_scenes_of_one_matchmaker_have_a_room_each(world: World, tmp_path: Path) -> None:
    second = world.app.GAME_MANAGERS["second"] = TheirManager(world.server, world.ours, tmp_path)
    world.manager.join("ada")
    second.join("bob")
    world.server.run_for(0.3)
    assert not world.server.sent
    second.join("cyd")
    world.server.run_for(0.1)
    world.server.probe("bob", "cyd", 20)
    world.server.run_for(0.3)
    assert (world.manager.games, second.games) == ([], [{"bob", "cyd"}])


def test_a_strategy_that_raises_is_reported_and_the_probes_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(monkeypatch, tmp_path)
    world.manager.join("ada")
    monkeypatch.setattr(Seating, "_enter", lambda _self: 1 / 0)
    done: list[Any] = []
    world.server.coordinator.create_probe("bob", "cyd", lambda *answer: done.append(answer))
    with caplog.at_level(logging.ERROR):
        world.server.run_for(3.5)
    assert done == [("bob", "cyd", None)]
    assert "ZeroDivisionError" in caplog.text


def test_ticks_go_on_until_whoever_arrives_is_in_the_room(world: World) -> None:
    assert world.ours.find_match(SimpleNamespace(subject_id="ada"), [], 2) is None
    assert world.server.coordinator.tick()  # the framework asks first, and lets in then
    world.server.run_for(LINGER_S + 0.1)
    assert not world.server.coordinator.tick()


def test_however_many_arrive_the_rooms_are_looked_into_once_a_tick(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = itertools.count()
    monkeypatch.setattr(Seating, "_enter", lambda _seating: next(looks))
    for subject in ("ada", "bob", "cyd"):
        world.manager.join(subject)
    world.server.coordinator.tick()
    assert next(looks) == 1


def test_how_long_anybody_waits_is_for_the_scene_to_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World(monkeypatch, tmp_path, config=MatchmakingConfig(give_up_after_s=2.0))
    world.manager.join("ada")
    world.server.run_for(5.0)
    assert list(tmp_path.iterdir()) == []  # nothing has been decided
    world.manager.join("bob")
    world.server.run_for(0.1)
    world.server.probe("ada", "bob", 20)
    world.server.run_for(0.3)
    assert world.manager.games == [{"ada", "bob"}]


def test_what_the_framework_knows_of_somebody_is_considered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def known(subject: str) -> Any:
        history = SimpleNamespace(previous_partners=["bob"])
        return SimpleNamespace(subject_id=subject, rtt_ms=7, group_history=history)

    monkeypatch.setattr(world.manager, "_build_match_candidate", known)
    world.manager.join("ada")
    world.manager.join("cyd")
    world.server.run_for(0.1)
    seed = json.loads((world.folder / "decisions.jsonl").read_text().splitlines()[0])["seed"]
    assert (seed["rtt_ms"], seed["history"]["previous_partners"]) == (7, ["bob"])


def test_decisions_are_written_where_one_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World(monkeypatch, tmp_path, decisions=str(tmp_path / "mine.jsonl"))
    world.manager.join("ada")
    world.manager.join("bob")
    world.server.run_for(0.1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.jsonl"]


def test_copies_are_the_matchmaker_itself(world: World) -> None:
    assert copy.deepcopy([world.ours])[0] is world.ours
    assert copy.copy(world.ours) is world.ours
    assert isinstance(world.ours, TheirMatchmaker)
    assert type(world.ours).__name__ == "WideningMatchmaker"  # as it will stand in the match log


def test_a_scene_for_three_is_refused(world: World, tmp_path: Path) -> None:
    manager = TheirManager(world.server, world.ours, tmp_path, seats=3)
    with pytest.raises(UsageError, match="this scene has seats for 3"):
        manager.join("ada")


def test_without_our_coordinator_it_is_refused(world: World) -> None:
    world.app.PROBE_COORDINATOR = object()
    with pytest.raises(UsageError, match=r"call gym_p2p\.plugins\.mug\.install"):
        world.manager.join("ada")


def test_what_is_no_strategy_or_no_plain_hook_is_refused(world: World) -> None:
    async def hook(_proposed: object) -> bool:
        return True

    class Asked:
        async def __call__(self, _proposed: object) -> bool:
            return True

    with pytest.raises(TypeError, match=r"wanted a gym_p2p\.Matchmaker"):
        matchmaker(world.ours)
    for one in (hook, Asked()):
        with pytest.raises(TypeError, match="no coroutine function"):
            matchmaker(pre_match=one)
