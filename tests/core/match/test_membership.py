"""Players who vanish or leave while others play on: those who are left agree, whoever held what."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.commands import BeginEpisode, GiveInput, Leave
from gym_p2p.core.match.events import EXCLUDED, InputsArrived, Left, PlayerGone, Source
from gym_p2p.core.match.match import Match
from gym_p2p.core.sync.outputs import Over
from gym_p2p.core.sync.session import SyncSession
from gym_p2p.core.wire.messages import Cause, Goodbye, Holdings, Ready, Relay, Share, encode
from gym_p2p.net.links.memory import Path
from tests.core.examples import examples, rarely
from tests.core.match.pairs import Pair, greeted_match, outputs_of
from tests.core.tables import TICK_S, Player, Table, next_state, rollback_table

WINDOW = 8
QUICK = SyncConfig(
    disconnect_notice_s=0.1, disconnect_timeout_s=0.25, reconnect_timeout_s=0, checksum_interval=10
)


def run_up(players: int, **options: Any) -> Table:
    """A match of paced players with rollback, in the middle of an episode."""
    table = rollback_table(players, **{"one_way_ms": 30, "frames": 80, "sync": QUICK, **options})
    assert table.run(5, until=lambda: all(len(seat.played) >= 20 for seat in table.seats))
    return table


def ticks(table: Table, count: float) -> None:
    table.run(count * TICK_S, until=lambda: False)


def held(seat: Player, of: Player) -> int:
    return seat.match._peers[of.index].remote_inputs.count


def lose_last_inputs(table: Table, leaver: Player, reached: Player, others: list[Player], count: int) -> None:
    """Let the leaver vanish after so many of the last inputs reached only one of the players."""
    table.deaf |= {(other.index, leaver.index) for other in others}
    before = held(reached, leaver)
    table.run(1, until=lambda: held(reached, leaver) == before + count)
    assert [held(reached, leaver) - held(other, leaver) for other in others] == [count] * len(others)
    leaver.vanish()


def assert_same_end(survivors: list[Player]) -> None:
    first, *others = survivors
    assert first.over is not None
    assert first.over.frame == len(first.confirmed)
    for other in others:
        assert other.over == first.over
        assert other.confirmed == first.confirmed
        assert other.state == first.state == first.confirmed[-1][1]


@pytest.mark.parametrize("players", [3, 4])
@pytest.mark.parametrize("count", [0, *rarely(*range(1, WINDOW)), WINDOW])
def test_the_survivors_end_identically_however_many_last_inputs_reached_only_one(
    players: int, count: int
) -> None:
    table = run_up(players)
    reached, *others, leaver = table.seats
    lose_last_inputs(table, leaver, reached, others, count)
    agreed = held(reached, leaver)
    assert table.run(5, until=lambda: all(seat.over for seat in (reached, *others)))
    assert_same_end([reached, *others])
    assert reached.over is not None
    assert (reached.over.frame, reached.over.reason, reached.over.player) == (
        agreed,
        "peer_lost",
        leaver.index,
    )


@pytest.mark.parametrize("window", [0, WINDOW])
@pytest.mark.parametrize("players", [3, 4])
@pytest.mark.parametrize("count", [0, *rarely(1, 4, WINDOW)])
def test_the_survivors_play_on_identically_with_the_leavers_default_input(
    players: int, count: int, window: int
) -> None:
    delays = dict.fromkeys(range(players), 0 if window else WINDOW)
    table = run_up(players, continue_without_leavers=True, window=window, delays=delays)
    reached, *others, leaver = table.seats
    lose_last_inputs(table, leaver, reached, others, count)
    agreed = held(reached, leaver)
    survivors = [reached, *others]
    assert table.run(10, until=lambda: all(seat.played_all for seat in survivors))
    state = 0
    for frame, advance in enumerate(reached.played):
        assert (advance.inputs[leaver.index] == b"d") == (frame >= agreed or frame < delays[leaver.index])
        assert advance.absent == ((leaver.index,) if frame >= agreed else ())
        state = next_state(state, advance.inputs)
    for seat in survivors:
        assert [advance.inputs for advance in seat.played] == [a.inputs for a in reached.played]
        assert len(seat.played) == table.seats[0].frames
        assert seat.state == state


@pytest.mark.slow
@given(
    players=st.integers(3, 4),
    first=st.integers(0, WINDOW),
    second=st.integers(0, WINDOW),
    apart=st.floats(0, 25),
    seed=st.integers(0, 1000),
    loss=st.floats(0, 0.3),
    polite=st.booleans(),
)
def test_a_second_leaver_during_the_agreement_leaves_the_others_identical(
    players: int, first: int, second: int, apart: float, seed: int, loss: float, *, polite: bool
) -> None:
    patient = SyncConfig(
        disconnect_notice_s=0.3, disconnect_timeout_s=1.0, reconnect_timeout_s=0, checksum_interval=10
    )
    table = run_up(players, path=Path(one_way_ms=30, loss=loss, jitter_ms=5), seed=seed, sync=patient)
    *survivors, next_leaver, leaver = table.seats
    # The first one's last inputs reach only the second, the second one's only one of the others.
    table.deaf |= {(seat.index, leaver.index) for seat in survivors}
    ticks(table, first)
    leaver.vanish()
    ticks(table, apart)
    if polite:
        next_leaver.leave()
    else:
        table.deaf |= {(seat.index, next_leaver.index) for seat in survivors[1:]}
        ticks(table, second)
        next_leaver.vanish()
    assert table.run(10, until=lambda: all(seat.over for seat in survivors))
    assert_same_end(survivors)


def test_a_survivor_who_leaves_once_they_know_the_end_takes_nothing_with_them() -> None:
    table = run_up(4)
    reached, second, third, leaver = table.seats
    lose_last_inputs(table, leaver, reached, [second, third], 5)
    table.run(5, until=lambda: bool(reached.over))
    reached.leave("peer_lost")
    assert table.run(5, until=lambda: bool(second.over and third.over))
    assert_same_end([reached, second, third])


def test_who_leaves_before_a_loss_is_known_has_shared_what_only_they_hold() -> None:
    table = run_up(4)
    first, second, polite, leaver = table.seats
    lose_last_inputs(table, leaver, polite, [first, second], 5)
    agreed = held(polite, leaver)
    polite.leave()
    assert table.run(1, until=lambda: bool(polite.events_of(Left)))
    polite.vanish()
    assert table.run(5, until=lambda: bool(first.over and second.over))
    assert first.over == Over(agreed, "peer_lost", leaver.index)
    assert_same_end([first, second])


def test_a_player_whom_one_cannot_hear_any_more_is_dropped_by_all() -> None:
    table = run_up(3)
    first, second, unheard = table.seats
    table.deaf.add((first.index, unheard.index))
    assert table.run(5, until=lambda: bool(first.over and second.over))
    assert_same_end([first, second])
    assert first.over is not None
    assert first.over.player == unheard.index
    assert table.run(5, until=lambda: unheard.over is not None)


def test_the_last_inputs_of_a_polite_leaver_are_shared_when_they_are_killed_before_handing_them_over() -> (
    None
):
    table = run_up(3)
    reached, other, leaver = table.seats
    table.deaf.add((other.index, leaver.index))
    ticks(table, 4)
    leaver.leave()
    ticks(table, 2.5)
    promised = leaver.match._exchange.given
    assert held(other, leaver) < promised == held(reached, leaver)
    leaver.vanish()
    assert table.run(5, until=lambda: bool(reached.over and other.over))
    assert_same_end([reached, other])
    assert reached.over == Over(promised, "peer_left", leaver.index)


def gone(match: Match) -> list[object]:
    return [output for output in outputs_of(match) if isinstance(output, PlayerGone)]


def test_what_is_said_of_another_set_of_leavers_is_no_agreement() -> None:
    match = greeted_match(5)
    match.closed(4, 0.1)
    match.receive(1, encode(Holdings(0, ((4, 0, Cause.LOST),))), 0.1)
    match.receive(
        2, encode(Holdings(0, ((3, 0, Cause.LOST), (4, 0, Cause.LOST)))), 0.1
    )  # two are gone, for this one
    assert not gone(match)
    match.receive(1, encode(Share(0, 4, 0, (b"a", b"b"), b"")), 0.2)
    match.receive(1, encode(Holdings(0, ((3, 0, Cause.LOST), (4, 2, Cause.LOST)))), 0.2)
    assert gone(match) == [
        PlayerGone(3, "peer_lost", 0, source=Source.PEER, via=2),
        PlayerGone(4, "peer_crashed", 2),
    ]


def test_what_a_polite_leaver_shared_during_an_agreement_is_part_of_it_after_they_are_gone() -> None:
    match = greeted_match(4)
    match.closed(3, 0.1)
    match.receive(1, encode(Share(0, 3, 0, (b"a", b"b"), b"")), 0.1)
    match.receive(1, encode(Holdings(0, ((3, 2, Cause.LOST),))), 0.1)
    match.receive(1, encode(Goodbye("normal", 0, 0, None, Cause.LEFT, ())), 0.1)
    match.closed(1, 0.2)
    match.receive(2, encode(Holdings(0, ((3, 0, Cause.LOST),))), 0.2)
    assert gone(match) == [PlayerGone(1, "peer_left", 0, "normal", source=Source.GOODBYE)]
    match.receive(2, encode(Holdings(0, ((1, 0, Cause.LOST), (3, 2, Cause.LOST)))), 0.3)
    assert gone(match) == [PlayerGone(3, "peer_crashed", 2)]


def test_inputs_of_another_by_hearsay_count_only_once_they_are_gone() -> None:
    match = greeted_match(3)
    match.receive(1, encode(Share(0, 2, 0, (b"forged",), b"")), 0.1)
    assert match._peers[2].remote_inputs.count == 0
    match.receive(1, encode(Holdings(0, ((2, 1, Cause.LOST),))), 0.2)
    assert match._peers[2].remote_inputs.count == 1
    assert gone(match) == [PlayerGone(2, "peer_lost", 1, source=Source.PEER, via=1)]


def test_what_was_shared_of_an_episode_before_it_began_here_backs_the_report_that_follows() -> None:
    match = greeted_match(3)
    match.command(BeginEpisode(None), 0.1)
    match.receive(1, encode(Ready(1, None, None, 0, 0)), 0.1)
    match.closed(2, 0.1)
    match.receive(1, encode(Share(1, 2, 0, (b"a", b"b"), b"")), 0.2)
    match.receive(1, encode(Relay(2, encode(Ready(1, None, None, 0, 0)))), 0.2)
    match.handle_timeout(0.3)
    assert match._exchange.episode == 1
    match.receive(1, encode(Holdings(1, ((2, 2, Cause.LOST),))), 0.4)
    assert match._peers[1].protocol_errors == 0
    assert gone(match) == [PlayerGone(2, "peer_crashed", 2)]


def test_holdings_that_were_not_shared_are_a_protocol_error() -> None:
    match = greeted_match(3)
    for said in ((2, 9), (1, 0), (7, 0)):
        match.receive(1, encode(Holdings(0, ((*said, Cause.LOST),))), 0.1)
    assert match._peers[1].protocol_errors == 3


@pytest.mark.parametrize("too_many", [1, 2, 1000])
def test_a_false_number_of_inputs_keeps_nobody_from_an_agreement(too_many: int) -> None:
    match = greeted_match(4)
    match.receive(1, encode(Share(0, 3, 0, (b"a",), b"")), 0.1)
    match.receive(1, encode(Holdings(0, ((3, 1 + too_many, Cause.LOST),))), 0.1)
    assert match._peers[1].protocol_errors == 1
    match.receive(2, encode(Holdings(0, ((3, 0, Cause.LOST),))), 0.2)
    assert not gone(match)
    match.receive(1, encode(Holdings(0, ((3, 1, Cause.LOST),))), 0.2)
    assert gone(match) == [PlayerGone(3, "peer_lost", 1, source=Source.PEER, via=1)]


@pytest.mark.parametrize("players", [2, 3])
def test_what_was_played_by_who_is_excluded_by_all_becomes_final(players: int) -> None:
    match = greeted_match(players)
    match.command(BeginEpisode(1), 0.0)
    for other in range(1, players):
        match.receive(other, encode(Ready(1, None, None, 0, 0)), 0.0)
    for frame in range(3):
        match.command(GiveInput(frame, b"ours"), 0.1)
    outputs_of(match)
    for other in range(1, players):
        match.receive(other, encode(Holdings(1, ((0, 3, Cause.LOST),))), 0.2)
    arrived = [output for output in outputs_of(match) if isinstance(output, InputsArrived)]
    assert arrived[-1].confirmed == 3


def test_who_was_lost_before_all_others_excluded_us_is_told_of_though_nobody_is_left_to_agree() -> None:
    match = greeted_match(4)
    match.command(BeginEpisode(1), 0.0)
    for other in (1, 2, 3):
        match.receive(other, encode(Ready(1, None, None, 0, 0)), 0.0)
    for frame in range(3):
        match.command(GiveInput(frame, b"ours"), 0.1)
    match.closed(1, 0.2)
    outputs_of(match)
    for other in (2, 3):
        match.receive(other, encode(Holdings(1, ((0, 3, Cause.LOST),))), 0.3)
    gone = [output.player for output in outputs_of(match) if isinstance(output, PlayerGone)]
    assert sorted(gone) == [1, 2, 3]


@pytest.mark.parametrize("lost_first", [True, False])
def test_who_has_excluded_us_is_nothing_else_once_another_one_is_lost(*, lost_first: bool) -> None:
    match = greeted_match(3)
    match.command(BeginEpisode(1), 0.0)
    for other in (1, 2):
        match.receive(other, encode(Ready(1, None, None, 0, 0)), 0.0)
    outputs_of(match)
    if lost_first:
        match.closed(2, 0.2)
    match.receive(1, encode(Holdings(1, ((0, 0, Cause.LOST),))), 0.3)
    if not lost_first:
        match.closed(2, 0.4)
    told = [output for output in outputs_of(match) if isinstance(output, PlayerGone)]
    assert [one.reason for one in told if one.player == 1] == [EXCLUDED]
    assert {one.player for one in told} == {1, 2}


def test_a_goodbye_for_anothers_loss_names_the_lost_one() -> None:
    trio = Pair(3)
    trio.begin(None, None, None)
    trio.matches[1].command(Leave("peer_lost", lost=0, cause=Cause.LOST), 0.0)
    trio.deliver()
    gone = [event for event in trio.events[2] if isinstance(event, PlayerGone)]
    assert gone == [PlayerGone(1, "peer_lost", 0, "peer_lost", 0, Source.GOODBYE)]
    sync = SyncSession(local=2, default_inputs=[b""] * 3)
    sync.receive(gone[0])
    assert sync.poll() == Over(0, "peer_lost", 0)


def test_a_goodbye_for_anothers_polite_goodbye_is_no_loss() -> None:
    trio = Pair(3)
    trio.begin(None, None, None)
    trio.matches[1].command(Leave("peer_left", lost=0), 0.0)
    trio.deliver()
    assert PlayerGone(1, "peer_left", 0, "peer_left", 0, Source.GOODBYE) in trio.events[2]


@pytest.mark.slow
@pytest.mark.parametrize("window", [0, WINDOW])
@pytest.mark.parametrize("players", [2, 3, 4])
@given(
    gaps=st.lists(st.floats(0, 30), min_size=3, max_size=3),
    polite=st.lists(st.booleans(), min_size=3, max_size=3),
    loss=st.floats(0, 0.1),
    seed=st.integers(0, 1000),
)
@example(gaps=[0.0] * 3, polite=[False] * 3, loss=0.0, seed=0)
@example(gaps=[0.0] * 3, polite=[True] * 3, loss=0.0, seed=0)
@settings(max_examples=examples(25), deadline=None)
def test_for_whoever_is_left_alone_every_frame_becomes_final(
    players: int, window: int, gaps: list[float], polite: list[bool], loss: float, seed: int
) -> None:
    table = rollback_table(
        players,
        path=Path(one_way_ms=30, loss=loss, jitter_ms=5),
        seed=seed,
        frames=60,
        sync=SyncConfig(
            disconnect_notice_s=0.3, disconnect_timeout_s=1.0, reconnect_timeout_s=0, checksum_interval=10
        ),
        window=window,
        delays=dict.fromkeys(range(players), 0 if window else WINDOW),
        continue_without_leavers=True,
    )
    last, *leavers = table.seats
    assert table.run(5, until=lambda: all(seat.session is not None for seat in table.seats))
    for leaver, gap, politely in zip(leavers, gaps, polite, strict=False):
        ticks(table, gap)
        if politely:
            leaver.leave()
        else:
            leaver.vanish()
    assert table.run(30, until=lambda: len(last.confirmed) == last.frames)
    assert [advance.inputs for advance in last.played] == [inputs for inputs, _ in last.confirmed]
