"""Probes on the wire: what browsers send and receive, and what nobody should send, with raw frames."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest

from gym_p2p.core.api.payloads import decode
from gym_p2p.core.api.probes import ProbePrepare
from gym_p2p.server import Service
from tests.server.clients import Pair, code
from tests.server.raw import OFFER, RawClient, before_its_end, candidate
from tests.waiting import in_time

NEXT_DEADLINE_S = 12.0
"""Of a probe that has started: what ends it sooner was not this one."""
_numbers = itertools.count()


def test_an_unmodified_browsers_probe_goes_through(service: Service) -> None:
    with Pair(service) as pair:
        assert pair.probe_id.startswith("probe_")
        for prepared, peer in zip(pair.prepared, pair.names[1::-1], strict=True):
            read = decode(ProbePrepare, prepared)
            assert (read.peer_subject_id, read.peer_client) == (peer, None)
            assert prepared["turn_username"] is prepared["turn_credential"] is None
        assert pair.ann.call("probe_signal", pair.signal()) == {"ok": True}
        assert pair.bob.event("probe_signal") == {
            "probe_session_id": pair.probe_id,
            "type": "offer",
            "from_subject_id": pair.names[0],
            "payload": OFFER,
        }
        for payload in (candidate(), {"candidate": ""}, None):
            pair.bob.emit(
                "probe_signal",
                pair.signal(target_subject_id=pair.names[0], type="ice-candidate", payload=payload),
            )
        relayed = [pair.ann.event("probe_signal")["payload"] for _ in range(3)]
        assert relayed[0] == candidate()
        assert relayed[2] is None
        for client, rtt_ms in ((pair.ann, 21), (pair.bob, 24)):
            assert before_its_end(client.call("probe_result", pair.result(rtt_ms))) == {"ok": True}
        for client in (pair.ann, pair.bob):
            verdict = client.event("probe_verdict")
            assert (verdict["reason"], verdict["rtt_ms"], verdict["marks"]) == ("measured", 24.0, [])


def test_ready_twice_is_one_and_from_a_stranger_none(service: Service) -> None:
    with Pair(service, start=False) as pair:
        ready = {"probe_session_id": pair.probe_id}
        for _ in range(2):
            assert before_its_end(pair.ann.call("probe_ready", ready)) == {"ok": True}
        stranger, unknown = (
            pair.eve.call("probe_ready", {"probe_session_id": probe_id})
            for probe_id in (pair.probe_id, "probe_x")
        )
        assert stranger == unknown
        assert code(stranger) == "no_such_probe"
        assert pair.ann.quiet()
        assert pair.bob.quiet()


def test_no_signal_goes_over_before_the_start(service: Service) -> None:
    with Pair(service, start=False) as pair:
        assert code(before_its_end(pair.ann.call("probe_signal", pair.signal()))) == "wrong_state"
        assert pair.bob.quiet()


@pytest.mark.parametrize("target", ["ann", "eve", "socket", "room", "nobody"])
def test_a_signal_to_anyone_but_the_other_member_is_refused(service: Service, target: str) -> None:
    with Pair(service) as pair:
        known = {"ann": pair.names[0], "eve": pair.names[2], "room": pair.probe_id, "socket": "x" * 20}
        signal = pair.signal(target_subject_id=known.get(target, target))
        assert code(pair.ann.call("probe_signal", signal)) == "not_a_member"
        assert pair.eve.quiet()
        assert pair.bob.quiet(0.05)


def test_a_stranger_can_neither_signal_nor_report(service: Service) -> None:
    with Pair(service) as pair:
        assert code(pair.eve.call("probe_signal", pair.signal())) == "no_such_probe"
        assert code(pair.eve.call("probe_result", pair.result(5))) == "no_such_probe"
        assert pair.bob.quiet()
        with RawClient(service.url) as nobody:
            assert code(nobody.call("probe_result", pair.result(5))) == "unauthenticated"
            assert code(nobody.call("probe_wait", {"waiting": True})) == "unauthenticated"
            assert code(nobody.call("probe_request", {"target_subject_id": "x"})) == "unauthenticated"


def test_the_sender_cannot_claim_to_be_another(service: Service) -> None:
    with Pair(service) as pair:
        assert pair.ann.call("probe_signal", pair.signal(from_subject_id="eve"))["ok"]
        assert pair.bob.event("probe_signal")["from_subject_id"] == pair.names[0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"payload": {"type": "offer", "sdp": "x" * 17_000}}, "too_large"),
        ({"payload": {"type": "answer", "sdp": "v=0"}}, "bad_request"),
        ({"payload": None}, "bad_request"),
        ({"payload": "v=0"}, "bad_request"),
        ({"type": "bye"}, "bad_request"),
        ({"type": "ice-candidate", "payload": {"candidate": 5}}, "bad_request"),
        ({"type": "ice-candidate", "payload": {"candidate": "x" * 600}}, "too_large"),
        ({"target_subject_id": 5}, "bad_request"),
        ({"probe_session_id": None}, "bad_request"),
    ],
)
def test_a_malformed_signal_is_refused_with_a_code(
    service: Service, change: dict[str, Any], expected: str
) -> None:
    with Pair(service) as pair:
        assert code(pair.ann.call("probe_signal", pair.signal(**change))) == expected
        assert pair.bob.quiet(0.05)


def test_the_65th_candidate_is_refused(service: Service) -> None:
    with Pair(service) as pair:
        answers = [
            pair.ann.call("probe_signal", pair.signal(type="ice-candidate", payload=candidate(number)))
            for number in range(65)
        ]
        assert all(answer["ok"] for answer in answers[:64])
        assert code(answers[64]) == "too_large"


@pytest.mark.parametrize(
    ("rtt_ms", "success"), [(-1, True), (1e9, True), ("12", True), (True, True), (None, True), (5, "yes")]
)
def test_a_malformed_result_is_refused_and_counts_as_a_failed_report(
    service: Service, rtt_ms: object, success: object
) -> None:
    with Pair(service) as pair:
        assert code(pair.ann.call("probe_result", pair.result(rtt_ms, success=success))) == "bad_request"
        # Too late: the first one is kept.
        assert before_its_end(pair.ann.call("probe_result", pair.result(1))) == {"ok": True}
        assert before_its_end(pair.bob.call("probe_result", pair.result(30))) == {"ok": True}
        verdict = pair.ann.event("probe_verdict")
        assert (verdict["rtt_ms"], verdict["marks"]) == (30.0, ["one_sided"])


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_result_that_is_no_json_is_dropped(service: Service, number: str) -> None:
    with Pair(service) as pair:
        pair.ann.send(
            '42["probe_result",{"probe_session_id":"'
            + pair.probe_id
            + '","rtt_ms":'
            + number
            + ',"success":true}]'
        )
        assert before_its_end(pair.ann.call("probe_result", pair.result(20))) == {"ok": True}
        assert before_its_end(pair.bob.call("probe_result", pair.result(20))) == {"ok": True}
        assert pair.ann.event("probe_verdict")["marks"] == []


def test_results_that_disagree_lead_to_a_second_probe(service: Service) -> None:
    with Pair(service) as pair:
        assert before_its_end(pair.ann.call("probe_result", pair.result(20)))["ok"]
        assert before_its_end(pair.bob.call("probe_result", pair.result(90)))["ok"]
        for client in (pair.ann, pair.bob):
            assert client.event("probe_cancel")["reason"] == "again"
        again = {client.event("probe_prepare")["probe_session_id"] for client in (pair.ann, pair.bob)}
        assert len(again) == 1
        assert again != {pair.probe_id}
        (probe_id,) = again
        for client in (pair.ann, pair.bob):
            assert before_its_end(client.call("probe_ready", {"probe_session_id": probe_id}))["ok"]
        for client, rtt_ms in ((pair.ann, 20), (pair.bob, 90)):
            assert before_its_end(
                client.call("probe_result", {**pair.result(rtt_ms), "probe_session_id": probe_id})
            )["ok"]
        verdict = pair.ann.event("probe_verdict")
        assert (verdict["rtt_ms"], verdict["marks"]) == (90.0, ["disagreed"])


def test_one_report_is_enough_after_two_seconds(service: Service) -> None:
    with Pair(service) as pair:
        reported_at = time.monotonic()
        pair.ann.call("probe_result", pair.result(20))
        verdict = pair.bob.event("probe_verdict")
        waited_s = time.monotonic() - reported_at
        assert waited_s > 1.9
        with in_time():
            assert waited_s < NEXT_DEADLINE_S
        assert (verdict["rtt_ms"], verdict["marks"]) == (20.0, ["one_sided"])


def test_who_leaves_mid_probe_frees_the_other_at_once(service: Service) -> None:
    with Pair(service) as pair:
        left_at = time.monotonic()
        pair.bob.close()
        assert pair.ann.event("probe_cancel")["reason"] == "left"
        with in_time():
            assert time.monotonic() - left_at < NEXT_DEADLINE_S
        assert code(pair.ann.call("probe_result", pair.result(5))) == "stale"
        assert code(pair.ann.call("probe_signal", pair.signal())) == "stale"
        assert pair.eve.call("probe_wait", {"waiting": True})["ok"]
        assert pair.ann.call("probe_request", {"target_subject_id": pair.names[2]})["ok"]


def test_both_silent_end_after_three_seconds_with_a_reason(service: Service) -> None:
    with Pair(service, start=False) as pair:
        assert pair.ann.event("probe_cancel")["reason"] == "not_ready"
        assert pair.bob.event("probe_cancel")["probe_session_id"] == pair.probe_id


def test_a_second_socket_of_a_member_takes_the_probe_over(service: Service) -> None:
    with Pair(service, start=False) as pair, RawClient(service.url, subject=pair.names[1]) as newer:
        assert newer.event("probe_prepare")["probe_session_id"] == pair.probe_id
        for client in (pair.ann, newer):
            assert before_its_end(client.call("probe_ready", {"probe_session_id": pair.probe_id}))["ok"]
        assert newer.event("probe_start")
        assert pair.ann.call("probe_signal", pair.signal())["ok"]
        assert newer.event("probe_signal")["from_subject_id"] == pair.names[0]


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("probe_ready", None),
        ("probe_ready", {"probe_session_id": {}}),
        ("probe_wait", {"waiting": "yes"}),
        ("probe_request", {"target_subject_id": None}),
        ("probe_result", []),
        ("probe_prepare", {}),
        ("probe_start", {}),
    ],
)
def test_a_malformed_event_is_refused(service: Service, event: str, payload: object) -> None:
    with RawClient(service.url, subject=f"malformed{next(_numbers)}") as client:
        assert code(client.call(event, payload)) == "bad_request"


def test_one_who_does_not_wait_cannot_be_told_from_one_who_is_not_there(service: Service) -> None:
    with Pair(service) as pair:
        answers = [
            pair.eve.call("probe_request", {"target_subject_id": n}) for n in ("nobody", pair.names[0])
        ]
        assert answers[0] == answers[1]
        assert code(answers[0]) == "no_such_subject"
        assert code(pair.eve.call("probe_request", {"target_subject_id": pair.names[1]})) == "wrong_state"
