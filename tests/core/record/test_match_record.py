from __future__ import annotations

import pytest

from gym_p2p.core.latency.webrtc_stats import ConnectionDetails
from gym_p2p.core.record.absences import (
    JUMPS_KEPT,
    OUTAGES_KEPT,
    REJOINS_KEPT,
    ClockJump,
    Rejoin,
    ServiceOutage,
)
from gym_p2p.core.record.building import pause_ms
from gym_p2p.core.record.documents import build_document
from gym_p2p.core.record.episode import Begin, EpisodeRecord
from gym_p2p.core.record.episode_view import view_of
from gym_p2p.core.record.link import PATHS_KEPT
from gym_p2p.core.record.match_record import BREAKS_KEPT, MatchRecord
from gym_p2p.core.record.parts import Disconnection, ReconnectionAttempt
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, UsageError
from tests.core.record.records import START_MS, documents, fresh, new_record, played, poll


def test_a_path_that_breaks_again_and_again_does_not_fill_the_record_and_every_pause_counts() -> None:
    record = new_record()
    broke = Disconnection(
        timestamp=START_MS, frame=0, detecting_peer=0, ice_state=None, dc_state="interrupted", other_peer=1
    )
    back = ReconnectionAttempt(
        timestamp=START_MS, duration=10.0, outcome="success", attempts=1, other_peer=1, over="old_connection"
    )
    for _ in range(BREAKS_KEPT + 7):
        record.link_broke(broke)
        record.link_attempted(back)
    assert len(record.disconnections) == len(record.attempts) == BREAKS_KEPT
    assert pause_ms(record) == 10.0 * (BREAKS_KEPT + 7)


def test_what_else_comes_again_and_again_does_not_fill_the_record_either() -> None:
    record = new_record()
    back = Rejoin(
        player_id=1,
        episode=1,
        episode_left=1,
        frame_left=3,
        frame_returned=3,
        frames_caught_up=3,
        away_ms=2.0,
        catch_up_ms=None,
        timestamp=START_MS,
    )
    for number in range(OUTAGES_KEPT + 7):
        record.service_changed(START_MS + number, up=False, away_s=None)
        record.service_changed(START_MS + number, up=True, away_s=0.0)
        record.clock_set(ClockJump(timestamp=START_MS, jump_ms=-1000.0))
        record.rejoined(back)
    assert len(record.service_outages) == OUTAGES_KEPT
    assert len(record.clock_jumps) == JUMPS_KEPT
    assert len(record.rejoins) == REJOINS_KEPT


def test_of_a_path_that_changes_again_and_again_the_first_ones_are_kept_and_the_newest() -> None:
    record = new_record()
    kinds = ("host", "srflx")
    for number in range(PATHS_KEPT + 7):
        details = ConnectionDetails("direct", kinds[number % 2], "host", "udp", None)
        poll(record, 1, fresh(20.0, number, details))
    paths = [path.connection_details for path in record.links[1].paths]
    assert len(paths) == PATHS_KEPT
    first, newest = paths[0].timestamp, paths[-1].timestamp
    assert first is not None
    assert newest is not None
    assert newest - first == (PATHS_KEPT + 6) * 1000


def test_a_service_that_is_away_at_the_end_was_so_up_to_the_end() -> None:
    record = new_record()
    record.service_changed(START_MS + 100, up=False, away_s=None)
    record.service_changed(START_MS + 150, up=False, away_s=None)
    document = build_document("session", record, START_MS + 600, lambda _seat, data: data[0])
    assert document.service_outages == [ServiceOutage(start=START_MS + 100, end=None, duration_ms=500.0)]
    record.service_changed(START_MS + 900, up=True, away_s=0.8)
    document = build_document("session", record, START_MS + 950, lambda _seat, data: data[0])
    assert document.service_outages == [
        ServiceOutage(start=START_MS + 100, end=START_MS + 900, duration_ms=800.0)
    ]


def test_problems_that_a_peer_makes_up_do_not_grow_the_record_without_bound() -> None:
    record = new_record()
    for number in range(1000):
        record.protocol_error(f"problem {number}")
    errors = documents(record)["multiplayer"]["protocolErrors"]
    assert len(errors) <= 65
    assert sum(errors.values()) == 1000


def test_the_first_end_counts_and_freezes_the_documents() -> None:
    record = played(new_record())
    poll(record, 1, fresh(5))
    record.terminate("normal", partial=False, now_ms=START_MS + 3000)
    record.terminate("peer_lost", partial=True, now_ms=START_MS + 9000, disconnected_player=1)
    assert record.termination is not None
    first, later = documents(record, START_MS + 10_000), documents(record, START_MS + 99_000)
    assert first == later
    assert first["multiplayer"]["exportTimestamp"] == START_MS + 3000
    assert first["multiplayer"]["sessionDurationMs"] == 3000
    assert first["multiplayer"]["sessionStatus"]["terminationReason"] == "normal"
    assert first["multiplayer"]["sessionStatus"]["isPartial"] is False


@pytest.mark.parametrize(("players", "peers"), [((), ()), ((1, 1), (1,)), ((0, 1), (0, 1)), ((0, 1), (1, 1))])
def test_players_that_cannot_be_are_refused(players: tuple[SeatId, ...], peers: tuple[SeatId, ...]) -> None:
    with pytest.raises(ConfigurationError):
        MatchRecord(
            game_id="m",
            player_id=0,
            players=players,
            peers=peers,
            session_start_ms=0,
            environment={},
            config={},
        )


def test_an_event_of_an_episode_before_any_began_is_a_clear_error() -> None:
    with pytest.raises(UsageError, match="begin_episode"):
        new_record().episode.checksum(0, "x")


def test_a_frame_that_is_half_recorded_is_not_seen_yet() -> None:
    episode = EpisodeRecord(1, ([b"a", b"b"], [b"a"]))
    view = view_of(episode)
    assert (view.frames, view.confirmed_frame) == (1, 0)


def test_what_comes_late_belongs_to_the_episode_that_it_is_about() -> None:
    record = new_record()
    episode = record.begin_episode(Begin(at_ms=START_MS), number=1)
    for frame in range(10):
        episode.frame([bytes([frame]), bytes([frame])])
    record.begin_episode(
        Begin(at_ms=START_MS + 100), number=3
    )  # of the second one the players disagreed at the barrier
    first_called, third_called = record.called(1), record.called(3)
    assert first_called is not None
    assert third_called is not None
    first_called.verified(9)
    first_called.desync(4, "aa", "bb", START_MS + 110)
    first_called.state_difference(4, [("x", "1", "2")], ours=b'{"x":1}', theirs=b'{"x":2}')
    third_called.desync(0, "aa", "bb", START_MS + 110)
    assert record.called(2) is None  # of nothing that was played
    first, second = documents(record)["multiplayer"]["validation"]["episodes"]
    assert (first["verifiedFrame"], first["desyncCount"]) == (9, 1)
    assert (second["verifiedFrame"], second["desyncCount"]) == (-1, 1)
    events = documents(record)["multiplayer"]["validation"]["allDesyncEvents"]
    assert [(event["episode"], event["frame"], event["hasStateDump"]) for event in events] == [
        (1, 4, True),
        (2, 0, False),
    ]


def test_nothing_is_confirmed_behind_an_episodes_end() -> None:
    record = played(new_record(), 5)
    record.episode.confirmed(8)  # inputs that were given ahead, with an input delay
    assert documents(record)["multiplayer"]["validation"]["episodes"][0]["confirmedFrame"] == 8
    record.episode.complete(START_MS + 100)
    assert documents(record)["multiplayer"]["validation"]["episodes"][0]["confirmedFrame"] == 4
