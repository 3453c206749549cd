from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.core.spectating.broadcaster import SIGN_OF_LIFE_S
from gym_p2p.core.spectating.messages import (
    FEED_VERSION,
    Acknowledge,
    EpisodeOver,
    EpisodeShown,
    Farewell,
    FrameDigest,
    FramesShown,
    Subscribe,
    Welcome,
    decode_feed,
    encode_feed,
)
from gym_p2p.core.spectating.subscriber import DOUBTED_S, Broken, SendToPlayer, Subscriber, Welcomed
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.fragments import split
from tests.core.examples import examples
from tests.core.spectating.parties import SEATS, begun, frame


def test_a_player_who_falls_silent_is_given_up() -> None:
    follower = Subscriber(SEATS)
    follower.opened(0.0)
    assert isinstance(follower.poll(), SendToPlayer)
    follower.receive(encode_feed(Welcome(FEED_VERSION, JsonObject({}))), 1.0)
    for now in (2.0, 4.0, 6.0, 8.0, 10.0, 11.0):
        follower.handle_timeout(now)
    outputs = list(iter(follower.poll, None))
    assert outputs[-1] == Broken("silent")
    assert follower.next_timeout() is None


def test_a_player_whom_the_service_has_lost_is_given_up_sooner() -> None:
    follower = Subscriber(SEATS)
    follower.opened(0.0)
    follower.doubt(0.0)
    follower.handle_timeout(DOUBTED_S)
    assert Broken("silent") in list(iter(follower.poll, None))
    assert DOUBTED_S > SIGN_OF_LIFE_S


MALICE: list[Callable[[], bytes]] = [
    lambda: encode_feed(FramesShown(1, 5, 9, (frame(0).by_seat,))),
    lambda: encode_feed(FramesShown(1, 0, 9, ((b"one seat",),))),
    lambda: encode_feed(FramesShown(2, 0, 9, (frame(0).by_seat,))),
    lambda: encode_feed(EpisodeOver(1, 3, completed=True)),
    lambda: encode_feed(begun(1, seed=8)),
    lambda: encode_feed(begun(0)),
    lambda: encode_feed(Subscribe(FEED_VERSION, 0, 0)),
    lambda: b"\x06\x01\x05\x09pieces",
    lambda: b"\x95\x44\x01\x00\x01\x92\xc5\xff\xff\x03",
]


@pytest.mark.parametrize("malice", MALICE)
def test_a_player_who_tells_another_story_is_given_up(malice: Callable[[], bytes]) -> None:
    follower = Subscriber(SEATS)
    follower.opened(0.0)
    follower.receive(encode_feed(Welcome(FEED_VERSION, JsonObject({}))), 0.0)
    follower.receive(encode_feed(begun(1)), 0.0)
    follower.receive(malice(), 0.0)
    outputs = list(iter(follower.poll, None))
    assert isinstance(outputs[-1], Broken)
    follower.receive(encode_feed(FramesShown(1, 0, 1, (frame(0).by_seat,))), 0.0)
    assert follower.poll() is None  # nothing more is taken in


@given(st.lists(st.binary(max_size=60), max_size=20))
@settings(max_examples=examples(200))
def test_whatever_a_player_says_a_follower_survives_it(said: list[bytes]) -> None:
    follower = Subscriber(SEATS)
    follower.opened(0.0)
    for data in said:
        follower.receive(data, 0.0)
    list(iter(follower.poll, None))
    follower.opened(1.0)
    assert isinstance(follower.poll(), SendToPlayer)


def welcomed(now: float = 0.0) -> Subscriber:
    follower = Subscriber(SEATS)
    follower.opened(now)
    follower.receive(encode_feed(Welcome(FEED_VERSION, JsonObject({"must": {}}))), now)
    return follower


def events(follower: Subscriber) -> list[Any]:
    return [output for output in iter(follower.poll, None) if not isinstance(output, SendToPlayer)]


def sent(follower: Subscriber) -> list[Any]:
    return [decode_feed(o.data) for o in iter(follower.poll, None) if isinstance(o, SendToPlayer)]


def test_every_message_is_acknowledged_and_a_long_one_once() -> None:
    follower = welcomed()
    follower.receive(encode_feed(begun(1)), 0.0)
    long = encode_feed(FramesShown(1, 0, 1, ((bytes(3000), b""),)))
    for piece in split(long, 2):
        follower.receive(piece, 0.0)
    assert sent(follower) == [Subscribe(FEED_VERSION, 0, 0), Acknowledge(1), Acknowledge(2), Acknowledge(3)]
    assert follower.place == (1, 1)


def test_after_a_lost_link_it_goes_on_from_where_it_stands() -> None:
    follower = welcomed()
    follower.receive(encode_feed(begun(3)), 0.0)
    follower.receive(encode_feed(FramesShown(3, 0, 1, (frame(0).by_seat,))), 0.0)
    follower.closed()
    assert follower.next_timeout() is None
    sent(follower)
    follower.opened(5.0)
    assert sent(follower) == [Subscribe(FEED_VERSION, 3, 1)]
    follower.receive(encode_feed(Welcome(FEED_VERSION, JsonObject({}))), 5.0)
    follower.receive(encode_feed(begun(3)), 5.0)
    follower.receive(encode_feed(FramesShown(3, 1, 2, (frame(1).by_seat,))), 5.0)
    assert events(follower) == [Welcomed({}), FramesShown(3, 1, 2, (frame(1).by_seat,))]


def test_after_the_end_of_an_episode_it_wants_the_next_one() -> None:
    follower = welcomed()
    follower.receive(encode_feed(begun(3)), 0.0)
    follower.receive(encode_feed(EpisodeOver(3, 0, completed=True)), 0.0)
    follower.opened(1.0)
    assert sent(follower)[-1] == Subscribe(FEED_VERSION, 4, 0)


def test_an_episode_whose_end_was_not_shown_ends_where_the_next_one_begins() -> None:
    follower = welcomed()
    follower.receive(encode_feed(begun(1)), 0.0)
    follower.receive(encode_feed(begun(2)), 0.0)
    assert events(follower)[1:] == [begun(1), EpisodeOver(1, 0, completed=False), begun(2)]


def test_a_sign_of_life_brings_how_many_frames_there_are() -> None:
    follower = welcomed()
    follower.receive(encode_feed(begun(1)), 0.0)
    follower.receive(encode_feed(FramesShown(1, 0, 9, ())), 0.0)
    follower.receive(encode_feed(FramesShown(0, 0, 0, ())), 0.0)
    assert events(follower)[-1] == FramesShown(1, 0, 9, ())


@pytest.mark.parametrize("version", [1, FEED_VERSION + 1])
def test_a_player_of_another_version_is_given_up_with_both_versions(version: int) -> None:
    follower = Subscriber(SEATS)
    follower.opened(0.0)
    follower.receive(bytes([0x42, version]) + b'{"any":"thing"}', 0.0)
    reason = f"the player's version is {version}, the spectator's {FEED_VERSION}"
    assert events(follower) == [Broken(reason)]


STORY = [
    encode_feed(message)
    for message in (
        begun(1),
        FramesShown(1, 0, 2, (frame(0).by_seat, frame(1).by_seat)),
        FrameDigest(1, 1, b"digest"),
        EpisodeOver(1, 2, completed=True),
        begun(2),
        Farewell("normal"),
    )
]


@given(st.integers(0, len(STORY) - 1), st.data())
@settings(max_examples=examples(300))
def test_a_story_with_one_byte_changed_is_followed_or_given_up(index: int, data: st.DataObject) -> None:
    follower = welcomed()
    changed = bytearray(STORY[index])
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    for number, message in enumerate(STORY):
        follower.receive(bytes(changed) if number == index else message, 0.0)
    found = events(follower)
    assert isinstance(found[0], Welcomed)
    assert all(
        isinstance(e, EpisodeShown | FramesShown | FrameDigest | EpisodeOver | Farewell) for e in found[1:-1]
    )
