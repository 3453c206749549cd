from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.core.latency.delta_series import decode_series
from gym_p2p.core.record.episode import Begin, EpisodeRecord
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.player_identity import PlayerIdentity, foreign, software_of
from tests.core.record.records import START_MS, documents, new_record


def results(record: MatchRecord) -> list[dict[str, Any]]:
    built = documents(record)
    assert built["session"]["episodes"] == built["validation"]["episodes"] == built["multiplayer"]["episodes"]
    found: list[dict[str, Any]] = built["session"]["episodes"]
    return found


def begun(record: MatchRecord, at_ms: int = START_MS, **how: Any) -> EpisodeRecord:
    return record.begin_episode(Begin(at_ms=at_ms, **how))


def play(episode: EpisodeRecord, frames: int, *, ended: bool = False) -> None:
    for _ in range(frames):
        frame = episode.frames
        last = ended and frame == frames - 1
        episode.played_up_to(frame + 1, 16 * frame + 5)
        episode.frame([b"\0", b"\1"])
        episode.outcome(
            16 * frame + 25,
            rewards=(0.25, -1.0),
            terminations=(last, last),
            truncations=(False, False),
            infos=({"score": frame}, {}),
        )
    if ended:
        episode.complete(START_MS + 900)


def test_an_episode_says_how_it_began_and_ended_and_what_was_earned() -> None:
    record = new_record()
    play(begun(record, seed=2**64 - 1, options={"level": 3}, input_delays=(2, 0)), 4, ended=True)
    (found,) = results(record)
    timing = found.pop("timing")
    assert found == {
        "episode": 1,
        "seed": 2**64 - 1,
        "options": {"level": 3},
        "startedAt": START_MS,
        "endedAt": START_MS + 900,
        "frames": 4,
        "endedBy": "terminated",
        "returns": {"0": 1.0, "1": -4.0},
        "lengths": {"0": 4, "1": 4},
        "finalInfo": {"0": {"score": 3}, "1": {}},
        "actors": {},
        "inputDelays": [2, 0],
        "page": None,
    }
    assert decode_series(timing["t"]) == [5, 21, 37, 53]
    assert decode_series(timing["confirmed"]) == [25, 41, 57, 73]
    assert timing["frames"] == 4


def test_what_a_page_has_drawn_and_when_is_told_with_the_inputs_that_were_chosen_out_of_sight() -> None:
    record = new_record()
    episode = begun(record)
    play(episode, 4)
    episode.shown(-1, START_MS + 1)  # what reset gave is no frame
    for frame, at_ms in ((0, 22.4), (2, 55.6), (3, 71.0)):
        episode.shown(frame, START_MS + at_ms)
    for frame, seat in ((1, 1), (3, 1), (2, 0)):
        episode.out_of_focus(frame, seat)
    episode.shown_at.append(90)  # another thread is in the middle of it
    (found,) = results(record)
    page = found["page"]
    assert decode_series(page["frames"]) == [0, 2, 3]
    assert decode_series(page["t"]) == [22, 56, 71]
    assert page["count"] == 3
    assert {seat: decode_series(frames) for seat, frames in page["unfocused"].items()} == {
        "0": [2],
        "1": [1, 3],
    }


def test_frames_that_never_became_final_have_a_time_and_no_reward() -> None:
    record = new_record()
    episode = begun(record)
    play(episode, 3)
    episode.played_up_to(5, 90)
    (found,) = results(record)
    assert (found["frames"], found["timing"]["frames"], found["returns"]["0"]) == (3, 5, 0.75)
    assert decode_series(found["timing"]["t"])[3:] == [90, 90]
    assert len(decode_series(found["timing"]["confirmed"])) == 3
    assert (found["endedAt"], found["endedBy"]) == (None, None)


def test_what_ended_an_episode_first_is_what_ended_it() -> None:
    record = new_record()
    play(begun(record), 1, ended=True)
    begun(record, START_MS + 1000)
    begun(record, START_MS + 2000).break_off(START_MS + 2500, "peer_reset")
    begun(record, START_MS + 3000)
    record.terminate("peer_lost", partial=True, now_ms=START_MS + 4000)
    record.episode.complete(START_MS + 5000)  # an end that came to light after the match was over
    found = results(record)
    assert [one["endedBy"] for one in found] == ["terminated", "reset", "peer_reset", "peer_lost"]
    assert [one["endedAt"] - START_MS for one in found] == [900, 2000, 2500, 4000]


def test_who_closes_in_the_middle_of_an_episode_has_closed_it() -> None:
    record = new_record()
    begun(record)
    record.terminate("normal", partial=False, now_ms=START_MS + 4000)
    assert results(record)[0]["endedBy"] == "closed"


def test_who_acted_for_whom_is_run_length_coded() -> None:
    record = new_record()
    episode = begun(record)
    for frame, actor in ((3, "default"), (4, "default"), (5, "stand_in"), (9, "stand_in")):
        episode.acted_for(1, frame, actor)  # type: ignore[arg-type]  # one of the two
    episode.acted_for(0, 9, "default")
    assert results(record)[0]["actors"] == {
        "0": [[9, 1, "default"]],
        "1": [[3, 2, "default"], [5, 1, "stand_in"], [9, 1, "stand_in"]],
    }


def test_a_return_that_is_not_finite_is_null() -> None:
    record = new_record()
    episode = begun(record)
    episode.frame([b"\0", b"\1"])
    infos: tuple[dict[str, int], ...] = ({}, {})
    flags = (False, False)
    episode.outcome(
        1, rewards=(float("nan"), float("-inf")), terminations=flags, truncations=flags, infos=infos
    )
    assert results(record)[0]["returns"] == {"0": None, "1": None}


def test_who_played_is_in_every_document() -> None:
    record = new_record()
    told: dict[str, Any] = {"version": "0.1.0", "platform": None}
    record.identities = tuple(
        PlayerIdentity(player_id=str(n), subject_id=f"P{n}", seats=[str(n)], local=n == 0, **told)
        for n in range(2)
    )
    for document in documents(record).values():
        assert [player["subjectId"] for player in document["players"]] == ["P0", "P1"]
        assert [player["local"] for player in document["players"]] == [True, False]


@pytest.mark.parametrize("told", [None, {}, {"software": 5}, {"software": {"version": 1, "platform": [""]}}])
def test_who_says_nothing_sensible_of_their_software_is_unknown(told: Any) -> None:
    assert software_of(told) == (None, None)


def test_what_players_say_of_themselves_is_short_and_printable() -> None:
    version, platform = software_of({"software": {"version": "9" * 10_000, "platform": "a\u202eb\x1b[2J\n"}})
    assert version is not None
    assert len(version) == 128
    assert platform == "a\\u202eb\\x1b[2J\\n"
    assert foreign("") is None
