from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import pytest

from gym_p2p.core.latency.series import Poll
from gym_p2p.core.latency.webrtc_stats import ConnectionDetails, PollStatus
from gym_p2p.core.record.match_log import EpisodeLog, plain
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, UsageError
from gym_p2p.exports import KINDS, schema
from tests.requirements import require

try:
    from jsonschema import Draft202012Validator
except ModuleNotFoundError:  # the core's tests run without it; its two tests below say so
    Draft202012Validator = None

START_MS = 1_700_000_000_000


def validator(kind: str) -> Any:
    require("jsonschema.validators", "pip install jsonschema")
    return Draft202012Validator(schema(kind))


def decode(_seat: int, data: bytes) -> int:
    return data[0]


def new_record(players: tuple[SeatId, ...] = (0, 1), player_id: SeatId = 0, **options: Any) -> MatchRecord:
    return MatchRecord(
        game_id="match-1",
        player_id=player_id,
        players=players,
        peers=[player for player in players if player != player_id],
        session_start_ms=START_MS,
        environment={"id": "CartPole-v1", "versions": ("1", "2")},
        config={"sync": {"mode": "lockstep", "input_delay": 0, "fps": float("inf")}},
        **options,
    )


def played(record: MatchRecord, frames: int = 5) -> MatchRecord:
    record.begin_episode(START_MS)
    for frame in range(frames):
        record.frame([bytes([frame]), bytes([10 + frame])])
    return record


def documents(record: MatchRecord, now_ms: int = START_MS + 5000) -> dict[str, dict[str, Any]]:
    """Build all three, and hold them against their schemas and against JSON itself."""
    built = {
        "session": record.session(now_ms, decode),
        "validation": record.validation(now_ms, decode),
        "multiplayer": record.multiplayer(now_ms, decode),
    }
    for kind, document in built.items():
        if Draft202012Validator is not None:
            validator(kind).validate(document)
        assert json.loads(json.dumps(document, allow_nan=False)) == document
    return built


def fresh(rtt_ms: float, second: int = 1, connection: ConnectionDetails | None = None) -> Poll:
    return Poll(START_MS + 1000 * second, rtt_ms, PollStatus.FRESH, connection)


def test_the_schemas_are_schemas() -> None:
    for kind in KINDS:
        validator(kind).check_schema(schema(kind))


def test_a_schema_refuses_a_key_that_is_unknown_and_one_that_is_missing() -> None:
    for kind, document in documents(played(new_record())).items():
        for wrong in ({**document, "gmaeId": "x"}, {k: v for k, v in document.items() if k != "gameId"}):
            assert not validator(kind).is_valid(wrong)


def test_a_record_of_nothing_builds_valid_documents() -> None:
    built = documents(new_record())
    assert built["session"]["latency"] is None
    assert built["session"]["connection"]["type"] == "unknown"
    assert built["validation"]["summary"] == {
        "totalFrames": 0,
        "verifiedFrame": -1,
        "desyncCount": 0,
        "hashesComputed": 0,
    }
    assert built["multiplayer"]["inputDelivery"]["p2pReceiveRatio"] is None
    assert built["multiplayer"]["connection"]["p2pConnected"] is False
    assert built["multiplayer"]["validation"]["totalEpisodes"] == 0


COMMON_KEYS = {"schemaVersion", "gameId", "playerId", "latency", "latencyByPeer", "focusLoss", "reconnection"}


def test_every_document_has_exactly_the_keys_of_the_specification() -> None:
    built = documents(played(new_record()))
    own_keys = {kind: set(document) - COMMON_KEYS for kind, document in built.items()}
    assert own_keys == {
        "session": {"connection", "inputs", "rollbacks", "sync", "quality", "frames"},
        "validation": {
            *{"exportTimestamp", "summary", "confirmedHashes", "verifiedActions", "desyncEvents"},
            "episodeNum",
        },
        "multiplayer": {
            *{"peerPlayerId", "exportTimestamp", "sessionStartTime", "sessionDurationMs", "connection"},
            *{"inputDelivery", "validation", "sessionStatus"},
            *{"protocolErrors", "probe", "environment", "config"},
        },
    }
    assert all(set(document) >= COMMON_KEYS for document in built.values())


def test_actions_are_exported_frame_by_frame_for_every_player() -> None:
    validation = documents(played(new_record(), 2))["multiplayer"]["validation"]
    assert validation["allActions"] == [
        {"episode": 1, "frame": frame, "playerId": player, "action": 10 * player + frame, "isFocused": True}
        for frame in (0, 1)
        for player in (0, 1)
    ]
    assert validation["totalActions"] == 4


def test_falsy_values_survive() -> None:
    record = played(new_record(player_id=1), 1)
    record.checksum(0, "0")
    record.verified(0)
    record.desync(0, "0", "1", 0)
    record.terminate("peer_lost", partial=True, frame=0, now_ms=START_MS, disconnected_player=0)
    built = documents(record)
    multiplayer = built["multiplayer"]
    assert multiplayer["peerPlayerId"] == 0
    assert multiplayer["sessionStatus"]["disconnectedPlayerId"] == 0
    assert multiplayer["sessionStatus"]["terminationFrame"] == 0
    assert multiplayer["sessionDurationMs"] == 0
    assert multiplayer["validation"]["allHashes"] == [{"episode": 1, "frame": 0, "hash": "0"}]
    assert built["validation"]["verifiedActions"]["0"] == [{"frame": 0, "action": 0}]
    assert built["validation"]["desyncEvents"][0]["timestamp"] == 0


def test_hashes_are_sorted_and_actions_end_at_the_verified_frame() -> None:
    record = played(new_record(), 5)
    for frame in (4, 2, 0):
        record.checksum(frame, f"h{frame}")
    record.checksum(2, "newer")
    record.verified(2)
    record.verified(0)
    validation = documents(record)["validation"]
    assert validation["confirmedHashes"] == [
        {"frame": 0, "hash": "h0"},
        {"frame": 2, "hash": "newer"},
        {"frame": 4, "hash": "h4"},
    ]
    assert validation["summary"]["verifiedFrame"] == 2
    assert [entry["frame"] for entry in validation["verifiedActions"]["1"]] == [0, 1, 2]


def test_episodes_count_from_one_and_the_validation_is_of_the_newest_played() -> None:
    record = played(new_record(), 3)
    record.checksum(2, "first")
    record.end_episode(START_MS + 100)
    played(record, 2)
    record.checksum(1, "second")
    record.end_episode(START_MS + 200)
    record.begin_episode(START_MS + 300)
    built = documents(record)
    episodes = built["multiplayer"]["validation"]["episodes"]
    assert [(e["episodeNum"], e["totalFrames"], e["confirmedFrame"]) for e in episodes] == [
        (1, 3, 2),
        (2, 2, 1),
        (3, 0, -1),
    ]
    assert [e["timestamp"] for e in episodes] == [START_MS + 100, START_MS + 200, START_MS + 5000]
    assert built["validation"]["episodeNum"] == 2
    assert built["validation"]["confirmedHashes"] == [{"frame": 1, "hash": "second"}]
    assert built["multiplayer"]["sessionStatus"]["completedEpisodes"] == 2
    assert built["session"]["frames"]["total"] == 5


def test_a_desync_is_an_event_in_all_three_documents() -> None:
    record = played(new_record(), 5)
    record.verified(1)
    record.desync(3, "aa", "bb", START_MS + 50)
    record.state_difference(3, [("x", "1", "2")], ours={"x": 1}, theirs={"x": 2}, episode=1)
    built = documents(record)
    event = {
        "frame": 3,
        "ourHash": "aa",
        "peerHash": "bb",
        "timestamp": START_MS + 50,
        "verifiedFrameAtDesync": 1,
        "hasStateDump": True,
        "stateDifferences": [{"path": "x", "ours": "1", "theirs": "2"}],
    }
    states = {"ours": {"x": 1}, "theirs": {"x": 2}}
    assert built["validation"]["desyncEvents"] == [event]
    whole = built["multiplayer"]["validation"]["allDesyncEvents"]
    assert whole == [{"episode": 1, **event, "states": states}]
    assert built["multiplayer"]["validation"]["totalDesyncs"] == 1
    assert built["session"]["sync"]["p2pHashMismatches"] == 1


def test_rollbacks_are_counted_and_their_actions_decoded() -> None:
    record = played(new_record(), 5)
    for frame in (1, 3):
        record.rollback(
            frame=frame, current_frame=5, player=1, predicted=b"\0", actual=b"\7", now_ms=START_MS + frame
        )
    built = documents(record)
    rollbacks = built["session"]["rollbacks"]
    assert (rollbacks["count"], rollbacks["maxFrames"]) == (2, 4)
    assert rollbacks["events"][0] == {
        "frame": 1,
        "currentFrame": 5,
        "rollbackFrames": 4,
        "playerId": 1,
        "predictedAction": 0,
        "actualAction": 7,
        "timestamp": START_MS + 1,
    }
    validation = built["multiplayer"]["validation"]
    assert validation["allRollbacks"] == [{"episode": 1, "count": 2, "maxFrames": 4}]
    assert validation["totalRollbacks"] == 2


def test_the_worst_link_by_median_is_the_latency_and_every_link_is_there() -> None:
    record = new_record(players=("a", "b", "c"), player_id="a")
    record.poll("b", fresh(20, connection=ConnectionDetails("direct", "host", "host", "udp")))
    record.poll("c", fresh(80, connection=ConnectionDetails("relay", "relay", "host", "udp", "tls")))
    for second in (2, 3):
        record.poll("b", fresh(500 if second == 3 else 20, second))
        record.poll("c", fresh(80, second))
    for document in documents(record).values():
        assert document["latency"]["medianMs"] == 80
        assert {name: stats["medianMs"] for name, stats in document["latencyByPeer"].items()} == {
            "b": 20,
            "c": 80,
        }
    connection = documents(record)["multiplayer"]["connection"]
    assert (connection["type"], connection["p2pConnected"]) == ("relay", True)
    assert connection["connectionDetails"]["relayProtocol"] == "tls"


def test_a_links_path_keeps_the_frame_at_which_it_was_first_seen() -> None:
    record = played(new_record(), 3)
    path = ConnectionDetails("direct", "host", "srflx", "udp")
    record.poll(1, fresh(5, 1, path))
    record.frame([b"\0", b"\0"])
    record.poll(1, fresh(5, 2, path))
    details = documents(record)["session"]["connection"]["connectionDetails"]
    assert (details["detectedAtFrame"], details["timestamp"]) == (3, START_MS + 1000)
    record.poll(1, fresh(5, 3, ConnectionDetails("relay", "relay", "srflx", "udp")))
    assert documents(record)["session"]["connection"]["type"] == "relay"


def test_reconnections_are_in_every_document() -> None:
    record = played(new_record())
    record.disconnection(
        frame=2, detecting_peer=0, ice_state="disconnected", dc_state=None, now_ms=START_MS + 1
    )
    record.reconnection_attempt(duration_ms=250.5, outcome="success", attempts=1, now_ms=START_MS + 2)
    record.reconnection_attempt(duration_ms=100, outcome="timeout", attempts=3, now_ms=START_MS + 3)
    built = documents(record)
    for kind, key in (
        ("session", "attempts"),
        ("validation", "reconnectionAttempts"),
        ("multiplayer", "attempts"),
    ):
        part = built[kind]["reconnection"]
        assert part["totalPauseDurationMs"] == 350.5
        assert [attempt["outcome"] for attempt in part[key]] == ["success", "timeout"]
        assert part["disconnections"][0]["detectingPeer"] == 0


def test_counters_health_probe_and_protocol_errors_are_exported() -> None:
    record = new_record()
    record.inputs_sent()
    record.inputs_sent(9)
    record.inputs_received(4)
    record.health(1, rtt_ms=30.0, packets_received=7, gap_count=1, status="good")
    record.probe = {"rtt_ms": [1.0, 2.0], "lost": 0}
    for _ in range(3):
        record.protocol_error("too short")
    built = documents(record)
    assert built["session"]["inputs"] == {
        "sentViaP2P": 10,
        "sentViaSocketIO": 0,
        "receivedViaP2P": 4,
        "receivedViaSocketIO": 0,
    }
    multiplayer = built["multiplayer"]
    assert multiplayer["inputDelivery"]["p2pReceiveRatio"] == 100.0
    assert multiplayer["connection"]["health"] == {
        "rtt": 30.0,
        "latency": 15.0,
        "packetsReceived": 7,
        "gapCount": 1,
        "status": "good",
    }
    assert multiplayer["probe"] == {"rtt_ms": [1.0, 2.0], "lost": 0}
    assert multiplayer["protocolErrors"] == {"too short": 3}
    assert multiplayer["environment"]["versions"] == ["1", "2"]
    assert multiplayer["config"]["sync"]["fps"] is None


def test_problems_that_a_peer_makes_up_do_not_grow_the_record_without_bound() -> None:
    record = new_record()
    for number in range(1000):
        record.protocol_error(f"problem {number}")
    errors = documents(record)["multiplayer"]["protocolErrors"]
    assert len(errors) <= 65
    assert sum(errors.values()) == 1000


def test_while_the_match_goes_on_it_is_partial_and_has_no_reason() -> None:
    status = documents(played(new_record()))["multiplayer"]["sessionStatus"]
    assert status == {
        "isPartial": True,
        "terminationReason": None,
        "terminationFrame": None,
        "completedEpisodes": 0,
        "disconnectedPlayerId": None,
    }


def test_the_first_end_counts_and_freezes_the_documents() -> None:
    record = played(new_record())
    record.poll(1, fresh(5))
    record.terminate("normal", partial=False, frame=4, now_ms=START_MS + 3000)
    record.terminate("peer_lost", partial=True, frame=9, now_ms=START_MS + 9000, disconnected_player=1)
    assert record.ended
    first, later = documents(record, START_MS + 10_000), documents(record, START_MS + 99_000)
    assert first == later
    assert first["multiplayer"]["exportTimestamp"] == START_MS + 3000
    assert first["multiplayer"]["sessionDurationMs"] == 3000
    assert first["multiplayer"]["sessionStatus"]["terminationReason"] == "normal"
    assert first["multiplayer"]["sessionStatus"]["isPartial"] is False


def test_what_a_caller_does_to_a_document_does_not_reach_the_record() -> None:
    record = played(new_record())
    record.poll(1, fresh(5))
    record.probe = {"list": [1]}
    clean = documents(record)
    spoiled = documents(record)["multiplayer"]
    spoiled["latency"]["samples"].clear()
    spoiled["latencyByPeer"].clear()
    spoiled["probe"]["list"].append(2)
    spoiled["environment"].clear()
    spoiled["validation"]["allActions"].clear()
    assert documents(record) == clean


def test_a_composite_action_is_a_copy_for_every_frame() -> None:
    record = new_record()
    record.begin_episode(START_MS)
    for _ in range(2):
        record.frame([b"\1", b"\1"])
    shared = [1, {"a": 2}]
    entries = record.multiplayer(START_MS, lambda _seat, _data: shared)["validation"]["allActions"]
    entries[0]["action"].append("spoiled")
    assert [entry["action"] for entry in entries[1:]] == [[1, {"a": 2}]] * 3


def test_players_whose_ids_read_alike_keep_apart() -> None:
    record = new_record(players=(1, "1"), player_id=1)
    record.begin_episode(START_MS)
    record.frame([b"\1", b"\2"])
    record.verified(0)
    actions = documents(record)["validation"]["verifiedActions"]
    assert actions == {"1": [{"frame": 0, "action": 1}], '"1"': [{"frame": 0, "action": 2}]}


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
        new_record().checksum(0, "x")


@pytest.mark.slow
def test_values_of_other_libraries_become_jsons() -> None:
    numpy = pytest.importorskip("numpy")
    value = {1: numpy.int64(3), "f": numpy.float32(0.5), "a": numpy.arange(2), "n": float("nan"), "o": b"x"}
    assert plain(value) == {"1": 3, "f": 0.5, "a": [0, 1], "n": None, "o": "b'x'"}


def test_a_frame_that_is_half_recorded_is_not_seen_yet() -> None:
    log = EpisodeLog(1, ([b"a", b"b"], [b"a"]))
    assert (log.view().frames, log.view().confirmed_frame) == (1, 0)


@pytest.mark.slow
def test_documents_built_while_another_thread_plays_are_whole() -> None:
    record = new_record()
    stop = threading.Event()

    def play() -> None:
        for episode in range(25):
            record.begin_episode(START_MS)
            for frame in range(200):
                record.frame([bytes([frame]), bytes([frame])])
                if frame % 10 == 0:
                    record.checksum(frame, str(episode))
                    record.verified(frame)
                    record.protocol_error(f"{episode}")
                    record.poll(1, fresh(float(frame), frame))
                    time.sleep(1e-4)
                if stop.is_set():
                    return

    player = threading.Thread(target=play)
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    player.start()
    totals: set[int] = set()
    try:
        for _ in range(1000):
            if not player.is_alive():
                break
            built = record.multiplayer(START_MS, decode)["validation"]
            totals.add(built["totalActions"])
            for episode in built["episodes"]:
                assert episode["verifiedFrame"] <= episode["totalFrames"] - (episode["totalFrames"] > 0)
            assert built["totalActions"] == 2 * sum(episode["totalFrames"] for episode in built["episodes"])
            assert len(built["allHashes"]) == sum(episode["hashCount"] for episode in built["episodes"])
            pairs = zip(built["allActions"][::2], built["allActions"][1::2], strict=True)
            assert all(ours["action"] == theirs["action"] for ours, theirs in pairs)
    finally:
        stop.set()
        player.join(20)
        sys.setswitchinterval(interval_s)
    assert len(totals) > 3
    documents(record)


def test_what_comes_late_belongs_to_the_episode_that_it_is_about() -> None:
    record = new_record()
    record.begin_episode(START_MS, number=1)
    for frame in range(10):
        record.frame([bytes([frame]), bytes([frame])])
    record.begin_episode(START_MS + 100, number=3)  # of the second one the players disagreed at the barrier
    record.verified(9, episode=1)
    record.desync(4, "aa", "bb", START_MS + 110, episode=1)
    record.state_difference(4, [("x", "1", "2")], ours={"x": 1}, theirs={"x": 2}, episode=1)
    record.desync(0, "aa", "bb", START_MS + 110, episode=3)
    record.verified(5, episode=2)  # of nothing that was played
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
    record.confirmed(8)  # inputs that were given ahead, with an input delay
    assert documents(record)["multiplayer"]["validation"]["episodes"][0]["confirmedFrame"] == 8
    record.end_episode(START_MS + 100)
    assert documents(record)["multiplayer"]["validation"]["episodes"][0]["confirmedFrame"] == 4
