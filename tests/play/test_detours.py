"""Ways round a path as a player's record, log and live view have them."""

from __future__ import annotations

import logging

import pytest

from gym_p2p.core.match.events import PlayerGone, Resumed
from gym_p2p.core.match.return_events import PlayerAway, PlayerReturned
from gym_p2p.core.match.ways import Forwarding, WayChanged, WayKind, Why
from gym_p2p.core.record.ways_taken import WAYS_KEPT
from gym_p2p.core.wire.messages import Cause
from gym_p2p.net.worker.messages import WorkerEvent
from gym_p2p.play.detours import Detours
from gym_p2p.play.recorder import Recorder
from tests.core.record.records import new_record
from tests.play.recorders import made_recorder

IDS = (0, 1, 2)


def test_a_way_by_the_service_is_told_in_words_counted_and_written_down(
    caplog: pytest.LogCaptureFixture,
) -> None:
    record = new_record(IDS)
    ways = Detours(record, IDS)
    with caplog.at_level(logging.WARNING):
        ways.fold(1_000, WayChanged(1, WayKind.SERVICE, None, Why.BAD, 0.42, 120.0))
    assert caplog.messages == [
        "messages to 1 go through the service: the direct path is bad (42% lost, 120 ms)"
    ]
    (relayed,) = ways.relayed.values()
    assert str(relayed).startswith("1 is reached through the service (the direct path is bad) for ")
    record.input_sent(2)
    record.inputs_arrived(3, by_service=True)
    assert (record.inputs_sent, record.inputs_sent_by_service, record.inputs_received_by_service) == (1, 1, 3)
    (way,) = record.ways_taken
    assert (way.other_peer, way.way, way.via_player_id, way.reason) == (1, "service", None, "bad")
    assert (way.loss, way.rtt_ms, way.timestamp) == (0.42, 120.0, 1_000)
    ways.fold(2_000, WayChanged(1, WayKind.DIRECT, None, Why.GOOD_AGAIN))
    assert not ways.relayed
    record.input_sent(2)
    assert (record.inputs_sent, record.inputs_sent_by_service) == (3, 1)


def test_a_third_player_is_named_and_takes_no_inputs_to_the_service() -> None:
    record = new_record(IDS)
    ways = Detours(record, IDS)
    ways.fold(1_000, WayChanged(1, WayKind.PLAYER, 2, Why.LOST))
    assert str(ways.relayed[1]).startswith("1 is reached through 2 (the direct path is lost) for ")
    assert record.peers_by_service == 0


AWAY = PlayerAway(1, Cause.CRASHED, 30.0)
BACK = PlayerReturned(1, 1, 300, 300, 2.0, (1, 300))
BY_SERVICE = WayChanged(1, WayKind.SERVICE, None, Why.BAD)
DIRECTLY = WayChanged(1, WayKind.DIRECT, None, Why.CARRIES)


def after(*events: WorkerEvent) -> Recorder:
    """Return the record of a match in which this was told of a player who is reached through the service."""
    recorder = made_recorder()
    for event in (BY_SERVICE, *events):
        recorder.fold(5_000, event)
    return recorder


@pytest.mark.parametrize(
    "events", [(PlayerGone(1, "crashed", 7),), (AWAY, DIRECTLY, BACK)], ids=["gone", "another"]
)
def test_who_is_gone_and_whose_next_process_is_reached_directly_is_not_reached_through_the_service(
    events: tuple[WorkerEvent, ...],
) -> None:
    recorder = after(*events)
    assert not recorder.ways.relayed
    assert recorder.record.peers_by_service == 0


@pytest.mark.parametrize(
    "events", [(AWAY, Resumed(1, 2.0)), (AWAY, BY_SERVICE, BACK)], ids=["the_same", "another"]
)
def test_who_is_there_after_all_and_whose_next_process_took_that_way_are_reached_through_the_service(
    events: tuple[WorkerEvent, ...],
) -> None:
    recorder = after(*events)
    assert list(recorder.ways.relayed) == [1]
    assert recorder.record.peers_by_service == 1


def test_whoever_passes_messages_on_writes_down_for_whom(caplog: pytest.LogCaptureFixture) -> None:
    record = new_record(IDS)
    Detours(record, IDS).fold(1_000, Forwarding(1, 2))
    (between,) = record.passed_on
    assert (between.from_player_id, between.to_player_id, between.timestamp) == (1, 2, 1_000)
    assert "from 1 to 2" in caplog.text


def test_what_is_written_down_is_bounded() -> None:
    record = new_record(IDS)
    ways = Detours(record, IDS)
    for number in range(2 * WAYS_KEPT):
        ways.fold(number, WayChanged(1, WayKind.SERVICE, None, Why.LOST))
        ways.fold(number, Forwarding(1, 2))
    assert len(record.ways_taken) == len(record.passed_on) == WAYS_KEPT
