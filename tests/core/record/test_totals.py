from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.record.totals import Totals, numbers_in

SEATS = 3
NOBODY = (False,) * SEATS


def step(totals: Totals, **changed: Any) -> Totals:
    usual: dict[str, Any] = {
        "rewards": (1.0, 0.5, -1.0),
        "terminations": NOBODY,
        "truncations": NOBODY,
        "infos": ({"frame": totals.frames},) * SEATS,
    }
    return totals.after(**{**usual, **changed})


@given(st.lists(st.tuples(*[st.floats(allow_nan=False)] * SEATS), max_size=20))
def test_returns_are_the_rewards_added_up_in_the_order_of_frames(rows: list[tuple[float, ...]]) -> None:
    totals = Totals.of(SEATS)
    for row in rows:
        totals = step(totals, rewards=row)
    for seat in range(SEATS):
        *_, expected = accumulate((row[seat] for row in rows), initial=0.0)
        assert str(totals.returns[seat]) == str(expected)  # to the last bit, and inf - inf is itself
    assert totals.frames == len(rows)
    assert totals.lengths == (len(rows),) * SEATS


def test_a_seat_takes_part_from_its_agents_birth_up_to_its_end() -> None:
    totals = step(Totals.of(SEATS), unborn={2})
    totals = step(totals, terminations=(True, False, False))
    totals = step(totals, terminations=(True, False, False))
    assert (totals.frames, totals.lengths) == (3, (2, 3, 2))
    assert totals.ended_by == "terminated"
    assert [info["frame"] for info in totals.infos] == [1, 2, 2]


def test_an_episode_ended_as_those_did_who_ended_last() -> None:
    totals = step(Totals.of(SEATS), terminations=(True, False, False))
    totals = step(totals, terminations=(True, False, False), truncations=(False, True, True))
    assert totals.ended_by == "truncated"
    assert totals.over == (True, True, True)
    totals = step(Totals.of(SEATS), terminations=(True, True, False), truncations=(True, True, True))
    assert totals.ended_by == "terminated"


def test_before_the_first_frame_there_is_nothing() -> None:
    assert Totals.of(2) == (0, (0.0, 0.0), (0, 0), ({}, {}), (False, False), None)


def test_the_numbers_of_an_info_are_found_wherever_they_are() -> None:
    class Scalar:
        shape = ()

        def item(self) -> float:
            return 2.5

    info = {
        "score": 3,
        "won": True,
        "ratio": math.nan,
        "episode": {"r": 1.5, "l": 20, 7: {"deep": 0}},
        "scalar": Scalar(),
        "name": "x",
        "mask": [1, 0],
        "nothing": None,
    }
    assert numbers_in(info) == {
        "score": 3,
        "won": 1,
        "ratio": None,
        "episode.r": 1.5,
        "episode.l": 20,
        "episode.7.deep": 0,
        "scalar": 2.5,
    }


def test_an_info_that_contains_itself_has_an_end() -> None:
    info: dict[str, Any] = {"x": 1}
    info["self"] = info
    assert numbers_in(info)["self.self.x"] == 1
