from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gym_p2p.core.api.rooms import MatchSignal, PeerLeft, RoomStatus
from gym_p2p.net.client.events import EventStream, LineChanged


def signal(number: int) -> MatchSignal:
    return MatchSignal(type="offer", from_player_id=number, game_id="m")


def test_events_come_to_the_listener_of_their_kind_in_their_order() -> None:
    events, signals, lines = EventStream(), list[Any](), list[Any]()
    events.listen(MatchSignal, signals.append)
    events.listen(LineChanged, lines.append)
    for event in (signal(1), LineChanged(up=False), signal(2)):
        events.put(event)
    assert signals == [signal(1), signal(2)]
    assert lines == [LineChanged(up=False)]


def test_what_the_match_needs_is_kept_for_its_first_listener_and_the_rest_is_not() -> None:
    events, heard = EventStream(), list[Any]()
    for event in (signal(1), RoomStatus(room="r", seats_free=()), signal(2), LineChanged(up=True)):
        events.put(event)
    for kind in (MatchSignal, RoomStatus, LineChanged):
        events.listen(kind, heard.append)
    assert heard == [signal(1), signal(2)]
    events.listen(MatchSignal, lambda late: pytest.fail(f"{late} came twice"))


def test_of_what_is_kept_the_oldest_goes() -> None:
    events, heard = EventStream(), list[MatchSignal]()
    for number in range(300):
        events.put(signal(number))
    events.listen(MatchSignal, heard.append)
    assert [kept.from_player_id for kept in heard] == list(range(44, 300))


def test_a_listener_takes_the_place_of_the_one_before_who_can_then_end_nothing() -> None:
    events, first, second = EventStream(), list[Any](), list[Any]()
    before, after = first.append, second.append
    events.listen(RoomStatus, before)
    events.listen(RoomStatus, after)
    events.ignore(RoomStatus, before)
    events.put(RoomStatus(room="r", seats_free=()))
    events.ignore(RoomStatus, after)
    events.ignore(RoomStatus, after)
    events.put(RoomStatus(room="r", seats_free=(1,)))
    assert (first, second) == ([], [RoomStatus(room="r", seats_free=())])


def test_a_listener_that_raises_is_logged_and_goes_on_listening(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_left: PeerLeft) -> None:
        raise ZeroDivisionError

    events = EventStream()
    listener: Callable[[PeerLeft], None] = broken
    left = PeerLeft(match_id="m", player_id=1, reason="left")
    events.put(left)
    events.listen(PeerLeft, listener)
    events.put(left)
    assert [record.message for record in caplog.records] == ["on PeerLeft", "on PeerLeft"]
    assert "ZeroDivisionError" in caplog.text
