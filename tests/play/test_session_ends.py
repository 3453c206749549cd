"""How episodes and matches end when the environment does not end them, seen by everybody who sits there."""

from __future__ import annotations

import re
import signal
import time
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from gym_p2p import HandshakeRefused, MatchOver, P2PEnv, P2PParallelEnv, PeerLost, UsageError
from gym_p2p.exports import KINDS, Exporter
from gym_p2p.play.ending import Ending
from gym_p2p.play.match_client import MatchClient
from gym_p2p.play.progress import SessionState
from tests.game.environments import LastOneStanding
from tests.play.blends import assert_partial, begun, blends
from tests.players import Episode, Lobby, act, assert_all_played_the_same, play_episode, together
from tests.waiting import PATIENCE_S

# Seeds and options.


def test_without_a_seed_everybody_gets_one_equal_integer(lobby: Lobby) -> None:
    envs = blends(lobby, kind="three", seats=(0, 1, 2))
    seeds = []
    for _ in range(2):
        begun(envs)
        assert len({env.p2p.seed for env in envs}) == 1
        seeds.append(envs[0].p2p.seed)
    assert all(isinstance(seed, int) for seed in seeds)
    assert len(set(seeds)) == 2
    together(*(env.close for env in envs))


def test_who_insists_on_a_seed_gets_it_and_what_follows_it_is_reproducible(lobby: Lobby) -> None:
    a, b = blends(lobby)
    seeds = []
    for seed in (123, None, None, 123, None, None):
        together(partial(a.reset, seed=seed), b.reset)
        assert a.p2p.seed == b.p2p.seed
        seeds.append(a.p2p.seed)
    assert seeds[0] == 123
    assert seeds[:3] == seeds[3:]
    assert len(set(seeds)) == 3
    together(a.close, b.close)


def test_two_seeds_are_refused_on_both_sides_naming_both_and_can_be_tried_again(lobby: Lobby) -> None:
    envs = blends(lobby)
    refused = together(partial(envs[0].reset, seed=1), partial(envs[1].reset, seed=2))
    for error, ours, theirs in zip(refused, "12", "21", strict=True):
        assert isinstance(error, HandshakeRefused)
        assert error.differences == (("seed of episode 1", ours, theirs),)
        assert f"ours {ours}, theirs {theirs}" in str(error)
    begun(envs)
    together(*(env.close for env in envs))
    assert envs[0].export_multiplayer_metrics()["validation"]["totalEpisodes"] == 1


def test_options_travel_to_every_players_environment(lobby: Lobby) -> None:
    envs = blends(lobby)
    together(partial(envs[0].reset, options={"wind": [1, 2.5]}), envs[1].reset)
    assert [env.unwrapped.options for env in envs] == [{"wind": [1, 2.5]}] * 2
    together(*(env.close for env in envs))


# Resets.


def test_a_reset_in_the_middle_ends_the_episode_for_the_others_and_all_go_on(lobby: Lobby) -> None:
    envs = blends(lobby, kind="three", seats=(0, 1, 2))

    def leave_early() -> Episode:
        play_episode(envs[0], frames=7)
        return play_episode(envs[0], frames=4)

    def stay(env: P2PEnv) -> tuple[Episode, Episode]:
        return play_episode(env), play_episode(env, frames=4)

    played = together(leave_early, partial(stay, envs[1]), partial(stay, envs[2]))
    for own in played[1:]:
        assert isinstance(own, tuple), own
        first, second = own
        assert first.results[-1][1:4] == (0.0, False, True)
        told = {"reason": "peer_reset", "player": envs[0].p2p.progress.player_id}
        assert first.info == {"frame": 7, "p2p": told}
        assert len(first.results) == 7 + 1
        assert len(second.results) == 4
    together(*(env.close for env in envs))
    hashes = [env.export_multiplayer_metrics()["validation"]["allActions"] for env in envs]
    assert hashes[0] == hashes[1] == hashes[2]
    assert len(hashes[0]) == (7 + 4) * 3


def test_the_loop_in_the_tutorial_goes_on_after_a_reset_of_somebody_else(lobby: Lobby) -> None:
    tutorial = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text()
    (loop,) = re.findall(r"```python\n(def play\(.*?)```", tutorial, re.DOTALL)
    told: dict[str, Any] = {}
    exec(loop, told)  # noqa: S102  # what the documentation shows
    a, b = blends(lobby)
    endings: list[Ending | None] = []

    def plays() -> None:
        told["play"](b, episodes=3)
        endings.append(b.p2p.ending)

    def resets_and_leaves() -> None:
        play_episode(a, frames=7)
        play_episode(a)
        assert a.p2p.ending is None
        play_episode(a, frames=9)
        a.close()

    assert together(plays, resets_and_leaves) == [None, None]
    assert endings == [Ending("peer_left", a.p2p.progress.player_id)]
    b.close()
    episodes = b.export_multiplayer_metrics()["validation"]["episodes"]
    assert [episode["totalFrames"] for episode in episodes] == [7, 50, 9]


class _Telling(LastOneStanding):
    """Tells every agent something of its own."""

    def step(self, actions: dict[Any, Any]) -> Any:
        *others, infos = super().step(actions)
        return (*others, {agent: {"you": agent, "frame": len(self.given)} for agent in infos})


def test_every_local_agent_keeps_its_own_info_beside_the_reason(lobby: Lobby) -> None:
    env = P2PParallelEnv(_Telling(limit=12), agents=["a", "b"], **lobby.options())
    other = P2PParallelEnv(_Telling(limit=12), agents=["c"], **lobby.options())
    together(env.reset, other.reset)
    together(lambda: env.step(dict.fromkeys("ab", 2)), lambda: other.step(dict.fromkeys("c", 2)))
    other.close()
    infos = env.step(dict.fromkeys("ab", 2))[4]
    told = {"reason": "peer_left", "player": other.p2p.progress.player_id}
    assert infos == {agent: {"you": agent, "frame": 1, "p2p": told} for agent in "ab"}
    assert env.p2p.ending == Ending("peer_left", other.p2p.progress.player_id)
    env.close()


def test_who_is_out_early_plays_the_episode_out_with_their_next_reset(lobby: Lobby) -> None:
    envs = [P2PParallelEnv(LastOneStanding(limit=12), agents=[agent], **lobby.options()) for agent in "abc"]

    def play(env: P2PParallelEnv, out_at: int) -> list[int]:
        lengths = []
        for _ in range(2):
            env.reset()
            frames = 0
            while env.agents:
                env.step(dict.fromkeys(env.agents, 1 if frames == out_at else 2))
                frames += 1
            lengths.append(frames)
        env.close()
        return lengths

    played = together(partial(play, envs[0], 2), partial(play, envs[1], 5), partial(play, envs[2], 99))
    # The one who leaves the second episode early ends the match for those who stay.
    assert played[0] == [3, 3], played
    assert isinstance(played[2], list)
    assert played[2][0] == 12
    episodes = envs[2].export_multiplayer_metrics()["validation"]["episodes"]
    assert episodes[0]["totalFrames"] == 12


# A player leaves.


def test_close_in_the_middle_truncates_the_other_with_the_reason(lobby: Lobby) -> None:
    a, b = blends(lobby)
    begun([a, b])
    name = a.p2p.progress.player_id
    a.close()
    before = b.p2p.outcome.observations
    observation, reward, terminated, truncated, info = b.step(act(b.action_space, 0))
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info == {"frame": 5, "p2p": {"reason": "peer_left", "player": name}}
    assert b.p2p.ending == Ending("peer_left", name)
    assert (observation == before[1]).all()
    with pytest.raises(MatchOver, match="peer_left"):
        b.step(act(b.action_space, 0))
    with pytest.raises(MatchOver, match="peer_left"):
        b.reset()
    assert_partial(b, "peer_left", name)
    b.close()
    assert_partial(b, "peer_left", name)


def test_who_closes_on_guesses_has_ended_at_the_last_final_frame(lobby: Lobby) -> None:
    a, b = blends(lobby, sync="rollback", input_delay=0)
    begun([a, b])
    for frame in range(5, 8):
        b.step(act(b.action_space, frame))
    assert b.p2p.progress.frame == 8  # three of them on guesses
    b.close()
    document = b.export_multiplayer_metrics()
    (episode,) = document["validation"]["episodes"]
    assert document["sessionStatus"]["terminationFrame"] == episode["totalFrames"] - 1 < 7
    a.close()


# Desyncs.


@pytest.mark.parametrize("network", ["thread", "process"])
def test_a_desync_ends_the_match_where_that_is_wanted_and_both_exports_hold_it(
    network: str, lobby: Lobby
) -> None:
    a, b = blends(lobby, on_desync="truncate", checksum_interval=5, network=network)
    b.unwrapped.skew = 1e-9
    played = together(partial(play_episode, a), partial(play_episode, b))
    for episode, peer in zip(played, (b, a), strict=True):
        assert isinstance(episode, Episode), episode
        assert episode.info["p2p"] == {"reason": "desync", "player": peer.p2p.progress.player_id}
        assert 5 <= len(episode.results) < 50
    together(a.close, b.close)
    events = [env.export_validation_data()["desyncEvents"][0] for env in (a, b)]
    assert [event["frame"] for event in events] == [4, 4]
    assert events[0]["ourHash"] == events[1]["peerHash"] != events[0]["peerHash"]
    assert_partial(a, "desync", b.p2p.progress.player_id)


def test_a_match_that_a_desync_ends_is_closed_once_the_states_are_exchanged_and_compared(
    lobby: Lobby, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("EXCHANGE_LIMIT_S", "COMPARE_LIMIT_S"):  # however busy the machine is
        monkeypatch.setattr(f"gym_p2p.play.live_match.{limit}", PATIENCE_S)
    a, b = blends(lobby, sync="rollback", on_desync="truncate", checksum_interval=5)
    b.unwrapped.skew = 1e-9
    begun([a, b], frames=50)
    together(a.close, b.close)
    for env in (a, b):
        event = env.p2p.document("multiplayer")["validation"]["allDesyncEvents"][0]
        assert event["stateProblem"] is None
        assert "unwrapped.skew" in [row["path"] for row in event["stateDifferences"]]


def test_by_default_a_match_goes_on_after_a_desync_and_counts_it(lobby: Lobby) -> None:
    a, b = blends(lobby, checksum_interval=10)
    b.unwrapped.skew = 1e-9
    begun([a, b], frames=50)
    together(a.close, b.close)
    for env in (a, b):
        assert env.export_validation_data()["summary"]["desyncCount"] == 5
        assert env.export_session_metrics()["sync"]["p2pHashMismatches"] == 5


# What cannot be in a state.


def test_a_step_needs_an_episode_that_runs(lobby: Lobby) -> None:
    a, b = blends(lobby)
    with pytest.raises(UsageError, match="reset"):
        a.step(act(a.action_space, 0))
    begun([a, b], frames=50)
    with pytest.raises(UsageError, match="reset"):
        a.step(act(a.action_space, 0))
    together(a.close, b.close)
    for call in (a.reset, partial(a.step, act(a.action_space, 0))):
        with pytest.raises(MatchOver, match="closed"):
            call()


def _waits(frame: FrameType | None) -> bool:
    """Tell whether a step waits for the others there."""
    while frame is not None:
        if frame.f_code is MatchClient.receive.__code__ and frame.f_locals["timeout_s"] > 0:
            return True
        frame = frame.f_back
    return False


def test_who_is_interrupted_while_their_exports_begin_has_their_documents(
    lobby: Lobby, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Exporter.begin

    def interrupted(exporter: Exporter) -> None:
        begin(exporter)
        raise KeyboardInterrupt

    monkeypatch.setattr(Exporter, "begin", interrupted)
    envs = blends(lobby)
    for error in together(*(env.reset for env in envs)):
        assert isinstance(error, KeyboardInterrupt | PeerLost)
    written = sorted(path.name for path in lobby.exports.rglob("*.*.json"))
    assert written == sorted(f"{seat}.{kind}.json" for seat in ("a", "b") for kind in KINDS)
    assert not list(lobby.exports.rglob("*.journal.jsonl"))


def test_a_signal_handler_may_close_what_it_interrupts(lobby: Lobby) -> None:
    a, b = blends(lobby)
    together(a.reset, b.reset)

    def close(_number: int, frame: FrameType | None) -> None:
        if _waits(frame):
            a.close()

    before = signal.signal(signal.SIGALRM, close)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    try:
        with pytest.raises(MatchOver, match="closed"):
            a.step(act(a.action_space, 0))  # b gives no input
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert a.p2p.state is SessionState.CLOSED
    infos = [b.step(act(b.action_space, frame))[4] for frame in range(2)]
    assert ["p2p" in info for info in infos] == [False, True]  # a had given its first input
    b.close()


def test_who_leaves_after_their_last_step_has_what_they_played_in_their_record(lobby: Lobby) -> None:
    envs = blends(lobby, kind="three", seats=(0, 1, 2), fps=30, sync="rollback")

    def play(env: P2PEnv) -> None:
        time.sleep(0.008 * envs.index(env))  # not in step
        play_episode(env, frames=30)
        env.close()

    together(*(partial(play, env) for env in envs))
    records = [env.export_multiplayer_metrics()["validation"] for env in envs]
    assert [len(record["allActions"]) for record in records] == [30 * 3] * 3
    assert_all_played_the_same([{"validation": record} for record in records])
