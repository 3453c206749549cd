"""Broken paths: whoever lost sight of whom, the match goes on, or ends alike for all who are left."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gym_p2p.core.match.catching_up import Comeback
from gym_p2p.core.match.commands import BeginEpisode, GiveChecksum, GiveInput, Leave, LineClosed, LineOpened
from gym_p2p.core.match.control_log import CONTROL_KEPT_BYTES, ControlLog
from gym_p2p.core.match.events import (
    EpisodeBegan,
    Interrupted,
    Left,
    LimitChanged,
    PlayerGone,
    ProtocolErrorSeen,
    Resumed,
)
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.match.peer import PeerState
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.fragments import split
from gym_p2p.core.wire.messages import (
    Channel,
    Checksum,
    Continue,
    Inputs,
    Ping,
    Ready,
    Resume,
    decode,
    encode,
)
from gym_p2p.errors import ProtocolError
from gym_p2p.net.links.memory import Path
from tests.core.examples import examples
from tests.core.match.cut_table import (
    SYNC,
    Cut,
    CutTable,
    assert_nobody_differs,
    assert_undisturbed,
    some_cuts,
)
from tests.core.match.pairs import goodbye, greeted_match, hello, lone_match, outputs_of, seals_of
from tests.core.tables import TICK_S, held_action

LINK = b"what its two ends have in common"


def rollback(players: int, cuts: Sequence[Cut] = (), **options: Any) -> CutTable:
    settings = {"path": Path(one_way_ms=30), "action": held_action, "tick_s": TICK_S, "frames": 240}
    return CutTable(players, cuts, window=8, **{**settings, **options})


def lockstep(players: int, cuts: Sequence[Cut] = (), **options: Any) -> CutTable:
    return CutTable(players, cuts, **{"path": Path(one_way_ms=20), "frames": 60, "episodes": 3, **options})


@pytest.mark.parametrize("make", [lockstep, rollback])
@pytest.mark.parametrize("players", [2, 3])
@pytest.mark.parametrize("rebuilt_s", [None, 2.5])
def test_a_path_that_is_cut_for_five_seconds_costs_nothing_but_time(
    make: Any, players: int, rebuilt_s: float | None
) -> None:
    table = make(players, [Cut((0, 1), 1.5, 5.0, rebuilt_s)])
    assert table.run(60)
    assert_undisturbed(table)
    for seat, other in ((0, 1), (1, 0)):
        (broken,) = table.seats[seat].events_of(Interrupted)
        (back,) = table.seats[seat].events_of(Resumed)
        assert (broken.player, broken.limit_s, broken.reconnects) == (other, 6.0, True)
        assert back.player == other
        assert back.silent_s == pytest.approx(5.0 if rebuilt_s is None else 2.5, abs=0.4)


@pytest.mark.parametrize("make", [lockstep, rollback])
def test_a_path_that_comes_back_too_late_is_lost_for_both_at_the_time(make: Any) -> None:
    table = make(2, [Cut((0, 1), 1.0, 20.0, None)])
    assert table.run(12, until=lambda: all(seat.over for seat in table.seats))
    assert table.clock.time() == pytest.approx(1.0 + 6.0, abs=0.4)
    for seat in table.seats:
        assert seat.over is not None
        assert (seat.over.reason, seat.over.player) == ("peer_lost", 1 - seat.index)


@pytest.mark.parametrize("players", [3, 4])
def test_who_reaches_both_waits_with_them_and_removes_nobody(players: int) -> None:
    table = lockstep(players, [Cut((0, 1), 0.5, 5.5, None)], patience_s=2.0)
    assert table.run(60)
    assert_undisturbed(table)
    for seat in table.seats[2:]:
        assert not seat.events_of(Interrupted)


def test_several_pairs_break_and_are_rebuilt_at_once() -> None:
    cuts = [Cut(pair, 1.0 + at, 5.0, 2.0) for at, pair in enumerate([(0, 1), (2, 3), (0, 2)])]
    table = rollback(4, cuts)
    assert table.run(60)
    assert_undisturbed(table)


@pytest.mark.slow
@settings(max_examples=examples(60), deadline=None)
@given(
    players=st.integers(2, 4),
    window=st.booleans(),
    cuts=some_cuts(st.floats(0.1, 9)),
    dies=st.none() | st.tuples(st.integers(0, 3), st.floats(0.2, 6)),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 1000),
)
@example(players=2, window=False, cuts=[Cut((0, 1), 1.0, 1.0, None)], dies=(0, 0.25), loss=0.3, seed=0)
@example(
    players=2,
    window=False,
    cuts=[Cut((0, 1), 3.5, 3.3, 6.6, one_way=True)],
    dies=(0, 3.63),
    loss=0.0,
    seed=259,
)
def test_whatever_breaks_and_comes_back_nobody_differs_and_nobody_hangs(
    players: int, cuts: list[Cut], dies: tuple[int, float] | None, loss: float, seed: int, *, window: bool
) -> None:
    cuts = [cut for cut in cuts if max(cut.pair) < players]
    options: dict[str, Any] = {"seed": seed, "path": Path(one_way_ms=25, loss=loss, jitter_ms=4)}
    table = rollback(players, cuts, **options) if window else lockstep(players, cuts, **options)
    if dies is not None:
        table.clock.call_at(dies[1], table.seats[dies[0] % players].vanish)
    assert table.run(120), [(seat.over, len(seat.played)) for seat in table.seats]
    longest = max([min(cut.for_s, cut.rebuilt_s or cut.for_s) for cut in cuts], default=0.0)
    if longest < SYNC.reconnect_timeout_s - 1.0 and dies is None:
        assert_undisturbed(table)
    assert_nobody_differs(table)


def connected() -> Match:
    """The first player's match of two, whom the other one has greeted who would wait, too."""
    return greeted_match(2, sync=SYNC, reconnect_ms=9_000)


def test_only_the_player_themselves_is_recognised_over_a_new_link() -> None:
    match = connected()
    stranger, they = seals_of(2, 2), seals_of(1, 2)
    for attempt, message in (
        (1, Resume(1, stranger.proof_for(0, 1, LINK), 0)),
        (1, Resume(1, b"", 0)),
        (2, Resume(2, they.proof_for(0, 1, LINK), 0)),  # of an earlier attempt
        (2, Resume(1, they.proof_for(0, 1, LINK), 0)),
        (1, Resume(1, they.proof_for(1, 1, LINK), 0)),  # as made for somebody else
        (1, Resume(1, they.proof_for(0, 1, b"another link"), 0)),  # passed on by whoever stands between
        (1, Continue(0, 1)),
    ):
        assert not match.recognises(1, attempt, LINK, encode(message))
    assert not match.recognises(1, 1, LINK, b"nonsense")
    assert match.recognises(1, 1, LINK, encode(Resume(1, they.proof_for(0, 1, LINK), 0)))


def test_who_has_not_greeted_yet_is_taken_on_the_services_word() -> None:
    match = lone_match(2, sync=SYNC)
    match.opened(1, 0.0)
    assert match.recognises(1, 1, LINK, encode(Resume(1, b"", 0)))


def test_who_has_come_back_takes_nobody_on_the_services_word() -> None:
    they = seals_of(1, 2)
    match = lone_match(2, sync=SYNC, comeback=Comeback(1, {1: they.key_for(0)}))
    match.opened(1, 0.0)
    assert not match.recognises(1, 1, LINK, encode(Resume(1, b"", 0)))
    assert match.recognises(1, 1, LINK, encode(Resume(1, they.proof_for(0, 1, LINK), 0)))


def greet(match: Match, player: int, reconnect_ms: int) -> None:
    match.opened(player, 0.0)
    match.receive(player, encode(hello(seals_of(player, 3).key_for(0), reconnect_ms)), 0.0)


def pass_time(match: Match, since: float, until: float) -> list[object]:
    """Look after the match as its driver does; return what it puts out."""
    now, outputs = since, outputs_of(match)
    while (now := now + 0.1) < until + 0.05:
        match.handle_timeout(now)
        outputs += outputs_of(match)
    return outputs


def gone_in(outputs: list[object]) -> list[str]:
    return [event.reason for event in outputs if isinstance(event, PlayerGone)]


@pytest.mark.parametrize("told_ms", [(9_000, 3_000), (3_000, 9_000)])
def test_the_least_patient_player_says_how_long_everybody_waits(told_ms: tuple[int, int]) -> None:
    match = lone_match(3, sync=SYNC)
    greet(match, 1, told_ms[0])
    greet(match, 2, told_ms[1])
    outputs = pass_time(match, 0.0, 1.0)
    assert [(e.limit_s, e.reconnects) for e in outputs if isinstance(e, Interrupted)] == [(3.0, True)] * 2
    assert not gone_in(pass_time(match, 1.0, 2.9))
    assert gone_in(pass_time(match, 2.9, 3.1)) == ["peer_lost"] * 2


def test_where_one_player_rebuilds_nothing_nobody_does() -> None:
    match = lone_match(2, sync=SYNC)
    match.opened(1, 0.0)
    match.receive(1, encode(hello()), 0.0)
    outputs_of(match)
    match.handle_timeout(0.6)
    (broken,) = [event for event in outputs_of(match) if isinstance(event, Interrupted)]
    assert (broken.limit_s, broken.reconnects) == (2.0, False)
    match.command(GiveChecksum(9, b"x", 1), 0.6)
    assert match._peers[1].control._kept_bytes == 0, "kept for nobody"


def test_a_closed_link_is_no_loss_while_a_new_one_may_come_and_a_crash_after_two_seconds() -> None:
    match = connected()
    match.closed(1, 0.2)
    (broken,) = outputs_of(match)
    assert isinstance(broken, Interrupted)
    assert broken.reconnects
    assert not gone_in(pass_time(match, 0.2, 2.1))
    assert gone_in(pass_time(match, 2.1, 2.3)) == ["peer_crashed"]


def test_a_closed_link_that_is_replaced_is_forgotten() -> None:
    match = connected()
    match.closed(1, 1.0)
    match.replaced(1, 1.5)
    assert [event for event in outputs_of(match) if isinstance(event, Resumed)] == [Resumed(1, 1.5)]
    match.receive(1, encode(Continue(0, 1)), 1.6)
    for tenth in range(17, 60):
        match.receive(1, encode(Ping(tenth, tenth, 0)), tenth / 10)
        match.handle_timeout(tenth / 10)
    assert not gone_in(outputs_of(match))
    assert not gone_in(pass_time(match, 5.9, 11.8)), "waited for as anybody whose path is broken"
    assert gone_in(pass_time(match, 11.8, 12.0)) == ["peer_lost"]


@pytest.mark.parametrize("line", ["closed", "cut off"])
def test_who_is_silent_and_has_no_line_to_the_service_is_not_waited_for_as_long(line: str) -> None:
    match = connected()
    match.command(LineClosed(1, cut_off=line == "cut off"), 0.1)
    assert not gone_in(pass_time(match, 0.1, 2.0))
    assert gone_in(pass_time(match, 2.0, 2.2)) == ["peer_crashed" if line == "cut off" else "peer_lost"]


def test_who_has_their_line_again_is_waited_for_to_the_end() -> None:
    match = connected()
    match.command(LineClosed(1, cut_off=True), 0.1)
    pass_time(match, 0.1, 1.0)
    match.command(LineOpened(1), 1.0)
    assert not gone_in(pass_time(match, 1.0, 5.9))
    assert gone_in(pass_time(match, 5.9, 6.1)) == ["peer_lost"]


def test_a_link_that_our_own_side_gives_up_takes_no_time_from_who_is_silent() -> None:
    match = connected()
    (broken,) = [event for event in pass_time(match, 0.0, 1.0) if isinstance(event, Interrupted)]
    assert broken.limit_s == 6.0
    match.closed(1, 1.0)
    assert not gone_in(pass_time(match, 1.0, 5.9))
    assert gone_in(pass_time(match, 5.9, 6.1)) == ["peer_lost"]


@given(
    st.lists(
        st.tuples(st.floats(0.0, 7.0), st.sampled_from(["closed", "cut off", "opened", "link"])), max_size=6
    )
)
@settings(max_examples=examples(60))
def test_whatever_is_heard_of_who_is_silent_what_is_told_is_what_is_waited(
    heard: list[tuple[float, str]],
) -> None:
    match = connected()
    told_s, at = 0.0, 0.0
    ends = [*sorted(heard), (9.0, "")]
    for when, what in ends:
        while at < when:
            at = min(when, at + 0.05)
            match.handle_timeout(at)
            for event in outputs_of(match):
                match event:
                    case Interrupted(limit_s=limit_s) | LimitChanged(limit_s=limit_s):
                        told_s = limit_s
                    case PlayerGone():
                        assert told_s <= at <= told_s + 0.1, "gone at another time than was told"
                        return
        match what:
            case "closed" | "cut off":
                match.command(LineClosed(1, cut_off=what == "cut off"), at)
            case "opened":
                match.command(LineOpened(1), at)
            case "link":
                match.closed(1, at)
    raise AssertionError("nobody is waited for longer than that")


def control_of(match: Match) -> list[object]:
    sent = [out for out in outputs_of(match) if isinstance(out, Transmit) and out.channel is Channel.CTRL]
    return [decode(one.data) for one in sent]


def test_control_messages_go_on_over_a_new_link_from_the_count_that_the_other_holds() -> None:
    match = connected()
    log = match._peers[1].control
    for frame in (9, 19, 29):
        match.command(GiveChecksum(frame, b"x", 1), 0.1)
    outputs_of(match)
    match.receive(1, encode(Ping(1, 1, 2)), 0.2)  # the greeting and one of these
    assert (log.sent, len(log._kept)) == (4, 2)
    match.replaced(1, 0.5)
    match.command(GiveChecksum(39, b"x", 1), 0.6)
    assert control_of(match) == [Continue(1, 1)]
    match.receive(1, encode(Continue(3, 1)), 0.7)
    assert control_of(match) == [Checksum(1, 29, b"x"), Checksum(1, 39, b"x")]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_who_lacks_what_is_kept_no_more_or_claims_what_was_not_sent_is_lost(count: int) -> None:
    match = connected()
    for frame in (9, 19, 29):
        match.command(GiveChecksum(frame, b"x", 1), 0.1)
    match.receive(1, encode(Ping(1, 1, 2)), 0.2)
    match.replaced(1, 0.5)
    outputs_of(match)
    match.receive(1, encode(Continue(count, 1)), 0.7)
    assert gone_in(outputs_of(match)) == ["peer_lost"]


def test_what_is_kept_of_control_messages_is_bounded() -> None:
    log = ControlLog()
    for _ in range(100):
        log.add(bytes(100_000))
        assert log._kept_bytes <= CONTROL_KEPT_BYTES
    assert log.sent == 100
    log.held_back = True
    with pytest.raises(ProtocolError):
        log.resume(0)
    assert len(log.resume(log._acknowledged)) == len(log._kept)


def playing() -> Match:
    """A match in its first episode, of which the other one holds nothing yet."""
    match = connected()
    match.command(BeginEpisode(1), 0.1)
    match.receive(1, encode(Ready(1, None, None, 0, 0)), 0.1)
    match.command(GiveInput(0, b"x"), 0.1)
    assert any(isinstance(output, EpisodeBegan) for output in outputs_of(match))
    return match


def test_our_inputs_go_over_a_new_link_at_once() -> None:
    match = playing()
    match.replaced(1, 0.5)
    sent = [decode(output.data) for output in outputs_of(match) if isinstance(output, Transmit)]
    assert [one.inputs for one in sent if isinstance(one, Inputs)] == [(b"x",)]


def test_a_greeting_that_was_lost_with_its_link_is_said_again_over_the_new_one() -> None:
    match = lone_match(2, sync=SYNC)
    match.opened(1, 0.0)
    (greeting,) = control_of(match)
    match.replaced(1, 0.5)
    match.receive(1, encode(Continue(0, 1)), 0.6)
    assert control_of(match) == [Continue(0, 1), greeting]


def test_a_message_that_the_old_link_cut_short_comes_whole_over_the_new_one() -> None:
    match = connected()
    ready = encode(Ready(1, None, JsonObject({"x": "y" * 3_000}), 0, 0))
    match.receive(1, next(iter(split(ready, 1))), 0.1)
    match.replaced(1, 0.5)
    match.receive(1, encode(Continue(1, 1)), 0.6)
    for piece in split(ready, 2):
        match.receive(1, piece, 0.6)
    assert not [event for event in outputs_of(match) if isinstance(event, ProtocolErrorSeen)]
    assert 1 in match._peers[1].ready


def test_who_is_gone_comes_back_over_no_link() -> None:
    match = connected()
    assert gone_in(pass_time(match, 0.0, 6.1)) == ["peer_lost"]
    proof = seals_of(1, 2).proof_for(0, 1, LINK)
    assert not match.recognises(1, 1, LINK, encode(Resume(1, proof, 0)))
    match.replaced(1, 6.2)
    assert outputs_of(match) == []


def test_whoever_leaves_waits_for_no_new_link() -> None:
    match = playing()
    match.command(Leave("normal"), 0.2)
    match.closed(1, 0.3)
    outputs = outputs_of(match)
    assert gone_in(outputs) == ["peer_left"]
    assert [event for event in outputs if isinstance(event, Left)]
    assert not [event for event in outputs if isinstance(event, Interrupted)]


def test_who_has_said_goodbye_is_waited_for_as_if_no_path_were_rebuilt() -> None:
    match = playing()
    match.receive(1, encode(goodbye(episode=1, frames=3)), 0.2)
    states = []
    for since, until in ((0.2, 2.1), (2.1, 2.3)):
        pass_time(match, since, until)
        states.append(match._peers[1].state)
    assert states == [PeerState.LEAVING, PeerState.GONE]


def test_who_is_heard_of_just_after_their_line_was_closed_is_waited_for_from_then() -> None:
    match = connected()
    match.command(LineClosed(1, cut_off=True), 0.1)
    match.receive(1, encode(Ping(1, 1, 0)), 0.9)
    assert not gone_in(pass_time(match, 0.9, 2.8))
    assert gone_in(pass_time(match, 2.8, 3.0)) == ["peer_crashed"]


def test_an_answer_is_waited_for_longer_than_a_path_may_be_rebuilt() -> None:
    match = playing()
    gone: list[float] = []
    for tenth in range(2, 130):
        match.receive(1, encode(Ping(tenth, tenth, 0)), tenth / 10)
        match.handle_timeout(tenth / 10)
        gone += [tenth / 10 for _ in gone_in(outputs_of(match))]
    assert gone == pytest.approx([6.0 + 5.0], abs=0.4)


@pytest.mark.parametrize("relay", ["none", "players"])
def test_who_is_gone_for_another_is_not_kept_waiting_by_link_after_link_that_leads_to_nothing(
    relay: str,
) -> None:
    table = lockstep(2, [Cut((1, 0), 1.0, 1e6, None, one_way=True)], match_options={"relay": relay})
    gone_s = 1.0 + SYNC.reconnect_timeout_s
    for second in range(20):  # as long as they look for a path, one is made every second
        table.clock.call_at(gone_s + 0.2 + second, partial(table.make_link_anew, 0, 1))
    table.clock.call_at(gone_s - 0.1, partial(table.network.darken, 0, 1))  # they are not told so
    assert table.run(gone_s + 0.1, until=lambda: bool(table.seats[0].events_of(PlayerGone)))
    assert not table.seats[1].events_of(PlayerGone)
    assert table.run(SYNC.reconnect_timeout_s + 2, until=lambda: bool(table.seats[1].events_of(PlayerGone)))
    assert not table.seats[1].events_of(Resumed)
