"""A broadcast and its subscribers on virtual time: any lateness, any link lost, any nonsense sent."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.core.spectating.broadcaster import (
    BEAT_S,
    SILENT_S,
    STALLED_S,
    WINDOW_BYTES,
    Broadcaster,
    DisconnectSpectator,
    SendToSpectator,
)
from gym_p2p.core.spectating.log import BroadcastLog
from gym_p2p.core.spectating.messages import (
    FEED_VERSION,
    Acknowledge,
    EpisodeOver,
    EpisodeShown,
    Farewell,
    FrameDigest,
    FramesShown,
    Standing,
    Subscribe,
    encode_feed,
)
from gym_p2p.core.spectating.subscriber import MAX_BACKLOG_FRAMES, Broken, Subscriber, Welcomed
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES
from tests.core.examples import examples
from tests.core.spectating.parties import DESCRIPTION, SEATS, Party, begun, frame


def test_a_spectator_of_the_first_hour_sees_everything_in_order() -> None:
    party = Party()
    party.join("s")
    party.show(begun(1))
    for number in range(100):
        party.show(frame(number))
        party.run(1 / 60)
    party.show(FrameDigest(1, 59, b"d"), EpisodeOver(1, 100, completed=True))
    party.run(1.0)
    assert party.frames("s", 1) == [frame(number).by_seat for number in range(100)]
    assert party.kinds("s") == [Welcomed, EpisodeShown, FrameDigest, EpisodeOver]
    assert party.seen["s"][0] == Welcomed(DESCRIPTION)
    assert not party.feed.owes


@pytest.mark.slow
def test_one_who_comes_late_gets_the_past_many_times_faster_than_it_was_played() -> None:
    party = Party()
    party.show(begun(1), *(frame(number) for number in range(36_000)))  # ten minutes at 60 fps
    party.join("s")
    party.run(2.0)
    assert len(party.frames("s", 1)) == 36_000
    assert party.frames("s", 1)[-1] == frame(35_999).by_seat


@pytest.mark.slow
def test_the_past_is_sent_in_beats_that_leave_room_for_the_match() -> None:
    party = Party()
    party.show(begun(1), *(frame(number) for number in range(100_000)))
    party.join("s")
    party.join("t")
    party.run(BEAT_S)
    before = party.sent_bytes
    party.run(10 * BEAT_S)
    assert 0 < party.sent_bytes - before <= 11 * (16 * 1024 + 2 * MAX_MESSAGE_BYTES)
    counts = sorted(len(party.frames(name, 1)) for name in "st")
    assert counts[0] > counts[1] / 3  # nobody is served to the other's cost


def test_a_late_comer_begins_with_the_running_episode_and_not_with_those_before() -> None:
    party = Party()
    party.show(begun(1), frame(0), EpisodeOver(1, 1, completed=True), begun(2), frame(5))
    party.join("s")
    party.run(1.0)
    assert party.frames("s", 1) == []
    assert party.frames("s", 2) == [frame(5).by_seat]


def test_between_two_episodes_one_waits_for_the_next() -> None:
    party = Party()
    party.show(begun(1), frame(0), EpisodeOver(1, 1, completed=True))
    party.join("s")
    party.run(1.0)
    assert party.kinds("s") == [Welcomed]
    party.show(begun(2), frame(1))
    party.run(1.0)
    assert party.kinds("s") == [Welcomed, EpisodeShown]


def test_one_who_is_behind_sees_the_end_of_their_episode_while_the_next_one_runs() -> None:
    party = Party()
    party.show(begun(1), *(frame(number) for number in range(5000)))
    party.join("s")
    party.run(BEAT_S / 2)
    assert len(party.frames("s", 1)) < 5000
    party.show(EpisodeOver(1, 5000, completed=True), begun(2), frame(9))
    party.run(3.0)
    assert len(party.frames("s", 1)) == 5000
    assert party.frames("s", 2) == [frame(9).by_seat]
    assert party.kinds("s") == [Welcomed, EpisodeShown, EpisodeOver, EpisodeShown]


def test_frames_larger_than_a_message_arrive_whole() -> None:
    party = Party()
    party.join("s")
    party.show(begun(1), *(frame(number, size=1000) for number in range(5)))
    party.run(1.0)
    assert party.frames("s", 1) == [frame(number, size=1000).by_seat for number in range(5)]


@pytest.mark.slow
def test_a_reader_who_takes_nothing_is_sent_no_more_than_a_window_and_is_dropped() -> None:
    party = Party()
    party.join("s")
    party.join("well")
    party.deaf.add("s")
    party.show(begun(1), *(frame(number) for number in range(50_000)))
    to_well = 50_000 * 10
    party.run(SILENT_S / 2)
    assert len(party.frames("well", 1)) == 50_000
    assert party.sent_bytes < to_well + WINDOW_BYTES + 20_000
    party.run(SILENT_S)
    assert party.dropped == {"s": "silent"}


def test_one_who_lives_but_takes_nothing_is_dropped_later() -> None:
    party = Party()
    follower = party.join("s")
    party.show(begun(1), *(frame(number) for number in range(1000)))
    party.deaf.add("s")
    acknowledged = Acknowledge(2)
    for _ in range(40):
        party.run(1.0)
        if "s" in party.dropped:
            break
        party.feed.receive("s", encode_feed(acknowledged), party.now)
    assert party.dropped == {"s": "takes nothing"}
    assert follower.frame == 0
    assert party.now >= 100.0 + STALLED_S


@pytest.mark.slow
def test_a_spectator_whose_user_does_nothing_takes_no_more_than_a_backlog() -> None:
    party = Party()
    follower = party.join("s")
    party.show(begun(1), *(frame(number) for number in range(3 * MAX_BACKLOG_FRAMES)))
    party.run(8.0)
    assert MAX_BACKLOG_FRAMES < follower.frame < 2 * MAX_BACKLOG_FRAMES
    for _ in range(30):
        follower.shown(follower.frame, party.now)
        party.pump()
        party.run(1.0)
    assert follower.frame == 3 * MAX_BACKLOG_FRAMES


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\x40",
        encode_feed(Acknowledge(10_000)),
        encode_feed(Farewell("no")),
        encode_feed(Subscribe(FEED_VERSION + 1, 0, 0)),
        encode_feed(Subscribe(FEED_VERSION, 0, 0)),
        b"\x41" + b"\x80" * 20,
    ],
)
def test_a_spectator_who_talks_nonsense_is_dropped_and_the_others_go_on(data: bytes) -> None:
    party = Party()
    party.join("s")
    party.join("well")
    party.show(begun(1), frame(0))
    party.feed.receive("s", data, party.now)
    party.pump()
    party.show(frame(1))
    party.run(1.0)
    assert list(party.dropped) == ["s"]
    assert len(party.frames("well", 1)) == 2


@given(st.lists(st.binary(max_size=40), max_size=20))
@settings(max_examples=examples(200))
def test_whatever_a_spectator_says_the_feed_goes_on(said: list[bytes]) -> None:
    party = Party()
    party.join("well")
    party.show(begun(1), frame(0))
    party.feed.opened("bad", party.now)
    for data in said:
        party.feed.receive("bad", data, party.now)
    party.pump()
    party.show(frame(1))
    party.run(1.0)
    assert len(party.frames("well", 1)) == 2


@given(st.data())
@settings(max_examples=examples(150), deadline=None)
def test_over_any_change_of_players_every_frame_comes_once_and_in_order(data: st.DataObject) -> None:
    """Two players show the same match, each as far as it is final there; the links break at any time."""
    lengths = data.draw(st.lists(st.integers(0, 400), min_size=1, max_size=4), label="episodes")
    story: list[Any] = []
    for episode, length in enumerate(lengths, 1):
        story.append(begun(episode))
        for number in range(length):
            story.append(frame(number))
            if number % 30 == 29:
                story.append(FrameDigest(episode, number, bytes([number % 251])))
        story.append(EpisodeOver(episode, length, completed=bool(episode % 2)))
    players = [Party(), Party()]
    told = [deque(story), deque(story)]
    follower, seen, now = Subscriber(SEATS), list[Any](), 100.0
    at = 0
    for party in players:
        party.seen["s"] = seen
    steps = data.draw(st.lists(st.tuples(st.sampled_from("abls"), st.integers(1, 200)), max_size=25))
    for what, amount in [*steps, ("a", 10_000), ("b", 10_000)]:
        party = players[at]
        if what in "ab":
            player = "ab".index(what)
            for _ in range(min(amount, len(told[player]))):
                players[player].feed.show(told[player].popleft())
        elif what == "l":
            if "s" in party.followers:
                party.leave("s")
            at = amount % 2
        elif "s" not in party.followers:
            players[at].join("s", follower)
        now += 0.01 * min(amount, 20)
        for one in players:
            one.pump()
            one.run(max(0.0, now - one.now))
    party = players[at]
    if "s" not in party.followers:
        party.join("s", follower)
    party.run(5.0)
    _assert_one_story(seen, lengths)
    assert not any(player.dropped for player in players)


def _assert_one_story(seen: list[Any], lengths: list[int]) -> None:
    begins = [event.episode for event in seen if isinstance(event, EpisodeShown)]
    assert begins == sorted(set(begins))
    for event in seen:
        assert not isinstance(event, Broken), event
    for episode in begins:
        shown = [e for e in seen if isinstance(e, FramesShown) and e.episode == episode and e.frames]
        frames = [by_seat for event in shown for by_seat in event.frames]
        assert frames == [frame(number).by_seat for number in range(len(frames))]
        ends = [e for e in seen if isinstance(e, EpisodeOver) and e.episode == episode]
        assert len(ends) == 1
        if len(frames) == lengths[episode - 1]:
            continue
        assert not ends[0].completed  # it could not be shown to its end by the one who was followed last


@pytest.mark.slow
def test_what_is_too_much_to_keep_is_forgotten_and_late_comers_wait_for_the_next_episode() -> None:
    party = Party(Broadcaster(DESCRIPTION, BroadcastLog(max_bytes=100_000)))
    party.join("early")
    party.show(begun(1))
    for number in range(5000):
        party.show(frame(number))
        party.run(0.01)
    party.join("late")
    party.run(1.0)
    assert len(party.frames("early", 1)) == 5000
    assert party.kinds("late") == [Welcomed]
    party.show(EpisodeOver(1, 5000, completed=True), begun(2), frame(0))
    party.run(1.0)
    assert party.frames("late", 2) == [frame(0).by_seat]


def test_a_farewell_is_told() -> None:
    party = Party()
    party.join("s")
    party.feed.farewell("normal", party.now)
    party.pump()
    assert party.seen["s"][-1] == Farewell("normal")


def test_requests_name_their_spectator() -> None:
    feed = Broadcaster(DESCRIPTION)
    feed.opened("s", 0.0)
    request = feed.poll()
    assert isinstance(request, SendToSpectator)
    assert request.spectator == "s"


@pytest.mark.parametrize("version", [1, FEED_VERSION + 1])
def test_a_spectator_of_another_version_is_dropped_with_both_versions(version: int) -> None:
    party = Party()
    party.feed.opened("s", party.now)
    party.feed.receive("s", bytes([0x40, version, 0, 0]), party.now)
    requests = list(iter(party.feed.poll, None))
    reason = f"the spectator's version is {version}, the player's {FEED_VERSION}"
    assert requests[-1] == DisconnectSpectator("s", reason)


STANDS = Standing(((("right",), "silent", 600, 10_000),))
GOES_ON = Standing(())


def standings(party: Party, name: str) -> list[Standing]:
    return [one for one in party.seen[name] if isinstance(one, Standing)]


def test_for_whom_the_match_stands_is_shown_at_once_and_to_who_comes_meanwhile() -> None:
    party = Party()
    party.join("s")
    party.show(begun(1), frame(0), STANDS)
    party.run(2 * BEAT_S)
    assert standings(party, "s") == [STANDS]
    party.join("t")
    party.run(2 * BEAT_S)
    assert standings(party, "t") == [STANDS]
    party.show(GOES_ON, frame(1))
    party.run(2 * BEAT_S)
    assert standings(party, "s") == standings(party, "t") == [STANDS, GOES_ON]
    assert len(party.frames("t", 1)) == 2


def test_who_comes_while_the_match_goes_on_is_told_of_no_pause() -> None:
    party = Party()
    party.show(begun(1), STANDS, GOES_ON, frame(0))
    party.join("s")
    party.run(2 * BEAT_S)
    assert standings(party, "s") == []


def test_a_match_that_stands_again_and_again_fills_no_queue_of_who_takes_nothing() -> None:
    party = Party()
    party.join("s")
    party.show(begun(1))
    party.run(2 * BEAT_S)
    party.deaf.add("s")
    for number in range(20_000):
        party.show(STANDS if number % 2 else GOES_ON)
        party.feed.handle_timeout(party.now)
        party.now += 0.0001
        party.pump()
    (spectator,) = party.feed._spectators.values()
    assert spectator.on_the_way_bytes <= WINDOW_BYTES + MAX_MESSAGE_BYTES
    assert not party.feed._outputs
