"""Simulated matches against the oracle: one plain environment, stepped with the confirmed joint actions."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import jsonschema
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gym_p2p import ConfigurationError, UnsupportedEnvironment
from gym_p2p.game.checksum import OutcomeChecksum
from gym_p2p.game.env.seats import make_game
from gym_p2p.simulation import Simulation, simulate
from tests.toys import Blend

SCHEMAS = Path(__file__).parents[2] / "gym_p2p" / "schemas"


class Blends(Blend):
    """The same for any number of players, each with seven actions."""

    def __init__(self, players: int = 2, length: int = 10_000) -> None:
        super().__init__("dict", length)
        self.action_space = spaces.MultiDiscrete([7] * players)


def _changing(seat: int, every: int = 3) -> Callable[[Any, int], int]:
    """Return a policy that changes its mind, so that guesses go wrong."""
    return lambda _observation, frame: (frame // every * (seat + 2) + seat) % 7


def _seeing(seat: int) -> Callable[[Any, int], int]:
    """Return a policy that acts on what it sees, provisional as it may be."""
    return lambda observation, frame: int(observation[seat % 3] * 1000 + frame) % 7


def _match(players: int, frames: int, policy: Callable[[int], Any] = _changing, **options: Any) -> Simulation:
    policies = {seat: policy(seat) for seat in range(players)}
    return simulate(lambda: Blends(players), policies, frames=frames, seed=11, **options)


def _assert_oracle(result: Simulation, make_env: Callable[[], Any], seed: int = 11) -> int:
    """Check every player's confirmed frames; return how many different observations there were."""
    longest = max(result.players.values(), key=lambda player: len(player.confirmed))
    game = make_game(make_env())
    checksum = OutcomeChecksum(len(game.seats))
    game.reset(seed)
    observations = set()
    for frame, row in enumerate(longest.confirmed):
        actions = [game.codec(seat).from_json(row.actions[seat]) for seat in game.seats]
        outcome = game.step(actions)
        encoded = [game.codec(s).encode(a) for s, a in zip(game.seats, actions, strict=True)]
        checksum.update(frame, encoded, outcome)
        digest = checksum.digest(outcome)
        for index, seat in enumerate(game.seats):
            rows = result.players[seat].confirmed
            if frame >= len(rows):
                continue
            assert rows[frame].frame == frame
            assert rows[frame].actions == row.actions
            np.testing.assert_array_equal(rows[frame].observation, outcome.observations[index])
            assert rows[frame].reward == outcome.rewards[index]
            assert rows[frame].terminated == outcome.terminations[index]
            assert rows[frame].checksum == digest
        observations.add(digest)
    game.close()
    return len(observations)


networks = st.fixed_dictionaries(
    {
        "one_way_ms": st.sampled_from([0, 5, 16, 40, 90, 160]),
        "jitter_ms": st.sampled_from([0, 3, 20]),
        "loss": st.sampled_from([0, 0.05, 0.3]),
        "reorder": st.sampled_from([0, 0.3]),
        "duplicate": st.sampled_from([0, 0.3]),
        "network_seed": st.integers(0, 10_000),
        "input_delay": st.sampled_from([0, 1, 4]),
    }
)


NEAR_THE_THRESHOLD = {
    "one_way_ms": 90,
    "jitter_ms": 0,
    "loss": 0.05,
    "reorder": 0,
    "duplicate": 0.3,
    "network_seed": 116,
    "input_delay": 4,
}


@pytest.mark.parametrize("players", [2, 3, 4])
@settings(max_examples=12, deadline=None)
@given(network=networks)
@example(network=NEAR_THE_THRESHOLD)
def test_whatever_the_network_every_player_plays_what_one_plain_environment_would(
    players: int, network: dict[str, Any]
) -> None:
    result = _match(players, 90, _seeing, sync="rollback", **network)
    assert {player.ending for player in result.players.values()} == {"frames"}
    assert {len(player.confirmed) for player in result.players.values()} == {90}
    assert _assert_oracle(result, lambda: Blends(players)) == 90
    if network["one_way_ms"] > network["input_delay"] * 17 + 17:
        # Somebody has to, but not everybody: the others' inputs may all be there for who runs behind.
        assert any(player.counters.rollbacks > 0 for player in result.players.values())


def test_a_delay_beyond_the_window_stalls_and_changes_nothing() -> None:
    result = _match(2, 120, one_way_ms=250, sync="rollback")
    assert all(player.counters.stalls > 0 for player in result.players.values())
    assert all(player.counters.max_rollback_frames <= 8 for player in result.players.values())
    assert _assert_oracle(result, Blends) == 120


def test_guesses_that_hold_cost_nothing() -> None:
    result = _match(
        2, 200, lambda seat: lambda _observation, _frame: seat + 1, one_way_ms=50, sync="rollback"
    )
    for player in result.players.values():
        assert player.counters.rollbacks <= 1  # the very first guess is the default action
        assert player.counters.stalls == 0


def test_lockstep_and_rollback_confirm_the_same_when_policies_do_not_look() -> None:
    lockstep = _match(2, 100, sync="lockstep", one_way_ms=40)
    rollback = _match(2, 100, sync="rollback", one_way_ms=40, loss=0.1)
    assert [f.checksum for f in lockstep.players[0].confirmed] == [
        f.checksum for f in rollback.players[1].confirmed
    ]
    assert lockstep.players[0].counters.rollbacks == 0
    assert rollback.players[0].counters.rollbacks > 0
    assert lockstep.seconds > 2 * rollback.seconds


def test_equal_arguments_give_equal_results_to_the_last_byte() -> None:
    one, other = [_match(3, 60, one_way_ms=30, jitter_ms=10, loss=0.1, network_seed=5) for _ in range(2)]
    another = _match(3, 60, one_way_ms=30, jitter_ms=10, loss=0.1, network_seed=6)
    for seat in range(3):
        assert one.players[seat].counters == other.players[seat].counters
        documents = [json.dumps(p.players[seat].exports, sort_keys=True) for p in (one, other)]
        assert documents[0] == documents[1]
    assert another.players[0].counters != one.players[0].counters


def test_the_exports_are_those_of_a_real_match() -> None:
    result = _match(2, 300, one_way_ms=30, sync="rollback")
    for seat, player in result.players.items():
        for kind in ("session", "validation", "multiplayer"):
            schema = json.loads((SCHEMAS / f"{kind}.schema.json").read_text())
            jsonschema.validate(player.exports[kind], schema)
        session, multiplayer = player.exports["session"], player.exports["multiplayer"]
        assert session["rollbacks"]["count"] == player.counters.rollbacks > 0
        assert session["rollbacks"]["mispredictions"] == player.counters.mispredictions
        assert session["rollbacks"]["resimulatedFrames"] == player.counters.resimulated_frames
        assert session["sync"]["chosen"]["mode"] == "rollback"
        assert 60 <= session["latency"]["medianMs"] < 62
        assert multiplayer["validation"]["allHashes"]
        assert multiplayer["validation"]["totalDesyncs"] == 0
        assert session["playerId"] == seat


def test_an_environment_that_ends_is_ended_for_all_at_the_same_frame() -> None:
    policies = {seat: _seeing(seat) for seat in range(2)}
    result = simulate(
        lambda: Blends(2, length=47), policies, frames=300, seed=11, one_way_ms=60, loss=0.1, sync="rollback"
    )
    assert {player.ending for player in result.players.values()} == {"ended"}
    assert {len(player.confirmed) for player in result.players.values()} == {47}
    assert _assert_oracle(result, lambda: Blends(2, length=47)) == 47


class Duel(Blends):
    """Ends as soon as both do the same: an end that guesses bring about and real inputs take back."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, _, truncated, info = super().step(action)
        return observation, reward, bool(action[0] == action[1] == 6), truncated, info


def test_an_end_that_was_only_guessed_is_taken_back() -> None:
    plans = {0: [6] * 4 + [1] * 300, 1: [2, 6] + [3] * 60 + [6] * 300}
    plans[0][70:] = [6] * 300

    def plan(seat: int) -> Callable[[Any, int], int]:
        return lambda _observation, frame: plans[seat][frame]

    policies = {seat: plan(seat) for seat in range(2)}
    result = simulate(Duel, policies, frames=200, seed=11, one_way_ms=50, sync="rollback")
    first = next(f for f in range(200) if plans[0][f] == plans[1][f] == 6)
    assert {len(player.confirmed) for player in result.players.values()} == {first + 1}
    assert _assert_oracle(result, Duel) == first + 1


@pytest.mark.parametrize("players", [2, 3, 4])
@pytest.mark.parametrize("at", [1, 30])
def test_when_a_player_vanishes_the_others_end_at_one_frame(players: int, at: int) -> None:
    result = _match(players, 200, sync="rollback", one_way_ms=40, loss=0.1, leave={0: at})
    left = [result.players[seat] for seat in range(1, players)]
    assert {player.ending for player in left} == {"peer_lost"}
    assert len({len(player.confirmed) for player in left}) == 1
    assert len(left[0].confirmed) <= at
    assert left[0].exports["multiplayer"]["sessionStatus"]["isPartial"] is True
    _assert_oracle(result, lambda: Blends(players))


@pytest.mark.parametrize("stand_in", [None, "tests.simulation.test_simulation:stubborn"])
def test_the_others_can_play_on_without_them(stand_in: str | None) -> None:
    options: dict[str, Any] = {"on_peer_loss": "stand_in" if stand_in else "default_action"}
    if stand_in:
        options["stand_in"] = stand_in
    result = _match(3, 400, sync="rollback", one_way_ms=30, loss=0.05, leave={2: 50}, **options)
    left = [result.players[seat] for seat in range(2)]
    assert {player.ending for player in left} == {"frames"}
    assert len(left[0].confirmed) == len(left[1].confirmed) == 400
    assert _assert_oracle(result, lambda: Blends(3)) == 400
    assert {frame.actions[2] for frame in left[0].confirmed[60:]} == ({4} if stand_in else {0})


def stubborn(_seat: Any, _observation: Any, _frame: int) -> int:
    return 4


def looking(seat: int, observation: Any, frame: int) -> int:
    return int(observation[seat] * 1e6 + frame) % 7


@pytest.mark.parametrize("prediction", ["repeat_last", "default"])
@pytest.mark.parametrize("policy", [_changing, _seeing, lambda _seat: lambda _observation, _frame: 0])
def test_a_stand_in_who_looks_does_the_same_at_everybody_whatever_had_been_guessed(
    policy: Callable[[int], Any], prediction: str
) -> None:
    # The one who is nearer to the leaver has more of their inputs, and guessed fewer frames.
    one_way_ms = {(0, 2): 10, (2, 0): 10, (0, 1): 30, (1, 0): 30, (1, 2): 90, (2, 1): 90}
    result = _match(
        3,
        200,
        policy,
        sync="rollback",
        one_way_ms=one_way_ms,
        loss=0.05,
        leave={2: 50},
        on_peer_loss="stand_in",
        stand_in=looking,
        prediction=prediction,
        checksum_interval=10,
    )
    assert _assert_oracle(result, lambda: Blends(3)) == 200
    for seat in (0, 1):
        (episode,) = result.players[seat].exports["multiplayer"]["validation"]["episodes"]
        assert episode["desyncCount"] == 0
        assert episode["verifiedFrame"] > 150, "those who are left go on comparing"
        rows = result.players[seat].confirmed
        assert [row.actions[2] for row in rows[60:]] == [
            looking(2, before.observation, row.frame) for before, row in pairwise(rows[59:])
        ]


def test_the_last_frame_is_compared_with_rollback_as_in_lockstep() -> None:
    for sync in ("lockstep", "rollback"):
        result = _match(2, 60, sync=sync, checksum_interval=10, one_way_ms=20)
        for player in result.players.values():
            hashes = player.exports["multiplayer"]["validation"]["allHashes"]
            assert [row["frame"] for row in hashes] == [9, 19, 29, 39, 49, 59]


def test_input_delay_follows_the_path() -> None:
    result = _match(2, 600, one_way_ms=45, jitter_ms=1, sync="rollback", input_delay="auto")
    told = result.players[0].exports["session"]["sync"]["inputDelays"]
    assert told[0]["frames"] == 0
    assert told[-1]["frames"] in {3, 4}
    sessions = [player.exports["session"] for player in result.players.values()]
    corrected = [event["frame"] for session in sessions for event in session["rollbacks"]["events"]]
    assert sum(frame > 400 for frame in corrected) < sum(frame < 50 for frame in corrected) / 2
    assert _assert_oracle(result, Blends) == 600


def test_one_whose_clock_is_fast_does_not_make_the_others_do_all_the_rolling_back() -> None:
    result = _match(2, 1800, one_way_ms=50, sync="rollback", clock_drift={0: 0.02})
    frames = [result.players[seat].counters.resimulated_frames for seat in range(2)]
    assert max(frames) / sum(frames) <= 0.6


def test_a_policy_for_a_seat_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="policies"):
        simulate(Blends, {0: _changing(0), 7: _changing(7)}, frames=10, seed=1)
    with pytest.raises(ConfigurationError, match="no pair"):
        _match(2, 10, one_way_ms={(0, 9): 5.0})
    with pytest.raises(ConfigurationError, match="none of the seats"):
        _match(2, 10, leave={"x": 5})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("frames", 0),
        ("frames", 2.5),
        ("seed", -1),
        ("seed", None),
        ("seed", 2**64),
        ("loss", 1.1),
        ("loss", -0.1),
        ("one_way_ms", -5),
        ("one_way_ms", float("nan")),
        ("one_way_ms", "5"),
        ("jitter_ms", {(0, 1): -1.0}),
        ("leave", {0: -1}),
        ("leave", {0: "a"}),
        ("clock_drift", {0: -1.0}),
        ("input_delay", {0: -3}),
        ("policies", {}),
        ("policies", {0: 1, 1: 2}),
        ("windw", 3),
        ("mode", "lockstep"),
        ("fps", 0),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_options_name(option: str, value: Any) -> None:
    arguments = {"policies": {0: _changing(0), 1: _changing(1)}, "frames": 10, "seed": 1, option: value}
    with pytest.raises(ConfigurationError) as refused:
        simulate(Blends, **arguments)
    assert refused.value.option == option


def test_copies_that_are_one_and_the_same_environment_are_refused() -> None:
    env = Blends()
    with pytest.raises(ConfigurationError, match="make_env"):
        simulate(lambda: env, {0: _changing(0), 1: _changing(1)}, frames=10, seed=1)


class Closed(Blends):
    """Keeps its state where no snapshot finds it."""

    def __init__(self) -> None:
        super().__init__()
        hidden = iter(range(10**9))
        self.step = lambda action: self._count(action, next(hidden))  # type: ignore[method-assign]  # what is tested

    def _count(self, action: Any, number: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation + number, reward + number, terminated, truncated, info


def test_rollback_is_refused_where_states_cannot_be_restored_and_auto_takes_lockstep() -> None:
    policies = {seat: _changing(seat) for seat in range(2)}
    with pytest.raises(UnsupportedEnvironment, match="sync='lockstep'"):
        simulate(Closed, policies, frames=10, seed=1, sync="rollback")
    result = simulate(Closed, policies, frames=10, seed=1)
    assert result.sync == "lockstep"
    assert result.why


def test_a_real_environment_is_the_same_for_all_and_for_the_oracle() -> None:
    def make() -> Any:
        return gymnasium.make("gym_p2p.envs:gym_p2p/Rally-v0").unwrapped

    policies = {"left": lambda _seen, frame: frame // 5 % 3, "right": lambda _seen, frame: frame // 6 % 3}
    result = simulate(make, policies, frames=600, seed=4, one_way_ms=50, jitter_ms=5, loss=0.02)
    assert result.sync == "rollback"
    assert all(player.counters.rollbacks > 10 for player in result.players.values())
    assert _assert_oracle(result, make, seed=4) > 300


def test_a_field_changed_behind_the_netcodes_back_is_named_on_both_sides() -> None:
    envs: list[Blends] = []

    def make() -> Blends:
        envs.append(Blends(2))
        return envs[-1]

    def tamper(_observation: Any, frame: int) -> int:
        if frame == 40:
            envs[1].skew = 0.25
        return 3

    policies: dict[Any, Any] = {0: lambda _observation, _frame: 2, 1: tamper}
    result = simulate(make, policies, frames=200, seed=11, one_way_ms=30, sync="rollback")
    events = [result.players[seat].exports["multiplayer"]["validation"]["allDesyncEvents"] for seat in (0, 1)]
    assert [event[0]["frame"] for event in events] == [59, 59]  # compared every 30 frames
    for (first, *_), ours, theirs in zip(events, ("0.0", "0.25"), ("0.25", "0.0"), strict=True):
        assert {"path": "unwrapped.skew", "ours": ours, "theirs": theirs} in first["stateDifferences"]
        assert first["states"]["ours"] != first["states"]["theirs"]
        assert first["hasStateDump"] is True
    for player in result.players.values():
        jsonschema.validate(
            player.exports["multiplayer"], json.loads((SCHEMAS / "multiplayer.schema.json").read_text())
        )
