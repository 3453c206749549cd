from __future__ import annotations

import sys
import threading
import time

import attrs
import msgspec
import pytest

from gym_p2p.core.latency.delta_series import decode_series
from gym_p2p.core.latency.webrtc_stats import ConnectionDetails, GameTransportCounts, PollStatus
from gym_p2p.core.record.documents import build_document
from gym_p2p.core.record.episode import Begin
from gym_p2p.core.record.parts import Disconnection, ReconnectionAttempt
from gym_p2p.core.record.plain import plain
from gym_p2p.exports import KINDS, schema
from tests.core.record.records import START_MS, decode, documents, fresh, new_record, played, poll, validator


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


COMMON_KEYS = {
    *{"schemaVersion", "gameId", "playerId", "latency", "latencyByPeer", "focusLoss", "reconnection"},
    *{"human", "policies", "serviceOutages", "clockJumps", "waysTaken", "passedOn", "rejoins"},
    *{"players", "environment", "episodes", "clockOffsets", "connectionPaths", "departures", "pauses"},
}


def test_every_document_has_exactly_the_keys_of_the_specification() -> None:
    built = documents(played(new_record()))
    own_keys = {kind: set(document) - COMMON_KEYS for kind, document in built.items()}
    assert own_keys == {
        "session": {
            "connection",
            "inputs",
            "rollbacks",
            "sync",
            "quality",
            "frames",
            "checkpointsLate",
            "upload",
        },
        "validation": {
            *{"exportTimestamp", "summary", "confirmedHashes", "verifiedActions", "desyncEvents"},
            "episodeNum",
        },
        "multiplayer": {
            *{"peerPlayerId", "exportTimestamp", "sessionStartTime", "sessionDurationMs", "connection"},
            *{"inputDelivery", "validation", "sessionStatus"},
            *{"protocolErrors", "probe", "config"},
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
    record.episode.checksum(0, "0")
    record.episode.verified(0)
    record.episode.desync(0, "0", "1", 0)
    record.terminate("peer_lost", partial=True, now_ms=START_MS, disconnected_player=0)
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
        record.episode.checksum(frame, f"h{frame}")
    record.episode.checksum(2, "newer")
    record.episode.verified(2)
    record.episode.verified(0)
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
    record.episode.checksum(2, "first")
    record.episode.complete(START_MS + 100)
    played(record, 2)
    record.episode.checksum(1, "second")
    record.episode.complete(START_MS + 200)
    record.begin_episode(Begin(at_ms=START_MS + 300))
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
    record.episode.verified(1)
    record.episode.desync(3, "aa", "bb", START_MS + 50)
    record.episode.state_difference(3, [("x", "1", "2")], ours=b'{"x":1}', theirs=b'{"x":2}')
    built = documents(record)
    event = {
        "frame": 3,
        "ourHash": "aa",
        "peerHash": "bb",
        "timestamp": START_MS + 50,
        "verifiedFrameAtDesync": 1,
        "differsIn": "outcomes",
        "hasStateDump": True,
        "stateDifferences": [{"path": "x", "ours": "1", "theirs": "2"}],
        "stateProblem": None,
    }
    states = {"ours": {"x": 1}, "theirs": {"x": 2}}
    assert built["validation"]["desyncEvents"] == [event]
    whole = built["multiplayer"]["validation"]["allDesyncEvents"]
    assert whole == [{"episode": 1, **event, "states": states}]
    assert built["multiplayer"]["validation"]["totalDesyncs"] == 1
    assert built["session"]["sync"]["p2pHashMismatches"] == 1


def test_why_states_are_not_compared_stands_in_the_documents_until_they_are() -> None:
    record = played(new_record(), 5)

    def told() -> set[tuple[object, ...]]:
        built = documents(record)
        rows = built["validation"]["desyncEvents"] + built["multiplayer"]["validation"]["allDesyncEvents"]
        return {(row["frame"], row["hasStateDump"], row["stateProblem"]) for row in rows}

    record.episode.desync(3, "aa", "bb", START_MS + 50)
    assert told() == {(3, False, None)}
    record.episode.state_problem(3, "the other player has sent no state")
    record.episode.state_problem(3, "what the other player sent was not compared: JSON nested too deeply")
    record.episode.desync(4, "aa", "bb", START_MS + 60)
    problem = "what the other player sent was not compared: JSON nested too deeply"
    assert told() == {(3, False, problem), (4, False, None)}
    record.episode.state_difference(3, [("x", "1", "2")], ours=None, theirs=None)
    assert told() == {(3, True, None), (4, False, None)}
    assert documents(record)["multiplayer"]["validation"]["allDesyncEvents"][0]["states"] is None


def test_rollbacks_are_counted_and_their_actions_decoded() -> None:
    record = played(new_record(), 5)
    for frame in (1, 3):
        record.episode.rollback(
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


def test_every_wrong_guess_is_told_by_episode_and_seat_in_the_order_of_frames() -> None:
    record = played(new_record(players=(1, "1"), player_id=1), 9)
    for frame, seat in ((4, 1), (2, 1), (3, 0), (8, 1)):  # as they are found, which is not in order
        record.episode.guessed_wrong(frame, seat)
    played(record)
    played(record).episode.guessed_wrong(0, 0)
    told = documents(record)["session"]["rollbacks"]["wrongGuesses"]
    assert [
        (one["episode"], {seat: decode_series(text) for seat, text in one["frames"].items()}) for one in told
    ] == [(1, {"1": [3], '"1"': [2, 4, 8]}), (3, {"1": [0]})]


def test_a_match_of_very_many_wrong_guesses_has_its_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    record = played(new_record(), 9)
    for frame in range(9):
        record.episode.guessed_wrong(frame, 1)
    monkeypatch.setattr(
        decode_series, "__kwdefaults__", {"limit": 8}
    )  # what is read of others has this bound
    (told,) = documents(record)["session"]["rollbacks"]["wrongGuesses"]
    assert decode_series(told["frames"]["1"], limit=9) == list(range(9))


def test_the_worst_link_by_median_is_the_latency_and_every_link_is_there() -> None:
    record = new_record(players=("a", "b", "c"), player_id="a")
    poll(record, "b", fresh(20, connection=ConnectionDetails("direct", "host", "host", "udp")))
    poll(record, "c", fresh(80, connection=ConnectionDetails("relay", "relay", "host", "udp", "tls")))
    for second in (2, 3):
        poll(record, "b", fresh(500 if second == 3 else 20, second))
        poll(record, "c", fresh(80, second))
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
    poll(record, 1, fresh(5, 1, path))
    record.episode.frame([b"\0", b"\0"])
    poll(record, 1, fresh(5, 2, path))
    details = documents(record)["session"]["connection"]["connectionDetails"]
    assert (details["detectedAtFrame"], details["timestamp"]) == (3, START_MS + 1000)
    poll(record, 1, fresh(5, 3, ConnectionDetails("relay", "relay", "srflx", "udp")))
    assert documents(record)["session"]["connection"]["type"] == "relay"
    for document in documents(record).values():
        (paths,) = document["connectionPaths"].values()
        assert [(one["type"], one["connectionDetails"]["timestamp"] - START_MS) for one in paths] == [
            ("direct", 1000),
            ("relay", 3000),
        ]


def test_what_carries_game_messages_stands_with_the_path_and_a_return_to_the_channel_is_seen() -> None:
    record = played(new_record())
    assert documents(record)["session"]["connection"]["gameTransport"] is None
    for second, transport in ((1, "dtls"), (2, "dtls"), (3, "datachannel")):
        path = ConnectionDetails("direct", "host", "host", "udp", game_transport=transport)
        poll(record, 1, fresh(5, second, path))
        built = documents(record)
        assert {built[kind]["connection"]["gameTransport"] for kind in ("session", "multiplayer")} == {
            transport
        }
    (paths,) = documents(record)["validation"]["connectionPaths"].values()
    assert [(one["gameTransport"], one["connectionDetails"]["timestamp"] - START_MS) for one in paths] == [
        ("dtls", 1000),
        ("datachannel", 3000),
    ]


def test_what_is_found_out_of_a_path_later_makes_no_second_one_of_it() -> None:
    record = played(new_record(), 2)
    path = ConnectionDetails("direct", "host", "host", "udp")
    poll(record, 1, attrs.evolve(fresh(5, 1, path), rtt_ms=None, status=PollStatus.UNANSWERED))
    seen = attrs.evolve(path, local_candidate_type="srflx")
    poll(record, 1, fresh(5, 2, seen))
    record.episode.frame([b"\0", b"\0"])
    found = attrs.evolve(seen, game_transport="dtls", game_transport_counts=GameTransportCounts(0, 0, 0))
    poll(record, 1, fresh(5, 3, found))
    poll(record, 1, fresh(5, 4, seen))
    doubted = attrs.evolve(found, game_transport_counts=GameTransportCounts(1, 0, 0))
    poll(record, 1, fresh(5, 5, doubted))
    (paths,) = documents(record)["session"]["connectionPaths"].values()
    assert paths == [documents(record)["session"]["connection"]]
    (told,) = paths
    assert (told["gameTransport"], told["gameTransportCounts"]["doubts"]) == ("dtls", 1)
    assert told["connectionDetails"]["localCandidateType"] == "srflx"
    assert (told["connectionDetails"]["detectedAtFrame"], told["connectionDetails"]["timestamp"]) == (
        2,
        START_MS + 1000,
    )


def test_every_return_to_the_channel_and_every_way_back_has_its_frame_its_time_and_its_number() -> None:
    record = played(new_record(), 2)
    steps = [("dtls", 0, 0), ("datachannel", 1, 0), ("dtls", 1, 1), ("datachannel", 2, 1)]
    for second, (transport, returns, resumed) in enumerate(steps):
        counts = GameTransportCounts(returns, returns, resumed)
        path = ConnectionDetails("relay", "relay", "relay", "udp", "udp", transport, counts)
        for again in (0, 1):
            poll(record, 1, fresh(5, 10 * second + again, path))
            record.episode.frame([b"\0", b"\0"])
    for document in documents(record).values():
        (paths,) = document["connectionPaths"].values()
        at = [one["connectionDetails"] for one in paths]
        assert [(one["detectedAtFrame"], one["timestamp"] - START_MS) for one in at] == [
            (2, 0),
            (4, 10_000),
            (6, 20_000),
            (8, 30_000),
        ]
        assert [one["gameTransport"] for one in paths] == [transport for transport, _, _ in steps]
        counted = [one["gameTransportCounts"] for one in paths]
        assert [(one["returns"], one["resumed"]) for one in counted] == [step[1:] for step in steps]
    assert documents(record)["multiplayer"]["connection"]["gameTransportCounts"] == counted[-1]


def test_changes_are_counted_on_over_a_connection_that_took_anothers_place() -> None:
    record = played(new_record())
    counted = [(0, 0, 0), (1, 1, 0), (1, 1, 1), (0, 0, 0), (1, 1, 0), None, (2, 2, 1)]
    for second, told in enumerate(counted):
        counts = None if told is None else GameTransportCounts(*told)
        path = ConnectionDetails("direct", "host", "host", "udp", None, "dtls", counts)
        poll(record, 1, fresh(5, second, path))
    whole = documents(record)["session"]["connection"]["gameTransportCounts"]
    assert whole == {"doubts": 3, "returns": 3, "resumed": 2}


def test_reconnections_are_in_every_document() -> None:
    record = played(new_record())
    record.disconnections.append(
        Disconnection(
            timestamp=START_MS + 1, frame=2, detecting_peer=0, ice_state="disconnected", dc_state=None
        )
    )
    record.attempts += [
        ReconnectionAttempt(timestamp=START_MS + 2, duration=250.5, outcome="success", attempts=1),
        ReconnectionAttempt(timestamp=START_MS + 3, duration=100, outcome="timeout", attempts=3),
    ]
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
    record.inputs_sent += 10
    record.inputs_received += 4
    link = record.links[1]
    link.packets_received, link.gap_count = 7, 1
    link.pinged(30.0)
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


@pytest.mark.parametrize(("episodes", "frame"), [([], None), ([0], -1), ([5], 4), ([5, 3], 2), ([5, 0], -1)])
def test_a_match_ends_at_the_newest_final_frame_of_its_newest_episode(
    episodes: list[int], frame: int | None
) -> None:
    record = new_record()
    for frames in episodes:
        played(record, frames).episode.played_up_to(frames + 2, 100)  # two more on guesses
    record.terminate("peer_lost", partial=True, now_ms=START_MS)
    assert documents(record)["multiplayer"]["sessionStatus"]["terminationFrame"] == frame


def test_while_the_match_goes_on_it_is_partial_and_has_no_reason() -> None:
    status = documents(played(new_record()))["multiplayer"]["sessionStatus"]
    assert status == {
        "isPartial": True,
        "terminationReason": None,
        "terminationFrame": None,
        "completedEpisodes": 0,
        "disconnectedPlayerId": None,
    }


def test_what_a_caller_does_to_a_document_does_not_reach_the_record() -> None:
    record = played(new_record())
    poll(record, 1, fresh(5))
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
    episode = record.begin_episode(Begin(at_ms=START_MS))
    for _ in range(2):
        episode.frame([b"\1", b"\1"])
    shared = [1, {"a": 2}]
    built = build_document("multiplayer", record, START_MS, lambda _seat, _data: shared)
    entries = msgspec.to_builtins(built)["validation"]["allActions"]
    entries[0]["action"].append("spoiled")
    assert [entry["action"] for entry in entries[1:]] == [[1, {"a": 2}]] * 3


def test_players_whose_ids_read_alike_keep_apart() -> None:
    record = new_record(players=(1, "1"), player_id=1)
    record.begin_episode(Begin(at_ms=START_MS)).frame([b"\1", b"\2"])
    record.episode.verified(0)
    actions = documents(record)["validation"]["verifiedActions"]
    assert actions == {"1": [{"frame": 0, "action": 1}], '"1"': [{"frame": 0, "action": 2}]}


@pytest.mark.slow
def test_values_of_other_libraries_become_jsons() -> None:
    numpy = pytest.importorskip("numpy")
    value = {1: numpy.int64(3), "f": numpy.float32(0.5), "a": numpy.arange(2), "n": float("nan"), "o": b"x"}
    assert plain(value) == {"1": 3, "f": 0.5, "a": [0, 1], "n": None, "o": "b'x'"}


@pytest.mark.slow
def test_documents_built_while_another_thread_plays_are_whole() -> None:
    record = new_record()
    stop = threading.Event()

    def play() -> None:
        for episode in range(25):
            begun = record.begin_episode(Begin(at_ms=START_MS))
            for frame in range(200):
                begun.frame([bytes([frame]), bytes([frame])])
                if frame % 10 == 0:
                    record.episode.checksum(frame, str(episode))
                    record.episode.verified(frame)
                    record.protocol_error(f"{episode}")
                    poll(record, 1, fresh(float(frame), frame))
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
            document = build_document("multiplayer", record, START_MS, decode)
            built = msgspec.to_builtins(document)["validation"]
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


def test_pauses_for_several_players_at_once_are_one_pause() -> None:
    record = played(new_record())
    for other, end_ms, lasted_ms in ((1, 5_000, 2_000.0), (2, 6_000, 2_500.0), (1, 9_000, 500.0)):
        attempt = ReconnectionAttempt(
            timestamp=START_MS + end_ms, duration=lasted_ms, outcome="success", attempts=1, other_peer=other
        )
        record.attempts.append(attempt)
    assert documents(record)["session"]["reconnection"]["totalPauseDurationMs"] == 3_500
