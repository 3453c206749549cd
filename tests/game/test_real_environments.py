"""Other people's environments, unmodified, through the game layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from gym_p2p.game.checksum import OutcomeChecksum
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.seats import Game, make_game
from gym_p2p.game.outcome import Outcome
from gym_p2p.policies.load import load_policy
from tests.requirements import require

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

_ENVS = "pip install 'gym_p2p[envs]'"


@attrs.frozen
class _Real:
    name: str
    needs: tuple[str, ...]
    seats: tuple[Any, ...]
    kwargs: dict[str, Any] = attrs.field(factory=dict)
    options: dict[str, Any] = attrs.field(factory=dict)
    distribution: str = "gymnasium"
    frames: int = 40


_ALL = {
    "pong, memory": _Real(
        "pettingzoo.atari.pong_v3",
        ("multi_agent_ale_py", "ale_py", "pygame"),
        ("first_0", "second_0"),
        kwargs={"obs_type": "ram"},
        distribution="multi-agent-ale-py",
    ),
    "pong, pictures": _Real(
        "pettingzoo.atari.pong_v3",
        ("multi_agent_ale_py", "ale_py", "pygame"),
        ("first_0", "second_0"),
        distribution="pettingzoo",
    ),
    "simple_spread": _Real(
        "mpe2.simple_spread_v3", ("mpe2", "pygame"), ("agent_0", "agent_1", "agent_2"), distribution="mpe2"
    ),
    "simple_spread, continuous": _Real(
        "mpe2.simple_spread_v3",
        ("mpe2", "pygame"),
        ("agent_0", "agent_1"),
        kwargs={"N": 2, "continuous_actions": True},
        distribution="mpe2",
    ),
    "simple_tag": _Real(
        "mpe2.simple_tag_v3",
        ("mpe2", "pygame"),
        ("adversary_0", "adversary_1", "adversary_2", "agent_0"),
        distribution="mpe2",
    ),
    "simple_tag as AEC": _Real(
        "mpe2.simple_tag_v3:env",
        ("mpe2", "pygame"),
        ("adversary_0", "adversary_1", "adversary_2", "agent_0"),
        distribution="mpe2",
    ),
    "foraging": _Real(
        "lbforaging:Foraging-8x8-2p-2f-v3", ("lbforaging",), (0, 1), distribution="lbforaging", frames=60
    ),
    "overcooked": _Real(
        "cogrid:Overcooked-CrampedRoom-V0",
        ("cogrid", "pygame"),
        (0, 1),
        options={"default_actions": 6},
        distribution="cogrid",
    ),
    "cart pole": _Real(
        "CartPole-v1", (), ("player", "watcher_1"), options={"watchers": 1}, distribution="numpy"
    ),
    "rally": _Real("gym_p2p/Rally-v0", (), ("left", "right"), kwargs={"points": 1}, distribution="gym_p2p"),
}


@pytest.fixture(params=list(_ALL))
def real(request: pytest.FixtureRequest) -> _Real:
    found = _ALL[request.param]
    for module in found.needs:
        require(module, _ENVS)
    return found


def _make(real: _Real) -> Game:
    return make_game(load_environment(real.name, real.kwargs), **real.options)


def _play(game: Game, real: _Real, seen: Callable[[int, list[bytes], Outcome], None]) -> None:
    outcome = game.reset(seed=7)
    policies = [load_policy("random", game, seat, seed=n) for n, seat in enumerate(game.seats)]
    for frame in range(real.frames):
        if outcome.ended:
            outcome = game.reset(seed=frame)
        wanted = [policy(o, frame) for policy, o in zip(policies, outcome.observations, strict=True)]
        inputs = [
            game.codec(seat).encode(game.codec(seat).check(a))
            for seat, a in zip(game.seats, wanted, strict=True)
        ]
        actions = [game.codec(seat).decode(data) for seat, data in zip(game.seats, inputs, strict=True)]
        outcome = game.step(actions)
        seen(frame, inputs, outcome)


def test_it_has_the_seats_that_one_expects_and_plays(real: _Real) -> None:
    game = _make(real)
    assert game.seats == real.seats
    ends = 0

    def look(_frame: int, _inputs: list[bytes], outcome: Outcome) -> None:
        nonlocal ends
        ends += outcome.ended
        for seat, observation in zip(game.seats, outcome.observations, strict=True):
            assert observation in game.observation_space(seat)
        assert all(type(reward) is float for reward in outcome.rewards)

    _play(game, real, look)
    if "mpe2" in real.needs or real.name == "CartPole-v1":
        assert ends >= 1, "these are over within the frames played"
    game.close()


def test_two_copies_given_the_same_actions_have_the_same_checksums(real: _Real) -> None:
    digests: list[list[str]] = []
    for _ in range(2):
        game = _make(real)
        running = OutcomeChecksum(len(game.seats))
        mine: list[str] = []

        def look(
            frame: int,
            inputs: list[bytes],
            outcome: Outcome,
            running: OutcomeChecksum = running,
            mine: list[str] = mine,
        ) -> None:
            running.update(frame, inputs, outcome)
            mine.append(running.digest(outcome))

        _play(game, real, look)
        game.close()
        digests.append(mine)
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == real.frames


def test_its_description_names_the_version_of_the_package_it_comes_from(real: _Real) -> None:
    game, again = _make(real), _make(real)
    assert f"version of {real.distribution}" in game.describe()
    assert game.describe() == again.describe()
    assert "0x" not in str(game.describe())
    game.close()
    again.close()


def test_default_actions_are_actions(real: _Real) -> None:
    game = _make(real)
    for seat in game.seats:
        assert game.default_action(seat) in game.action_space(seat)
    game.close()


def test_overcooked_does_nothing_by_its_configured_default() -> None:
    real = _ALL["overcooked"]
    for module in real.needs:
        require(module, _ENVS)
    game = _make(real)
    assert [game.default_action(seat) for seat in game.seats] == [6, 6]
    game.close()


def test_pong_needs_the_same_rom_and_not_the_same_directory() -> None:
    real = _ALL["pong, memory"]
    for module in real.needs:
        require(module, _ENVS)
    game = _make(real)
    description = game.describe()
    assert "game ROM" in description
    assert not any("/" in text for text in description.values())
    game.close()


def test_environments_that_share_their_metadata_are_still_told_apart() -> None:
    require("mpe2", _ENVS)
    require("pygame", _ENVS)
    first = make_game(load_environment("mpe2.simple_spread_v3")).describe()
    load_environment("mpe2.simple_tag_v3").close()
    assert make_game(load_environment("mpe2.simple_spread_v3")).describe() == first
    assert "simple_spread" in first["environment"]


def test_a_game_of_turns_is_played_a_turn_a_step() -> None:
    require("pygame", _ENVS)
    game = make_game(load_environment("pettingzoo.classic.tictactoe_v3"))
    assert game.seats == ("player_1", "player_2")
    outcome = game.reset(seed=1)
    for move in (0, 3, 1, 4, 2):  # the first one has a row
        assert not outcome.ended
        outcome = game.step([move, move])
    assert outcome.ended
    assert outcome.rewards == (1.0, -1.0)
    game.close()
