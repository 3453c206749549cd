from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import gym_p2p
from gym_p2p.core.latency.delta_series import ENCODING, encode_series
from gym_p2p.errors import UsageError
from gym_p2p.hosting.link_file import new_links, note_spent, write_links
from gym_p2p.study.codebook.codebook import TABLES, codebook_data, schema
from gym_p2p.study.problems import MAX_OF_A_KIND
from gym_p2p.study.reading.files import Unreadable, unpacked
from tests.study import made, oracle

DATA = Path(__file__).parent / "data"


def rows(study: gym_p2p.Study) -> dict[str, list[dict[str, Any]]]:
    return {name: list(table) for name, table in study.tables.items()}


def kinds(study: gym_p2p.Study) -> list[str]:
    return [row["kind"] for row in study.problems]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A match with the multiplayer and session documents of both players."""
    for player in ("left", "right"):
        made.write(tmp_path / "m" / f"{player}.multiplayer.json", made.document(player))
        made.write(tmp_path / "m" / f"{player}.session.json", made.session(player))
    return tmp_path


@pytest.mark.parametrize("version", ["tokens", "version_1", "version_2"])
def test_the_tables_say_what_the_documents_do(version: str) -> None:
    compared = oracle.compare(DATA / version, rows(gym_p2p.load(DATA / version)))
    assert compared["frames"] > 0
    assert compared["latency"] > 0
    assert compared["events"] > 0


def test_the_tables_say_what_made_documents_do(folder: Path) -> None:
    study = gym_p2p.load(folder)
    assert oracle.compare(folder, rows(study))["frames"] == 6
    assert kinds(study) == []


@pytest.mark.parametrize("name", ["links.csv", "people of May.csv"])
def test_the_links_of_a_host_are_no_problem_of_a_study(folder: Path, name: str) -> None:
    path = folder / name
    write_links(
        path, new_links([], 2, expires_at=2e9), lambda link: f"https://x.example/{link.token}/", "x:Y-v0"
    )
    note_spent(path, "p001", {"phase": "over"})
    assert len(list(folder.glob("*.csv"))) == len(list(folder.glob("*.spent.jsonl"))) == 1
    assert kinds(gym_p2p.load(folder)) == []


def test_older_documents_have_null_where_they_say_nothing() -> None:
    study = gym_p2p.load(DATA / "version_1")
    (match,) = study.matches
    assert match["schema_version"] == 1
    assert match["environment"] == "gym_p2p/Rally-v0"
    assert match["environment_hash"] is None
    frames = list(study.frames)
    assert {row["t_ms"] for row in frames} == {None}
    assert {row["actor"] for row in frames} == {None}
    assert {row["predicted"] for row in frames} == {None}
    assert {row["player"] for row in frames} == {"left", "right"}


def test_rewards_and_seeds_come_from_the_recording() -> None:
    study = gym_p2p.load(DATA / "version_1")
    assert {row["reward"] is None for row in study.frames} == {False}
    assert {row["seed"] is None for row in study.episodes} == {False}
    sums: dict[str, float] = {}
    for row in study.frames:
        sums[row["seat"]] = sums.get(row["seat"], 0.0) + row["reward"]
    assert sums == {row["seat"]: row["return"] for row in study.episodes}


def test_frames_say_when_and_how_they_were_played(folder: Path) -> None:
    frames = {(row["frame"], row["seat"]): row for row in gym_p2p.load(folder).frames}
    assert [frames[frame, "left"]["t_ms"] for frame in range(3)] == [0, 33, 66]
    assert [frames[frame, "left"]["confirmed_ms"] for frame in range(3)] == [0, 53, 66]
    assert [frames[frame, "left"]["predicted"] for frame in range(3)] == [False, True, False]
    assert [frames[frame, "left"]["corrected"] for frame in range(3)] == [False, True, False]
    assert [frames[frame, "left"]["input_delay"] for frame in range(3)] == [1, 1, 3]
    assert [frames[frame, "right"]["actor"] for frame in range(3)] == ["player", "player", "default"]


def test_a_policy_beside_a_person_acted_at_its_own_seat_and_at_no_other(tmp_path: Path) -> None:
    them: dict[str, Any] = {
        "playerId": "left",
        "seats": ["left", "right"],
        "local": True,
        "playedBy": "person",
    }
    policies = [{"seat": "right", "policy": "random"}, {"seat": "elsewhere", "policy": "random"}]
    written = made.document("left", players=[them], policies=policies)
    made.write(tmp_path / "m" / "left.multiplayer.json", written)
    frames = {(row["frame"], row["seat"]): row["actor"] for row in gym_p2p.load(tmp_path).frames}
    assert [frames[frame, "left"] for frame in range(3)] == ["person"] * 3
    assert [frames[frame, "right"] for frame in range(3)] == ["policy", "policy", "default"]


def test_every_frame_that_was_guessed_wrong_is_corrected(folder: Path) -> None:
    (path,) = folder.rglob("right.session.json")
    document = json.loads(path.read_bytes())
    told = {"episode": 1, "encoding": ENCODING, "frames": {"left": encode_series([0, 2, 7_000])}}
    damaged = {"episode": 1, "encoding": ENCODING, "frames": {"right": "?"}}
    document["rollbacks"]["wrongGuesses"] = [told, damaged]
    path.write_text(json.dumps(document))
    study = gym_p2p.load(folder)
    frames = {(row["frame"], row["seat"]): row for row in study.frames}
    assert [frames[frame, "left"]["corrected"] for frame in range(3)] == [True, False, True]
    assert any("rollbacks.wrongGuesses" in row["problem"] for row in study.problems)


def test_the_round_trip_at_a_frame_is_one_join(folder: Path) -> None:
    joined = [row for row in gym_p2p.load(folder).frames_with_latency() if row["seat"] == "left"]
    # Frames at 10, 43 and 76 ms after the start, round trips measured at 20 and 60.
    assert [row["rtt_ms"] for row in joined] == [None, 40.0, 52.3]
    assert [row["rtt_age_ms"] for row in joined] == [None, 23, 16]


def test_one_document_one_match_and_a_store_are_loaded_alike(folder: Path) -> None:
    one = gym_p2p.load(folder / "m" / "left.multiplayer.json")
    assert [row["match"] for row in one.matches] == ["m"]
    assert len(one.frames) == 6
    assert [row["player"] for row in one.problems if row["kind"] == "missing"] == ["right"]
    assert len(gym_p2p.load(folder / "m").frames) == 6


def test_documents_in_two_folders_are_one_match_and_copies_count_once(folder: Path) -> None:
    shutil.copytree(folder / "m", folder / "elsewhere")
    (folder / "m" / "right.multiplayer.json").unlink()
    study = gym_p2p.load(folder)
    (match,) = study.matches
    assert match["documents"] == 2
    assert match["actions_compared"] == 6
    assert kinds(study) == []


def test_of_two_documents_the_one_that_knows_the_end_counts_and_else_the_later_one(folder: Path) -> None:
    final = made.document("left")
    status = final["sessionStatus"] | {"isPartial": True, "terminationReason": None}
    later: dict[str, Any] = {"exportTimestamp": made.START_MS + 5000, "config": {"room": "later"}}
    made.write(folder / "x" / "left.multiplayer.json", made.document("left", sessionStatus=status, **later))
    study = gym_p2p.load(folder)
    assert [row["path"] for row in study.problems] == ["x/left.multiplayer.json"]
    assert kinds(study) == ["duplicate"]
    assert {row["partial"] for row in study.players} == {False}
    made.write(folder / "x" / "left.multiplayer.json", made.document("left", **later))
    study = gym_p2p.load(folder)
    assert [row["path"] for row in study.problems] == ["m/left.multiplayer.json"]
    assert next(iter(study.matches))["room"] == "later"


def test_events_have_their_time_from_the_start_of_the_match(folder: Path) -> None:
    told = {(row["kind"], row["t_ms"]) for row in gym_p2p.load(folder).events if row["player"] == "left"}
    assert told >= {("rollback", 80), ("end", 1000), ("clock_offset", 0)}


def test_who_played_is_what_the_documents_say_and_where_they_differ_that_is_said(folder: Path) -> None:
    entry = {"playerId": "right", "subjectId": "s-right", "seats": ["right"], "version": "9", "platform": "p"}
    left = made.document("left", players=[entry])
    made.write(folder / "m" / "left.multiplayer.json", left)
    for player, there in (("right", entry), ("left", {**entry, "subjectId": "somebody"})):
        made.write(folder / "m" / "right.multiplayer.json", made.document("right", players=[there]))
        study = gym_p2p.load(folder)
        (row,) = [row for row in study.players if row["player"] == "right"]
        assert (row["subject"], row["seats"]) == ("s-right", '["right"]')
        assert (row["version"], row["platform"]) == ("9", "p")
        said = [row["problem"] for row in study.problems]
        assert said == ([] if player == "right" else ["subject: 's-right' or 'somebody'"])


def test_what_is_damaged_alike_in_two_documents_is_said_of_each(folder: Path) -> None:
    for player in ("left", "right"):
        whole = made.document(player)
        whole["validation"]["allActions"][0]["episode"] = 0
        made.write(folder / "m" / f"{player}.multiplayer.json", whole)
    said = [(row["path"], row["kind"]) for row in gym_p2p.load(folder).problems]
    assert said == [(f"m/{player}.multiplayer.json", "partial") for player in ("left", "right")]


def test_a_document_without_a_configuration_hides_no_other_ones(folder: Path) -> None:
    made.write(folder / "m" / "left.multiplayer.json", made.document("left", config={}))
    made.write(folder / "m" / "right.multiplayer.json", made.document("right", config={"room": "there"}))
    assert next(iter(gym_p2p.load(folder).matches))["room"] == "there"


def test_lines_of_something_else_are_no_match_log(folder: Path) -> None:
    (folder / "x.jsonl").write_text('{"participants": []}\n{"gameId": "y"}\n')
    assert [(row["path"], row["problem"]) for row in gym_p2p.load(folder).problems] == [
        ("x.jsonl", "is no log of matches")
    ]


def test_a_probe_that_both_players_tell_of_is_there_once(folder: Path) -> None:
    path = {"local": "host", "remote": "srflx", "protocol": "udp"}
    report = {"rttMs": 21.0, "samplesMs": [20.0, 22.0], "jitterMs": 1.0, "loss": 0.0, "path": path}
    pair = {"subjects": ["a", "b"], "rttMs": 25.0, "reports": {"a": report, "b": report | {"rttMs": 25.0}}}
    probe = {"queue": "duel", "waitedMs": 1200.0, "pairs": [pair]}
    for player in ("left", "right"):
        made.write(folder / "m" / f"{player}.multiplayer.json", made.document(player, probe=probe))
    study = gym_p2p.load(folder)
    columns = ("queue", "subject", "other", "pair_rtt_ms", "rtt_ms", "samples_ms", "remote_candidate")
    assert [tuple(row[name] for name in columns) for row in study.probes] == [
        ("duel", "a", "b", 25.0, 21.0, "[20.0,22.0]", "srflx"),
        ("duel", "b", "a", 25.0, 25.0, "[20.0,22.0]", "srflx"),
    ]
    assert {row["waited_ms"] for row in study.players} == {1200.0}


def test_of_very_many_problems_of_a_kind_only_the_number_is_said(folder: Path) -> None:
    for number in range(MAX_OF_A_KIND + 3):
        (folder / f"{number}.txt").write_text("")
    said = [row["problem"] for row in gym_p2p.load(folder).problems]
    assert said == [*["is no file of a match"] * MAX_OF_A_KIND, "and 3 more of this kind"]


def test_a_file_name_that_is_no_text_is_said_as_far_as_it_is_one(folder: Path) -> None:
    (folder / os.fsdecode(b"a\xffb.txt")).write_text("")
    assert [row["path"] for row in gym_p2p.load(folder).problems] == ["a?b.txt"]


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(Unreadable, match="no regular file"):
        unpacked(str(tmp_path / "pipe.json"))


def test_disagreements_are_listed(folder: Path) -> None:
    right = made.document("right")
    right["validation"]["allActions"][3]["action"] = 9
    right["validation"]["allHashes"][0]["hash"] = "cd"
    right["episodes"][0]["seed"] = 8
    right["episodes"][0]["returns"] = {"left": 2.0, "right": -1.0}
    right["environment"]["arguments"] = {"size": 2}
    made.write(folder / "m" / "right.multiplayer.json", right)
    study = gym_p2p.load(folder)
    texts = " | ".join(row["problem"] for row in study.problems if row["kind"] == "disagreement")
    assert "1 action unlike the other documents'" in texts
    assert "the first: episode 1, frame 1, seat right: 9 instead of 1" in texts
    assert "1 checksum unlike" in texts
    assert "seed: 7 or 8" in texts
    assert "return of seat left: 1.0 or 2.0" in texts
    assert "environment: arguments" in texts
    (match,) = study.matches
    assert match["action_mismatches"] == match["hash_mismatches"] == 1
    assert match["synced"] is False


def test_values_that_json_writes_in_two_ways_agree(folder: Path) -> None:
    path = folder / "m" / "right.multiplayer.json"
    text = path.read_text().replace('"action": 1,', '"action":  1 ,')
    path.write_text(text)
    assert kinds(gym_p2p.load(folder)) == []


def test_players_called_by_numbers_and_by_their_texts_stay_apart(tmp_path: Path) -> None:
    for player in (1, "1"):
        whole = made.document(player, players=[])
        whole["validation"]["allActions"] = [
            {"episode": 1, "frame": 0, "playerId": seat, "action": 0} for seat in (1, "1")
        ]
        made.write(tmp_path / f"{type(player).__name__}.multiplayer.json", whole)
    study = gym_p2p.load(tmp_path)
    assert {row["player"] for row in study.players} >= {"1", '"1"'}
    assert {row["seat"] for row in study.frames} == {"1", '"1"'}


def deep(levels: int) -> bytes:
    return b'{"schemaVersion":2,"gameId":"m","playerId":"x","config":' + b"[" * levels + b"]" * levels + b"}"


GARBAGE = {
    "empty.json": b"",
    "notes.txt": b"not a document",
    "half.multiplayer.json": b'{"schemaVersion": 2, "gameId": "m", "playerId": "left", "valid',
    "list.json": b"[1, 2, 3]",
    "binary.session.json": bytes(range(256)),
    "deep.json": deep(100_000),
    "newer.multiplayer.json": b'{"schemaVersion":99,"gameId":"m","playerId":"x","sessionStatus":{}}',
    "bomb.json.gz": gzip.compress(b"[" + b" " * 2**20 + b"]"),
    "cut.json.gz": gzip.compress(b'{"schemaVersion":2,"gameId":"m"' + os.urandom(5000).hex().encode())[:-20],
    "fake.p2preplay": b"not a recording\n",
    "half.p2preplay": b'{"format":"gym_p2p replay","version":1,"match_id":"m"',
    "none.journal.jsonl": b"\x00\x01",
    "other.journal.jsonl": b'{"format":"gym_p2p journal 1","gameId":"m"}\n{"x":1}\n',
    "surrogate.json": b'{"schemaVersion":2,"gameId":"\\ud800","playerId":"x","sessionStatus":{}}',
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_in_a_folder_is_said_and_harms_nothing(folder: Path, name: str) -> None:
    (folder / "m" / name).write_bytes(GARBAGE[name])
    study = gym_p2p.load(folder)
    assert f"m/{name}" in {row["path"] for row in study.problems}
    assert [row["match"] for row in study.matches if row["documents"]] == ["m"]
    assert len(study.frames) == 6


def test_pipes_and_links_out_of_the_folder_are_left_out(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    made.write(outside / "secret.multiplayer.json", made.document(match="secret"))
    (folder / "link.multiplayer.json").symlink_to(outside / "secret.multiplayer.json")
    (folder / "folder").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.json")
    study = gym_p2p.load(folder)
    assert [row["match"] for row in study.matches] == ["m"]
    said = {row["path"]: row["problem"] for row in study.problems if row["kind"] == "skipped"}
    assert said == {
        "folder": "is a link that leads out of the folder",
        "link.multiplayer.json": "is a link that leads out of the folder",
        "loop": "is a link that leads within it",
        "pipe.json": "is no regular file",
    }


def test_what_unpacks_to_too_much_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gym_p2p.study.reading.files.MAX_BYTES", 2**16)
    data = json.dumps(made.document(match="big", config={"text": "x" * 2**17})).encode()
    (folder / "packed.multiplayer.json.gz").write_bytes(gzip.compress(data))
    (folder / "plain.multiplayer.json").write_bytes(data)
    study = gym_p2p.load(folder)
    said = [row["problem"] for row in study.problems if row["kind"] == "skipped"]
    assert len(said) == 2
    assert [row["match"] for row in study.matches if row["documents"]] == ["m"]


WRONG_PARTS: dict[str, Any] = {
    "players": [{"playerId": None}],
    "environment": ["no", "object"],
    "config": 3,
    "probe": {"pairs": 3},
    "episodes": [{"episode": "one"}],
    "latencyByPeer": {"right": {"samples": "none"}},
    "clockOffsets": [],
    "sessionStatus": {"isPartial": "yes"},
    "connection": "direct",
    "inputDelivery": [],
    "reconnection": {"disconnections": [{}]},
    "protocolErrors": {"x": "many"},
    "exportTimestamp": "today",
    "sessionStartTime": {},
}


@pytest.mark.parametrize("part", WRONG_PARTS)
def test_a_part_of_another_shape_is_left_out_and_the_rest_counts(folder: Path, part: str) -> None:
    made.write(folder / "m" / "left.multiplayer.json", made.document("left", **{part: WRONG_PARTS[part]}))
    study = gym_p2p.load(folder)
    assert "partial" in kinds(study)
    assert len(study.frames) == 6


WRONG_ROWS = (
    {"episode": 1, "frame": 2**80, "playerId": "left", "action": 0},
    {"episode": -1, "frame": 0, "playerId": "left", "action": 0},
    {"episode": 1, "frame": -1, "playerId": "left", "action": 0},
    {"episode": "1", "frame": 0, "playerId": "left", "action": 0},
)


@pytest.mark.parametrize("row", WRONG_ROWS, ids=str)
def test_frames_that_cannot_be_are_left_out(folder: Path, row: dict[str, Any]) -> None:
    left = made.document("left")
    left["validation"]["allActions"].append(row)
    made.write(folder / "m" / "left.multiplayer.json", left)
    study = gym_p2p.load(folder)
    assert "partial" in kinds(study)
    assert len(study.frames) == 6


@pytest.mark.parametrize("value", [1e300, -1, 2**70])
def test_numbers_beyond_their_columns_are_null(folder: Path, value: float) -> None:
    left = made.document("left", sessionStartTime=value, exportTimestamp=value)
    left["episodes"][0] |= {"seed": 2**70, "startedAt": value}
    left["sessionStatus"]["terminationFrame"] = 2**70
    made.write(folder / "m" / "left.multiplayer.json", left)
    study = gym_p2p.load(folder)
    assert len(study.frames) == 6
    (player,) = [row for row in study.players if row["player"] == "left"]
    assert player["started_at"] is None
    assert player["end_frame"] is None


def test_who_was_killed_or_left_earlier_does_not_hide_what_the_other_player_knows(tmp_path: Path) -> None:
    killed = made.document("left", frames=2)
    killed["episodes"][0] |= {"endedBy": "killed", "endedAt": made.START_MS + 100}
    killed["episodes"][0]["returns"] = {"left": 0.5, "right": -0.5}
    made.write(tmp_path / "left.multiplayer.json", killed)
    made.write(tmp_path / "right.multiplayer.json", made.document("right", frames=3))
    study = gym_p2p.load(tmp_path)
    told = [(row["ended_by"], row["length"], row["return"], row["frames"]) for row in study.episodes]
    assert told == [("terminated", 3, 1.0, 3), ("terminated", 3, -1.0, 3)]
    assert [row["total_return"] for row in study.players] == [1.0, -1.0]
    assert "disagreement" not in kinds(study)


def test_who_stayed_has_another_word_for_the_end_than_who_left(folder: Path) -> None:
    left = made.document("left")
    left["episodes"][0]["endedBy"] = "closed"
    right = made.document("right")
    right["episodes"][0]["endedBy"] = "peer_left"
    for player, document in (("left", left), ("right", right)):
        made.write(folder / "m" / f"{player}.multiplayer.json", document)
    study = gym_p2p.load(folder)
    assert [row["ended_by"] for row in study.episodes] == ["closed", "peer_left"]
    assert kinds(study) == []


def test_what_a_killed_player_recorded_is_read_and_the_services_own_files_are_no_problem(
    tmp_path: Path,
) -> None:
    shutil.copytree(DATA / "version_1", tmp_path / "study")
    for recording in sorted((tmp_path / "study").rglob("*.p2preplay")):
        recording.rename(recording.with_name(f"{recording.name}.part"))
    (tmp_path / "study" / "decisions.jsonl").write_text("{}\n")
    study = gym_p2p.load(tmp_path / "study")
    assert kinds(study) == kinds(gym_p2p.load(DATA / "version_1"))
    assert next(iter(study.matches))["recording"].endswith(".p2preplay.part")
    assert list(study.frames["reward"]) == list(gym_p2p.load(DATA / "version_1").frames["reward"])


def test_a_match_that_was_killed_is_said_to_be(folder: Path) -> None:
    status = made.document()["sessionStatus"] | {"isPartial": True, "terminationReason": None}
    made.write(folder / "m" / "left.multiplayer.json", made.document("left", sessionStatus=status))
    study = gym_p2p.load(folder)
    assert [(row["kind"], row["player"]) for row in study.problems] == [("killed", "left")]


def test_loading_runs_nothing_that_a_file_names(folder: Path, tmp_path: Path) -> None:
    header = {
        "format": "gym_p2p replay", "version": 1, "match_id": "m", "player_id": "left",
        "seats": ["left", "right"], "players": [], "watchers": 0, "isolated": False, "snapshots": None,
        "environment": {"name": "evil_module:make", "kwargs": {}, "spec": None},
        "description": {}, "versions": {}, "sync": {}, "recorded_ms": 0,
    }  # fmt: skip
    (folder / "m" / "left.p2preplay").write_bytes(json.dumps(header).encode() + b"\n")
    (tmp_path / "evil_module.py").write_text("import pathlib; pathlib.Path('ran').touch()")
    program = (
        "import sys, gym_p2p; s = gym_p2p.load('.'); print('evil_module' in sys.modules, list(s.problems)); "
    )
    program += "f = s.frames(observations=True); print('evil_module' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "True" not in done.stdout.replace("'is_partial': True", "")
    assert not (tmp_path / "ran").exists()


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(UsageError, match="there is no file or folder"):
        gym_p2p.load("/nowhere/at/all")


def test_without_pyarrow_the_line_that_installs_it_is_said(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"tables need pyarrow: pip install 'gym_p2p\[data\]'"):
        gym_p2p.load(folder)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_what_is_not_installed_is_said(library: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    study = gym_p2p.load(folder)  # pyarrow looks for pandas once, at its first array
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=f"{library} is not installed: pip install {library}"):
        getattr(study, library)()


def test_an_empty_folder_has_empty_tables(tmp_path: Path) -> None:
    study = gym_p2p.load(tmp_path)
    assert {len(table) for table in study.tables.values()} == {0}
    assert len(study.frames_with_latency()) == 0
    assert len(study.frames(observations=True)) == 0


def test_every_table_has_the_columns_of_the_codebook(folder: Path) -> None:
    for name, table in gym_p2p.load(folder).tables.items():
        assert table.arrow.schema.equals(schema(name))
        told = codebook_data()[name]["columns"]
        assert [column["name"] for column in told][
            : len(table.arrow.column_names)
        ] == table.arrow.column_names
        for field in table.arrow.schema:
            assert field.metadata[b"meaning"]
            if not field.nullable:
                assert table[field.name].null_count == 0
    assert set(codebook_data()) == set(TABLES)


def test_parquet_and_csv_hold_the_tables(folder: Path, tmp_path: Path) -> None:
    study = gym_p2p.load(folder)
    study.to_parquet(tmp_path / "out")
    study.to_csv(tmp_path / "out")
    for name, table in study.tables.items():
        assert pq.read_table(tmp_path / "out" / f"{name}.parquet").to_pylist() == list(table)
        lines = (tmp_path / "out" / f"{name}.csv").read_text().splitlines()
        assert lines[0].replace('"', "").split(",") == table.arrow.column_names
        assert len(lines) == len(table) + 1


def test_what_others_wrote_stands_in_csv_as_it_is(tmp_path: Path) -> None:
    name = '=HYPERLINK("http://x","y"), and\nmore'
    made.write(tmp_path / "m.json", made.document(name))
    path = gym_p2p.load(tmp_path).players.to_csv(tmp_path / "players.csv")
    with path.open(newline="") as file:
        assert name in {row["player"] for row in csv.DictReader(file)}


def test_importing_the_package_imports_no_table_library() -> None:
    program = "import sys, gym_p2p; print(sorted({'pyarrow', 'matplotlib', 'minari'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "[]\n"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("progress", "stream", "shown"),
    [(None, _Terminal, True), (None, io.StringIO, False), (False, _Terminal, False), (True, _Terminal, True)],
)
def test_what_is_being_read_is_shown_on_a_terminal_or_as_wanted(
    *,
    progress: bool | None,
    stream: type[io.StringIO],
    shown: bool,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors = stream()
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setenv("TERM", "xterm")
    gym_p2p.load(folder, progress=progress)
    assert bool(errors.getvalue()) is shown


def test_what_is_being_read_is_told_to_who_wants_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    study = gym_p2p.load(folder, progress=told.append)
    assert told[0].startswith("looking through")
    assert told[-1] == f"reading: {len(study.matches)} of {len(study.matches)} matches"
    assert capsys.readouterr().err == ""
