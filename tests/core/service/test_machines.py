"""What concerns more than one machine: places, probes of a queue, and those that raise."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.matches import MakeMatch
from gym_p2p.core.api.probes import ProbePrepare
from gym_p2p.core.api.queues import Verdict
from gym_p2p.core.api.replies import Accepted, Answer, Code, Emit, Refused
from gym_p2p.core.api.rooms import MatchFound, PeerLeft
from gym_p2p.core.matchmaking.commands import LogDecision, ProposedMatch
from gym_p2p.core.matchmaking.strategy import FIFOMatchmaker
from gym_p2p.core.service.machines import MachineFailed
from tests.core.service.desk import Desk

PROBED = MatchmakingConfig(group_size=2)


def waiting(*names: str, **options: Any) -> Desk:
    desk = Desk(**options)
    for name in names:
        desk.register(name, name)
        assert isinstance(desk.join_queue(name), Accepted)
    return desk


def outputs(desk: Desk) -> list[Any]:
    return list(iter(desk.poll, None))


def sent(desk: Desk, kind: type) -> dict[str, Any]:
    return {o.socket: o.payload for o in outputs(desk) if isinstance(o, Emit) and isinstance(o.payload, kind)}


def code(answer: Answer) -> Code:
    assert isinstance(answer, Refused), answer
    return answer.code


def measure(desk: Desk, prepared: dict[str, Any], rtt_ms: float) -> None:
    """Let both sides of a probe go through it."""
    (probe_id,) = {prepare.probe_session_id for prepare in prepared.values()}
    for name in prepared:
        assert isinstance(desk.probe_ready(name, probe_id), Accepted)
    for name in prepared:
        answer = desk.probe_result(name, probe_session_id=probe_id, rtt_ms=rtt_ms, success=True)
        assert isinstance(answer, Accepted)


def test_a_ticket_goes_from_joining_through_a_probe_to_its_match() -> None:
    desk = waiting("ann", "bob", matchmaker=FIFOMatchmaker(max_p2p_rtt_ms=100.0), matchmaking=PROBED)
    prepared = sent(desk, ProbePrepare)
    assert prepared.keys() == {"ann", "bob"}
    measure(desk, prepared, 20.0)
    found = sent(desk, MatchFound)
    assert found.keys() == {"ann", "bob"}
    assert found["ann"].probe.worst_rtt_ms == 20.0
    assert code(desk.join("ann", room="r", seats=(0, 1))) is Code.WRONG_STATE


def test_a_pair_that_is_too_far_apart_goes_on_waiting() -> None:
    desk = waiting("ann", "bob", matchmaker=FIFOMatchmaker(max_p2p_rtt_ms=100.0), matchmaking=PROBED)
    measure(desk, sent(desk, ProbePrepare), 180.0)
    assert not sent(desk, MatchFound)
    assert desk.machines.queues.waiting_count == 2


def test_a_probe_ends_when_one_of_its_two_leaves_the_queue() -> None:
    desk = waiting("ann", "bob", matchmaker=FIFOMatchmaker(max_p2p_rtt_ms=100.0), matchmaking=PROBED)
    assert desk.machines.probes.active_count == 1
    desk.machines.queues.leave("ann", desk.now)
    desk.machines.settle(desk.now)
    assert desk.machines.probes.active_count == 0
    assert desk.machines.queues.queue_of("bob") == "q"


def test_the_hook_is_asked_and_its_answer_makes_the_match() -> None:
    desk = waiting("ann", "bob", ask_hook=True)
    (proposed,) = (output for output in outputs(desk) if isinstance(output, ProposedMatch))
    queues = desk.machines.queues
    queues.hook_decided(proposed, Verdict.ACCEPT, desk.now)
    desk.machines.settle(desk.now)
    made = outputs(desk)
    assert [type(output) for output in made if not isinstance(output, Emit)] == [MakeMatch, LogDecision] or [
        type(output) for output in made if not isinstance(output, Emit)
    ] == [LogDecision, MakeMatch]


def test_who_is_gone_when_the_match_is_to_be_made_leaves_the_other_waiting() -> None:
    desk = waiting("ann", "bob", ask_hook=True)
    (proposed,) = (output for output in outputs(desk) if isinstance(output, ProposedMatch))
    desk.machines.presence.disconnected("ann")  # the queues have not heard of it yet
    desk.machines.queues.hook_decided(proposed, Verdict.ACCEPT, desk.now)
    desk.machines.settle(desk.now)
    assert desk.machines.queues.queue_of("bob") == "q"
    assert desk.machines.rooms.match_count == 0


def test_nobody_is_in_a_queue_and_in_a_room() -> None:
    desk = waiting("ann")
    assert code(desk.join("ann", room="r", seats=(0, 1))) is Code.WRONG_STATE
    desk.register("bob", "bob")
    desk.join("bob", room="r", seats=(0, 1))
    assert code(desk.join_queue("bob")) is Code.WRONG_STATE


def test_a_program_started_anew_may_take_another_place_than_the_one_it_has_inherited() -> None:
    desk = waiting("ann")
    desk.register("ann2", "ann")
    assert isinstance(desk.join("ann2", room="r", seats=(0, 1)), Accepted)
    assert desk.machines.queues.queue_of("ann") is None
    desk.register("ann3", "ann")
    assert isinstance(desk.join_queue("ann3"), Accepted)
    assert desk.rooms.room_count == 0
    desk.register("ann4", "ann")
    assert isinstance(desk.join_queue("ann4", queue="another"), Accepted)
    assert desk.machines.queues.queue_of("ann") == "another"
    assert code(desk.join_queue("ann4", queue="q")) is Code.WRONG_STATE


def test_a_subject_that_is_gone_is_gone_everywhere() -> None:
    desk = Desk()
    for name in ("ann", "bob"):
        desk.register(name, name)
        desk.join(name, room="r", seats=(0, 1), spectators=1)
    desk.register("eve", "eve")
    desk.watch("eve", room="r")
    desk.machines.probes.create("ann", "eve", desk.now)
    outputs(desk)
    desk.disconnected("ann")
    emitted = [output for output in outputs(desk) if isinstance(output, Emit)]
    assert {output.socket for output in emitted} == {"bob", "eve"}
    assert [o.socket for o in emitted if isinstance(o.payload, PeerLeft)] == ["bob"]
    assert desk.machines.probes.active_count == 0
    assert desk.machines.spectators.count == 0


def test_one_that_raises_is_tried_again_soon_and_stops_none_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(register_timeout_s=5.0)
    desk.connected("idle")
    bug = RuntimeError("a bug")

    def broken(_now: float) -> None:
        raise bug

    with monkeypatch.context() as patch:
        patch.setattr(desk.machines.queues, "handle_timeout", broken)
        desk.handle_timeout(5.0)
        failed, closed = sorted(outputs(desk), key=lambda output: isinstance(output, Emit))
        assert MachineFailed(bug) in (failed, closed)
        assert desk.machines.presence.socket_count == 0
        assert desk.next_timeout() == 5.1
    desk.handle_timeout(5.1)
    assert outputs(desk) == []
    assert desk.next_timeout() is None
