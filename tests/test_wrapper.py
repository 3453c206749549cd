"""``P2PEnv`` as a Gymnasium environment: its contract, its spec, and the oracle for every kind of seat."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import gymnasium
import jsonschema
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit

import gym_p2p.envs  # noqa: F401 registers
from gym_p2p import IceServer, LinkEmulation, P2PEnv, UnsupportedEnvironment, UsageError
from gym_p2p.exports import schema
from gym_p2p.game.env.seats import make_game
from gym_p2p.wrapper import P2POptions
from tests.players import (
    Episode,
    Lobby,
    assert_all_played_the_same,
    auto_peers,
    play_episode,
    play_oracle,
    together,
)
from tests.toys import BLEND

INHERENT = ("is different from the unwrapped version", "A Box observation space m")
"""What ``check_env`` says of any wrapper, and of CartPole itself."""


def _rally() -> gymnasium.Env[Any, Any]:
    return gymnasium.make("gym_p2p/Rally-v0")


def _cart_pole() -> gymnasium.Env[Any, Any]:
    return gymnasium.make("CartPole-v1")


def _blend(kind: str, length: int = 50) -> gymnasium.Env[Any, Any]:
    return gymnasium.make(BLEND, kind=kind, length=length)


@attrs.frozen
class Table:
    """An environment and who sits where."""

    make: Callable[[], gymnasium.Env[Any, Any]]
    seats: tuple[Any, ...]
    watchers: int = 0

    def env(self, seat: Any, options: P2POptions) -> P2PEnv:
        return P2PEnv(self.make(), seat=seat, watchers=self.watchers, **options)


TABLES = {
    "rally": Table(_rally, ("left", "right")),
    "cart pole and a watcher": Table(_cart_pole, ("player", "watcher_1"), watchers=1),
    "a watcher of cart pole": Table(_cart_pole, ("watcher_1", "player"), watchers=1),
    "dict": Table(partial(_blend, "dict"), ("a", "b")),
    "tuple": Table(partial(_blend, "tuple"), (0, 1)),
    "multidiscrete": Table(partial(_blend, "multidiscrete"), (1, 0)),
    "multibinary": Table(partial(_blend, "multibinary"), (0, 1)),
    "three": Table(partial(_blend, "three"), (0, 1, 2)),
    "nested": Table(partial(_blend, "nested"), (0, 1)),
}


@pytest.mark.parametrize("name", TABLES)
def test_check_env_passes_beside_an_auto_peer_without_a_warning_of_our_making(
    name: str, lobby: Lobby
) -> None:
    table = TABLES[name]
    own, *others = table.seats
    with auto_peers([partial(table.env, seat, lobby.options()) for seat in others]):
        env = table.env(own, lobby.options())
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            # The render check makes a second environment, and its match would need a second room.
            check_env(env, skip_render_check=True)
        env.close()
    texts = [str(warning.message) for warning in warned]
    assert [text for text in texts if not any(known in text for known in INHERENT)] == []


def test_every_render_mode_renders(lobby: Lobby) -> None:
    for mode in ("ansi", "rgb_array"):
        with auto_peers([lambda: P2PEnv(_rally(), seat="right", **lobby.options())]):
            env = P2PEnv(gymnasium.make("gym_p2p/Rally-v0", render_mode=mode), seat="left", **lobby.options())
            env.reset()
            assert env.render() is not None
            env.close()


def _play_match(table: Table, lobby: Lobby, **changes: Any) -> tuple[list[P2PEnv], list[list[Episode]]]:
    """Play two episodes with everybody in this process; return the closed environments and what they saw."""
    envs = [table.env(seat, lobby.options(**changes)) for seat in table.seats]

    def play(index: int) -> list[Episode]:
        episodes = [play_episode(envs[index], salt=index, frames=180) for _ in range(2)]
        envs[index].close()
        return episodes

    played = together(*(partial(play, i) for i in range(len(envs))))
    assert all(isinstance(episodes, list) for episodes in played), played
    return envs, [episodes for episodes in played if isinstance(episodes, list)]


def _assert_equal_to_the_oracle(table: Table, envs: list[P2PEnv], played: list[list[Episode]]) -> None:
    documents = [env.export_multiplayer_metrics() for env in envs]
    assert_all_played_the_same(documents)
    game = make_game(table.make(), watchers=table.watchers)
    seed = envs[0].p2p.seed
    assert isinstance(seed, int)
    oracle = list(play_oracle(game, seed, documents[0], episode=2))
    for env, episodes in zip(envs, played, strict=True):
        index = game.seats.index(env.p2p.seat)
        episode = episodes[-1]
        assert len(oracle) == len(episode.results) + 1 > 5
        np.testing.assert_array_equal(episode.first[0], oracle[0].observations[index])
        for outcome, (observation, reward, terminated, truncated, _) in zip(
            oracle[1:], episode.results, strict=True
        ):
            np.testing.assert_array_equal(observation, outcome.observations[index])
            assert reward == outcome.rewards[index]
            assert (terminated, truncated) == (outcome.terminations[index], outcome.truncations[index])


@pytest.mark.parametrize(
    ("name", "network"),
    # The network half does not know the spaces: two are enough for the other one.
    [*((name, "thread") for name in TABLES), ("rally", "process"), ("three", "process")],
)
def test_all_players_see_what_a_plain_environment_shows_for_the_exported_actions(
    name: str, network: str, lobby: Lobby
) -> None:
    envs, played = _play_match(TABLES[name], lobby, network=network)
    _assert_equal_to_the_oracle(TABLES[name], envs, played)


@pytest.mark.parametrize("name", ["rally", "three"])
def test_an_input_delay_of_each_ones_own_changes_nothing_of_that(name: str, lobby: Lobby) -> None:
    envs, played = _play_match(TABLES[name], lobby, input_delay=3)
    _assert_equal_to_the_oracle(TABLES[name], envs, played)


def test_any_free_seat_is_taken_where_all_have_the_same_spaces(lobby: Lobby) -> None:
    table = attrs.evolve(TABLES["three"], seats=(None, None, None))
    envs, played = _play_match(table, lobby)
    assert sorted(env.p2p.seat for env in envs) == [0, 1, 2]
    _assert_equal_to_the_oracle(table, envs, played)


def test_any_free_seat_is_refused_where_seats_differ() -> None:
    with pytest.raises(UnsupportedEnvironment, match="name one of"):
        P2PEnv(_blend("dict"), seat=None)


def test_an_environments_own_end_reaches_all_players_at_the_same_frame(lobby: Lobby) -> None:
    _, played = _play_match(TABLES["three"], lobby)
    for episodes in played:
        assert [len(episode.results) for episode in episodes] == [50, 50]
        assert all(episode.results[-1][2] is True and "p2p" not in episode.info for episode in episodes)


# The spec.


def test_the_spec_travels_as_json_and_makes_the_wrapper_again() -> None:
    env = P2PEnv(_blend("tuple", length=9), seat=1, room="x", input_delay=2, default_actions={0: 1})
    spec = env.spec
    assert spec is not None
    again = gymnasium.make(EnvSpec.from_json(spec.to_json()))
    assert isinstance(again, P2PEnv)
    assert again.unwrapped.length == 9  # type: ignore[attr-defined]  # Blend's
    assert again.p2p.config == env.p2p.config
    assert again.p2p.config.sync.input_delay == 2
    assert again.action_space == env.action_space
    assert again.p2p.seats == (1,)
    for made in (env, again):
        made.close()


def test_the_spec_says_how_the_action_splits() -> None:
    env = P2PEnv(gymnasium.make(BLEND, kind="dict"), seat="pair", seats={"pair": ["a", "b"]}, watchers=1)
    assert env.spec is not None
    again: Any = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.get_wrapper_attr("p2p").game.seats == ("pair", "watcher_1")


SERVER: dict[str, Any] = {"urls": ["turn:relay.example"], "username": "us3r", "credential": "s3cret-too"}


@pytest.mark.parametrize("server", [SERVER, IceServer(**SERVER)], ids=["mapping", "value"])
def test_the_spec_names_no_secret(server: Any) -> None:
    env = P2PEnv(_rally(), seat="left", token="tok3n-s3cret", ice_servers=[server])  # noqa: S106 - made up
    spec = env.spec
    assert spec is not None
    for text in (spec.to_json(), repr(spec), repr(env), str(env), repr(env.p2p)):
        assert "s3cret" not in text
        assert "us3r" not in text
    assert "turn:relay.example" in spec.to_json()
    again = gymnasium.make(EnvSpec.from_json(spec.to_json()))
    assert again.get_wrapper_attr("p2p").config.token is None


def test_the_spec_of_whatever_is_around_it_names_no_secret_either() -> None:
    inner = P2PEnv(_rally(), seat="left", token="tok3n-s3cret", ice_servers=[SERVER])  # noqa: S106 - made up
    spec = RecordEpisodeStatistics(TimeLimit(inner, 20)).spec
    assert spec is not None
    for text in (spec.to_json(), repr(spec), str(spec)):
        assert "s3cret" not in text
        assert "us3r" not in text


@pytest.mark.parametrize(
    "option",
    [
        {"emulation": LinkEmulation(loss=0.1)},
        {"emulation": {"loss": 0.1}},
        {"exports": Path("somewhere"), "record": Path("matches")},
        {"fps": np.float32(60), "input_delay": np.int64(2)},
        {"snapshot_hooks": ("save", "load")},
        {"ice_servers": (IceServer(urls="stun:a.example"), {"urls": ["stun:b.example"]})},
        {"queue": "lab", "pre_match": 50},
        {"default_actions": {"left": np.int64(1), "right": np.array(2)}},
    ],
    ids=lambda option: next(iter(option)),
)
def test_the_spec_holds_plain_data_whatever_the_options_were(option: dict[str, Any]) -> None:
    env = P2PEnv(_rally(), seat="left", **option)
    assert env.spec is not None
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.get_wrapper_attr("p2p").config == env.p2p.config
    assert str(Path.cwd()) not in env.spec.to_json()
    assert again.get_wrapper_attr("p2p").game.default_action("right") == env.p2p.game.default_action("right")


def _heard(_told: object) -> bool:
    """What a user's function is: called with what is told."""
    return True


@pytest.mark.parametrize(
    "option",
    [
        {"on_pause": _heard},
        {"queue": "lab", "pre_match": _heard},
        {"on_peer_loss": "stand_in", "stand_in": _heard},
        {"snapshot_hooks": (_heard, _heard)},
    ],
    ids=lambda option: list(option)[-1],
)
def test_a_function_stands_in_the_spec_by_its_name(option: dict[str, Any]) -> None:
    env = P2PEnv(_rally(), seat="left", **option)
    assert env.spec is not None
    text = env.spec.to_json()
    assert f"{__name__}:_heard" in text
    again = gymnasium.make(EnvSpec.from_json(text))
    assert again.get_wrapper_attr("p2p").config.room == env.p2p.config.room
    for made in (env, again):
        made.close()


def test_a_seat_counted_with_numpy_is_that_seat() -> None:
    env = P2PEnv(gymnasium.make(BLEND, kind="tuple"), seat=np.int64(1), watchers=np.int64(0))  # type: ignore[arg-type]  # a user's
    assert env.spec is not None
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.get_wrapper_attr("p2p").seats == env.p2p.seats == (1,)
    assert type(env.p2p.seat) is int


class _Policy:
    """What cannot be copied: it holds a lock, as whatever runs a model does."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def act(self, _seat: Any, _observation: Any, frame: int) -> int:
        return frame % 2


def test_arguments_are_not_copied() -> None:
    policy = _Policy()
    env = P2PEnv(_rally(), seat="left", on_peer_loss="stand_in", stand_in=policy.act)
    assert env.p2p.config.sync.stand_in == policy.act


def test_the_spec_survives_other_wrappers_outside() -> None:
    inner = P2PEnv(_rally(), seat="left", ice_servers=[{"urls": ["stun:127.0.0.1"]}])
    env = RecordEpisodeStatistics(TimeLimit(inner, 20))
    spec = env.spec
    assert spec is not None
    again = gymnasium.make(EnvSpec.from_json(spec.to_json()))
    assert again.has_wrapper_attr("p2p")
    assert again.get_wrapper_attr("p2p").config == inner.p2p.config
    env.close()
    again.close()


def test_an_outer_time_limit_and_statistics_work_on_a_match(lobby: Lobby) -> None:
    with auto_peers([lambda: P2PEnv(_rally(), seat="right", **lobby.options())]):
        env = RecordEpisodeStatistics(TimeLimit(P2PEnv(_rally(), seat="left", **lobby.options()), 20))
        for _ in range(2):
            env.reset()
            results = [env.step(0) for _ in range(20)]
            assert [truncated for _, _, _, truncated, _ in results] == [False] * 19 + [True]
            assert results[-1][4]["episode"]["l"] == 20
        env.close()


# The exports.


def test_the_exports_before_a_match_say_what_to_do() -> None:
    env = P2PEnv(_rally(), seat="left")
    for export in (env.export_session_metrics, env.export_validation_data, env.export_multiplayer_metrics):
        with pytest.raises(UsageError, match="call reset"):
            export()
    env.close()


def test_the_exports_are_valid_during_and_after_a_match_and_stay_the_same(lobby: Lobby) -> None:
    def documents() -> list[dict[str, Any]]:
        return [env.export_session_metrics(), env.export_validation_data(), env.export_multiplayer_metrics()]

    options = lobby.options(fps=100, poll_interval_ms=50, checksum_interval=30, sync="lockstep")
    with auto_peers([lambda: P2PEnv(_rally(), seat="right", **options)]):
        env = P2PEnv(_rally(), seat="left", **options)
        play_episode(env, frames=60)
        for kind, document in zip(("session", "validation", "multiplayer"), documents(), strict=True):
            jsonschema.validate(document, schema(kind))
        env.close()
    after = documents()
    assert documents() == after
    for kind, document in zip(("session", "validation", "multiplayer"), after, strict=True):
        jsonschema.validate(document, schema(kind))
        assert document["latency"]["sampleCount"] > 3
    assert after[0]["frames"]["total"] == 60
    inputs = after[0]["inputs"]
    assert (inputs["sentViaP2P"], inputs["sentViaSocketIO"], inputs["receivedViaSocketIO"]) == (60, 0, 0)
    assert inputs["receivedViaP2P"] in {60, 61}  # the other one's next may be here already
    assert after[2]["sessionStatus"]["isPartial"] is False


def test_two_equal_matches_give_equal_infos(lobby: Lobby) -> None:
    infos = []
    for _ in range(2):
        _, played = _play_match(TABLES["dict"], Lobby(lobby.url, lobby.exports))
        infos.append([[result[4] for result in episode.results] for episode in played[0]])
    assert infos[0] == infos[1]
    assert infos[0][0][3] == {"frame": 4}
