from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from gym_p2p.core.api.replies import Notify
from gym_p2p.core.matchmaking.planner import Planner
from gym_p2p.core.matchmaking.strategy import FIFOMatchmaker, MatchCandidate, Matchmaker, QueuedCandidate
from tests.core.matchmaking.planner_lab import Queue, records


class Faulty(Matchmaker):
    def __init__(self, answer: object) -> None:
        super().__init__()
        self._answer = answer

    def find_match(
        self,
        arriving: MatchCandidate,
        waiting: list[MatchCandidate],
        group_size: int,  # noqa: ARG002 - part of the interface
    ) -> list[MatchCandidate] | None:
        waiting.clear()  # forbidden, and harmless
        if isinstance(self._answer, Exception):
            raise self._answer
        return [MatchCandidate(name) if name != "me" else arriving for name in self._answer]  # type: ignore[attr-defined]  # a list, for every other answer


@pytest.mark.parametrize("answer", [ValueError("no"), ["me"], ["me", "a"], ["x", "me"], ["me", "me"]])
def test_a_faulty_matchmaker_is_reported_and_locks_nobody(answer: object) -> None:
    queue = Queue(Faulty(answer))
    queue.join("a", "b")
    assert not queue.matches
    assert records(queue, "considered")[-1]["fault"]
    queue.run_until(60.0)
    assert len(queue.all(Notify)) == 2


class Vague(FIFOMatchmaker):
    """Answers what is no number."""

    def __init__(self, answer: object) -> None:
        super().__init__(100.0)
        self._answer = answer

    def threshold_ms(self, wait_a_s: float, wait_b_s: float) -> float | None:  # noqa: ARG002 - the interface
        return self._answer  # type: ignore[return-value]  # what this test is about

    def next_chance_s(self, arriving: QueuedCandidate, waiting: Sequence[QueuedCandidate]) -> float | None:  # noqa: ARG002  # the interface
        return self._answer  # type: ignore[return-value]  # what this test is about


@pytest.mark.parametrize("answer", ["soon", math.nan, math.inf, -1.0, []])
def test_a_matchmaker_whose_numbers_are_none_stops_nobody(answer: object) -> None:
    queue = Queue(Vague(answer))
    queue.join("a")
    queue.run_until(5.0)
    assert [row.threshold_ms for row in queue.planner.table(5.0)] == [None]
    queue.join("b", now=5.0)
    queue.answer(20.0, 5.5)
    assert queue.matches == [("a", "b")]


def test_a_matchmaker_of_the_wrong_type_is_a_type_error_at_once() -> None:
    with pytest.raises(TypeError):
        Planner(FIFOMatchmaker)  # type: ignore[arg-type]  # what this test is about


class Broken(FIFOMatchmaker):
    """Raises where a measured round trip is judged."""

    def rejects_pair(self, measured_rtt_ms: float | None, wait_a_s: float, wait_b_s: float) -> bool:  # noqa: ARG002 - the interface
        raise ArithmeticError


def test_a_matchmaker_that_raises_over_a_measured_pair_lets_nobody_play_by_mistake() -> None:
    queue = Queue(Broken(100.0))
    queue.join("a", "b")
    queue.answer(20.0, 1.0)
    assert not queue.matches
    assert [record["verdict"] for record in records(queue, "probed")] == ["rejected"]


def test_two_who_want_the_same_seat_are_not_in_one_group_of_three() -> None:
    queue = Queue(FIFOMatchmaker(), group_size=3)
    queue.join("a", "b", take=1)
    queue.join("c")
    assert not queue.matches
    queue.join("d")
    assert queue.matches == [("c", "a", "d")]
