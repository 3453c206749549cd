"""`PolicySeat` beside environments that are played over real channels, and what the documents say of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import pytest

import gym_p2p.envs  # registers the bundled game
from gym_p2p import ConfigurationError, InvalidAction, P2PEnv, P2PParallelEnv, PolicySeat, UsageError
from gym_p2p.envs.rally import parallel_env
from tests.game.environments import LastOneStanding
from tests.players import Lobby, auto_peers, left_running, together
from tests.requirements import require
from tests.waiting import until

RALLY = "gym_p2p/Rally-v0"


def rally(seat: str | None, lobby: Lobby, **changes: Any) -> P2PEnv:
    return P2PEnv(gymnasium.make(RALLY), seat=seat, **lobby.options(**changes))


def play(env: P2PEnv, policy: PolicySeat, frames: int) -> Any:
    """Play until the match is over, or for so many frames; return the newest info."""
    _, info = env.reset()
    for _ in range(frames):
        _, _, terminated, truncated, info = env.step(policy.action())
        if terminated or truncated:
            break
    return info


def closing(env: P2PEnv | P2PParallelEnv, do: Callable[[], Any]) -> Any:
    try:
        return do()
    finally:
        env.close()


def test_two_policies_play_and_the_documents_say_which_and_how_fast(lobby: Lobby) -> None:
    envs = [rally(seat, lobby, fps=200) for seat in ("left", "right")]
    policies = [
        PolicySeat(envs[0], "scripted", reaction_ms=20, actions_per_s=10),
        PolicySeat(envs[1], lambda _seen, frame: frame % 3),
    ]
    together(*(partial(play, env, policy, 60) for env, policy in zip(envs, policies, strict=True)))
    left, right = [env.export_multiplayer_metrics() for env in envs]
    for env in envs:
        env.close()
    (told,) = left["policies"]
    assert (told["seat"], told["policy"], told["kind"]) == ("left", "scripted", "scripted")
    assert (told["reactionMs"], told["actionsPerS"], told["fps"]) == (20.0, 10.0, 200.0)
    assert told["decisions"] == 60
    assert told["changes"] <= 10
    rows = [row["action"] for row in left["validation"]["allActions"] if row["playerId"] == "left"]
    assert rows[:4] == [0, 0, 0, 0]  # nothing was seen yet
    (other,) = right["policies"]
    assert (other["kind"], other["changes"], other["fps"]) == ("function", 59, None)
    assert other["policy"].endswith("<lambda>")
    assert len(other["sha256"]) == 64
    assert [player["playedBy"] for player in left["players"]] == ["policy", "policy"]
    require("pyarrow", "pip install 'gym_p2p[data]'")
    players = gym_p2p.load(lobby.exports).players.arrow.to_pydict()
    assert players["player"] == ["left", "right"]
    assert players["policy"] == ["scripted", other["policy"]]
    assert players["reaction_ms"] == [20.0, 0.0]
    assert players["actions_per_s"] == [10.0, None]
    until(lambda: left_running() == [])


class Counts:
    """Counts the frames of an episode, and says how it began each."""

    def __init__(self) -> None:
        self.first: list[int] = []
        self.calls = 0

    def reset(self) -> None:
        self.calls = 0

    def __call__(self, _observation: Any, _frame: int) -> int:
        self.calls += 1
        if self.calls == 1:
            self.first.append(_frame)
        return self.calls % 3


def test_a_policy_begins_anew_when_another_player_did(lobby: Lobby) -> None:
    envs = [rally(seat, lobby) for seat in ("left", "right")]
    counts = Counts()
    policy = PolicySeat(envs[0], counts)

    def begins_anew() -> None:
        for _ in range(2):
            envs[1].reset()
            for _ in range(10):
                envs[1].step(0)
        envs[1].close()

    def plays_on() -> list[str]:
        reasons = []
        while True:
            info = play(envs[0], policy, 1000)
            reasons.append(info["p2p"]["reason"])
            if reasons[-1] != "peer_reset":
                envs[0].close()
                return reasons

    played = together(begins_anew, plays_on)
    assert played[0] is None
    assert played[1] == ["peer_reset", "peer_left"]
    assert counts.first == [0, 0]
    assert policy._policy.record.decisions >= 20


def test_any_free_seat_is_played_once_it_is_known(lobby: Lobby) -> None:
    envs = [rally(None, lobby) for _ in range(2)]
    together(*(partial(play, env, PolicySeat(env, "scripted"), 5) for env in envs))
    documents = [env.export_multiplayer_metrics() for env in envs]
    for env in envs:
        env.close()
    for document in documents:
        assert [told["seat"] for told in document["policies"]] == [document["playerId"]]
    assert {document["playerId"] for document in documents} == {"left", "right"}


def test_agents_of_a_parallel_environment_have_policies_of_their_own(lobby: Lobby) -> None:
    agents = ("a", "b", "c")
    env = P2PParallelEnv(LastOneStanding(agents=agents, limit=6), agents=["a", "b"], **lobby.options())
    with auto_peers(
        [lambda: P2PParallelEnv(LastOneStanding(agents=agents, limit=6), agents=["c"], **lobby.options())]
    ):
        with pytest.raises(ConfigurationError, match="say which of 'a', 'b' the policy plays"):
            PolicySeat(env, "random")
        with pytest.raises(ConfigurationError, match="one of the local seats"):
            PolicySeat(env, "random", agent="c")
        policies = {
            "a": PolicySeat(env, lambda *_: 0, agent="a"),
            "b": PolicySeat(env, lambda *_: 2, agent="b"),
        }
        env.reset()
        while env.agents:
            env.step({agent: policies[agent].action() for agent in env.agents})
        document = env.export_multiplayer_metrics()
        env.close()
    assert [told["seat"] for told in document["policies"]] == ["a", "b"]
    for row in document["validation"]["allActions"]:
        assert row["action"] == {"a": 0, "b": 2}.get(row["playerId"], row["action"])


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda _seen, frame: 1 // (3 - frame), UsageError, "raised, at frame 3: ZeroDivisionError"),
        (lambda _seen, frame: 2 * frame, InvalidAction, "gave no action of it, at frame 3"),
    ],
)
def test_a_policy_that_fails_ends_the_match_for_the_others_properly(
    wrong: Any, error: type[Exception], words: str, lobby: Lobby
) -> None:
    envs = [rally(seat, lobby) for seat in ("left", "right")]
    policies = [PolicySeat(envs[0], wrong), PolicySeat(envs[1], "scripted")]
    failed, info = together(
        *(
            partial(closing, env, partial(play, env, policy, 1000))
            for env, policy in zip(envs, policies, strict=True)
        )
    )
    assert isinstance(failed, error)
    assert words in str(failed)
    assert info["p2p"] == {"reason": "peer_left", "player": "left"}  # type: ignore[index]  # no error
    until(lambda: left_running() == [])


def test_before_a_reset_there_is_no_action_and_no_limit_without_a_rate(lobby: Lobby) -> None:
    env = rally("left", lobby)
    with pytest.raises(UsageError, match="no episode"):
        PolicySeat(env, "random").action()
    with pytest.raises(ConfigurationError, match="fps"):
        PolicySeat(env, "random", reaction_ms=100)
    with pytest.raises(UsageError, match=r"no policy 'rando'; .*did you mean 'random'"):
        PolicySeat(env, "rando")
    env.close()
    with pytest.raises(UsageError, match="for a P2PEnv or P2PParallelEnv"):
        PolicySeat(gymnasium.make(RALLY), "random")
    with pytest.raises(UsageError, match="for a P2PEnv or P2PParallelEnv"):
        PolicySeat(parallel_env(), "random")
