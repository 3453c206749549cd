from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.matchmaking.commands import CancelProbe, LogDecision, ProposedMatch, RequestProbe
from gym_p2p.core.matchmaking.memory import Partners
from gym_p2p.core.matchmaking.planner import Planner
from gym_p2p.core.matchmaking.widening import WideningMatchmaker
from gym_p2p.core.probing.outcome import ProbeOutcome, Reason
from gym_p2p.plugins.mug.waiting_room import (
    ONE_OUT_S,
    SEATED_WITHIN_S,
    Arrival,
    RoomOutput,
    Seat,
    WaitingRoom,
)

CONFIG = MatchmakingConfig(give_up_after_s=None)


class Room:
    """A waiting room on virtual time, with a framework that does what it is told in the test."""

    def __init__(self, *, ask_hook: bool = False, initial_rtt_ms: float = 60.0) -> None:
        strategy = WideningMatchmaker(
            150.0, initial_rtt_ms=initial_rtt_ms, widen_ms_per_s=10.0, last_resort_rtt_ms=None
        )
        planner = Planner(strategy, name="scene", config=CONFIG, ask_hook=ask_hook)
        self.room = WaitingRoom("scene", planner, Partners())
        self.now = 50.0
        self.present: list[str] = []
        self.history: dict[str, tuple[str, ...]] = {}
        self.records: list[Mapping[str, Any]] = []

    def look(self, after_s: float = 0.1) -> list[RoomOutput]:
        self.now += after_s
        new = [one for one in self.present if not self.room.knows(one)]
        arrivals = {one: Arrival(one, 20.0, self.history.get(one, ())) for one in new}
        self.room.compare(self.present, arrivals, self.now)
        return self.outputs()

    def outputs(self) -> list[RoomOutput]:
        outputs: list[RoomOutput] = []
        while (output := self.room.poll()) is not None:
            if isinstance(output, LogDecision):
                self.records.append(output.record)
            else:
                outputs.append(output)
        return outputs

    def measured(self, request: RoomOutput, rtt_ms: float | None) -> list[RoomOutput]:
        assert isinstance(request, RequestProbe)
        reason = Reason.FAILED if rtt_ms is None else Reason.MEASURED
        outcome = ProbeOutcome(subjects=request.subjects, reason=reason, rtt_ms=rtt_ms)
        self.room.probe_ended(request, outcome, self.now)
        return self.outputs()

    def match(self, one: str, other: str) -> None:
        self.present = [one, other]
        [request] = self.look()
        assert self.measured(request, 20.0) == [Seat((one, other))]


def test_two_in_the_room_are_probed_and_then_seated() -> None:
    room = Room()
    room.present = ["ada"]
    assert room.look() == []
    room.present = ["ada", "bob"]
    [request] = room.look()
    assert room.measured(request, 30.0) == [Seat(("ada", "bob"))]
    assert room.room.partner_of("bob", ["ada"]) == "ada"
    assert room.room.partner_of("ada", ["bob"]) == "bob"
    outcome = room.room.outcome_of("bob", "ada")
    assert outcome is not None
    assert outcome.rtt_ms == 30.0
    assert [record["kind"] for record in room.records] == ["considered", "probed", "made"]
    room.present = []
    assert room.look() == []
    assert room.room.is_idle


def test_nobody_is_handed_over_before_the_match_is_made() -> None:
    room = Room()
    room.present = ["ada", "bob"]
    room.look()
    assert room.room.partner_of("bob", ["ada"]) is None
    assert room.room.outcome_of("ada", "bob") is None


def test_a_pair_that_is_too_far_plays_when_its_threshold_has_widened() -> None:
    room = Room()
    room.present = ["ada", "bob"]
    [request] = room.look()
    assert room.measured(request, 80.0) == []
    waited_s = 0.0
    while not (outputs := room.look()):
        waited_s += 0.1
        assert waited_s < 5
    [seat] = outputs  # without another probe
    assert isinstance(seat, Seat)
    assert set(seat.subjects) == {"ada", "bob"}
    assert waited_s == pytest.approx(2.0, abs=0.3)


def test_whoever_leaves_in_a_probe_ends_it() -> None:
    room = Room()
    room.present = ["ada", "bob"]
    [request] = room.look()
    room.present = ["ada"]
    [cancelled] = room.look()
    assert isinstance(cancelled, CancelProbe)
    assert cancelled.request == request
    room.present = ["ada", "cyd"]
    [again] = room.look()
    assert isinstance(again, RequestProbe)
    assert set(again.subjects) == {"ada", "cyd"}


def test_a_match_whose_one_is_gone_lets_the_other_back_to_their_place() -> None:
    room = Room()
    room.match("ada", "bob")
    room.present = ["ada"]
    assert room.look(0.1) == []
    assert room.room.partner_of("ada", ["bob"]) == "bob"  # the framework may be at it
    room.look(ONE_OUT_S)
    assert room.room.partner_of("ada", ["bob"]) is None
    assert room.records[-1]["reason"] == "gone:bob"
    assert room.room._planner.tickets["ada"].enqueued_at == pytest.approx(50.1)  # when they came
    room.present = ["ada", "cyd"]
    [request] = room.look()
    assert isinstance(request, RequestProbe)


def test_a_match_that_the_framework_does_not_seat_is_made_anew() -> None:
    room = Room()
    room.match("ada", "bob")
    assert room.look(SEATED_WITHIN_S - 0.2) == []
    assert room.look(0.3) == [Seat(("ada", "bob"))]  # it has been measured
    assert [record.get("reason") for record in room.records if record["kind"] == "rejected"] == ["not_seated"]


def test_former_partners_of_the_framework_and_of_ours_are_known() -> None:
    room = Room()
    room.match("ada", "bob")
    room.present = []
    room.look()
    room.history["cyd"] = ("ada",)
    room.present = ["ada", "cyd"]
    room.look()
    considered = room.records[-1]
    shown = {
        one["id"]: one["history"]["previous_partners"] for one in (considered["seed"], *considered["waiting"])
    }
    assert shown == {"ada": ["bob"], "cyd": ["ada"]}


def test_a_round_trip_that_cannot_be_one_is_unknown() -> None:
    room = Room()
    room.room.compare(["ada", "bob"], {one: Arrival(one, -5.0) for one in ("ada", "bob")}, 51.0)
    room.outputs()
    assert room.records[0]["seed"]["rtt_ms"] is None


def test_the_hook_is_asked_before_anybody_is_seated() -> None:
    room = Room(ask_hook=True)
    room.present = ["ada", "bob"]
    [request] = room.look()
    [proposed] = room.measured(request, 20.0)
    assert isinstance(proposed, ProposedMatch)
    assert room.room.partner_of("ada", ["bob"]) is None
    room.room.hook_decided(proposed, Verdict.ACCEPT, "hook", room.now)
    assert room.outputs() == [Seat(("ada", "bob"))]


@given(st.data())
def test_whatever_the_framework_does_nobody_is_in_two_probes_and_all_are_seated_in_the_end(
    data: st.DataObject,
) -> None:
    room, running = Room(), dict[int, RequestProbe]()
    names = ["ada", "bob", "cyd", "dan", "eve"]

    def take(outputs: list[RoomOutput]) -> None:
        for output in outputs:
            match output:
                case RequestProbe(probe_no=number, subjects=subjects):
                    engaged = [one for request in running.values() for one in request.subjects]
                    assert not set(subjects) & set(engaged)
                    running[number] = output
                case CancelProbe(request):
                    running.pop(request.probe_no, None)
                case Seat(subjects) if data.draw(st.booleans()):
                    room.present = [one for one in room.present if one not in subjects]

    for _ in range(data.draw(st.integers(0, 30))):
        step = data.draw(st.sampled_from(["come", "go", "measured", "look"]))
        if step == "come":
            coming = data.draw(st.sampled_from(names))
            room.present = [*[one for one in room.present if one != coming], coming]
        elif step == "go" and room.present:
            room.present.remove(data.draw(st.sampled_from(room.present)))
        elif step == "measured" and running:
            request = running.pop(data.draw(st.sampled_from(sorted(running))))
            take(room.measured(request, data.draw(st.sampled_from([None, 10.0, 100.0, 400.0]))))
        else:
            take(room.look(data.draw(st.sampled_from([0.1, 1.0, 6.0]))))
    room.present = []
    take(room.look())
    take(room.look())
    assert room.room.is_idle
    room.present = ["fay", "gil"]
    [last] = room.look()
    assert room.measured(last, 10.0) == [Seat(("fay", "gil"))]
