"""How long somebody is waited for who is there and does not play."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.answers import answer_s
from gym_p2p.core.match.commands import GiveUp
from gym_p2p.core.sync.patience import (
    BUDGET,
    FORGIVEN,
    GRACE_LEAST_S,
    GRACE_MOST_S,
    PAUSE_AFTER_S,
    Patience,
    Pause,
)
from tests.core.examples import examples

LIMIT_S = 5.0
LOOK_S = 0.05


def waits(patience: Patience, player: int, begin: float, seconds: float) -> list[tuple[float, GiveUp]]:
    """Wait for one player; return who was given up when."""
    found = []
    for look in range(round(seconds / LOOK_S) + 1):
        now = begin + look * LOOK_S
        found += [(now, give_up) for give_up in patience.wait([player], now)]
    return found


def test_who_does_not_play_is_given_up_when_their_time_is_over_and_once_more_without_an_excuse() -> None:
    found = waits(Patience(LIMIT_S, paced=False), 1, 10.0, 4 * LIMIT_S)
    assert [give_up for _, give_up in found] == [GiveUp(1, excusable=True), GiveUp(1, excusable=False)]
    assert [at for at, _ in found] == [pytest.approx(15.0), pytest.approx(20.0)]


def test_whose_input_comes_in_time_has_all_of_it_for_the_next_one() -> None:
    patience = Patience(LIMIT_S, paced=False)
    for begin in range(0, 500, 5):
        assert not waits(patience, 1, begin, 4.9)
        patience.play(begin + 4.95)


def test_of_two_who_are_waited_for_each_has_their_own_time() -> None:
    patience = Patience(LIMIT_S, paced=False)
    assert patience.wait([1, 2], 0.0) == []
    assert patience.wait([2], 4.0) == []
    assert patience.wait([1, 2], 4.5) == []
    assert patience.wait([1, 2], 5.0) == [GiveUp(2, excusable=True)]
    assert patience.wait([1, 2], 9.5) == [GiveUp(1, excusable=True)]


@pytest.mark.parametrize(("plays", "paced"), [(True, True), (False, True), (False, False)])
@settings(max_examples=examples(50))
@given(parts=st.lists(st.tuples(st.floats(0.3, 0.95), st.floats(0.1, 2.0)), min_size=80, max_size=80))
def test_who_falls_silent_before_their_time_is_over_is_not_waited_for_without_end(
    plays: bool,  # noqa: FBT001 - a table
    paced: bool,  # noqa: FBT001 - a table
    parts: list[tuple[float, float]],
) -> None:
    patience, now, heard_s, given_up = Patience(LIMIT_S, paced=paced), 0.0, 0.0, []
    for heard, silent in parts:
        given_up += waits(patience, 1, now, heard * LIMIT_S)
        now += heard * LIMIT_S + LOOK_S
        heard_s += heard * LIMIT_S
        for look in range(round(silent * LIMIT_S / LOOK_S)):
            assert not patience.wait([], now + look * LOOK_S, silent=[1]), "the network half judges of these"
        assert patience.pause(now) is None, "and tells of them"
        now += silent * LIMIT_S
        if given_up:
            break
        if plays:
            patience.play(now)
            now += 1 / 60
    assert given_up
    assert heard_s < (2 * BUDGET if plays else 3) * LIMIT_S


def test_whose_path_breaks_again_and_again_and_who_plays_at_once_is_never_given_up() -> None:
    patience, now = Patience(LIMIT_S, paced=True), 0.0
    while now < 600:
        assert not waits(patience, 1, now, 0.5)  # until it is noticed
        for look in range(100):
            assert not patience.wait([], now + 0.5 + look * 0.09, silent=[1])
        patience.play(now + 9.5)
        now += 9.8


@settings(max_examples=examples(100))
@given(st.lists(st.floats(0.6, 0.99), min_size=200, max_size=200))
def test_who_plays_just_before_their_time_is_over_is_given_up_within_the_budget(parts: list[float]) -> None:
    patience, now, given_up = Patience(LIMIT_S, paced=True), 0.0, []
    for part in parts:
        given_up += waits(patience, 1, now, part * LIMIT_S)
        now += part * LIMIT_S + LOOK_S
        patience.play(now)
        now += 1 / 60
        if given_up:
            break
    assert given_up
    assert given_up[0][0] < 1.5 * BUDGET * LIMIT_S
    assert given_up[0][1] == GiveUp(1, excusable=True)


@settings(max_examples=examples(100))
@given(
    wait_s=st.floats(0.01, 0.95 * LIMIT_S),
    share=st.floats(0.05, FORGIVEN / (1 + FORGIVEN) - 0.01),
    rtt_s=st.floats(0, 0.4),
)
def test_who_plays_a_third_of_the_time_is_never_given_up(wait_s: float, share: float, rtt_s: float) -> None:
    patience, now = Patience(LIMIT_S, paced=True), 0.0
    patience.pinged(1, rtt_s)
    while now < 600:
        for look in range(5):
            assert not patience.wait([1], now + wait_s * look / 4)
        now += wait_s
        patience.play(now)
        now += wait_s * (1 - share) / share


@pytest.mark.parametrize("break_s", [3.0, 9.0])
def test_who_is_held_up_again_and_again_is_borne_with_for_the_budget_and_the_excuse(break_s: float) -> None:
    config = SyncConfig(fps=60)
    limit_s, excuse_s = config.input_limit_s(takes_turns=False), answer_s(config)
    patience = Patience.for_inputs(config, takes_turns=False)
    now = net_s = 0.0
    for _ in range(200):
        begun = now
        while now < begun + break_s:
            now += LOOK_S
            if any(not one.excusable for one in patience.wait([1, 2], now)):
                net_s += now - begun
                assert net_s == pytest.approx(BUDGET * limit_s + excuse_s, abs=break_s)
                assert BUDGET * limit_s + excuse_s == 43.0, "as the documentation has it"
                return
        patience.play(now)
        now += 1.0
        net_s += break_s - GRACE_LEAST_S - FORGIVEN * (1.0 + LOOK_S)
    raise AssertionError("borne with for ever")


@given(st.floats(0, 10))
def test_what_a_message_takes_is_no_pause_however_often_it_is_waited_for(rtt_s: float) -> None:
    patience, now = Patience(LIMIT_S, paced=True), 0.0
    patience.pinged(1, rtt_s)
    each = min(GRACE_MOST_S, max(GRACE_LEAST_S, 2 * rtt_s)) * 0.99
    for _ in range(2000):
        assert not patience.wait([1], now)
        now += each
        assert not patience.wait([1], now)
        patience.play(now)


def test_whose_path_takes_very_long_gets_no_more_grace_than_a_path_to_play_over_takes() -> None:
    patience, given_up = Patience(LIMIT_S, paced=True), []
    patience.pinged(1, LIMIT_S)
    for turn in range(10):
        given_up += waits(patience, 1, turn * LIMIT_S, 0.9 * LIMIT_S)
        patience.play((turn + 0.95) * LIMIT_S)
    assert given_up
    assert given_up[0][1] == GiveUp(1, excusable=True)


def test_without_a_pace_nobody_is_given_up_for_thinking_again_and_again() -> None:
    patience = Patience(300.0, paced=False)
    for turn in range(100):
        assert not waits(patience, 1, turn * 300.0, 290.0)
        patience.play(turn * 300.0 + 290.0)


def test_once_somebody_is_gone_the_time_of_all_others_begins_anew() -> None:
    patience = Patience(LIMIT_S, paced=True)
    assert not waits(patience, 1, 0.0, 4.9)
    patience.excuse(4.9)
    assert not waits(patience, 1, 4.9, 4.9)
    assert patience.wait([1], 9.9) == [GiveUp(1, excusable=True)]


@pytest.mark.parametrize("stood_s", [4.0, 60.0])
def test_while_this_player_stood_still_nobody_s_time_went_by(stood_s: float) -> None:
    patience = Patience(LIMIT_S, paced=True)
    assert not waits(patience, 1, 0.0, 1.0)
    patience.stood_still(stood_s)
    at, given_up = waits(patience, 1, 1.0 + stood_s, LIMIT_S)[0]
    assert at == pytest.approx(LIMIT_S + stood_s)
    assert given_up == GiveUp(1, excusable=True)
    patience.play(LIMIT_S + stood_s + 1.0)
    at, _ = waits(patience, 1, 100.0 + stood_s, 5.0)[0]
    assert at == pytest.approx(105.0 + stood_s)  # the next has none


def test_standing_still_is_not_spent_of_the_budget() -> None:
    patience, now = Patience(LIMIT_S, paced=True), 0.0
    for _ in range(20):
        assert not patience.wait([1], now)
        patience.stood_still(4.0)
        now += 4.0
        assert not patience.wait([1], now)
        patience.play(now)
        now += 0.1


def test_a_pause_is_told_with_all_of_its_time_though_this_player_stood_still() -> None:
    patience = Patience(LIMIT_S, paced=True)
    patience.wait([1], 10.0)
    patience.stood_still(4.0)
    assert patience.pause(14.0) == Pause((1,), 10.0, LIMIT_S + 4.0)


def test_a_pause_is_told_once_it_is_one_with_whom_since_when_and_for_how_long_at_most() -> None:
    patience = Patience(LIMIT_S, paced=True)
    assert patience.pause(0.0) is None
    patience.wait([1, 2], 1.0)
    assert patience.pause(1.0 + PAUSE_AFTER_S - 0.01) is None
    patience.wait([2], 1.2)
    assert patience.pause(1.0 + PAUSE_AFTER_S) == Pause((2,), 1.0, LIMIT_S)
    patience.play(2.0)
    assert patience.pause(9.0) is None


def test_who_was_silent_and_is_heard_again_is_told_of_from_then_on() -> None:
    patience = Patience(LIMIT_S, paced=True)
    patience.wait([1], 1.0)
    patience.wait([1], 1.6)
    assert patience.pause(1.6) == Pause((1,), 1.0, LIMIT_S)
    for now in (1.7, 3.0, 4.6):
        patience.wait([], now, silent=[1])
        assert patience.pause(now) is None, "it is told as a silence"
    patience.wait([1], 4.7)
    assert patience.pause(4.7) is None, "they have just come back"
    pause = patience.pause(4.6 + PAUSE_AFTER_S)
    assert pause is not None
    assert (pause.players, pause.since) == ((1,), 4.6)
    assert pause.limit_s == pytest.approx(LIMIT_S - 0.6), "what they were waited for before counts"
    at, given_up = waits(patience, 1, 4.7, LIMIT_S)[0]
    assert at == pytest.approx(pause.since + pause.limit_s, abs=0.1)
    assert given_up == GiveUp(1, excusable=True)
