"""One person at one page on virtual time: connections, keys, and what no page does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.record.human import focus_loss, human_document
from gym_p2p.human.encoding import Encoder, Picture
from gym_p2p.human.messages import MAX_PAGE_MESSAGE_BYTES
from gym_p2p.human.person import ClosePage, Person, Presence, SendFrame, SendToPage
from tests.human.fake_page import HELLO
from tests.human.persons import KEYS, PICTURE, UNIX_MS, frames, here, outputs, person, press, say, told


def where(who: Person) -> Presence:
    return who.presence


def test_a_page_that_says_hello_is_welcomed_with_the_newest_state_and_picture() -> None:
    who = person()
    who.tell(phase="waiting")
    who.offer(PICTURE, frame=-1, seq=0, now=0.0)
    assert outputs(who) == []
    assert where(who) is Presence.EXPECTED
    who.receive(1, json.dumps(HELLO), 0.0)
    sent = outputs(who)
    texts = [json.loads(one.text) for one in sent if isinstance(one, SendToPage)]
    assert [text["t"] for text in texts] == ["welcome", "state", "ping"]
    assert texts[0]["title"] == "Rally"
    assert frames(sent) == 1
    assert where(who) is Presence.HERE


def test_a_key_pressed_and_released_between_two_frames_counts_for_one() -> None:
    who = here()
    press(who, 1, "Space")
    press(who, 2)
    assert who.sample().held == ("Space",)
    assert who.sample().held == ()


def test_a_held_key_counts_in_every_frame_until_it_is_released() -> None:
    who = here()
    press(who, 1, "ArrowUp", held=("ArrowUp",))
    assert [who.sample().held for _ in range(3)] == [("ArrowUp",)] * 3
    press(who, 2)
    assert who.sample().held == ()


def test_the_largest_number_that_a_page_may_count_to_comes_back_in_its_frames() -> None:
    who = here()
    outputs(who)
    press(who, 2**32 - 1, "Space", at=1000.0)
    who.offer(PICTURE, frame=0, seq=who.sample().seq, now=0.0)
    assert frames(outputs(who)) == 1
    say(who, "ack", n=1, shown=[[1, 1020.0]])
    assert who.measures.record.action_latencies == [20.0]


def test_what_arrives_twice_or_late_is_ignored() -> None:
    who = here()
    press(who, 2, "ArrowUp", held=("ArrowUp",))
    who.sample()
    press(who, 2, "Space", held=())
    press(who, 1, "Space", held=())
    assert who.sample().held == ("ArrowUp",)


@pytest.mark.parametrize("how", ["blur", "closed"])
def test_what_is_held_without_focus_is_released(how: str) -> None:
    who = here()
    press(who, 1, "ArrowUp", held=("ArrowUp",))
    if how == "blur":
        say(who, "focus", focused=False)
    else:
        who.disconnected(1, 0.0)
    assert not who.focused
    assert who.sample().held == ()


def test_unknown_keys_are_dropped_and_counted() -> None:
    who = here()
    press(who, 2, "KeyQ", "Space", held=("KeyQ", "Space"))
    assert who.sample().held == ("Space",)
    who.sample()
    human = human_document(who.measures.record)
    assert human is not None
    assert (human.key_events, human.key_events_dropped) == (1, 1)


def test_a_second_page_takes_over_and_the_first_is_told() -> None:
    who = here()
    press(who, 7, "ArrowUp", held=("ArrowUp",))
    outputs(who)
    who.receive(2, json.dumps(HELLO), 1.0)
    assert ClosePage(1, "taken_over") in outputs(who)
    assert who.sample().held == ()
    press(who, 8, "Space", held=("Space",), page=1)
    assert who.sample().held == ()
    press(who, 1, "Space", held=("Space",), page=2)
    assert who.sample().held == ("Space",)
    who.disconnected(1, 1.5)
    assert where(who) is Presence.HERE


def test_a_frame_is_encoded_once_though_several_tabs_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    encode = Encoder.encoded

    def counted(self: Encoder, picture: Picture, base: tuple[int, Picture] | None, **of: Any) -> bytes:
        encoded.append(of["frame"])
        return encode(self, picture, base, **of)

    monkeypatch.setattr(Encoder, "encoded", counted)
    who = here()
    sent: list[SendFrame] = []
    for frame in range(6):
        if frame == 3:  # another tab takes over; the first one stays open until it has heard of that
            who.receive(2, json.dumps(HELLO), 0.1 * frame)
        who.offer(PICTURE, frame=frame, seq=0, now=0.1 * frame)
        sent += [one for one in outputs(who) if isinstance(one, SendFrame)]
        say(who, "ack", page=sent[-1].connection, n=sent[-1].number, shown=[])
    assert encoded == [0, 1, 2, 2, 3, 4, 5]  # the second tab begins with the whole picture
    assert [one.connection for one in sent] == [1, 1, 1, 2, 2, 2, 2]


def test_a_reload_takes_the_seat_again_while_it_is_held() -> None:
    who = here(hold_s=10.0)
    who.disconnected(1, 5.0)
    assert who.next_timeout() == 15.0
    who.handle_timeout(14.9)
    assert where(who) is Presence.AWAY
    who.receive(2, json.dumps(HELLO), 14.95)
    who.handle_timeout(20.0)
    assert where(who) is Presence.HERE


def test_a_page_that_stays_closed_is_a_lost_player() -> None:
    who = here(hold_s=10.0)
    who.disconnected(1, 5.0)
    who.handle_timeout(15.0)
    assert (where(who), who.gone) == (Presence.GONE, "page_closed")
    outputs(who)
    who.receive(2, json.dumps(HELLO), 16.0)
    assert outputs(who) == [ClosePage(2, "over")]
    lost = focus_loss(who.measures.record, UNIX_MS + 20_000)
    assert lost is not None
    assert (lost.was_timeout_triggered, lost.timeout_ms, lost.period_count) == (True, 10_000, 1)


def test_a_person_who_leaves_is_gone() -> None:
    who = here()
    say(who, "leave")
    assert who.gone == "left"
    outputs(who)
    say(who, "ack", n=1, shown=[])  # was under way
    who.tell(phase="over", gone="left")
    assert [one["t"] for one in told(who)] == ["state"]


GARBAGE = [
    b"\x00\xff",
    "",
    "{}",
    "[" * 3000,
    json.dumps({"t": "action", "action": 1}),
    json.dumps({"t": "keys", "held": [], "changes": [[-1, 0]]}),
    json.dumps({"t": "keys", "held": [], "changes": [[2**32, 0]]}),
    json.dumps({"t": "keys", "held": ["x" * 100], "changes": [[1, 0]]}),
    json.dumps({"t": "keys", "held": ["x"] * 65, "changes": [[1, 0]]}),
    json.dumps({"t": "keys", "held": [], "changes": []}),
    json.dumps({"t": "keys", "held": [], "changes": [[n, 0] for n in range(65)]}),
    json.dumps({"t": "keys", "held": [], "changes": [[1, 0, "Space", "foot"]]}),
    json.dumps({**HELLO, "why": "because"}),
    json.dumps({"t": "focus", "focused": "no"}),
    json.dumps({"t": "ack", "n": 1e300, "shown": []}),
    "x" * (MAX_PAGE_MESSAGE_BYTES + 1),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_a_page_that_sends_garbage_is_dropped_and_its_seat_a_lost_player(garbage: str | bytes) -> None:
    who = here()
    outputs(who)
    who.receive(1, garbage, 1.0)
    assert outputs(who) == [ClosePage(1, "dropped")]
    assert (where(who), who.gone) == (Presence.GONE, "page_dropped")


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_of_a_connection_that_is_not_the_page_costs_it_alone(garbage: str | bytes) -> None:
    who = here()
    outputs(who)
    who.receive(2, garbage, 1.0)
    assert outputs(who) == [ClosePage(2, "dropped")]
    assert where(who) is Presence.HERE


def test_what_a_page_says_beyond_its_keys_is_nobodys() -> None:
    who = here()
    outputs(who)
    says: dict[str, Any] = {"player": "right", "seat": "right", "frame": 99, "action": 2, "title": "<b>"}
    say(who, "keys", held=["Space"], changes=[[1, 0.0, "Space"]], **says)
    sample = who.sample()
    assert (sample.held, sample.seq) == (("Space",), 1)
    assert told(who) == []
    assert who.gone is None


def test_ten_thousand_key_events_a_second_are_no_person() -> None:
    who = here()
    for number in range(10_000):
        press(who, number + 1, "Space")
    assert who.gone == "page_dropped"


def test_a_page_of_a_fast_screen_and_a_fast_player_is_not_too_fast() -> None:
    who = here()
    for tick in range(240 * 30):
        now = tick / 240
        say(who, "ack", now, n=tick, shown=[[tick, now * 1e3]])
        if tick % 8 == 0:
            say(who, "keys", now, held=[], changes=[[tick + 1, now * 1e3, "Space"]])
    assert who.gone is None


def test_a_page_that_says_nothing_for_long_is_closed_and_its_seat_held_for_it() -> None:
    who = here(hold_s=10.0)
    outputs(who)
    now = 0.0
    while (due := who.next_timeout()) is not None and where(who) is Presence.HERE:
        now = due
        who.handle_timeout(now)
    assert now == pytest.approx(6.0, abs=0.5)
    assert ClosePage(1, "silent") in outputs(who)
    assert where(who) is Presence.AWAY
    who.receive(2, json.dumps(HELLO), now + 1)
    assert where(who) is Presence.HERE


def test_while_a_line_has_not_taken_a_frame_there_is_no_other_one_and_then_the_newest() -> None:
    who = here()
    outputs(who)
    who.offer(PICTURE, frame=0, seq=0, now=0.0)
    who.line_full(1)
    for frame in (1, 2):
        who.offer(PICTURE, frame=frame, seq=0, now=0.1)
    assert frames(outputs(who)) == 1
    who.line_free(1, 0.2)
    assert frames(outputs(who)) == 1
    who.line_free(1, 0.2)
    assert frames(outputs(who)) == 0


def test_a_change_of_keys_that_is_told_again_counts_once_and_what_is_lost_is_told_with_the_next() -> None:
    who = here()
    who.connected(1, "datachannel")
    who.receive(1, json.dumps(HELLO), 0.0)
    outputs(who)
    say(who, "keys", held=["Space"], changes=[[2, 5.0, "Space"]])
    say(who, "keys", held=[], changes=[[1, 1.0, "ArrowUp"], [2, 5.0, "Space"], [3, 6.0, None]])
    say(who, "keys", held=[], changes=[[2, 5.0, "Space"], [3, 6.0, None]])
    assert who.sample().held == ("Space",)
    assert who.keys.events == 1
    heard = [one for one in told(who) if one["t"] == "heard"]
    assert [one["seq"] for one in heard] == [2, 3, 3]


_message = st.one_of(
    st.builds(lambda: json.dumps(HELLO)),
    st.builds(
        lambda seq, held, pressed: json.dumps(
            {"t": "keys", "held": held, "changes": [[seq + n, 1.0, c] for n, c in enumerate(pressed)]}
        ),
        st.integers(0, 6),
        st.lists(st.sampled_from([*KEYS, "KeyQ"]), max_size=4),
        st.lists(st.sampled_from([*KEYS, "KeyQ", None]), min_size=1, max_size=4),
    ),
    st.builds(lambda n: json.dumps({"t": "ack", "n": n, "shown": [[n, 5.0], [n, 6.0]]}), st.integers(0, 5)),
    st.builds(lambda focused: json.dumps({"t": "focus", "focused": focused}), st.booleans()),
    st.builds(lambda n: json.dumps({"t": "pong", "id": n, "received": 3.0, "sent": 2.0}), st.integers(0, 5)),
    st.sampled_from(["garbage", None]),
)


@given(st.lists(st.tuples(st.integers(1, 3), _message, st.floats(0, 20)), max_size=40))
def test_whatever_pages_do_keys_are_known_ones_and_nothing_goes_to_a_page_that_is_not_the_newest(
    steps: list[tuple[int, str | None, float]],
) -> None:
    who, now, newest = person(), 0.0, None
    for page, message, later in steps:
        now += later
        gone = who.gone
        if message is None:
            who.disconnected(page, now)
            newest = None if page == newest else newest
        else:
            who.receive(page, message, now)
            if '"hello"' in message and gone is None:
                newest = page
        who.handle_timeout(now)
        who.offer(PICTURE, frame=0, seq=0, now=0.0)
        for output in outputs(who):
            if isinstance(output, SendToPage | SendFrame):
                assert output.connection == newest
        assert set(who.sample().held) <= set(KEYS)
        due = who.next_timeout()
        assert due is None or due > now
        assert gone is None or who.gone == gone
    focus_loss(who.measures.record, UNIX_MS + now * 1e3)
    human_document(who.measures.record)
