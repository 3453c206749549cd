from __future__ import annotations

import math

import pytest

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.events import Pinged, Source
from gym_p2p.core.match.peer import HEARSAY_KEPT, Loss, Peer, PeerState
from gym_p2p.core.match.peer_timers import (
    ACKNOWLEDGE_LEAST_S,
    GREETING_TIMEOUT_S,
    KEEP_ALIVE_S,
    PING_INTERVAL_S,
    RESEND_INTERRUPTED_S,
    RESEND_LEAST_S,
    RESEND_MOST_S,
    Due,
)
from gym_p2p.core.match.pings import ONE_WAY_MOST_S, PINGS_KEPT
from gym_p2p.core.wire.messages import Cause, Inputs, Ping, Pong, Share
from gym_p2p.errors import ProtocolError

SYNC = SyncConfig(disconnect_notice_s=0.5, disconnect_timeout_s=2.0)
SLOW_S = 0.25
"""Between two inputs: too long to wait with an acknowledgement for the next one."""


def playing(players: int = 2) -> Peer:
    peer = Peer(index=1, sync=SYNC, players=players)
    peer.opened(0.0)
    peer.state = PeerState.PLAYING
    return peer


def inputs(*received: int, advantage: int = 0, delay: int = 0) -> Inputs:
    return Inputs(1, 0, received, advantage, (), delay)


@pytest.mark.parametrize(
    ("state", "present", "exchanges"),
    [
        (PeerState.CONNECTING, False, False),
        (PeerState.GREETING, True, False),
        (PeerState.PLAYING, True, True),
        (PeerState.LEAVING, True, True),
        (PeerState.GONE, False, False),
    ],
)
def test_with_whom_something_is_exchanged(state: PeerState, present: bool, exchanges: bool) -> None:  # noqa: FBT001 - a table
    peer = playing()
    peer.state = state
    assert (peer.present, peer.playing) == (present, exchanges)


def test_counts_that_a_peer_reports_only_ever_grow() -> None:
    peer = playing(3)
    peer.acknowledges(inputs(5, 9, 3, advantage=2, delay=1), 0)
    peer.acknowledges(inputs(4, 10, 1, advantage=-1), 0)
    assert (peer.received, peer.acknowledged) == ([5, 10, 3], 5)
    assert (peer.advantage, peer.delay) == (-1, 0)


@pytest.mark.parametrize("received", [(), (7,), (7, 7, 7, 7, 7)])
def test_a_report_about_another_number_of_players_does_no_harm(received: tuple[int, ...]) -> None:
    peer = playing(3)
    peer.acknowledges(inputs(*received), 0)
    assert len(peer.received) == 3
    assert peer.acknowledged == (7 if received else 0)


def test_its_own_inputs_are_none_that_it_lacks() -> None:
    peer = playing(3)
    peer.acknowledges(inputs(5, 0, 5), 0)
    assert not peer.lacks([5, 99, 5])
    assert peer.lacks([5, 0, 6])


def test_pings_are_numbered_and_a_pong_gives_the_round_trip_without_the_peers_part() -> None:
    peer = playing()
    assert [peer.pings.next(0, 1.0), peer.pings.next(0, 2.0)] == [
        Ping(0, 1_000_000, 0),
        Ping(1, 2_000_000, 0),
    ]
    assert peer.pings.one_way_s == 0.0
    pinged = peer.pings.receive(1, Pong(1, 2_000_000, 50_000_000, 50_030_000), 2.13)
    assert isinstance(pinged, Pinged)
    assert pinged.rtt_ms == pytest.approx(100)
    assert peer.pings.one_way_s == pytest.approx(0.05)
    peer.pings.next(0, 2.1)
    peer.pings.receive(1, Pong(2, 2_100_000, 50_000_000, 50_000_000), 2.28)
    assert peer.pings.one_way_s == pytest.approx((0.1 + 0.08 / 8) / 2)


@pytest.mark.parametrize("pong", [Pong(1, 0, 0, 0), Pong(2**32 - 1, 0, 0, 0)])
def test_an_answer_to_a_ping_that_was_not_sent_is_a_protocol_error(pong: Pong) -> None:
    peer = playing()
    peer.pings.next(0, 0.0)
    with pytest.raises(ProtocolError, match="answer to a ping that was not sent"):
        peer.pings.receive(1, pong, 0.0)


@pytest.mark.parametrize(
    "pong",
    [
        Pong(0, 1_000_000, 0, 2**64 - 1),
        Pong(0, 1_000_000, 0, 1_100_000),
        Pong(0, 1_000_000, 2, 1),
        Pong(0, 999_999, 0, 0),
        Pong(0, 1_000_001, 0, 0),
        Pong(0, 3_000_000, 0, 0),
    ],
)
def test_a_pong_cannot_claim_to_have_lain_longer_than_it_took_or_to_answer_another_time(pong: Pong) -> None:
    peer = playing()
    peer.pings.next(0, 1.0)
    with pytest.raises(ProtocolError, match="impossible times"):
        peer.pings.receive(1, pong, 2.0)
    assert peer.pings.srtt_s is None
    assert peer.pings.receive(1, Pong(0, 1_000_000, 5, 5), 2.0) is not None


def test_a_ping_is_answered_once_however_often_the_answer_arrives() -> None:
    peer = playing()
    peer.pings.next(0, 0.0)
    answers = [peer.pings.receive(1, Pong(0, 0, 5, 5), now) for now in (0.1, 7.0, 8.0)]
    assert [answer is None for answer in answers] == [False, True, True]
    assert peer.pings.srtt_s == pytest.approx(0.1)


def test_of_pings_that_nobody_answers_the_newest_are_kept() -> None:
    peer = playing()
    pings = [peer.pings.next(0, float(number)) for number in range(PINGS_KEPT + 1)]
    now = PINGS_KEPT + 0.5
    answers = [Pong(ping.number, ping.sent_us, 0, 0) for ping in pings]
    assert [peer.pings.receive(1, answer, now) is None for answer in answers] == [True] + [False] * PINGS_KEPT


def test_who_answers_pings_late_makes_nobody_wait_for_long() -> None:
    peer = playing()
    peer.pings.next(0, 0.0)
    peer.pings.receive(1, Pong(0, 0, 5, 5), 100.0)
    assert peer.pings.one_way_s == ONE_WAY_MOST_S


def test_silence_is_noticed_and_then_a_loss() -> None:
    peer = playing()
    assert Due.NOTICE not in peer.due(peer.times([0, 0], 0, SLOW_S), 0.49)
    assert Due.NOTICE in peer.due(peer.times([0, 0], 0, SLOW_S), 0.5)
    peer.interrupted = True
    assert Due.LOST not in peer.due(peer.times([0, 0], 0, SLOW_S), 1.99)
    assert Due.LOST in peer.due(peer.times([0, 0], 0, SLOW_S), 2.0)
    assert peer.received_something(2.5) == 2.5
    assert peer.received_something(2.6) is None


def test_a_greeting_is_waited_for_longer_than_silence_is_borne() -> None:
    peer = Peer(index=1, sync=SYNC, players=2)
    peer.opened(1.0)
    assert peer.times([0, 0], 0, SLOW_S)[1:] == (math.inf, 1.0 + GREETING_TIMEOUT_S, math.inf)
    assert peer.due(peer.times([0, 0], 0, SLOW_S), 1.0 + GREETING_TIMEOUT_S) == [Due.PING, Due.LOST]


def test_something_is_sent_often_enough_and_pings_at_their_interval() -> None:
    peer = playing()
    assert peer.times([0, 0], 0, SLOW_S)[0] == 0.0
    peer.pings.next(0, 0.0)
    assert peer.times([0, 0], 0, SLOW_S)[0] == KEEP_ALIVE_S
    peer.sent_at = 10.0
    assert peer.times([0, 0], 0, SLOW_S)[0] == PING_INTERVAL_S


def test_our_inputs_are_repeated_after_one_and_a_half_round_trips_within_bounds() -> None:
    peer = playing()
    assert peer.times([0, 0], 0, SLOW_S)[3] == math.inf
    for srtt_s, after_s in ((0.1, 0.15), (0.001, RESEND_LEAST_S), (5.0, RESEND_MOST_S)):
        peer.pings.srtt_s = srtt_s
        assert peer.times([1, 0], 0, SLOW_S)[3] == pytest.approx(after_s)
    peer.interrupted = True
    assert peer.times([1, 0], 0, SLOW_S)[3] == RESEND_INTERRUPTED_S


def test_a_bare_acknowledgement_waits_for_the_next_input_where_one_comes_soon() -> None:
    peer = playing()
    assert not peer.may_acknowledge(0.004, SLOW_S)
    assert peer.may_acknowledge(ACKNOWLEDGE_LEAST_S, SLOW_S)
    assert not peer.may_acknowledge(0.02, 1 / 60)
    assert peer.may_acknowledge(0.021, 1 / 60)


def test_no_more_shares_are_kept_of_a_player_who_is_here_than_may_be() -> None:
    peer = playing()
    for start in range(HEARSAY_KEPT + 10):
        peer.keep_hearsay(Share(1, 1, start, (b"x",), b""))
    assert len(peer.hearsay) == HEARSAY_KEPT


def test_a_new_episode_forgets_the_inputs_of_the_one_before() -> None:
    peer = playing()
    peer.remote_inputs.add(0, [b"a"])
    peer.acknowledges(inputs(3, 3), 0)
    peer.final = 1
    peer.keep_hearsay(Share(1, 1, 0, (), b""))
    peer.begin_episode(2)
    fresh = Peer(index=1, sync=SYNC, players=2)
    for name in ("received", "acknowledged", "final", "hearsay"):
        assert getattr(peer, name) == getattr(fresh, name)
    assert peer.remote_inputs.count == 0


@pytest.mark.parametrize(("timeout_s", "at_once_s"), [(1.0, 0.5), (2.0, 1.0), (60.0, 1.0)])
def test_a_line_that_closes_within_a_second_of_the_last_word_or_half_the_timeout_is_a_crash(
    timeout_s: float, at_once_s: float
) -> None:
    peer = playing()
    peer.sync = SyncConfig(disconnect_notice_s=0.25, disconnect_timeout_s=timeout_s)
    peer.received_at = 16.0
    peer.line_closed_at, peer.line_cut_off = 16.0 + at_once_s, True
    assert peer.fell_silent() == Loss(Cause.CRASHED, Source.SERVICE)
    peer.line_closed_at = 16.0 + at_once_s + 0.01
    assert peer.fell_silent() == Loss(Cause.LOST)
    peer.line_closed_at = None
    assert peer.fell_silent() == Loss(Cause.LOST)
    peer.state = PeerState.GREETING
    assert peer.fell_silent() == Loss(Cause.UNRESPONSIVE)


def test_what_arrives_within_a_second_of_the_end_of_a_line_was_under_way() -> None:
    peer = playing()
    peer.line_closed_at = 16.0
    peer.received_something(17.0)
    assert peer.line_closed_at == 16.0
    peer.received_something(17.01)
    assert peer.line_closed_at is None
