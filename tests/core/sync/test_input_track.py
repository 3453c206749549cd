from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.match.input_buffers import NEVER
from gym_p2p.core.sync.input_track import InputTrack, Misprediction
from gym_p2p.core.sync.prediction import repeat_last


def track() -> InputTrack:
    return InputTrack(player=1, default=b"-", predictor=repeat_last)


def test_what_is_not_known_is_guessed_and_the_guess_stands() -> None:
    one = track()
    assert one.at(0) == b"-"
    one.add(b"a")
    assert one.wrong == [Misprediction(0, 1, b"-", b"a")]
    assert [one.at(1), one.at(2)] == [b"a", b"a"]
    one.learn(1, [b"a", b"b"])
    assert one.wrong[1:] == [Misprediction(2, 1, b"a", b"b")]
    assert one.known(0, 3) == [b"a", b"a", b"b"]


def test_repeated_inputs_are_skipped_and_a_gap_is_not_taken() -> None:
    one = track()
    one.learn(0, [b"a", b"b"])
    one.learn(0, [b"x", b"y", b"c"])
    one.learn(5, [b"z"])
    assert one.count == 3
    assert one.newest == b"c"
    assert one.known(0, 3) == [b"a", b"b", b"c"]


def test_a_rewind_takes_guesses_back_and_keeps_what_is_known() -> None:
    one = track()
    for frame in range(4):
        one.at(frame)
    one.learn(0, [b"a", b"b"])
    one.rewind(0)
    assert one.wrong == []
    assert [one.at(frame) for frame in range(4)] == [b"a", b"b", b"b", b"b"]


def test_after_the_last_input_every_frame_has_the_default() -> None:
    one = track()
    one.learn(0, [b"a"])
    for frame in range(4):
        one.at(frame)
    one.end(2)
    assert not one.wrong
    one.add(b"b")
    assert one.wrong == [Misprediction(n, 1, b"a", b) for n, b in ((1, b"b"), (2, b"-"), (3, b"-"))]
    assert one.count == NEVER
    assert [one.ended_by(frame) for frame in (0, 1, 2, 99)] == [False, False, True, True]
    one.add(b"late")
    assert one.at(4) == b"-"


def test_the_end_can_be_corrected_until_it_is_reached() -> None:
    one = track()
    one.end(5)
    one.learn(0, [b"a"])
    one.end(1)
    assert one.count == NEVER
    one.end(7)
    assert one.ended_by(1)


def test_an_end_below_what_is_known_is_where_the_known_inputs_end() -> None:
    one = track()
    one.learn(0, [b"a", b"b"])
    one.end(0)
    assert [one.at(frame) for frame in range(3)] == [b"a", b"b", b"-"]


def test_what_was_played_for_good_is_forgotten() -> None:
    one = track()
    one.learn(0, [b"a", b"b", b"c"])
    one.forget(2)
    assert one.known(2, 3) == [b"c"]
    assert (one.at(2), one.at(3)) == (b"c", b"c")


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=1)), max_size=40))
def test_known_inputs_and_wrong_guesses_are_exactly_what_was_given(steps: list[tuple[bool, bytes]]) -> None:
    one = track()
    given_inputs: list[bytes] = []
    played: dict[int, bytes] = {}
    wrong: set[int] = set()
    for plays, data in steps:
        if plays:
            played[len(played)] = one.at(len(played))
            continue
        frame = len(given_inputs)
        given_inputs.append(data)
        one.add(data)
        if played.get(frame, data) != data:
            wrong.add(frame)
    assert {found.frame for found in one.wrong} == wrong
    assert one.known(0, len(given_inputs)) == given_inputs


def test_what_was_taken_is_not_there_to_be_forgotten_once_more() -> None:
    one = track()
    for data in (b"a", b"b", b"c"):
        one.add(data)
    assert [one.take(0), one.take(1)] == [b"a", b"b"]
    one.forget(0)  # as for a state that is kept
    one.add(b"d")
    assert [one.take(2), one.take(3)] == [b"c", b"d"]
