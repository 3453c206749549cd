"""What the page can draw is what the environment rendered, whatever is lost, late or never acknowledged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.human.encoding import Picture, changed_rectangles, require_picture
from gym_p2p.human.frames import FrameStream
from tests.human.page_model import Page

SHAPE = (40, 50, 3)


def picture(*dots: tuple[int, int, int]) -> Picture:
    made = np.full(SHAPE, 7, np.uint8)
    for x, y, value in dots:
        made[y, x] = value
    return made


_dots = st.lists(st.tuples(st.integers(0, 49), st.integers(0, 39), st.integers(0, 255)), max_size=12)


@given(_dots, _dots)
def test_the_rectangles_hold_every_difference_and_nothing_twice(before: Any, now: Any) -> None:
    first, second = picture(*before), picture(*now)
    covered = np.zeros(SHAPE[:2], int)
    for x, y, w, h in changed_rectangles(first, second):
        covered[y : y + h, x : x + w] += 1
    assert covered.max() <= 1
    assert not ((first != second).any(axis=2) & (covered == 0)).any()


@settings(max_examples=150)
@given(st.lists(st.tuples(_dots, st.integers(0, 3), st.booleans()), min_size=1, max_size=25))
def test_every_frame_is_the_picture_that_was_offered_whatever_is_acknowledged_when(steps: Any) -> None:
    stream, page = FrameStream(), Page()
    pictures: list[Picture] = []
    unacknowledged: list[int] = []
    for number, (dots, acknowledge, large) in enumerate(steps):
        pictures.append(picture(*dots) if not large else np.full((41, 50, 3), number % 256, np.uint8))
        stream.offer(pictures[-1], frame=number, seq=number, now=0.0)
        sent = stream.next(0.0, rtt_s=0.05)
        if sent is not None:
            shown, drawn, frame, seq = page.decode(sent.data)
            assert np.array_equal(drawn, pictures[number])
            assert (frame, seq, sent.seq) == (number, number, number)
            unacknowledged.append(shown)
        for _ in range(min(acknowledge, len(unacknowledged))):
            assert stream.acknowledge(unacknowledged.pop(0))


def test_of_pictures_that_wait_the_newest_alone_goes() -> None:
    stream, page = FrameStream(), Page()
    for frame in range(10):
        stream.offer(picture((frame, 1, 255)), frame=frame, seq=0, now=0.0)
        while (sent := stream.next(0.0)) is not None:
            last = page.decode(sent.data)
    assert last[2] == 1  # two are under way, none acknowledged
    assert stream.acknowledge(last[0])
    sent = stream.next(0.0)
    assert sent is not None
    assert page.decode(sent.data)[2] == 9
    assert stream.next(0.0) is None
    assert (stream.sent, stream.skipped) == (3, 7)


def test_a_long_path_has_more_under_way_and_never_more_than_a_bound() -> None:
    counts = []
    for rtt_s in (0.0, 0.05, 10.0):
        stream = FrameStream()
        for frame in range(100):
            stream.offer(picture((frame % 50, 1, 255)), frame=frame, seq=0, now=0.0)
            stream.next(0.0, rtt_s=rtt_s, interval_s=1 / 60)
        counts.append(stream.sent)
    assert counts == [2, 5, 16]


def test_a_base_that_grows_old_makes_no_frame_larger_than_a_whole_picture() -> None:
    random = np.random.default_rng(1)
    pictures = [random.integers(0, 256, SHAPE, np.uint8) for _ in range(30)]
    whole = 0
    stream = FrameStream()
    stream.offer(pictures[0], frame=0, seq=0, now=0.0)
    first = stream.next(0.0)
    assert first is not None
    stream.acknowledge(first.number)
    for frame, one in enumerate(pictures):
        stream.offer(one, frame=frame, seq=0, now=0.0)
        sent = stream.next(0.0, rtt_s=10.0)
        whole = max(whole, len(sent.data) if sent is not None else 0)
    assert whole <= len(first.data) + 16


def test_frames_that_get_lost_are_not_waited_for_and_the_newest_is_sent_until_it_has_arrived() -> None:
    stream = FrameStream()
    stream.restart(lossy=True)
    for frame in range(3):
        stream.offer(picture((frame, 1, 9)), frame=frame, seq=0, now=0.0)
        sent = stream.next(0.0, rtt_s=0.0)
        assert (sent is None) is (frame == 2)  # two are under way
    due = stream.next_timeout()
    assert due is not None
    assert stream.next(due - 0.001, rtt_s=0.0) is None
    third = stream.next(due, rtt_s=0.0)
    assert third is not None
    assert third.frame == 2
    assert stream.next(due, rtt_s=0.0) is None
    later = stream.next_timeout()
    assert later is not None
    again = stream.next(later, rtt_s=0.0)
    assert again is not None
    assert (again.frame, again.number > third.number) == (2, True)
    assert stream.acknowledge(third.number)  # it was late, and not lost
    assert stream.acknowledge(again.number)
    assert stream.next(later + 10, rtt_s=0.0) is None
    assert stream.next_timeout() is None
    assert stream.skipped == 0


def test_on_a_line_that_loses_nothing_no_frame_is_sent_twice_and_none_is_given_up() -> None:
    stream = FrameStream()
    for frame in range(3):
        stream.offer(picture((frame, 1, 9)), frame=frame, seq=0, now=0.0)
        stream.next(0.0)
    assert stream.next(1e6) is None
    assert stream.next_timeout() is None


def test_of_pictures_that_change_all_over_the_page_keeps_few() -> None:
    stream, page = FrameStream(), Page()
    for frame in range(50):
        stream.offer(np.full(SHAPE, frame, np.uint8), frame=frame, seq=0, now=0.0)
        sent = stream.next(0.0)
        assert sent is not None
        stream.acknowledge(page.decode(sent.data)[0])
        assert len(page.kept) <= 2


def test_an_acknowledgement_of_what_was_never_sent_changes_nothing() -> None:
    stream = FrameStream()
    stream.offer(picture(), frame=0, seq=0, now=0.0)
    assert stream.next(0.0) is not None
    for number in (0, 2, 2**40):
        assert not stream.acknowledge(number)


def test_a_page_that_opens_anew_gets_the_newest_picture_whole() -> None:
    stream = FrameStream()
    stream.offer(picture((1, 1, 9)), frame=4, seq=0, now=0.0)
    first = stream.next(0.0)
    assert first is not None
    stream.acknowledge(first.number)
    stream.restart()
    again = stream.next(0.0)
    assert again is not None
    assert np.array_equal(Page().decode(again.data)[1], picture((1, 1, 9)))


def test_pictures_are_copied_for_an_environment_may_draw_into_one_again() -> None:
    canvas = np.zeros(SHAPE, np.uint8)
    taken = require_picture(canvas)
    canvas[:] = 255
    assert not taken.any()


@pytest.mark.parametrize("wrong", [None, "text", np.zeros((3, 3, 3)), np.zeros((0, 3, 3), np.uint8), [1, 2]])
def test_what_is_no_picture_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="wanted"):
        require_picture(wrong)


def test_grey_and_transparent_pictures_become_three_colours() -> None:
    assert require_picture(np.zeros((4, 5), np.uint8)).shape == (4, 5, 3)
    assert require_picture(np.zeros((4, 5, 1), np.uint8)).shape == (4, 5, 3)
    assert require_picture(np.zeros((4, 5, 4), np.uint8)).shape == (4, 5, 3)


def test_a_picture_of_other_numbers_is_refused_with_which_they_are() -> None:
    with pytest.raises(ValueError, match=r"got ndarray \(4, 5, 3\) of float32"):
        require_picture(np.zeros((4, 5, 3), np.float32))
