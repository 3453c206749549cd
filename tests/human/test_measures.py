"""What is measured of one person at one page, on virtual time: keys, latencies, round trips, the focus."""

from __future__ import annotations

import json

import pytest

from gym_p2p.core.latency.quality import Quality
from gym_p2p.core.record.human import HumanRecord, focus_loss, human_document
from gym_p2p.human.person import Person
from gym_p2p.human.standing import worst
from tests.human.fake_page import HELLO
from tests.human.persons import PICTURE, UNIX_MS, here, person, press, say, told


def plays_with(who: Person) -> str | None:
    human = human_document(who.measures.record)
    assert human is not None
    return human.input


@pytest.mark.parametrize("device", ["keys", "touch"])
def test_what_the_person_plays_with_is_what_most_keys_were_pressed_with(device: str) -> None:
    who = person()
    assert plays_with(who) is None
    who.receive(1, json.dumps({**HELLO, "touch": device == "touch"}), 0.0)
    assert plays_with(who) == device
    for seq, (by, most) in enumerate(
        [("gamepad", "gamepad"), ("keys", "gamepad"), ("keys", "keys"), ("touch", "keys")], 1
    ):
        change = [seq, 0.0, "Space", by]
        for _ in range(3):  # told again, it counts once
            say(who, "keys", held=["Space"], changes=[change])
        who.sample()
        assert plays_with(who) == most
    for seq in range(10, 15):
        say(who, "keys", held=[], changes=[[seq, 0.0, "KeyQ", "touch"]])  # no key of the game
        who.sample()
    assert plays_with(who) == "keys"


def test_the_action_latency_is_from_the_key_to_the_frame_that_shows_its_effect() -> None:
    who = here()
    press(who, 1, "Space", at=1000.0)
    seq = who.sample().seq
    who.offer(PICTURE, frame=0, seq=0, now=0.0)  # of the frame before
    who.offer(PICTURE, frame=1, seq=seq, now=0.0)
    say(who, "ack", n=1, shown=[[1, 1010.0]])
    assert who.measures.record.action_latencies == []
    say(who, "ack", n=2, shown=[[2, 1024.5]])
    assert who.measures.record.action_latencies == [24.5]
    say(who, "ack", n=2, shown=[[2, 1090.0]])
    assert who.measures.record.action_latencies == [24.5]


@pytest.mark.parametrize("why", ["not begun", "blur"])
def test_a_key_that_no_frame_was_played_with_has_no_latency(why: str) -> None:
    who = here()
    press(who, 1, "Space", at=1000.0)
    if why == "blur":
        say(who, "focus", focused=False)
    else:
        who.forget_presses()
    sample = who.sample()
    assert sample.held == ()
    who.offer(PICTURE, frame=0, seq=sample.seq, now=0.0)
    say(who, "ack", n=1, shown=[[1, 31_000.0]])
    assert who.measures.record.action_latencies == []
    press(who, 2, "Space", at=32_000.0)
    who.offer(PICTURE, frame=1, seq=who.sample().seq, now=0.0)
    say(who, "ack", n=2, shown=[[2, 32_020.0]])
    assert who.measures.record.action_latencies == [20.0]


def test_the_round_trip_and_the_clock_of_the_page_are_measured() -> None:
    who = here()
    (ping,) = [one for one in told(who) if one["t"] == "ping"]
    say(who, "pong", 0.030, id=ping["id"], received=5_010.0, sent=5_020.0)
    human = human_document(who.measures.record)
    assert human is not None
    assert human.page_rtt is not None
    assert human.page_rtt.median_ms == pytest.approx(20.0)
    assert human.page_rtt.source == "page.ping"
    assert human.clock_offset_ms == pytest.approx(5_000.0)
    assert human.clock_error_ms == pytest.approx(10.0, abs=0.1)
    say(who, "pong", 0.040, id=ping["id"], received=5_010.0, sent=5_020.0)
    assert human_document(who.measures.record).page_rtt.sample_count == 1  # type: ignore[union-attr]  # they are there


def test_a_slow_line_to_the_page_is_graded_and_another_page_begins_without_a_grade() -> None:
    who = here()
    assert who.measures.quality is None
    for late_s, grade in ((0.02, Quality.GOOD), (0.2, Quality.WARNING), (0.4, Quality.CRITICAL)):
        who.handle_timeout(now := who.next_timeout() or 0.0)
        ping = [one for one in told(who) if one["t"] == "ping"][-1]
        say(who, "pong", now + late_s, id=ping["id"], received=5_000.0, sent=5_000.0)
        assert who.measures.quality is grade
    assert worst("good", None, who.measures.quality, "warning") == "critical"
    assert worst(None) is None
    who.receive(2, json.dumps(HELLO), 9.0)
    assert who.measures.quality is None


def test_the_background_is_told_in_periods() -> None:
    who = here()
    say(who, "focus", 2.0, focused=False)
    say(who, "focus", 2.5, focused=False)
    say(who, "focus", 5.0, focused=True)
    say(who, "focus", 8.0, focused=False)
    lost = focus_loss(who.measures.record, UNIX_MS + 9_000)
    assert lost is not None
    assert [period.duration_ms for period in lost.background_periods] == [3_000, 1_000]
    assert lost.total_background_ms == 4_000


def test_periods_in_the_background_beyond_any_number_are_counted_and_not_listed() -> None:
    record = HumanRecord()
    for number in range(10_500):
        record.focused(2.0 * number, focused=False)
        record.focused(2.0 * number + 1, focused=True)
    record.facts = person().measures.record.facts
    lost = focus_loss(record, 1e9)
    assert lost is not None
    assert len(lost.background_periods) == 10_000
    assert (lost.period_count, lost.total_background_ms) == (10_500, 10_500)


def test_who_takes_a_seat_after_another_goes_on_in_the_record_of_the_match() -> None:
    match = HumanRecord()
    people = [here(), here()]
    for number, who in enumerate(people):
        who.measures.continue_in(match, now=10.0 + number)
        (ping,) = [one for one in told(who) if one["t"] == "ping"]
        say(who, "pong", 0.030, id=ping["id"], received=5_010.0, sent=5_020.0)
        press(who, 1, "Space", at=1000.0)
        who.offer(PICTURE, frame=0, seq=who.sample().seq, now=0.0)
        say(who, "ack", n=1, shown=[[1, 1020.0 + number]])
        say(who, "focus", 2.0, focused=False)
        say(who, "focus", 3.0, focused=True)
        who.sample()
    document = human_document(match)
    assert document is not None
    assert document.action_latency is not None
    assert document.action_latency.samples == [20.0, 21.0]
    assert document.page_rtt is not None
    assert document.page_rtt.sample_count == 2
    assert (document.frames_shown, document.key_events, document.pages_opened) == (2, 2, 2)
    lost = focus_loss(match, UNIX_MS + 9_000)
    assert lost is not None
    assert (lost.period_count, lost.total_background_ms) == (2, 2_000)


def test_the_end_of_the_page_after_the_end_of_the_game_is_no_absence() -> None:
    who = here()
    who.finish()
    who.disconnected(1, 3.0)
    lost = focus_loss(who.measures.record, UNIX_MS + 9_000)
    assert lost is not None
    assert lost.period_count == 0


def test_without_a_person_there_is_nothing_to_tell() -> None:
    assert human_document(HumanRecord()) is None
    assert focus_loss(HumanRecord(), 0.0) is None
