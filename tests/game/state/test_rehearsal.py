"""What short plays of several copies show to be unlike, and how it is left out."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.game.state.rehearsal import Rehearsal, leaves, listed, pattern_of, unlike, without

_Digests = st.dictionaries(
    st.lists(st.sampled_from([".a", ".b", "[*]", "['k']"]), max_size=5).map(
        lambda steps: "u" + "".join(steps)
    ),
    st.integers(0, 2**48 - 1),
    max_size=12,
)


def _of(**attributes: Any) -> Rehearsal:
    rehearsal = Rehearsal.of(["won"], {"unwrapped": {"class": "Env", **attributes}})
    assert rehearsal is not None
    return rehearsal


def test_what_differs_while_outcomes_are_equal_is_named() -> None:
    assert unlike([_of(t=3, started=1.0), _of(t=3, started=2.0)]) == ("unwrapped.started",)
    assert unlike([_of(t=3, started=1.0), _of(t=3)]) == ("unwrapped.started",)
    assert unlike([_of(t=3), _of(t=3), _of(t=4)]) == ("unwrapped.t",)


def test_nothing_is_left_out_where_outcomes_differ_or_a_player_says_nothing() -> None:
    one, other = _of(started=1.0), _of(started=2.0)
    assert unlike([one, attrs.evolve(other, outcomes="lost")]) == ()
    assert unlike([one, other, None]) == ()
    assert unlike([one, one]) == ()


def test_what_is_found_in_one_of_many_objects_holds_for_all_and_for_what_is_in_them() -> None:
    def state(noise: float, count: int) -> dict[str, Any]:
        sparks = {
            f"unwrapped.sparks[{i}]": {"class": "Spark", "age": i, "heat": noise * i} for i in range(count)
        }
        return {"unwrapped": {"class": "Env", "t": 1}, "unwrapped.sparks": {"items": count}, **sparks}

    plays = [Rehearsal.of([], state(noise, 3)) for noise in (0.25, 0.5)]
    left_out = unlike(plays)
    assert left_out == ("unwrapped.sparks[*].heat",)
    assert without(state(0.25, 9), left_out) == without(state(0.5, 9), left_out) != {}
    assert without(state(0.25, 9), left_out) != without(state(0.25, 8), left_out)
    inner = {"unwrapped.rng": {"state": 1}, "unwrapped.rng.bits[2]": 5, "unwrapped.rng_seed": 4}
    assert without(inner, ["unwrapped.rng"]) == {"unwrapped.rng_seed": 4}


def test_where_there_are_other_items_or_other_names_the_whole_is_left_out() -> None:
    def state(names: list[str], count: int) -> dict[str, Any]:
        sparks = {f"unwrapped.sparks[{i}]": {"class": "Spark", "heat": i} for i in range(count)}
        return {
            "unwrapped": {"class": "Env", "t": 1},
            "unwrapped.things": dict.fromkeys(names, 0),
            "unwrapped.sparks": {"items": count} if count else [],
            **sparks,
        }

    left_out = unlike([Rehearsal.of([], state(["6f", "a1"], 2)), Rehearsal.of([], state(["0c", "77"], 3))])
    assert left_out == ("unwrapped.sparks", "unwrapped.things")
    assert without(state(["d4"], 0), left_out) == without(state(["e9", "1b"], 5), left_out)


@given(_Digests, st.integers(1, 5), st.integers(1, 5))
def test_it_is_all_one_who_shortens_patterns_and_how_often(
    digests: dict[str, int], first: int, last: int
) -> None:
    whole = Rehearsal("", 6, digests)
    assert whole.cut(first).cut(last).digests == whole.cut(min(first, last)).digests


@given(_Digests)
def test_it_arrives_as_it_was_sent(digests: dict[str, int]) -> None:
    rehearsal = Rehearsal("aa", 6, digests)
    assert Rehearsal.received(json.loads(json.dumps(rehearsal.as_sent()))) == rehearsal


_NONE: list[object] = [None, [], {}, {"outcomes": "a", "steps": True, "digests": {}}]
_NONE += [{"outcomes": "a", "steps": 1, "digests": digests} for digests in (None, {"a": "zz"}, {"a": None})]


@pytest.mark.parametrize("data", _NONE)
def test_what_is_none_is_taken_as_none(data: object) -> None:
    assert Rehearsal.received(data) is None


def test_a_large_state_is_summed_up_until_it_may_travel_and_compared_all_the_same() -> None:
    def state(noise: float) -> dict[str, Any]:
        many = {f"unwrapped.table['{i}']": {"class": "Cell", "x": i} for i in range(2000)}
        return {"unwrapped": {"class": "Env", "started": noise}, **many}

    wholes = [Rehearsal.of([], state(noise)) for noise in (1.0, 2.0)]
    plays = [None if whole is None else whole.small() for whole in wholes]
    assert all(play is not None and len(play.digests) < 10 for play in plays)
    assert unlike(plays) == ("unwrapped.started",)
    short = Rehearsal.of([], {"unwrapped": {"class": "Env", "started": 3.0}})
    assert unlike([plays[0], short]) == ("unwrapped.started", "unwrapped.table")


def test_a_state_that_cannot_be_read_is_no_rehearsal() -> None:
    assert Rehearsal.of([], None) is None
    assert Rehearsal.of([], {"unwrapped": object()}) is None


def test_patterns_have_no_indices_and_a_long_list_is_cut() -> None:
    assert pattern_of("a[0].b[12].key(3)['x']") == "a[*].b[*].key(*)['x']"
    assert listed([*"abcdefg"], most=3) == "a, b, c and 4 more"
    assert dict(leaves({"a": {"k": 1}, "b": 2})) == {"a['k']": 1, "b": 2}
