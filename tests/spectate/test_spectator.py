"""Spectators of real matches on loopback: what they see is what was played, and nobody notices them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import gymnasium
import pytest

from gym_p2p import (
    ConfigurationError,
    ConnectFailed,
    HandshakeRefused,
    MatchOver,
    NetworkError,
    P2PEnv,
    ServiceRefused,
    Spectator,
    UsageError,
    WatchDiverged,
)
from gym_p2p.envs.rally import parallel_env
from gym_p2p.game.env.seats import make_game
from tests.players import Lobby, act, left_running, network_processes, play_episode, play_oracle, together
from tests.toys import BLEND, Blend
from tests.waiting import PATIENCE_S, in_time, until


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    yield
    until(lambda: not left_running())


@attrs.define
class Seen:
    """What a spectator saw of one episode."""

    first: Any = None
    results: list[Any] = attrs.field(factory=list)
    behind: list[int] = attrs.field(factory=list)
    reason: str | None = None
    agreed: int = 0
    over: str | None = None


def _rally(lobby: Lobby, seat: str, **changes: Any) -> P2PEnv:
    options = {"fps": 60, "sync": "rollback", "spectators": 1, **changes}
    return P2PEnv(parallel_env(), seat=seat, **lobby.options(**options))


def _blend(lobby: Lobby, seat: str, length: int = 40, **changes: Any) -> P2PEnv:
    options = lobby.options(**{"spectators": 1, **changes})
    return P2PEnv(gymnasium.make(BLEND, length=length), seat=seat, **options)


def _spectator(lobby: Lobby, env: Any, **changes: Any) -> Spectator:
    return Spectator(env, **{"server_url": lobby.url, "room": lobby.room, "room_timeout_s": 15.0, **changes})


def _watch(spectator: Spectator) -> Seen:
    """See an episode to its end."""
    seen = Seen()
    seen.first = spectator.reset()
    while spectator.agents:
        result = spectator.step()
        told = next(iter(result[4].values())).get("p2p")
        if told is not None:
            seen.reason = told["reason"]
            break
        seen.results.append(result)
        seen.behind.append(spectator.behind)
    seen.agreed = spectator.checksums_agreed
    return seen


def _watch_to_the_end(spectator: Spectator, delay_s: float = 0.0) -> Seen:
    with spectator:
        time.sleep(delay_s)
        seen = _watch(spectator)
        with pytest.raises(MatchOver) as over:
            spectator.reset()
        seen.over = over.value.reason
        assert spectator.desyncs == 0
        return seen


def _play(env: P2PEnv, frames: int, salt: int, seen: Callable[[], bool]) -> Any:
    """Play, and leave when all is seen: who leaves waits but a moment for spectators."""
    episode = play_episode(env, seed=11, frames=frames, salt=salt)
    until(seen)
    env.close()
    return episode


def _see_on(spectator: Spectator) -> None:
    for _ in range(1000):
        spectator.step()


def _same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)


def _assert_seen_as_played(seen: Seen, game: Any, document: Any) -> None:
    outcomes = iter(play_oracle(game, 11, document, 1))
    first = next(outcomes)
    seats = list(game.seats)
    assert _same(list(seen.first[0].values()), list(first.observations))
    for outcome, (observations, rewards, terminations, truncations, _) in zip(
        outcomes, seen.results, strict=False
    ):
        assert list(observations) == seats
        assert _same(list(observations.values()), list(outcome.observations))
        assert tuple(rewards.values()) == outcome.rewards
        assert tuple(terminations.values()) == outcome.terminations
        assert tuple(truncations.values()) == outcome.truncations


@pytest.mark.quiet
def test_two_spectators_one_late_see_exactly_what_was_played_over_rollback(lobby: Lobby) -> None:
    seats = parallel_env().possible_agents
    delay = {"one_way_ms": 20.0, "jitter_ms": 3.0}
    envs = [_rally(lobby, seat, emulation=delay) for seat in seats]
    early, late = (_spectator(lobby, parallel_env()) for _ in range(2))

    def shown() -> bool:
        return min(early.frame, late.frame) >= 230

    played = together(
        lambda: _play(envs[0], 240, 1, shown),
        lambda: _play(envs[1], 240, 2, shown),
        lambda: _watch_to_the_end(early),
        lambda: _watch_to_the_end(late, 2.0),
    )
    documents = [env.export_multiplayer_metrics() for env in envs]
    assert documents[0]["validation"]["totalDesyncs"] == 0
    for seen in played[2:]:
        assert isinstance(seen, Seen), seen
        assert 230 <= len(seen.results) <= 240  # the last ones were never final for everybody
        _assert_seen_as_played(seen, make_game(parallel_env()), documents[0])
        assert (seen.reason, seen.over) == ("normal", "normal")
        assert seen.agreed >= 7
    assert isinstance(played[3], Seen)
    with in_time():
        assert played[3].behind[0] > 30
    caught_up = next(i for i, behind in enumerate(played[3].behind) if behind <= 5)
    players_frames = caught_up + played[3].behind[caught_up] - played[3].behind[0]  # meanwhile
    with in_time():
        assert 2 * players_frames < caught_up, "it catches up at more than twice their pace"
    assert sum(env.export_session_metrics()["rollbacks"]["count"] for env in envs) > 0


@pytest.mark.quiet
def test_spectators_who_vanish_or_stop_reading_cost_the_players_nothing(lobby: Lobby) -> None:
    seats = parallel_env().possible_agents
    envs = [_rally(lobby, seat) for seat in seats]
    spectators = [_spectator(lobby, parallel_env(), network="process") for _ in range(2)]
    ready = threading.Barrier(3, timeout=PATIENCE_S)
    took: dict[str, float] = {}

    def play(env: P2PEnv, salt: int) -> None:
        env.reset(seed=11)
        ready.wait()  # until the spectators are there, whose processes may take long to start
        began = time.monotonic()
        for frame in range(240):
            env.step(act(env.action_space, frame, salt))
        took[f"playing {salt}"] = time.monotonic() - began
        env.close()
        took[f"closing {salt}"] = time.monotonic() - began - took[f"playing {salt}"]

    def disturb() -> list[int]:
        for spectator in spectators:
            spectator.reset()
        ready.wait()
        for spectator in spectators:
            for _ in range(20):
                spectator.step()
        children = network_processes()
        (children[0]).kill()
        (children[1]).suspend()
        frames = [spectator.frame for spectator in spectators]
        until(lambda: len(took) == 4)
        children[1].kill()
        for spectator in spectators:
            with pytest.raises(NetworkError, match="by itself"):
                _see_on(spectator)
            spectator.close()
        return frames

    *played, frames = together(lambda: play(envs[0], 0), lambda: play(envs[1], 1), disturb)
    assert played == [None, None]
    assert frames == [20, 20]
    documents = [env.export_multiplayer_metrics() for env in envs]
    assert [document["validation"]["totalDesyncs"] for document in documents] == [0, 0]
    assert all(took[f"playing {player}"] > 4.0 - 0.1 for player in range(2)), took
    with in_time():
        assert all(took[f"playing {player}"] < 5.0 for player in range(2)), took
        assert all(took[f"closing {player}"] < 4.0 for player in range(2)), took


def test_every_episode_of_a_lockstep_match_is_seen_to_its_end(lobby: Lobby) -> None:
    length, network = 120, "process"
    envs = [
        _blend(lobby, seat, length, network=network, spectators=int(seat == "b"), fps=100) for seat in "ab"
    ]
    spectator = _spectator(lobby, gymnasium.make(BLEND, length=length), network=network)
    seen_all = threading.Event()

    def play(env: P2PEnv) -> None:
        for _ in range(3):
            play_episode(env, seed=11)
        seen_all.wait(PATIENCE_S)
        env.close()

    def watch() -> list[Seen]:
        episodes = []
        with spectator:
            for _ in range(10):
                try:
                    episodes.append(_watch(spectator))
                except MatchOver:
                    return episodes
                if spectator.episode == 3:
                    seen_all.set()
        raise AssertionError("the match does not end")

    *_, episodes = together(lambda: play(envs[0]), lambda: play(envs[1]), watch)
    assert isinstance(episodes, list), episodes
    assert 1 <= len(episodes) <= 3  # it may come in the middle, and then begins with the running one
    for seen in episodes:
        assert len(seen.results) == length
        assert seen.reason is None
        assert seen.results[-1][2] == {"a": True, "b": True}
    assert episodes[-1].agreed > len(episodes)


@pytest.mark.quiet
def test_who_looks_on_is_told_for_whom_the_match_stands_in_an_episode_and_between_two(lobby: Lobby) -> None:
    length = 60
    envs = [_blend(lobby, seat, length, fps=100, spectators=int(seat == "a")) for seat in "ab"]
    told: list[tuple[str, Any] | None] = []
    spectator = _spectator(
        lobby,
        gymnasium.make(BLEND, length=length),
        on_pause=lambda paused: told.append(paused and (paused.why, paused.players)),
    )
    watching, seen_all = threading.Event(), threading.Event()

    def play(env: P2PEnv, seconds: float) -> None:
        for episode in range(2):
            env.reset()
            watching.wait(PATIENCE_S)
            for frame in range(length):
                if (episode, frame) == (0, 20):
                    time.sleep(seconds)
                env.step(act(env.action_space, frame))
            if episode == 0:
                time.sleep(seconds)
        seen_all.wait(PATIENCE_S)
        env.close()

    def watch() -> list[tuple[str, Any] | None]:
        with spectator:
            for _ in range(2):
                spectator.reset()
                watching.set()
                assert told[-1:] != [("reset", ("b",))]
                while spectator.agents:
                    spectator.step()
            seen_all.set()
        return told

    results = together(lambda: play(envs[0], 0.0), lambda: play(envs[1], 1.5), watch)
    assert told[-1] is None, results
    of_b = [why for why, players in filter(None, told) if players == ("b",)]
    assert list(dict.fromkeys(of_b)) == ["input", "reset"], results


def test_one_more_than_the_players_show_it_to_is_refused(lobby: Lobby) -> None:
    envs = [_blend(lobby, "a", 10_000, fps=100), _blend(lobby, "b", 10_000, fps=100, spectators=0)]
    one, other = (_spectator(lobby, gymnasium.make(BLEND, length=10_000)) for _ in range(2))
    over = threading.Event()

    def play(env: P2PEnv) -> None:
        env.reset()
        while not over.is_set():
            env.step(env.action_space.sample())
        env.close()

    def watch() -> str:
        try:
            with one, other:
                one.reset()
                with pytest.raises(ServiceRefused) as refused:
                    other.reset()
                one.step()
                return refused.value.code
        finally:
            over.set()

    results = together(lambda: play(envs[0]), lambda: play(envs[1]), watch)
    assert results[2] == "room_full"


def test_the_spectator_goes_on_with_another_player_when_the_first_one_leaves(lobby: Lobby) -> None:
    options: dict[str, Any] = {"kind": "three", "length": 300}
    envs = [
        P2PEnv(
            gymnasium.make(BLEND, **options),
            seat=seat,
            **lobby.options(spectators=int(seat < 2), fps=100, on_peer_loss="default_action"),
        )
        for seat in range(3)
    ]
    spectator = _spectator(lobby, gymnasium.make(BLEND, **options))
    leaving: list[Any] = []
    seen = threading.Event()

    def play(env: P2PEnv, seat: int) -> None:
        env.reset(seed=11)
        for frame in range(300):
            if frame == 100:
                until(lambda: bool(leaving))
            if seat in leaving:
                break
            env.step(env.action_space.seed(frame) and env.action_space.sample())
        if seat not in leaving:
            seen.wait(PATIENCE_S)  # for the last frames to be shown
        env.close()

    def watch() -> tuple[list[Any], int]:
        sources = []
        with spectator:
            spectator.reset()
            while spectator.agents:
                spectator.step()
                assert spectator.match is not None
                if spectator.match.source not in sources:
                    sources.append(spectator.match.source)
                if spectator.frame == 60:
                    leaving.append(spectator.match.source)
            seen.set()
            return sources, spectator.frame

    *_, watched = together(*(lambda s=s: play(envs[s], s) for s in range(3)), watch)
    assert isinstance(watched, tuple), watched
    sources, frames = watched
    assert (set(sources), sources[0], frames) == ({0, 1}, leaving[0], 300)


def test_another_environment_is_refused_with_both_sides(lobby: Lobby) -> None:
    envs = [_blend(lobby, seat, 200, fps=100) for seat in "ab"]
    spectator = _spectator(lobby, gymnasium.make(BLEND, length=41))
    over = threading.Event()

    def watch() -> None:
        try:
            with spectator:
                spectator.reset()
        finally:
            over.set()

    *_, refused = together(
        lambda: _play(envs[0], 100, 0, over.is_set), lambda: _play(envs[1], 100, 1, over.is_set), watch
    )
    assert isinstance(refused, HandshakeRefused)
    assert any("41" in ours and "200" in theirs for _, ours, theirs in refused.differences)


@pytest.mark.quiet
def test_a_copy_that_goes_another_way_is_found_out(lobby: Lobby) -> None:
    envs = [_blend(lobby, seat, 400, fps=100, checksum_interval=10) for seat in "ab"]
    mine = gymnasium.make(BLEND, length=400)
    spectator = _spectator(lobby, mine)

    def found_out() -> bool:
        return spectator.desyncs == 1

    def watch() -> None:
        with spectator:
            spectator.reset()
            while spectator.agents:
                if spectator.frame == 25:
                    mine.unwrapped.skew = 0.25  # type: ignore[attr-defined]  # the toy's own
                spectator.step()
            spectator.reset()  # who comes late gets all frames first, and then what the players compared

    *_, found = together(
        lambda: _play(envs[0], 400, 0, found_out), lambda: _play(envs[1], 400, 1, found_out), watch
    )
    assert isinstance(found, WatchDiverged), found
    assert found.frame == 29
    assert spectator.desyncs == 1


class _Counted(Blend):
    """Keeps over a reset how many episodes there were, and shows nothing of it."""

    episodes = 0

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        self.episodes += 1
        return super().reset(**kwargs)


def test_what_is_kept_over_a_reset_is_compared_at_who_saw_all_and_not_at_who_came_later(
    lobby: Lobby, caplog: pytest.LogCaptureFixture
) -> None:
    envs = [
        P2PEnv(_Counted(length=120), seat=s, **lobby.options(spectators=2, fps=60, sync="rollback"))
        for s in "ab"
    ]
    first, late = (_spectator(lobby, _Counted(length=120)) for _ in range(2))

    seen_all: list[Spectator] = []
    waited_for = [lambda: first.frame > 0, lambda: late.frame > 0, lambda: True]
    """In the middle of each episode."""

    def play(env: P2PEnv) -> None:
        with env:
            for is_there in waited_for:
                env.reset()
                for frame in range(120):
                    if frame == 60:
                        until(is_there)
                    env.step(act(env.action_space, frame, 3))
            until(lambda: len(seen_all) == 2)

    def watch(spectator: Spectator) -> tuple[int, int]:
        episodes = 0
        with spectator, contextlib.suppress(MatchOver):
            while True:
                episodes += _watch(spectator).reason is None
                if spectator.episode == 3:
                    seen_all.append(spectator)
        return episodes, spectator.desyncs

    def watch_later() -> tuple[int, int]:
        until(lambda: first.episode == 2 and first.frame > 0)
        return watch(late)

    *_, seen, seen_later = together(
        lambda: play(envs[0]), lambda: play(envs[1]), lambda: watch(first), watch_later
    )
    assert seen == (3, 0)
    assert seen_later == (2, 0)
    assert first.checksums_agreed >= 12, "states and all"
    assert "states are not compared any more" in caplog.text


def test_there_is_nothing_to_watch_where_nobody_shows_it(lobby: Lobby) -> None:
    with _spectator(lobby, gymnasium.make(BLEND), room_timeout_s=1.0) as spectator:
        with pytest.raises(ConnectFailed, match="spectators=N"):
            spectator.reset()
        with pytest.raises(UsageError, match="reset"):
            spectator.step()


def test_unknown_options_are_refused(lobby: Lobby) -> None:
    with pytest.raises(ConfigurationError, match="fps"):
        _spectator(lobby, gymnasium.make(BLEND), fps=60)
