from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gym_p2p
from gym_p2p import (
    FIFOMatchmaker,
    GroupHistory,
    GroupReunionMatchmaker,
    LatencyFIFOMatchmaker,
    MatchCandidate,
    Matchmaker,
    QueuedCandidate,
    WideningMatchmaker,
)
from gym_p2p.core.matchmaking.estimator import UNKNOWN, Estimate, Source
from gym_p2p.core.matchmaking.strategy import require_matchmaker
from gym_p2p.errors import ConfigurationError

C = MatchCandidate
ALL: list[Matchmaker] = [
    FIFOMatchmaker(),
    LatencyFIFOMatchmaker(200, 150),
    GroupReunionMatchmaker(),
    GroupReunionMatchmaker(fallback_to_fifo=False),
    WideningMatchmaker(),
]


def names(candidates: list[MatchCandidate] | None) -> list[str] | None:
    return None if candidates is None else [candidate.subject_id for candidate in candidates]


def queued(
    name: str, estimate_ms: float | None = None, wait_s: float = 0.0, **options: Any
) -> QueuedCandidate:
    exact = options.pop("exact", False)
    estimate = UNKNOWN if estimate_ms is None else Estimate(estimate_ms, Source.LANDMARKS, exact)
    return QueuedCandidate(name, wait_s=wait_s, estimate=estimate, **options)


@pytest.mark.parametrize("name", ["MatchCandidate", "GroupHistory", "Matchmaker", "WideningMatchmaker"])
def test_the_interface_is_public_at_the_top(name: str) -> None:
    assert name in gym_p2p.__all__
    assert getattr(gym_p2p, name) is not None


def test_a_candidate_needs_nothing_but_a_name() -> None:
    candidate = MatchCandidate("ann")
    assert (candidate.rtt_ms, candidate.group_history) == (None, None)
    assert GroupHistory(["bob"]) == GroupHistory(["bob"], None, None)


def test_fifo_takes_who_waits_longest_and_puts_the_arriving_one_last() -> None:
    waiting = [C("a"), C("b"), C("c")]
    assert names(FIFOMatchmaker().find_match(C("z"), waiting, 3)) == ["a", "b", "z"]
    assert names(waiting) == ["a", "b", "c"]


def test_fifo_lets_wait_while_there_are_too_few() -> None:
    assert FIFOMatchmaker().find_match(C("z"), [C("a")], 3) is None
    assert FIFOMatchmaker().rank_candidates(C("z"), [C("a")], 3) == []


@pytest.mark.parametrize(
    ("limit", "measured", "rejected"),
    [
        (None, None, False),
        (None, 9000.0, False),
        (100, None, True),
        (100, 100.0, False),
        (100, 100.001, True),
        (0, 0.0, False),
    ],
)
def test_the_threshold_rejects_what_is_strictly_greater_and_what_was_not_measured(
    limit: float | None,
    measured: float | None,
    rejected: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    assert FIFOMatchmaker(limit).should_reject_for_rtt(measured) is rejected


def test_latency_fifo_skips_pairs_whose_server_round_trips_add_up_to_more_than_the_limit() -> None:
    maker = LatencyFIFOMatchmaker(200)
    waiting = [C("far", 150), C("edge", 100), C("near", 10)]
    assert names(maker.rank_candidates(C("z", 100), waiting, 2)) == ["edge", "near"]
    assert names(maker.find_match(C("z", 100), waiting, 2)) == ["edge", "z"]


def test_latency_fifo_lets_unknown_round_trips_pass() -> None:
    maker = LatencyFIFOMatchmaker(1)
    assert names(maker.find_match(C("z", 500), [C("a", None)], 2)) == ["a", "z"]
    assert names(maker.find_match(C("z", None), [C("a", 500)], 2)) == ["a", "z"]


def test_latency_fifo_checks_every_pair_of_a_group() -> None:
    waiting = [C("a", 150), C("b", 150), C("c", 20)]
    assert names(LatencyFIFOMatchmaker(200).find_match(C("z", 20), waiting, 3)) == ["a", "c", "z"]


def test_reunion_prefers_former_partners_of_either_memory() -> None:
    maker = GroupReunionMatchmaker()
    arriving = C("z", group_history=GroupHistory(["b"]))
    waiting = [C("a"), C("b"), C("c", group_history=GroupHistory(["z"]))]
    assert names(maker.rank_candidates(arriving, waiting, 2)) == ["b", "c", "a"]
    assert names(maker.find_match(arriving, waiting, 2)) == ["b", "z"]


def test_reunion_falls_back_to_order_of_arrival_or_waits() -> None:
    arriving = C("z", group_history=GroupHistory(["gone"]))
    assert names(GroupReunionMatchmaker().find_match(arriving, [C("a")], 2)) == ["a", "z"]
    assert GroupReunionMatchmaker(fallback_to_fifo=False).find_match(arriving, [C("a")], 2) is None


def test_widening_takes_the_nearest() -> None:
    waiting = [queued("a", 58), queued("b", 20), queued("c", 40)]
    ranked = WideningMatchmaker().rank_candidates(queued("z"), list(waiting), 2)
    assert names(ranked) == ["b", "c", "a"]


def test_widening_leaves_out_who_is_beyond_the_threshold_of_the_younger_one() -> None:
    maker = WideningMatchmaker()
    far = queued("a", 110, wait_s=40)
    assert maker.find_match(queued("z"), [far], 2) is None
    assert names(maker.find_match(queued("z", wait_s=30), [far], 2)) == ["a", "z"]


def test_widening_weighs_distance_against_waiting() -> None:
    waiting = [queued("patient", 50, wait_s=30), queued("near", 20)]
    assert names(WideningMatchmaker().find_match(queued("z"), list(waiting), 2)) == ["patient", "z"]


@pytest.mark.parametrize(("wait_s", "threshold_ms"), [(0, 60), (10, 90), (30, 150), (44, 150), (45, 200)])
def test_the_threshold_widens_to_its_end_and_then_to_the_last_resort(
    wait_s: float, threshold_ms: float
) -> None:
    maker = WideningMatchmaker()
    assert maker.threshold_ms(wait_s, wait_s) == threshold_ms
    assert not maker.rejects_pair(threshold_ms, wait_s, wait_s)
    assert maker.rejects_pair(threshold_ms + 0.01, wait_s, wait_s)


def test_the_last_resort_does_not_bind_a_newcomer() -> None:
    assert WideningMatchmaker().threshold_ms(60, 1) == 63


def test_a_measured_pair_is_not_given_slack() -> None:
    maker = WideningMatchmaker(slack=1.5, margin_ms=10)
    assert maker.find_match(queued("z"), [queued("a", 61, exact=True)], 2) is None
    assert maker.find_match(queued("z"), [queued("a", 61)], 2) is not None


def test_the_difference_of_two_server_round_trips_is_a_lower_bound_and_their_sum_is_nothing() -> None:
    maker = WideningMatchmaker()
    near_each_other = MatchCandidate("a", 300.0)
    assert names(maker.find_match(MatchCandidate("z", 290.0), [near_each_other], 2)) == ["a", "z"]
    assert maker.find_match(MatchCandidate("z", 10.0), [near_each_other], 2) is None


@pytest.mark.parametrize(("bonus", "first"), [(0.0, "b"), (10.0, "a")])
def test_a_recent_partner_is_avoided_or_preferred(bonus: float, first: str) -> None:
    arriving = queued("z", group_history=GroupHistory(["a"]))
    ranked = WideningMatchmaker(reunion_bonus_s=bonus).rank_candidates(
        arriving, [queued("a", 30), queued("b", 31)], 2
    )
    assert ranked[0].subject_id == first


@given(estimate_ms=st.floats(0, 400), wait_s=st.floats(0, 60), other_s=st.floats(0, 60), exact=st.booleans())
def test_the_next_chance_is_when_the_answer_changes(
    estimate_ms: float,
    wait_s: float,
    other_s: float,
    exact: bool,  # noqa: FBT001 - Hypothesis passes it by name
) -> None:
    maker = WideningMatchmaker()

    def answer(later_s: float) -> object:
        other = queued("a", estimate_ms, other_s + later_s, exact=exact)
        return maker.find_match(queued("z", wait_s=wait_s + later_s), [other], 2)

    chance_s = maker.next_chance_s(
        queued("z", wait_s=wait_s), [queued("a", estimate_ms, other_s, exact=exact)]
    )
    if chance_s is None:
        assert answer(1e6) is None
    else:
        assert answer(chance_s + 0.01) is not None
        assert chance_s < 0.01 or answer(chance_s - 0.01) is None


@pytest.mark.parametrize("maker", ALL, ids=lambda maker: type(maker).__name__)
@given(data=st.data())
def test_a_match_has_the_right_size_and_waiting_is_not_modified(
    maker: Matchmaker, data: st.DataObject
) -> None:
    count = data.draw(st.integers(0, 8))
    rtts = st.none() | st.floats(0, 300)
    histories = st.none() | st.builds(
        GroupHistory, st.lists(st.sampled_from(["z", "w0", "w1", "w2"]), max_size=3)
    )

    def candidate(name: str) -> MatchCandidate:
        rtt_ms, history = data.draw(rtts), data.draw(histories)
        if data.draw(st.booleans()):
            return MatchCandidate(name, rtt_ms, history)
        wait_s, estimate_ms = data.draw(st.floats(0, 90)), data.draw(rtts)
        return queued(name, estimate_ms, wait_s, rtt_ms=rtt_ms, group_history=history)

    waiting = [candidate(f"w{place}") for place in range(count)]
    before, arriving = list(waiting), candidate("z")
    size = data.draw(st.integers(2, 4))
    ranked = maker.rank_candidates(arriving, waiting, size)
    found = maker.find_match(arriving, waiting, size)
    assert waiting == before
    assert ranked is not waiting
    if found is not None:
        assert len(found) == len({c.subject_id for c in found}) == size
        assert found[-1] is arriving
        assert all(any(c is w for w in waiting) for c in found[:-1])


@pytest.mark.parametrize("wrong", [None, "fifo", FIFOMatchmaker, object()])
def test_what_is_no_matchmaker_is_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError):
        require_matchmaker(wrong)


def test_a_matchmaker_without_find_match_cannot_be_made() -> None:
    with pytest.raises(TypeError):
        Matchmaker()  # type: ignore[abstract]  # what this test is about


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_an_impossible_threshold_is_refused_at_once(value: float) -> None:
    with pytest.raises(ConfigurationError):
        FIFOMatchmaker(value)


@pytest.mark.parametrize(
    "options", [{"widen_ms_per_s": 0}, {"initial_rtt_ms": 151}, {"slack": 0.5}, {"last_resort_rtt_ms": 100}]
)
def test_a_widening_that_cannot_be_is_refused_at_once(options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        WideningMatchmaker(**options)


def test_above_the_last_resort_there_is_no_chance_and_below_it_a_known_one() -> None:
    matchmaker = WideningMatchmaker(last_resort_rtt_ms=200.0, last_resort_after_s=45.0)
    me = queued("me", wait_s=10.0)

    def measured(rtt_ms: float) -> QueuedCandidate:
        return QueuedCandidate("a", wait_s=20.0, estimate=Estimate(rtt_ms, Source.MEASURED, exact=True))

    assert matchmaker.next_chance_s(me, [measured(201.0)]) is None
    assert matchmaker.next_chance_s(me, [measured(180.0)]) == 25.0
    assert matchmaker.next_chance_s(me, [measured(120.0)]) == 10.0
    assert WideningMatchmaker(last_resort_rtt_ms=None).next_chance_s(me, [measured(180.0)]) is None


@pytest.mark.parametrize("value", [float("nan"), "60", True])
def test_what_is_no_number_of_milliseconds_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="initial_rtt_ms"):
        WideningMatchmaker(initial_rtt_ms=value)


@pytest.mark.parametrize("value", ["60", True])
def test_a_threshold_of_the_wrong_type_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="max_p2p_rtt_ms"):
        FIFOMatchmaker(value)


def test_the_limit_of_the_sum_is_no_option() -> None:
    nothing: Any = None
    with pytest.raises(ConfigurationError, match="max_server_rtt_ms"):
        LatencyFIFOMatchmaker(nothing)
