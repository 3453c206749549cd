from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import gym_p2p
from gym_p2p.bench.made_study import action_of, made_record
from gym_p2p.core.latency.series import Poll
from gym_p2p.core.latency.statistics import LatencyStatistics
from gym_p2p.core.latency.webrtc_stats import ConnectionDetails, GameTransportCounts, PollStatus
from gym_p2p.core.record.absences import Departure, Pause
from gym_p2p.core.record.documents import DOCUMENT_TYPES, build_document
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.parts import Disconnection, ReconnectionAttempt
from gym_p2p.exports.encoding import encode
from gym_p2p.study.report import words
from gym_p2p.study.report.report import report_html
from tests.core.record.records import human_facts

PARTS: dict[str, type[msgspec.Struct]] = {
    name: part
    for module in (document_parts, seat_parts)
    for name in module.__all__
    if isinstance(part := getattr(module, name), type) and part is not document_parts.Part
}

OPEN = {"Pair", "Probe"}
"""What stands in open objects: their keys are those of the service."""


def classes_in(kind: Any) -> Iterator[type[msgspec.Struct]]:
    """Yield every struct that a type is made of."""
    seen: set[type] = set()
    left = [msgspec.inspect.type_info(kind)]
    while left:
        info = left.pop()
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in seen:
                continue
            seen.add(info.cls)
            yield info.cls
            left += [field.type for field in info.fields]
        for name in ("item_type", "key_type", "value_type"):
            left += [one for one in [getattr(info, name, None)] if isinstance(one, msgspec.inspect.Type)]
        for name in ("types", "item_types"):
            left += getattr(info, name, ())


WRITTEN = [
    frozenset(one.__struct_encode_fields__)
    for kind in (*DOCUMENT_TYPES.values(), LatencyStatistics)
    for one in classes_in(kind)
]


@pytest.mark.parametrize("name", sorted(PARTS.keys() - OPEN))
def test_every_key_that_is_read_of_a_part_is_one_that_is_written(name: str) -> None:
    keys = frozenset(PARTS[name].__struct_encode_fields__)
    assert any(keys <= written for written in WRITTEN), sorted(keys)


def test_pauses_and_departures_are_read_as_players_write_them(tmp_path: Path) -> None:
    inputs = [(bytes([frame % 6]), b"\0") for frame in range(30)]
    record = made_record("left", inputs, 30.0, random.Random(1))
    at = record.session_start_ms + 500
    waited: dict[str, Any] = {"reason": "input", "frame": 3, "duration_ms": 90.0, "limit_ms": 4000.0}
    record.paused(Pause(player_ids=["right"], timestamp=at, **waited))
    record.paused(Pause(player_ids=["right", "third"], timestamp=at + 1, **waited))
    record.departures.append(
        Departure(
            player_id="right",
            reason="excluded",
            stated_reason="peer_lost",
            source="peer",
            source_player_id="third",
            lost_player_id="left",
            frame=9,
            timestamp=at + 2,
        )
    )
    (tmp_path / "m.json").write_bytes(b"".join(encode(build_document("multiplayer", record, 0, action_of))))
    events: dict[str, list[Any]] = {}
    for row in gym_p2p.load(tmp_path).events:
        told = (row["other"], row["frame"], json.loads(row["detail"] or "null"))
        events.setdefault(row["kind"], []).append(told)
    detail = {"reason": "input", "limitMs": 4000.0}
    assert events["pause"] == [
        ("right", 3, {"players": ["right"], **detail}),
        (None, 3, {"players": ["right", "third"], **detail}),
    ]
    said = {"reason": "excluded", "statedReason": "peer_lost", "source": "peer"}
    assert events["departure"] == [("right", 9, {**said, "sourcePlayer": "third", "lostPlayer": "left"})]


def test_a_path_that_broke_and_was_rebuilt_is_told_of_whom_and_over_which_connection(tmp_path: Path) -> None:
    inputs = [(bytes([frame % 6]), b"\0") for frame in range(30)]
    record = made_record("left", inputs, 30.0, random.Random(1))
    at = record.session_start_ms + 500
    record.disconnections.append(
        Disconnection(
            timestamp=at,
            frame=7,
            detecting_peer="left",
            ice_state="completed",
            dc_state="interrupted",
            other_peer="right",
        )
    )
    record.attempts.append(
        ReconnectionAttempt(
            timestamp=at + 900,
            duration=1_400.0,
            outcome="success",
            attempts=2,
            other_peer="right",
            over="new_connection",
            local_candidate_type="srflx",
            remote_candidate_type="host",
        )
    )
    (tmp_path / "m.json").write_bytes(b"".join(encode(build_document("multiplayer", record, 0, action_of))))
    rows = {row["kind"]: row for row in gym_p2p.load(tmp_path).events}
    broken, back = rows["disconnection"], rows["reconnection"]
    assert (broken["other"], broken["frame"]) == ("right", 7)
    assert json.loads(broken["detail"]) == {"iceState": "completed", "dcState": "interrupted"}
    assert (back["other"], back["value"], back["duration_ms"]) == ("right", 2, 1_400)
    assert json.loads(back["detail"]) == {
        "outcome": "success",
        "over": "new_connection",
        "localCandidateType": "srflx",
        "remoteCandidateType": "host",
    }


def test_a_return_to_the_channel_and_the_way_back_are_rows_and_stand_in_the_report(tmp_path: Path) -> None:
    inputs = [(bytes([frame % 6]), b"\0") for frame in range(30)]
    record = made_record("left", inputs, 30.0, random.Random(1))
    record.links["right"].paths = []
    started_ms = record.session_start_ms
    for second, (transport, returns) in enumerate([("dtls", 0), ("datachannel", 1), ("dtls", 1)]):
        counts = GameTransportCounts(doubts=returns, returns=returns, resumed=int(second == 2))
        path = ConnectionDetails("direct", "host", "host", "udp", None, transport, counts)
        at_ms = started_ms + 1000 * second
        record.links["right"].polled(Poll(at_ms, 5.0, PollStatus.FRESH, path), frame=10 * second)
    folder = tmp_path / "match"
    folder.mkdir()
    for kind in DOCUMENT_TYPES:
        built = build_document(kind, record, started_ms + 9_000, action_of)
        (folder / f"left.{kind}.json").write_bytes(b"".join(encode(built)))
    study = gym_p2p.load(tmp_path)
    rows = [row for row in study.events if row["kind"] == "path"]
    assert [(row["player"], row["other"], row["frame"], row["t_ms"], row["value"]) for row in rows] == [
        ("left", "right", 0, 0, 0),
        ("left", "right", 10, 1000, 1),
        ("left", "right", 20, 2000, 1),
    ]
    carried = [json.loads(row["detail"])["gameTransport"] for row in rows]
    assert carried == ["dtls", "datachannel", "dtls"]
    (player,) = [row for row in study.players if row["player"] == "left"]
    assert (player["game_transport"], player["game_transport_returns"]) == ("dtls", 1)
    assert words.connection(player) == "direct, dtls, 1 return to the channel"
    assert words.connection(player | {"game_transport": None}) == "direct"
    assert words.connection(player | {"connection": None}) is None


def of_a_person() -> MatchRecord:
    """Return the record of a person who played 30 frames."""
    inputs = [(bytes([frame % 6]), b"\0") for frame in range(30)]
    record = made_record("left", inputs, 30.0, random.Random(1))
    record.human.facts = human_facts(link="datachannel")
    for rtt_ms in (31.0, 33.0, 41.0):
        record.human.rtt.record(record.session_start_ms, rtt_ms)
    for latency_ms in (21.0, 25.0, 90.0):
        record.human.action_shown(latency_ms)
    episode = record.episodes[0]
    for frame, at_ms in ((0, 40), (2, 110), (3, 150), (2, 900)):  # played again, it was drawn again
        episode.shown(frame, episode.begin.at_ms + at_ms)
    episode.out_of_focus(3, record.players.index("left"))
    return record


def written(folder: Path, record: MatchRecord) -> gym_p2p.Study:
    for kind in DOCUMENT_TYPES:
        built = build_document(kind, record, record.session_start_ms + 9_000, action_of)
        (folder / f"left.{kind}.json").write_bytes(b"".join(encode(built)))
    return gym_p2p.load(folder)


def test_what_a_person_saw_and_when_stands_beside_what_they_did(tmp_path: Path) -> None:
    study = written(tmp_path, of_a_person())
    rows = [row for row in study.frames.arrow.to_pylist() if row["seat"] == "left"]
    assert [row["shown_ms"] for row in rows[:5]] == [40, None, 110, 150, None]
    assert [row["focused"] for row in rows[:5]] == [True, True, True, False, True]
    others = [row for row in study.frames.arrow.to_pylist() if row["seat"] == "right"]
    assert {(row["shown_ms"], row["focused"]) for row in others} == {(None, None)}
    page = [row["rtt_ms"] for row in study.latency if row["link"] == "page"]
    assert page == [31.0, 33.0, 41.0]
    (player,) = [row for row in study.players if row["player"] == "left"]
    assert player["rtt_median_ms"] > 40  # that to the other player: the page's is none of these
    names = ("page_link", "page_rtt_median_ms", "action_latencies", "action_latency_median_ms")
    assert [player[name] for name in names] == ["datachannel", 33.0, 3, 25.0]
    assert player["action_latencies_ms"] == [21.0, 25.0, 90.0]
    html = report_html(study)
    assert "What people felt" in html
    assert "datachannel" in html
    assert len(study.problems) == 0 or {row["kind"] for row in study.problems} <= {"missing", "killed"}


@pytest.mark.parametrize(
    "damage",
    [{"frames": "!"}, {"encoding": "other"}, {"t": ""}, {"unfocused": {"left": "!"}}],
    ids=["no series", "another encoding", "no times", "no frames"],
)
def test_what_is_damaged_of_a_page_is_left_out_and_said(tmp_path: Path, damage: dict[str, Any]) -> None:
    written(tmp_path, of_a_person())
    for path in tmp_path.glob("*.json"):
        document = json.loads(path.read_text())
        document["episodes"][0]["page"].update(damage)
        path.write_text(json.dumps(document))
    study = gym_p2p.load(tmp_path)
    assert {row["shown_ms"] for row in study.frames.arrow.to_pylist()} == {None}
    assert "episodes.page" in " ".join(str(row["problem"]) for row in study.problems)
