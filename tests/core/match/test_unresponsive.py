"""Players who are connected and do not do their part: those who play are held up for a bounded time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.answers import REPORT_FRESH_S, answer_s
from gym_p2p.core.match.commands import BeginEpisode, GiveInput, GiveUp, Leave, LineClosed
from gym_p2p.core.match.events import EXCLUDED, PlayerGone, Source
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.match.peer import PROTOCOL_ERRORS_MOST
from gym_p2p.core.sync.outputs import Over
from gym_p2p.core.sync.patience import BUDGET
from gym_p2p.core.wire.messages import Cause, Goodbye, Holdings, Inputs, Ping, Ready, decode, encode
from gym_p2p.net.links.memory import Path
from tests.core.examples import examples, rarely
from tests.core.match.pairs import greeted_match, outputs_of
from tests.core.tables import TICK_S, Player, Table, rollback_table

LIMIT_S = 1.0
SYNC = SyncConfig(fps=60, input_timeout_s=LIMIT_S, checksum_interval=10)
AGREEMENT_S = 1.0
"""More than the survivors take to agree over these paths."""


def run_up(players: int, **options: Any) -> Table:
    table = rollback_table(
        players, **{"one_way_ms": 20, "frames": 100_000, "sync": SYNC, "patience_s": LIMIT_S, **options}
    )
    assert table.run(5, until=lambda: all(len(seat.played) >= 20 for seat in table.seats))
    return table


def gone(seat: Player) -> list[PlayerGone]:
    return [event for event in seat.events_of(PlayerGone) if isinstance(event, PlayerGone)]


@pytest.mark.parametrize("window", [0, 8])
@pytest.mark.parametrize("players", [2, 3, *rarely(4)])
def test_who_is_connected_and_does_not_play_is_lost_to_all_others_alike_in_time(
    players: int, window: int
) -> None:
    table = run_up(players, window=window)
    *others, idle = table.seats
    idle.stopped = True
    began = table.clock.time()
    assert table.run(LIMIT_S + AGREEMENT_S, until=lambda: all(seat.over for seat in others))
    assert table.clock.time() - began >= LIMIT_S
    first = others[0]
    assert first.over is not None
    for seat in others:
        assert seat.over == Over(first.over.frame, "peer_unresponsive", idle.index)
        assert [(event.player, event.reason) for event in gone(seat)] == [(idle.index, "peer_unresponsive")]
    assert table.run(1, until=lambda: len(gone(idle)) == len(others))
    assert {(event.reason, event.stated_reason) for event in gone(idle)} == {(EXCLUDED, "peer_unresponsive")}
    assert gone(idle)[0].source is Source.PEER


@pytest.mark.parametrize("window", [0, 8])
@pytest.mark.parametrize("players", [2, 3, *rarely(4)])
def test_the_others_play_on_without_whoever_does_not_play(players: int, window: int) -> None:
    table = run_up(players, window=window, continue_without_leavers=True, frames=400)
    *others, idle = table.seats
    idle.stopped = True
    assert table.run(30, until=lambda: all(seat.played_all for seat in others))
    assert len({seat.state for seat in others}) == 1
    assert all(event.player == idle.index for seat in others for event in gone(seat))


def test_who_plays_again_in_time_is_not_lost() -> None:
    table = run_up(3)
    idle = table.seats[1]
    for _ in range(3):
        idle.stopped = True
        table.run(0.8 * LIMIT_S, until=lambda: False)
        idle.stopped = False
        idle.play()
        table.run(3 * LIMIT_S, until=lambda: False)
    assert not any(seat.events_of(PlayerGone) for seat in table.seats)


@pytest.mark.parametrize("window", [0, 8])
def test_one_input_just_before_the_time_is_over_again_and_again_is_borne_for_the_budget(window: int) -> None:
    table = run_up(2, window=window)
    one, slow = table.seats
    slow.tick_s = 0.9 * LIMIT_S
    assert table.run(3 * BUDGET * LIMIT_S, until=lambda: one.over is not None)
    assert one.over is not None
    assert one.over.reason == "peer_unresponsive"


@pytest.mark.parametrize("window", [0, 8])
def test_who_plays_at_half_the_pace_is_borne(window: int) -> None:
    table = run_up(3, window=window)
    table.seats[2].tick_s = 2 * TICK_S
    table.run(60, until=lambda: False)
    assert not any(seat.events_of(PlayerGone) for seat in table.seats)
    assert len(table.seats[0].confirmed) > 15 * 60


@pytest.mark.parametrize("window", [0, 8])
def test_who_sends_their_inputs_to_some_alone_is_the_one_who_is_lost(window: int) -> None:
    table = run_up(3, window=window)
    one, held_up, liar = table.seats
    table.starved.add((held_up.index, liar.index))
    assert table.run(5 * LIMIT_S, until=lambda: bool(one.over and held_up.over))
    assert one.over == held_up.over
    assert one.over is not None
    assert (one.over.reason, one.over.player) == ("peer_unresponsive", liar.index)


@pytest.mark.slow
@pytest.mark.parametrize("window", [0, 8])
@settings(max_examples=examples(25), deadline=None)
@given(
    players=st.integers(2, 4),
    idle=st.integers(0, 3),
    at=st.floats(0, 2),
    seed=st.integers(0, 1000),
    loss=st.floats(0, 0.2),
    continues=st.booleans(),
)
def test_whoever_stops_whenever_the_others_agree(
    window: int, players: int, idle: int, at: float, seed: int, loss: float, *, continues: bool
) -> None:
    path = Path(one_way_ms=20, jitter_ms=5, loss=loss)
    table = run_up(players, path=path, seed=seed, window=window, continue_without_leavers=continues)
    stopped = table.seats[idle % players]
    others = [seat for seat in table.seats if seat is not stopped]
    table.run(at, until=lambda: False)
    stopped.stopped = True
    assert table.run(LIMIT_S + 3, until=lambda: all(gone(seat) for seat in others))
    told = {(gone(seat)[-1].player, gone(seat)[-1].reason, gone(seat)[-1].frames) for seat in others}
    assert {(player, reason) for player, reason, _ in told} == {(stopped.index, "peer_unresponsive")}
    assert len(told) == 1
    table.run(1, until=lambda: False)
    assert all({event.player for event in gone(seat)} == {stopped.index} for seat in others)
    shortest = min(len(seat.confirmed) for seat in others)
    assert all(seat.confirmed[:shortest] == others[0].confirmed[:shortest] for seat in others)


# What a network half owes by itself.


def pinging(match: Match, seconds: float, *players: int, step_s: float = 0.1) -> list[PlayerGone]:
    """Let these peers send pings and nothing else for a while; return who is gone then."""
    found: list[PlayerGone] = []
    now = 10.0
    for number in range(round(seconds / step_s)):
        for player in players:
            match.receive(player, encode(Ping(number, number, 0)), now)
        match.handle_timeout(now)
        found += [event for event in outputs_of(match) if isinstance(event, PlayerGone)]
        now += step_s
    return found


def playing(players: int, *, frames: int = 5) -> Match:
    match = greeted_match(players)
    match.handle_timeout(9.9)
    match.command(BeginEpisode(seed=1), 9.9)
    for player in range(1, players):
        match.receive(player, encode(Ready(1, None, None, 0, 0)), 9.9)
    for frame in range(frames):
        match.command(GiveInput(frame, b"x"), 9.9)
    outputs_of(match)
    return match


OWED_S = answer_s(SyncConfig(reconnect_timeout_s=0))


def test_who_acknowledges_nothing_is_lost() -> None:
    assert not pinging(playing(2), OWED_S - 0.5, 1)
    assert [event.reason for event in pinging(playing(2), OWED_S + 0.5, 1)] == ["peer_unresponsive"]


def test_who_is_at_the_next_barrier_owes_nothing_of_this_episode() -> None:
    match = playing(2)
    match.receive(1, encode(Ready(2, None, None, 0, 0)), 9.95)
    assert not pinging(match, OWED_S + 2, 1)
    assert match._peers[1].present


def test_while_we_have_given_nothing_nobody_owes_us_a_report() -> None:
    match = playing(3, frames=0)
    match.receive(2, encode(Inputs(1, 0, (0, 0, 1), 1, (b"c",), 0)), 9.95)
    assert not pinging(match, OWED_S + 2, 1, 2)
    assert match._peers[1].present


def test_who_says_goodbye_and_never_hands_over_what_they_gave_has_left_all_the_same() -> None:
    match = playing(2)
    match.receive(1, encode(Inputs(1, 0, (5, 2), -3, (b"a", b"b"), 0)), 9.95)
    match.receive(1, encode(Goodbye("normal", 1, 9, None, Cause.LEFT, ())), 9.96)
    told = pinging(match, OWED_S + 0.5, 1)
    assert [(event.reason, event.frames) for event in told] == [("peer_left", 9), ("peer_left", 2)]


def test_who_does_not_report_about_the_lost_is_lost_too() -> None:
    match = playing(3)
    for player in (1, 2):
        match.receive(player, encode(Inputs(1, 0, (5, 0, 0), -5, (), 0)), 9.95)
    match.closed(2, 9.96)
    told = pinging(match, OWED_S + 0.5, 1)
    assert [(event.player, event.reason) for event in told] == [(1, "peer_unresponsive"), (2, "peer_crashed")]


def test_who_says_goodbye_and_stays_without_a_report_about_the_lost_is_waited_for_no_longer() -> None:
    match = playing(3)
    for player in (1, 2):
        match.receive(player, encode(Inputs(1, 0, (5, 0, 0), -5, (), 0)), 9.95)
    match.closed(2, 9.96)
    match.receive(1, encode(Goodbye("normal", 1, 0, None, Cause.LEFT, ())), 9.97)
    outputs_of(match)
    told = pinging(match, OWED_S + 0.5, 1)
    assert [(event.player, event.reason) for event in told] == [(2, "peer_crashed")]


def test_who_never_answers_the_greeting_is_lost_as_unresponsive() -> None:
    match = Match(
        local=0, players=2, description={"must": {}}, match_seed=1, sync=SyncConfig(), secret=b"ours"
    )
    match.opened(1, 9.9)
    assert [event.reason for event in pinging(match, 11, 1)] == ["peer_unresponsive"]


def test_what_we_slept_through_is_nobodys_fault() -> None:
    match = playing(2)
    assert not pinging(match, OWED_S - 0.5, 1)
    match.handle_timeout(500.0)
    match.receive(1, encode(Ping(1, 1, 0)), 500.0)
    match.handle_timeout(500.1)
    assert not [event for event in outputs_of(match) if isinstance(event, PlayerGone)]


# Given up, excused, excluded, removed.


def test_who_may_be_held_up_by_another_is_given_up_only_without_an_excuse() -> None:
    match = playing(3)
    match.receive(2, encode(Inputs(1, 0, (5, 0, 3), -2, (b"c",) * 3, 0)), 9.95)
    match.receive(1, encode(Inputs(1, 0, (5, 0, 0), -5, (), 0)), 9.95)  # has nothing of the other
    match.command(GiveUp(1, excusable=True), 10.0)
    assert match._peers[1].present
    match.command(GiveUp(1), 10.1)
    assert not match._peers[1].present


def test_an_excuse_is_one_for_as_long_as_its_report_is_fresh() -> None:
    match = playing(3)
    match.receive(2, encode(Inputs(1, 0, (5, 0, 3), -2, (b"c",) * 3, 0)), 9.95)
    match.receive(1, encode(Inputs(1, 0, (5, 0, 0), -5, (), 0)), 9.95)
    match.command(GiveUp(1, excusable=True), 9.95 + REPORT_FRESH_S)
    assert match._peers[1].present
    match.command(GiveUp(1, excusable=True), 9.95 + REPORT_FRESH_S + 0.1)
    assert not match._peers[1].present


def test_who_sends_nothing_but_what_the_protocol_forbids_is_removed() -> None:
    match = playing(3)
    for _ in range(PROTOCOL_ERRORS_MOST):
        assert match._peers[1].present
        match.receive(1, b"\xff", 10.0)
    match.receive(2, encode(Holdings(1, ((1, 0, Cause.REMOVED),))), 10.1)
    told = [event for event in outputs_of(match) if isinstance(event, PlayerGone)]
    assert told == [PlayerGone(1, "peer_removed", 0)]


def test_who_is_told_that_they_are_out_tells_nobody_else_that_the_teller_is() -> None:
    match = playing(3)
    match.receive(1, encode(Holdings(1, ((0, 5, Cause.LOST),))), 10.0)
    outputs = outputs_of(match)
    assert [event for event in outputs if isinstance(event, PlayerGone)] == [
        PlayerGone(1, EXCLUDED, 0, "peer_lost", None, Source.PEER, 1)
    ]
    assert match._peers[2].present
    assert not [output for output in outputs if not isinstance(output, PlayerGone)]


# Silence, and what the service says of it.


def silent_from(match: Match, since: float, *, hears_at: float | None = None) -> list[PlayerGone]:
    """Let nothing arrive any more, but one message at a time if so; return who is gone."""
    found: list[PlayerGone] = []
    for look in range(80):
        now = since + look * 0.05
        if hears_at is not None and hears_at <= now:
            match.receive(1, encode(Ping(9, 9, 0)), now)
            hears_at = None
        match.handle_timeout(now)
        found += [event for event in outputs_of(match) if isinstance(event, PlayerGone)]
    return found


def test_the_silence_of_a_player_whose_line_the_service_saw_close_is_the_end_of_their_process() -> None:
    match = playing(2)
    match.command(LineClosed(1, cut_off=True), 10.0)
    (told,) = silent_from(match, 10.0, hears_at=10.5)  # it was under way
    assert told == PlayerGone(1, "peer_crashed", 0, None, None, Source.SERVICE)


def test_whoever_is_heard_of_after_the_service_lost_them_has_lost_that_line_alone() -> None:
    match = playing(2)
    match.command(LineClosed(1, cut_off=True), 10.0)
    (told,) = silent_from(match, 10.0, hears_at=11.5)
    assert told == PlayerGone(1, "peer_lost", 0, None, None, Source.OBSERVATION)


def test_a_line_that_closes_long_after_the_last_word_is_that_of_a_player_who_gave_us_up() -> None:
    match = playing(2)
    match.receive(1, encode(Ping(1, 1, 0)), 10.0)
    for look in range(35):
        match.handle_timeout(10.0 + look * 0.05)
    match.command(LineClosed(1, cut_off=True), 11.7)
    (told,) = silent_from(match, 11.7)
    assert told == PlayerGone(1, "peer_lost", 0, None, None, Source.OBSERVATION)


def test_a_link_that_closes_long_after_the_last_word_is_a_lost_path_and_no_crash() -> None:
    match = playing(2)
    for look in range(13):
        match.handle_timeout(9.95 + look * 0.05)
    match.closed(1, 10.6)
    (told,) = [event for event in outputs_of(match) if isinstance(event, PlayerGone)]
    assert told == PlayerGone(1, "peer_lost", 0, None, None, Source.OBSERVATION)


def test_a_link_that_closes_as_we_leave_is_no_crash_of_the_other() -> None:
    match = playing(2)
    match.command(Leave("normal"), 10.0)
    match.closed(1, 10.1)
    (told,) = [event for event in outputs_of(match) if isinstance(event, PlayerGone)]
    assert told == PlayerGone(1, "peer_left", 0, None, None, Source.OBSERVATION)


def test_who_says_that_they_left_for_our_loss_goes_on_without_us() -> None:
    match = playing(3)
    match.receive(1, encode(Goodbye("peer_lost", 1, 0, 0, Cause.LOST, ())), 10.0)
    (told,) = [event for event in outputs_of(match) if isinstance(event, PlayerGone)]
    assert told == PlayerGone(1, EXCLUDED, 0, "peer_lost", None, Source.GOODBYE)


@pytest.mark.parametrize(
    ("lost", "cause", "reported"),
    [(None, Cause.CRASHED, Cause.CRASHED), (None, Cause.LEFT, Cause.LEFT), (2, Cause.CRASHED, Cause.LEFT)],
)
def test_of_whoever_said_goodbye_it_is_reported_how_they_went_and_not_how_whom_they_lost(
    lost: int | None, cause: Cause, reported: Cause
) -> None:
    match = playing(4)
    match.receive(1, encode(Goodbye("words", 1, 3, lost, cause, ())), 10.0)
    match.closed(1, 10.1)  # without the inputs that they promised
    sent = [decode(output.data) for output in outputs_of(match) if isinstance(output, Transmit)]
    reports = [message for message in sent if isinstance(message, Holdings)]
    assert [report.held for report in reports] == [((1, 0, reported),)] * 2


def test_of_several_accounts_the_most_definite_one_counts_for_all_who_are_left() -> None:
    match = playing(3)
    match.closed(1, 10.0)
    match.receive(2, encode(Holdings(1, ((1, 0, Cause.REMOVED),))), 10.1)
    told = [event for event in outputs_of(match) if isinstance(event, PlayerGone)]
    assert told == [PlayerGone(1, "peer_removed", 0, None, None, Source.PEER, 2)]
