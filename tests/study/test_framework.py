"""What the browser framework's server has saved, as tables; the folder is one of the released version's."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import gym_p2p
from gym_p2p.study.reading import framework_frames
from gym_p2p.study.reading.framework_documents import in_our_words
from gym_p2p.study.reading.framework_frames import _value
from gym_p2p.study.report.report import report_html
from gym_p2p.study.study import Study
from tests.study import made

SAVED = Path(__file__).parent / "framework_data"
GAME = "0f5c8a3e-6c1e-4d0e-9a53-0a6a0a6c0001"
SCENE = SAVED / "coop"
ANNA, BEN = "subj-anna", "subj-ben"
FIRST_MS = 1_700_000_005_000


def rows(study: Study, table: str, **wanted: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = study.tables[table].to_pylist()
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]


def problems(study: Study, *kinds: str) -> list[str]:
    return [f"{row['path']}: {row['problem']}" for row in rows(study, "problems") if row["kind"] in kinds]


def table_of_frames(name: str = f"{ANNA}_ep0.csv") -> list[list[str]]:
    with (SCENE / name).open(newline="") as file:
        return list(csv.reader(file))


def write_table(path: Path, lines: list[list[str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(lines)


def written(path: Path, *columns: tuple[str, list[str]]) -> Study:
    """Load the first episode alone, with columns that are others or more."""
    lines = table_of_frames()
    for name, cells in columns:
        if name not in lines[0]:
            lines = [[*line, ""] for line in lines]
            lines[0][-1] = name
        place = lines[0].index(name)
        for line, cell in zip(lines[1:], [*cells, *[""] * len(lines)], strict=False):
            line[place] = cell
    write_table(path / f"{ANNA}_ep0.csv", lines)
    return gym_p2p.load(path)


def test_both_pages_documents_and_the_log_are_one_match() -> None:
    study = gym_p2p.load(SAVED)
    (match,) = rows(study, "matches", match=GAME)
    assert (match["players"], match["documents"], match["episodes"], match["room"]) == (2, 2, 2, "coop")
    assert (match["schema_version"], match["recording"], match["environment"]) == (None, None, None)
    assert (match["hashes_compared"], match["actions_compared"], match["synced"]) == (4, 44, True)
    anna, ben = rows(study, "players", match=GAME)
    assert [(one["player"], one["subject"], one["seats"]) for one in (anna, ben)] == [
        ("0", ANNA, '["0"]'),
        ("1", BEN, '["1"]'),
    ]
    assert (anna["ended_by"], anna["inputs_received"], anna["remote_candidate"]) == ("normal", 43, "prflx")
    assert anna["protocol_errors"] is anna["mispredictions"] is anna["jitter_ms"] is None


def test_frames_come_of_the_tables_and_episodes_count_from_one() -> None:
    study = gym_p2p.load(SAVED)
    frames = rows(study, "frames", match=GAME)
    assert {
        row["episode"]: sum(1 for one in frames if one["episode"] == row["episode"]) for row in frames
    } == {1: 24, 2: 20}
    for row in frames:
        seat, frame = int(row["seat"]), row["frame"]
        assert row["player"] == row["seat"]
        assert row["action"] == str((frame + row["episode"] - 1 + seat) % 3)
        assert row["reward"] == (1.0 if seat == 0 and frame % 5 == 0 else -0.25 if frame % 7 == 0 else 0.0)
        assert row["terminated"] is (frame == {1: 11, 2: 9}[row["episode"]])
        assert row["t_ms"] == round(frame * 33.4)
        assert row["predicted"] is row["actor"] is row["confirmed_ms"] is None
    first, *_ = rows(study, "episodes", match=GAME)
    assert (first["episode"], first["seat"], first["return"], first["length"]) == (1, "0", 2.75, 12)
    assert first["started_at"].timestamp() * 1000 == FIRST_MS
    assert (first["rollbacks"], first["max_rollback_frames"], first["seed"]) == (1, 2, None)


def test_without_a_document_an_episode_begins_and_ends_with_its_frames(tmp_path: Path) -> None:
    (tmp_path / "subj-anna_ep0.csv").write_bytes((SAVED / "coop" / "subj-anna_ep0.csv").read_bytes())
    first, *_ = rows(gym_p2p.load(tmp_path), "episodes")
    assert [round(first[name].timestamp() * 1000) - FIRST_MS for name in ("started_at", "ended_at")] == [
        0,
        round(11 * 33.4),
    ]


def test_round_trips_and_events_are_of_the_documents_also_where_the_other_player_is_zero() -> None:
    study = gym_p2p.load(SAVED)
    assert json.loads((SCENE / f"{BEN}_multiplayer_metrics.json").read_text())["peerPlayerId"] is None
    links = {(row["from"], row["to"]): row["rtt_ms"] for row in rows(study, "latency", match=GAME)}
    assert links == {("0", "1"): 24.0, ("1", "0"): 25.0}
    kinds = [(row["player"], row["kind"]) for row in rows(study, "events", match=GAME)]
    assert kinds == [("0", "focus"), ("0", "end"), ("1", "focus"), ("1", "end")]


def test_a_game_that_only_the_match_log_knows_is_a_match_too() -> None:
    study = gym_p2p.load(SAVED)
    (match,) = rows(study, "matches", match="earlier-game")
    assert (match["room"], match["documents"], match["frames"], match["synced"]) == ("coop", 0, 0, None)
    assert match["started_at"].timestamp() == 1_699_999_400
    assert [row["subject"] for row in rows(study, "players", match="earlier-game")] == [
        "subj-cleo",
        "subj-dan",
    ]


def test_what_is_no_file_of_a_match_is_said_and_the_rest_is_whole() -> None:
    said = problems(gym_p2p.load(SAVED), "foreign")
    assert [line.partition(":")[0] for line in said] == [
        "README.md",
        f"coop/{ANNA}.csv",
        f"coop/{ANNA}_globals.json",
        f"coop/{BEN}_globals.json",
    ]
    assert not problems(gym_p2p.load(SAVED), "partial", "disagreement", "unreadable", "duplicate")


def test_files_are_known_by_what_they_hold_in_any_folder_and_beside_ours(tmp_path: Path) -> None:
    for number, file in enumerate(sorted(SCENE.iterdir())):
        shutil.copy(file, tmp_path / "a" / f"{number}{file.suffix}" if file.suffix == ".json" else tmp_path)
        (tmp_path / "a").mkdir(exist_ok=True)
    (tmp_path / "ours").mkdir()
    made.write(tmp_path / "ours" / "left.multiplayer.json", made.document("left"))
    study = gym_p2p.load(tmp_path)
    assert {row["match"] for row in rows(study, "matches")} == {GAME, "m"}
    assert [row["subject"] for row in rows(study, "players", match=GAME)] == [ANNA, BEN]
    assert len(rows(study, "frames", match=GAME)) == 44


@pytest.fixture(autouse=True)
def _a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()


def test_tables_without_any_document_are_a_match_of_their_own(tmp_path: Path) -> None:
    for subject in (ANNA, BEN):
        shutil.copy(SCENE / f"{subject}_ep1.csv", tmp_path / "a")
    study = gym_p2p.load(tmp_path)
    (match,) = rows(study, "matches")
    assert (match["match"], match["documents"], match["frames"]) == (f"a: {ANNA} and {BEN}", 0, 10)
    assert (match["actions_compared"], match["action_mismatches"], match["synced"]) == (20, 0, True)
    assert [row["source"] for row in rows(study, "players")] == ["frames", "frames"]


def test_a_table_counts_to_the_newest_game_of_its_subjects_that_had_begun(tmp_path: Path) -> None:
    shutil.copy(SCENE / f"{ANNA}_ep0.csv", tmp_path / "a")
    log = [
        {"timestamp": at, "scene_id": "s", "game_id": game, "matchmaker_class": "X"}
        | {"participants": [{"subject_id": one, "rtt_ms": 5} for one in seated]}
        for game, at, seated in (
            ("long before", FIRST_MS / 1000 - 900, (ANNA, BEN)),
            ("theirs", FIRST_MS / 1000 - 9, (BEN, ANNA)),
            ("another's", FIRST_MS / 1000 - 5, (ANNA, "subj-eve")),
            ("later", FIRST_MS / 1000 + 300, (ANNA, BEN)),
        )
    ]
    text = "".join(json.dumps(line) + "\n" for line in log)
    (tmp_path / "a" / "s_matches.jsonl").write_text(text + "no line\n{}\n")
    study = gym_p2p.load(tmp_path)
    assert {row["match"]: row["frames"] for row in rows(study, "matches")} == {
        "long before": 0,
        "theirs": 12,
        "another's": 0,
        "later": 0,
    }
    assert problems(study, "partial") == ["a/s_matches.jsonl: 2 lines of no match: left out"]


@pytest.mark.parametrize(("behind_s", "frames"), [(30, 12), (90, 0)])
def test_a_pages_clock_may_be_a_little_behind_the_servers(
    tmp_path: Path, behind_s: float, frames: int
) -> None:
    shutil.copy(SCENE / f"{ANNA}_ep0.csv", tmp_path / "a")
    game = {"timestamp": FIRST_MS / 1000 + behind_s, "scene_id": "s", "game_id": "theirs"}
    seated = {"participants": [{"subject_id": ANNA}, {"subject_id": BEN}]}
    (tmp_path / "a" / "s_matches.jsonl").write_text(json.dumps(game | seated) + "\n")
    (match,) = rows(gym_p2p.load(tmp_path), "matches", match="theirs")
    assert match["frames"] == frames


def test_pages_that_do_not_agree_are_said(tmp_path: Path) -> None:
    write_table(tmp_path / "a" / f"{ANNA}_ep0.csv", table_of_frames())
    lines = table_of_frames()
    lines[5][lines[0].index("actions.1")] = "7"
    lines[6][lines[0].index("rewards.0")] = "9.5"
    write_table(tmp_path / "a" / f"{BEN}_ep0.csv", lines)
    study = gym_p2p.load(tmp_path)
    (match,) = rows(study, "matches")
    assert (match["action_mismatches"], match["synced"]) == (1, False)
    said = problems(study, "disagreement")
    assert any("1 action unlike" in line for line in said)
    assert any("episode 1, frame 5, reward of seat number 0" in line for line in said)


def test_a_column_filled_up_at_its_end_is_left_out_and_said(tmp_path: Path) -> None:
    study = written(tmp_path, ("rewards.0", ["1.0"] * 8 + [""] * 4), ("actions.1", ["2"] * 11 + [""]))
    frames = rows(study, "frames")
    assert {row["seat"] for row in frames} == {"0"}
    assert all(row["reward"] is None for row in frames)
    said = problems(study, "partial")
    assert any("actions.1: is not as long as the frames" in line for line in said)
    assert any("rewards.0: is not as long as the frames" in line for line in said)


def test_a_column_longer_than_the_frames_is_left_out_and_said(tmp_path: Path) -> None:
    lines = table_of_frames()
    beyond = [""] * len(lines[0])
    beyond[lines[0].index("actions.1")] = "2"
    write_table(tmp_path / f"{ANNA}_ep0.csv", [*lines, beyond])
    study = gym_p2p.load(tmp_path)
    assert {row["seat"] for row in rows(study, "frames")} == {"0"}
    assert any("actions.1: is not as long as the frames" in line for line in problems(study, "partial"))


def test_rewards_that_are_no_numbers_are_left_out_and_said(tmp_path: Path) -> None:
    study = written(tmp_path, ("rewards.0", ["1.0"] * 11 + ["much"]))
    assert [row["reward"] for row in rows(study, "frames")] == [None] * 24
    assert any("rewards: not all are numbers" in line for line in problems(study, "partial"))


def test_an_episode_whose_frames_stand_there_twice_is_left_out_and_said(tmp_path: Path) -> None:
    lines = table_of_frames()
    write_table(tmp_path / f"{ANNA}_ep0.csv", [*lines, lines[3]])
    study = gym_p2p.load(tmp_path)
    assert not rows(study, "frames")
    assert any("frames of episode 1 stand there twice" in line for line in problems(study, "partial"))


def test_a_table_larger_than_any_is_skipped_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framework_frames, "_MAX_BYTES", 2**10)
    shutil.copy(SCENE / f"{ANNA}_ep0.csv", tmp_path)
    study = gym_p2p.load(tmp_path)
    assert not rows(study, "frames")
    assert problems(study, "skipped") == [f"{ANNA}_ep0.csv: is larger than 0 MiB"]


def test_the_other_player_of_a_document_that_does_not_name_them_is_the_one_who_acted() -> None:
    told: dict[str, Any] = {"gameId": GAME, "playerId": 5, "sessionStatus": {}, "inputDelivery": {}}
    told |= {"peerPlayerId": None, "latency": {"samples": []}}
    told["validation"] = {"allActions": [{"playerId": 5}, {"playerId": 3}, {"playerId": 3}]}
    ours = in_our_words(told, "x.json")
    assert ours is not None
    assert ours["latencyByPeer"] == {"3": {"samples": []}}


def test_a_list_of_the_session_longer_than_the_episode_adds_no_frames(tmp_path: Path) -> None:
    lines = table_of_frames()
    place = lines[0].index("rollbackEvents")
    for _ in range(30):
        line = [""] * len(lines[0])
        line[place] = "{'frame': 1}"
        lines.append(line)
    write_table(tmp_path / f"{ANNA}_ep0.csv", lines)
    study = gym_p2p.load(tmp_path)
    assert rows(study, "matches")[0]["frames"] == 12
    assert not rows(study, "events", kind="rollback")
    assert not problems(study, "partial")


@pytest.mark.parametrize("cut", [1, 40, 400])
def test_a_half_written_table_counts_up_to_where_it_is_cut(tmp_path: Path, cut: int) -> None:
    whole = (SCENE / f"{ANNA}_ep0.csv").read_text()
    (tmp_path / f"{ANNA}_ep0.csv").write_text(whole[:-cut])
    study = gym_p2p.load(tmp_path)
    frames = rows(study, "matches")[0]["frames"]
    assert 0 < frames < 12
    assert any("lines are cut" in line for line in problems(study, "partial"))


def test_a_table_that_is_no_text_is_said_and_the_others_count(tmp_path: Path) -> None:
    (tmp_path / f"{ANNA}_ep0.csv").write_bytes((SCENE / f"{ANNA}_ep0.csv").read_bytes() + b"\x80\n")
    shutil.copy(SCENE / f"{BEN}_ep0.csv", tmp_path)
    study = gym_p2p.load(tmp_path)
    assert problems(study, "unreadable") == [f"{ANNA}_ep0.csv: is no text (invalid start byte)"]
    assert rows(study, "matches")[0]["frames"] == 12


@pytest.mark.parametrize(
    "text",
    [
        "",
        "question,answer\nhow?,fine\n",
        "t,episode_num\n0,0\n",
        "t,episode_num,timestamp\n0,0,1\n",
        "\0t,episode_num,timestamp,actions.0\n",
    ],
)
def test_other_tables_are_foreign_and_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    study = gym_p2p.load(tmp_path)
    assert len(problems(study, "foreign", "unreadable")) == 1
    assert not rows(study, "matches")


def test_frames_that_are_missing_keep_their_numbers_and_lose_their_rewards(tmp_path: Path) -> None:
    lines = table_of_frames()
    del lines[4]
    write_table(tmp_path / f"{ANNA}_ep0.csv", lines)
    study = gym_p2p.load(tmp_path)
    frames = rows(study, "frames", seat="0")
    assert [row["frame"] for row in frames] == [0, 1, 2, *range(4, 12)]
    assert all(row["reward"] is None for row in frames)
    assert any("frames are missing" in line for line in problems(study, "partial"))


@pytest.mark.parametrize("cell", ["-1", "1.5", "nan", "1e300", "x", ""])
def test_a_frame_without_a_number_places_nothing(tmp_path: Path, cell: str) -> None:
    lines = table_of_frames()
    lines[1][lines[0].index("t")] = cell
    write_table(tmp_path / f"{ANNA}_ep0.csv", lines)
    study = gym_p2p.load(tmp_path)
    assert not rows(study, "frames")
    assert problems(study, "partial")


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("3", 3),
        ("3.0", 3),
        ("0.25", 0.25),
        ("[0.5, -1.0]", [0.5, -1.0]),
        ("(1, 2)", (1, 2)),
        ("{'x': 1, 'y': [True, None]}", {"x": 1, "y": [True, None]}),
        ("'left'", "left"),
        ("True", True),
        ("None", None),
        ("up", "up"),
        ("__import__('os').system('touch pwned')", "__import__('os').system('touch pwned')"),
        ("(lambda: 1)()", "(lambda: 1)()"),
        ("[" * 900, "[" * 900),
        ("{1: 2}", "{1: 2}"),
        ("{1, 2}", "{1, 2}"),
        ("(1+2j)", "(1+2j)"),
        ("'\\ud800'", "'\\ud800'"),
        ("[" + "1," * 2_000 + "]", "[" + "1," * 2_000 + "]"),
        (f"[{10**40}]", f"[{10**40}]"),
        ("[1e999]", "[1e999]"),
    ],
)
def test_a_cell_is_data_or_a_text_and_is_never_run(cell: str, value: Any) -> None:
    found = _value(cell)
    assert found == value
    assert type(found) is type(value)


def test_actions_that_are_lists_and_numbers_beyond_reason_are_actions(tmp_path: Path) -> None:
    cells = ["[0.5, -1]", "1e300", "'\\ud800'", *["2"] * 9]
    study = written(tmp_path, ("actions.0", cells))
    found = [row["action"] for row in rows(study, "frames", seat="0")]
    assert found[:4] == ["[0.5,-1]", "1e300", json.dumps("'\\ud800'"), "2"]


def test_a_player_who_was_lost_is_known_by_the_id_of_the_tables(tmp_path: Path) -> None:
    document = json.loads((SCENE / f"{ANNA}_multiplayer_metrics.json").read_text())
    document["sessionStatus"] |= {"terminationReason": "partner_disconnected", "disconnectedPlayerId": 1}
    (tmp_path / f"{ANNA}_multiplayer_metrics.json").write_text(json.dumps(document))
    study = gym_p2p.load(tmp_path)
    (anna,) = rows(study, "players", player="0")
    assert (anna["ended_by"], anna["lost_player"]) == ("partner_disconnected", "1")
    assert not problems(study, "partial", "unreadable")


def test_session_and_validation_documents_saved_from_a_page_are_read(tmp_path: Path) -> None:
    start = FIRST_MS
    event = {"frame": 3, "currentFrame": 5, "rollbackFrames": 2, "playerId": "1", "predictedAction": 0}
    session = {
        "gameId": GAME,
        "playerId": 0,
        "connection": {"type": "direct", "connectionDetails": {}},
        "inputs": {"sentViaP2P": 9, "receivedViaP2P": 8},
        "rollbacks": {
            "events": [{**event, "actualAction": 1, "timestamp": start}],
            "count": 1,
            "maxFrames": 2,
        },
        "sync": {"p2pHashMismatches": 0},
        "quality": {"p2pFallbackTriggered": False, "p2pFallbackFrame": None},
        "frames": {"total": 12},
        "reconnection": {"disconnections": [], "attempts": [], "totalPauseDurationMs": 0},
        "latency": {"sampleCount": 1, "samples": [{"timestamp": start, "rttMs": 30.5}]},
        "focusLoss": None,
    }
    validation = {
        "gameId": GAME,
        "playerId": 0,
        "exportTimestamp": start,
        "summary": {"totalFrames": 12, "verifiedFrame": 9, "desyncCount": 0, "hashesComputed": 1},
        "confirmedHashes": [{"frame": 1, "hash": "ab"}],
        "verifiedActions": {"0": [{"frame": 1, "action": 2}]},
        "desyncEvents": [],
        "latency": None,
        "focusLoss": None,
    }
    (tmp_path / "s.json").write_text(json.dumps(session))
    (tmp_path / "v.json").write_text(json.dumps(validation))
    study = gym_p2p.load(tmp_path)
    one, other = rows(study, "players")
    assert (one["player"], one["inputs_sent"], one["rollbacks"], one["source"]) == ("0", 9, 1, "documents")
    assert (other["player"], other["source"]) == ("1", "others")
    assert [(row["from"], row["to"], row["rtt_ms"]) for row in rows(study, "latency")] == [("0", "1", 30.5)]
    (rollback,) = rows(study, "events", kind="rollback")
    assert (rollback["frame"], rollback["other"], rollback["value"]) == (3, "1", 2.0)
    assert not problems(study, "foreign", "partial", "unreadable")


@pytest.mark.parametrize("cut", [100, 900])
def test_a_half_written_document_is_said_and_skipped(tmp_path: Path, cut: int) -> None:
    name = f"{ANNA}_multiplayer_metrics.json"
    (tmp_path / name).write_bytes((SCENE / name).read_bytes()[:-cut])
    shutil.copy(SCENE / f"{BEN}_multiplayer_metrics.json", tmp_path)
    study = gym_p2p.load(tmp_path)
    assert len(problems(study, "unreadable")) == 1
    assert rows(study, "matches")[0]["documents"] == 1


@pytest.mark.parametrize(
    "told",
    [
        None,
        1,
        [],
        {},
        {"gameId": "m", "playerId": 1},
        {"gameId": None, "playerId": 1, "sessionStatus": {}},
        made.document("left"),
    ],
)
def test_a_document_that_is_none_of_theirs_is_none(told: Any) -> None:
    assert in_our_words(told, "x.json") is None


@pytest.mark.parametrize("kind", ["all", "logs"])
def test_the_report_says_what_was_played_with(tmp_path: Path, kind: str) -> None:
    if kind == "logs":
        for log in SAVED.rglob("*.jsonl"):
            shutil.copy(log, tmp_path)
    text = report_html(gym_p2p.load(SAVED if kind == "all" else tmp_path))
    assert "with the browser framework multi-user-gymnasium" in text
    assert "gym_p2p (version unknown)" not in text
