"""A record written down as it grows, and what becomes of the lines, wherever they end."""

from __future__ import annotations

from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.latency.clock import ClockEstimate
from gym_p2p.core.latency.series import Poll
from gym_p2p.core.latency.webrtc_stats import ConnectionDetails, PollStatus
from gym_p2p.core.match.events import Disagreement
from gym_p2p.core.record import journal
from gym_p2p.core.record.absences import ClockJump, Departure, Pause, Rejoin
from gym_p2p.core.record.documents import KINDS, Decode, build_document
from gym_p2p.core.record.episode import Begin, EpisodeRecord
from gym_p2p.core.record.growth import Mark
from gym_p2p.core.record.human import HumanRecord
from gym_p2p.core.record.journal import KILLED, JournalWriter, decode_input, fold
from gym_p2p.core.record.link import LinkRecord
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.parts import Disconnection, ReconnectionAttempt, UploadStatus
from gym_p2p.core.record.player_identity import PlayerIdentity
from gym_p2p.core.record.policy import PolicyRecord
from gym_p2p.core.record.ways_taken import PassedOn, WayTaken
from gym_p2p.errors import ProtocolError
from gym_p2p.exports.encoding import to_data
from tests.core.record.records import START_MS, decode, new_record, policy_facts, validator

PATH = ConnectionDetails("direct", "host", "srflx", "udp", None)


def happen(record: MatchRecord, what: int, now_ms: int) -> None:
    """Let something happen: every fact of a match is one of these."""
    if not record.episodes:
        record.begin_episode(_begin(what, now_ms))
    (_play if what % 3 else _befall)(record, what // 3, now_ms)


def _play(record: MatchRecord, what: int, now_ms: int) -> None:
    episode = record.episode
    frame = episode.frames
    match what % 11:
        case 0:
            record.begin_episode(_begin(what, now_ms), number=len(record.episodes) + 5)
        case 1:
            if what % 2:
                episode.complete(now_ms)
            else:
                episode.break_off(now_ms, "peer_left")
        case 2:
            episode.checksum(frame, f"{what:x}")
        case 3:
            episode.desync(frame, "aa", "bb", now_ms, Disagreement.STATE)
            episode.state_difference(frame, [("x", "1", "2")], ours=b'{"x":1}', theirs=b'{"x":2.5}')
            episode.state_problem(frame + 1, "the other player has sent no state")
        case 4:
            inputs = {"predicted": b"\1", "actual": b"\2"}
            episode.rollback(frame=1, current_frame=3, player=what % 2, now_ms=now_ms, **inputs)
        case 5:
            episode.corrected(mispredictions=1, resimulated=what, stalls=2)
            episode.guessed_wrong(max(0, frame - what), what % 2)
        case 6:
            episode.input_delay(frame, what % 7)
        case 7:
            episode.confirmed(frame + 3)
            episode.verified(frame)
        case _:
            for number in range(what % 5 + 1):
                _frame(episode, number, what)


def _begin(what: int, now_ms: int) -> Begin:
    options = {"level": what} if what % 2 else None
    return Begin(at_ms=now_ms, seed=2**63 + what, options=options, input_delays=(what % 3, 0))


def _frame(episode: EpisodeRecord, number: int, what: int) -> None:
    frame = episode.frames
    episode.played_up_to(frame + 1 + what % 2, 17 * frame + number)
    episode.frame([bytes([number]), bytes([what % 256])])
    episode.outcome(
        17 * frame + what,
        rewards=(what / 7, float("inf") if what == 299 else -0.1),
        terminations=(what > 200, False),
        truncations=(False, what > 250),
        infos=({"score": what, "odd": float("nan")}, {"deep": {"er": what / 3}}),
        unborn={1} if what == 8 else (),
    )
    if what % 4 == 0:
        episode.acted_for(1, frame, "stand_in" if what % 8 else "default")


def _befall(record: MatchRecord, what: int, now_ms: int) -> None:
    link = record.links[1]
    match what % 7:
        case 0:
            link.polled(Poll(now_ms, what / 7, PollStatus.FRESH, PATH), frame=record.frame_now)
        case 1:
            link.polled(Poll(now_ms, None, PollStatus.UNANSWERED), frame=None)
        case 2:
            link.packets_received += 1
            link.gap_count += 1
            link.clock.base_ms = 0.5
            estimate = ClockEstimate(what / 1e3, 1e-3, 2e-3, 1e-3, 1e-3)
            link.pinged(what / 3, now_ms=now_ms, clock=estimate)
        case 3:
            at = {"timestamp": now_ms}
            broken = {"frame": None, "detectingPeer": 0, "iceState": None, "dcState": "closed"}
            back = {"duration": 1.5, "outcome": "success", "attempts": 1}
            record.disconnections.append(msgspec.convert(at | broken, Disconnection))
            record.attempts.append(msgspec.convert(at | back, ReconnectionAttempt))
            record.protocol_error("odd")
            record.unlisted_pause_ms += what / 7
        case 4:
            _part(record, what, now_ms)
        case 5:
            _go_round(record, what, now_ms)
        case _:
            record.inputs_sent += what
            record.identities = (_identity(what),)
            record.upload = UploadStatus(state="kept", problem=f"{what}", path=None, command=None)
            record.inputs_received += 1
            record.sync = {"mode": "rollback", "why": str(what)}
            record.probe = {"rttMs": 1.5}
            _decide(record, what)


def _part(record: MatchRecord, what: int, now_ms: int) -> None:
    """Let a process end and come back, and the service and the clock do as they like."""
    gone = {"reason": "peer_crashed", "statedReason": None, "source": "service", "lostPlayerId": None}
    departure = {"playerId": 1, "sourcePlayerId": None, "frame": what, "timestamp": now_ms}
    record.departures.append(msgspec.convert(gone | departure, Departure))
    waited = {"playerIds": [1], "reason": "away", "frame": record.frame_now, "durationMs": what / 3}
    record.paused(
        msgspec.convert(waited | {"timestamp": now_ms, "limitMs": 30_000, "cause": "frozen"}, Pause)
    )
    back = {
        "playerId": 1,
        "episode": 1,
        "episodeLeft": 1,
        "frameLeft": what,
        "frameReturned": what,
        "framesCaughtUp": what,
    }
    times = {"episodeLeft": 1, "awayMs": what / 7, "catchUpMs": None, "timestamp": now_ms}
    record.rejoined(msgspec.convert(back | times, Rejoin))
    record.service_changed(now_ms, up=what % 2 == 0, away_s=what / 3)
    record.clock_set(ClockJump(timestamp=now_ms, jump_ms=-what / 3))


def _go_round(record: MatchRecord, what: int, now_ms: int) -> None:
    """Let messages take another way."""
    record.peers_by_service = what % 2
    record.input_sent(1)
    record.inputs_arrived(what, by_service=what % 2 == 1)
    way = {"way": "service", "viaPlayerId": None, "reason": "bad", "loss": 0.5, "rttMs": what / 3}
    when = {"timestamp": now_ms, "frame": record.frame_now, "otherPeer": 1}
    record.way_taken(msgspec.convert(way | when, WayTaken))
    record.passes_on(PassedOn(0, 1, now_ms))


def _decide(record: MatchRecord, what: int) -> None:
    if not record.policies:
        record.policies.append(PolicyRecord(facts=policy_facts()))
    record.policies[0].decisions += what
    record.policies[0].illegal += 1


def _identity(what: int) -> PlayerIdentity:
    return PlayerIdentity(
        player_id="0", subject_id=f"P{what}", seats=["0"], local=True, version=None, platform="Linux"
    )


facts = st.lists(st.lists(st.integers(0, 300), max_size=6), max_size=8)


def written(record: MatchRecord, checkpoints: list[list[int]]) -> tuple[list[bytes], Mark]:
    """Let things happen between checkpoints; return the journal's lines, and the mark after them."""
    writer = JournalWriter(record, decode)
    mark: Mark = {}
    lines = [writer.head()]
    for number, happening in enumerate(checkpoints):
        now_ms = START_MS + 10_000 * number
        for step, what in enumerate(happening):
            happen(record, what, now_ms + step)
        line, mark = writer.entry(mark, now_ms + 9_999)
        lines.append(line)
    return lines, mark


def documents(record: MatchRecord, read: Decode) -> dict[str, Any]:
    built: dict[str, Any] = {
        kind: to_data(build_document(kind, record, START_MS + 10**6, read)) for kind in KINDS
    }
    for kind, document in built.items():
        validator(kind).validate(document)
    return built


@given(facts)
def test_the_documents_of_a_journal_are_those_of_the_record(checkpoints: list[list[int]]) -> None:
    record = new_record()
    lines, mark = written(record, checkpoints)
    record.terminate("normal", partial=False, now_ms=START_MS + 500_000)
    lines.append(JournalWriter(record, decode).entry(mark, 0)[0])
    assert documents(fold(lines), decode_input) == documents(record, decode)


@given(facts, st.integers(0, 2**16))
def test_a_journal_cut_at_any_byte_gives_the_documents_of_what_was_whole(
    checkpoints: list[list[int]], cut: int
) -> None:
    lines, _ = written(new_record(), checkpoints)
    text = b"".join(lines)
    cut = max(len(lines[0]), cut % (len(text) + 1))
    record = fold(text[:cut].splitlines(keepends=True))
    whole = text[:cut].count(b"\n") - 1
    expected = new_record()
    written(expected, checkpoints[:whole])
    at_ms = START_MS + 10_000 * (whole - 1) + 9_999 if whole else START_MS
    expected.terminate(KILLED, partial=True, now_ms=at_ms)
    told = documents(record, decode_input)
    assert told == documents(expected, decode)
    status = told["multiplayer"]["sessionStatus"]
    assert status["isPartial"] is True
    assert status["terminationReason"] == KILLED


@given(facts)
def test_what_was_written_down_is_not_written_again(checkpoints: list[list[int]]) -> None:
    record = new_record()
    checkpoints = [*checkpoints, [1]]
    _, mark = written(record, checkpoints)
    line, again = JournalWriter(record, decode).entry(mark, START_MS)
    assert msgspec.json.decode(line)["added"] == {}
    assert again == mark


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"{}\n", b'{"format":"other"}\n', b"\xff\n", b"[" * 5000 + b"\n"]
)
def test_what_is_no_journal_is_said_to_be_none(text: bytes) -> None:
    with pytest.raises(ProtocolError, match="gym_p2p journal"):
        fold(text.splitlines(keepends=True))


@pytest.mark.parametrize(
    "line",
    [
        b'{"atMs":1,"added":{"episodes":7}}\n',
        b'{"atMs":1,"added":{"links":[{"open":["no"]}]}}\n',
        b'{"atMs":1,"added":{"episodes":[[9,1,{}]]}}\n',
        b'{"atMs":"now","added":{}}\n',
    ],
)
def test_a_line_that_somebody_else_wrote_ends_what_is_read(line: bytes) -> None:
    lines, _ = written(new_record(), [[1], [1, 2]])
    mended = fold([*lines[:2], line, lines[2]])
    assert documents(mended, decode_input) == documents(fold(lines[:2]), decode_input)


def test_a_head_that_is_cut_is_no_journal() -> None:
    with pytest.raises(ProtocolError):
        fold([JournalWriter(new_record(), decode).head()[:-1]])


def test_ten_minutes_later_an_entry_costs_what_ten_seconds_cost() -> None:
    record = new_record()
    writer = JournalWriter(record, decode)
    record.begin_episode(Begin(at_ms=START_MS))
    mark: Mark = {}
    sizes = []
    for checkpoint in range(60):
        for frame in range(600):
            record.episode.frame([bytes([frame % 5]), bytes([frame % 3])])
        line, mark = writer.entry(mark, START_MS + 10_000 * (checkpoint + 1))
        sizes.append(len(line))
    assert record.episode.frames == 36_000
    assert max(sizes[2:]) <= min(sizes[2:]) * 1.1


def test_thousands_of_episodes_that_are_over_are_not_looked_through_again() -> None:
    record = new_record()
    for number in range(50):
        record.begin_episode(Begin(at_ms=START_MS)).frame([b"\0", b"\1"])
        record.episode.complete(START_MS + number)
    looked_at: list[int] = []

    def counting(seat: int, data: bytes) -> Any:
        looked_at.append(seat)
        return decode(seat, data)

    writer = JournalWriter(record, counting)
    _, mark = writer.entry({}, START_MS)
    assert len(looked_at) == 100
    record.episodes[7].desync(0, "aa", "bb", START_MS)  # what is learnt late is written down all the same
    line, mark = writer.entry(mark, START_MS)
    (added,) = msgspec.json.decode(line)["added"]["episodes"]
    assert added[0] == 7
    assert added[-1].keys() == {"desyncs"}
    assert len(looked_at) == 100
    assert msgspec.json.decode(writer.entry(mark, START_MS)[0])["added"] == {}


# Whoever gives a record another fact has to say in the journal's tables how it is written down, or here that
# it follows from the others.
_DERIVED = {
    EpisodeRecord: {"number", "called", "begin", "_appends"},
    LinkRecord: {"_monitor", "_details", "_counts", "_answered"},
    HumanRecord: set[str](),
}


def test_every_fact_of_a_record_is_written_down() -> None:
    tables = (EpisodeRecord, journal._EPISODE), (LinkRecord, journal._LINK), (HumanRecord, journal._HUMAN)
    for kind, table in tables:
        facts = {field.name for field in attrs.fields(kind)}
        assert facts == set(table.parts) | _DERIVED[kind]
    in_head = {"game_id", "player_id", "players", "session_start_ms", "environment", "config"}
    assert set(vars(new_record())) == set(journal._MATCH.parts) | in_head
