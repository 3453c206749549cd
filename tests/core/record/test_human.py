"""A person in the documents: how long a key took to be seen, and whether they saw the game they acted in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.record.documents import KINDS, build_document
from gym_p2p.core.record.episode import Begin
from gym_p2p.core.record.growth import Mark
from gym_p2p.core.record.journal import JournalWriter, decode_input, fold
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.player_identity import played_by_of, played_by_seat_of
from gym_p2p.exports.encoding import to_data
from tests.core.record.records import START_MS, decode, documents, human_facts, new_record, played, validator


def test_without_a_person_both_keys_are_null() -> None:
    for document in documents(played(new_record())).values():
        assert document["human"] is None
        assert document["focusLoss"] is None


def test_the_latency_of_actions_is_told_in_figures() -> None:
    record = played(new_record())
    record.human.facts = human_facts()
    for latency_ms in (10.0, 20.0, 60.0):
        record.human.action_shown(latency_ms)
    record.human.rtt.record(START_MS, 2.0)
    human = documents(record)["session"]["human"]
    assert human["actionLatency"] == {
        "count": 3,
        "minMs": 10.0,
        "medianMs": 20.0,
        "meanMs": 30.0,
        "p95Ms": pytest.approx(56.0),
        "maxMs": 60.0,
        "samples": [10.0, 20.0, 60.0],
    }
    assert human["pageRtt"]["medianMs"] == 2.0
    assert human["pageSize"] == [390, 844]


def test_actions_that_were_chosen_out_of_focus_are_those_of_the_seat_and_the_frame() -> None:
    record = new_record()
    record.human.facts = human_facts()
    episode = record.begin_episode(Begin(at_ms=START_MS))
    for frame in (1, 2):
        episode.out_of_focus(frame, 1)
    for frame in range(4):
        episode.frame([bytes([frame]), bytes([frame])])
    rows = documents(record)["multiplayer"]["validation"]["allActions"]
    assert [(row["frame"], row["playerId"]) for row in rows if not row["isFocused"]] == [(1, 1), (2, 1)]


def test_a_page_that_is_in_the_background_at_the_end_was_so_up_to_the_end() -> None:
    record = played(new_record())
    record.human.facts, record.human.hold_ms = human_facts(), 60_000.0
    record.human.focused(START_MS + 1_000, focused=False)
    record.terminate("normal", partial=False, now_ms=START_MS + 3_000)
    assert documents(record, START_MS + 9_000)["multiplayer"]["focusLoss"] == {
        "backgroundPeriods": [{"start": START_MS + 1_000, "end": START_MS + 3_000, "durationMs": 2_000}],
        "totalBackgroundMs": 2_000,
        "periodCount": 1,
        "timeoutMs": 60_000,
        "wasTimeoutTriggered": False,
    }


@pytest.mark.parametrize(
    ("about", "who"),
    [
        ({"played_by": "person"}, "person"),
        ({"played_by": "policy"}, "policy"),
        ({"played_by": "god"}, None),
        ({"played_by": ["person"]}, None),
        ({}, None),
        (None, None),
    ],
)
def test_who_plays_is_one_of_two_words_or_unknown(about: Any, who: str | None) -> None:
    assert played_by_of(about) == who


@pytest.mark.parametrize(
    ("about", "who"),
    [
        ({"played_by_seat": {"right": "policy", "left": "person"}}, {"right": "policy"}),
        ({"played_by_seat": {"right": "god"}}, {}),
        ({"played_by_seat": {"right": ["policy"]}}, {}),
        ({"played_by_seat": "right"}, {}),
        ({}, {}),
        (None, {}),
    ],
)
def test_of_seats_that_are_another_players_nothing_is_believed(about: Any, who: dict[str, str]) -> None:
    assert played_by_seat_of(about, ["right", "top"]) == who


def _happen(record: MatchRecord, what: int, now_ms: int) -> None:
    human = record.human
    match what % 6:
        case 0:
            human.facts = human_facts(frames_shown=what)
        case 1:
            human.action_shown(what / 7)
        case 2:
            human.rtt.record(now_ms, what / 3)
        case 3:
            human.focused(now_ms, focused=what % 2 == 0)
        case 4:
            record.episode.out_of_focus(record.episode.frames + what % 3, what % 2)
        case _:
            record.episode.frame([b"\1", b"\2"])


@given(st.lists(st.lists(st.integers(0, 400), max_size=8), max_size=6))
def test_a_journal_tells_of_a_person_what_the_record_does(checkpoints: list[list[int]]) -> None:
    record = new_record()
    record.begin_episode(Begin(at_ms=START_MS))
    writer, mark, now_ms = JournalWriter(record, decode), Mark(), START_MS
    lines = [writer.head()]
    for happened in checkpoints:
        for what in happened:
            now_ms += 10
            _happen(record, what, now_ms)
        line, mark = writer.entry(mark, now_ms)
        lines.append(line)
    folded = fold(lines)
    record.terminate("killed", partial=True, now_ms=now_ms)
    for kind in KINDS:
        of_record = to_data(build_document(kind, record, now_ms, decode))
        of_journal = to_data(build_document(kind, folded, now_ms, decode_input))
        validator(kind).validate(of_record)
        assert of_journal["human"] == of_record["human"]
        assert of_journal["focusLoss"] == of_record["focusLoss"]
        if kind == "multiplayer":
            assert of_journal["validation"]["allActions"] == of_record["validation"]["allActions"]
