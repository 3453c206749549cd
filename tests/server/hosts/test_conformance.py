"""The same service, whatever server it is mounted on: every kind of host in a process of its own."""

from __future__ import annotations

import json
import re
import time
from functools import partial
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.players import together
from tests.server.hosts.conftest import INLINE, SYNCHRONOUS, Running
from tests.server.raw import OFFER, RawClient, before_its_end, candidate, match_two
from tests.waiting import PATIENCE_S, until

Names = tuple[str, str]


def code(answer: dict[str, Any]) -> str:
    return "" if answer["ok"] else str(answer["error"]["code"])


def offer_to(player: str, found: dict[str, Any]) -> dict[str, Any]:
    return {"game_id": found["match_id"], "target_player_id": player, "type": "offer", "payload": OFFER}


def prepare(ann: RawClient, bob: RawClient) -> str:
    """Have both say that they are ready; return the probe's id."""
    ids = [client.event("probe_prepare")["probe_session_id"] for client in (ann, bob)]
    assert ids[0] == ids[1]
    for client in (ann, bob):
        answer = before_its_end(client.call("probe_ready", {"probe_session_id": ids[0]}))
        assert answer["ok"], answer
    for client in (ann, bob):
        assert client.event("probe_start")["probe_session_id"] == ids[0]
    return str(ids[0])


def measure(ann: RawClient, bob: RawClient, rtt_ms: float = 20) -> None:
    probe_id = prepare(ann, bob)
    result = {"probe_session_id": probe_id, "rtt_ms": rtt_ms, "success": True}
    for client in (ann, bob):
        assert before_its_end(client.call("probe_result", result))["ok"]


def test_two_are_matched_in_a_room_and_signal_each_other(host: Running) -> None:
    ann, bob, anns, bobs = match_two(host.url)
    with ann, bob:
        assert anns["match_id"] == bobs["match_id"]
        signal = {
            "game_id": anns["match_id"],
            "target_player_id": "second",
            "type": "offer",
            "payload": OFFER,
        }
        assert ann.call("webrtc_signal", signal) == {"ok": True}
        assert bob.event("webrtc_signal")["payload"] == OFFER
    with RawClient(host.url):
        host.until(connections=2)  # itself, and who looks


def test_who_joins_is_acknowledged_before_they_hear_of_the_match(host: Running, names: Names) -> None:
    for number in range(3):
        with RawClient(host.url, subject=names[0]) as ann, RawClient(host.url, subject=names[1]) as bob:
            join = {"room": f"{names[0]}-{number}", "seats": [0, 1]}
            assert ann.call("join_room", join)["ok"]
            assert bob.call("join_room", join)["ok"]
            assert bob._events == []
            assert bob.event("match_found")["player_id"] == 1


def test_a_burst_of_signals_keeps_its_order(host: Running) -> None:
    ann, bob, anns, _ = match_two(host.url)
    with ann, bob:
        for number in range(64):
            signal = {"type": "ice-candidate", "payload": candidate(number)}
            ann.emit("webrtc_signal", {"game_id": anns["match_id"], "target_player_id": "second", **signal})
        arrived = [bob.event("webrtc_signal")["payload"] for _ in range(64)]
    assert arrived == [candidate(number) for number in range(64)]


SEATS = [f"seat{number}" for number in range(8)]


@pytest.mark.parametrize("round_no", range(3))
def test_a_burst_of_two_hundred_with_a_disconnect_behind_it_arrives_whole_and_in_order(
    host: Running, names: Names, round_no: int
) -> None:
    room = f"{names[0]}-{round_no}"
    with RawClient(host.url, subject=names[0]) as ann, RawClient(host.url, subject=names[1]) as bob:
        assert bob.call("join_room", {"room": room, "seats": SEATS, "take": ["seat7"]})["ok"]
        for number in range(100):
            ann.emit("join_room", {"room": room, "seats": SEATS, "take": [SEATS[number % 7]]})
            ann.emit("leave_room", {"room": room})
        ann.emit("join_room", {"room": room, "seats": SEATS, "take": ["seat3"]})
        ann.send("41")  # Socket.IO's goodbye
        free = [bob.event("room_status")["seats_free"] for _ in range(202)]
    everybody = SEATS[:7]
    wanted: list[list[str]] = []
    for number in [*(number % 7 for number in range(100)), 3]:
        wanted += [[seat for seat in everybody if seat != SEATS[number]], everybody]
    assert free == wanted


def test_every_event_of_a_burst_is_acknowledged_in_order(host: Running, names: Names) -> None:
    with RawClient(host.url, subject=names[0]) as ann:
        for number in range(1000, 1200):
            ann.send(f"42{number}" + json.dumps(["leave_room", {"room": "none"}]))
        ann.acknowledged(1199)
        assert list(ann._acks) == list(range(1000, 1199))


def test_the_host_has_two_of_its_users_probed(host: Running, names: Names) -> None:
    with RawClient(host.url, subject=names[0]) as ann, RawClient(host.url, subject=names[1]) as bob:
        host.tell("start probe", a=names[0], b=names[1])
        measure(ann, bob, 21.5)
        until(lambda: {"reason": "measured", "rtt_ms": 21.5} in host.state()["outcomes"])
        host.tell("start probe", a=names[0], b="nobody")
        until(lambda: {"reason": "absent", "rtt_ms": None} in host.state()["outcomes"])


def test_who_leaves_ends_their_probe(host: Running, names: Names) -> None:
    before = host.state()["outcomes"].count({"reason": "left", "rtt_ms": None})
    with RawClient(host.url, subject=names[0]) as ann:
        with RawClient(host.url, subject=names[1]) as bob:
            host.tell("start probe", a=names[0], b=names[1])
            prepare(ann, bob)
        assert ann.event("probe_cancel")["reason"] == "left"
    until(lambda: host.state()["outcomes"].count({"reason": "left", "rtt_ms": None}) == before + 1)


def test_a_queue_probes_asks_the_hosts_hook_and_makes_the_match(host: Running, names: Names) -> None:
    with RawClient(host.url, subject=names[0]) as ann, RawClient(host.url, subject=names[1]) as bob:
        for client in (ann, bob):
            assert client.call("join_queue", {"queue": names[0], "seats": [0, 1]})["ok"]
        measure(ann, bob)
        found = [client.event("match_found") for client in (ann, bob)]
        assert found[0]["match_id"] == found[1]["match_id"]
        assert found[0]["queue"] == names[0]
    assert names[0] in host.state()["proposed"]


@pytest.mark.parametrize(
    ("queue", "said"), [("slow", "did not answer within"), ("broken", "the host's hook is broken")]
)
def test_a_hook_that_is_slow_or_raises_rejects_and_nothing_else_waits(
    host: Running, names: Names, queue: str, said: str
) -> None:
    with RawClient(host.url, subject=names[0]) as ann, RawClient(host.url, subject=names[1]) as bob:
        for client in (ann, bob):
            assert client.call("join_queue", {"queue": queue, "seats": [0, 1]})["ok"]
        measure(ann, bob)
        until(lambda: host.logged(said))
        for client in (ann, bob):  # both wait on, for somebody else
            assert client.call("leave_queue")["ok"]


def test_a_newer_socket_of_a_subject_takes_its_place(host: Running) -> None:
    ann, bob, anns, _ = match_two(host.url)
    with ann, bob, RawClient(host.url, subject=f"{anns['room']}-ann") as newer:
        assert ann.event("replaced") == {"subject_id": f"{anns['room']}-ann"}
        assert bob.call("webrtc_signal", offer_to("first", anns))["ok"]
        assert newer.event("webrtc_signal")["from_player_id"] == "second"


def test_who_comes_back_after_a_broken_connection_takes_part_again(host: Running, names: Names) -> None:
    room = {"room": names[0], "seats": [0, 1]}
    with RawClient(host.url, subject=names[1]) as bob:
        assert bob.call("join_room", room)["ok"]
        for _ in range(3):
            with RawClient(host.url, subject=names[0]) as ann:
                assert code(ann.call("leave_room", {"room": names[0]})) == ""
        with RawClient(host.url, subject=names[0]) as ann:
            assert ann.call("join_room", room)["ok"]
            assert ann.event("match_found")["match_id"] == bob.event("match_found")["match_id"]
        assert bob.event("peer_left")["player_id"] == 1


# ---- what nobody may say

BAD: dict[str, tuple[str, tuple[Any, ...]]] = {
    "nothing": ("register_subject", ()),
    "null": ("register_subject", (None,)),
    "a list": ("register_subject", ([],)),
    "a number for a name": ("register_subject", ({"subject_id": 5},)),
    "a path for a name": ("register_subject", ({"subject_id": "../../etc"},)),
    "a long name": ("register_subject", ({"subject_id": "x" * 10_000},)),
    "no such signal": ("webrtc_signal", ({"type": "explode"},)),
    "seats without end": ("join_room", ({"room": "r", "seats": ["a"] * 60_000},)),
    "a deep one": ("join_room", ({"room": "r", "seats": json.loads("[" * 200 + "]" * 200)},)),
    "a big text": ("join_room", ({"room": "r" * 400_000, "seats": [0, 1]},)),
    "many keys": ("leave_room", ({f"k{number}": 0 for number in range(20_000)},)),
    "a probe that there is not": ("probe_result", ({"probe_session_id": "x", "rtt_ms": "1", "success": 1},)),
}


def test_malformed_events_are_refused_with_a_code_and_change_nothing(host: Running, names: Names) -> None:
    with RawClient(host.url, subject=names[0]) as ann:
        for what, (event, arguments) in BAD.items():
            answer = ann.call(event, *arguments)
            assert code(answer) in {"bad_request", "too_large", "no_such_probe"}, what
            assert len(json.dumps(answer)) < 1000, what
            assert ann.call("leave_room", {"room": "none"}) == {"ok": True}, what


FORGED = {
    "connect": '42["connect",{},{"subject_id":"forged"}]',
    "disconnect": '42["disconnect","forged"]',
    "disconnect with a number": '42["disconnect",1]',
    "catch-all": '42["*"]',
    "a list for a name": '42[["a"]]',
    "a number for a name": "42[1]",
    "no name": "42[]",
    "no list": "42{}",
    "half a packet": '42["register_subject",{',
    "not a number": '42["register_subject",{"subject_id":NaN}]',
    "half a letter": '42["register_subject",{"subject_id":"\\ud800"}]',
    "deep": '42["register_subject",' + "[" * 30_000 + "]" * 30_000 + "]",
    "unasked acknowledgement": "430[]",
}


def test_hostile_packets_change_nothing_for_anyone(host: Running) -> None:
    ann, bob, anns, _ = match_two(host.url)
    with ann, bob:
        for what, packet in FORGED.items():
            ann.send(packet)
            assert ann.call("webrtc_signal", offer_to("second", anns)) == {"ok": True}, what
            assert bob.event("webrtc_signal")["from_player_id"] == "first", what
        assert bob.quiet()


CODES_OF_A_FLOOD = {"", "rate_limited", "unauthenticated"}
"""The last: of a socket that is forgotten, and about to be closed."""


def flood(host: Running, name: str) -> int:
    """Send without end until one is cut off; return how much somebody else was answered meanwhile."""
    answered = 0
    with RawClient(host.url, subject=f"{name}-ann") as ann, RawClient(host.url, subject=f"{name}-bob") as bob:
        deadline = time.monotonic() + PATIENCE_S
        try:
            while time.monotonic() < deadline:
                for _ in range(100):
                    ann.emit("leave_room", {"room": "r"})
                assert code(ann.call("leave_room", {"room": "r"})) in CODES_OF_A_FLOOD
                assert bob.call("leave_room", {"room": "r"})["ok"]
                answered += 1
                time.sleep(0.05)  # below what bob may say himself
        except (ConnectionClosed, ConnectionError):
            assert bob.call("leave_room", {"room": "r"})["ok"]
            return answered
    raise AssertionError("it was not cut off")


def test_who_floods_is_refused_and_then_cut_off_while_others_are_served(
    hosts: dict[str, Running], names: Names
) -> None:
    floods = [partial(flood, host, names[0]) for host in hosts.values()]
    answered = together(*floods, timeout_s=2 * PATIENCE_S)
    failed = {kind: one for kind, one in zip(hosts, answered, strict=True) if not isinstance(one, int)}
    assert not failed
    assert all(isinstance(one, int) and one > 2 for one in answered), answered
    for host in hosts.values():
        host.until(connections=1)


# ---- the host's own


def test_the_hosts_events_sessions_and_pages_are_untouched(host: Running) -> None:
    with RawClient(host.url) as guest, RawClient(host.url) as other:
        assert [guest.call("count") for _ in range(3)] == [1, 2, 3]
        assert other.call("count") == 1
        guest.emit("nobody_knows_this", {"a": 1})
        assert guest.call("count") == 4
    assert host.own_page().strip() == '"the host\'s"'


def test_whom_the_host_refuses_leaves_nothing_with_us(host: Running) -> None:
    host.tell("connect", **{"as": "refuse"})
    with RawClient(host.url) as refused:
        assert refused.refusal is not None
    host.until(connections=1)


def test_a_connect_of_the_hosts_that_raises_leaves_nothing_with_us_and_stands_in_its_log(
    host: Running,
) -> None:
    host.tell("connect", **{"as": "raise"})
    with pytest.raises((TimeoutError, AssertionError, EOFError)), RawClient(host.url, patience_s=0.3):
        pass
    host.until(connections=1)
    assert "the host's connect is broken" in host.stderr or host.logged("the host's connect is broken")


def test_a_listener_of_the_hosts_that_raises_loses_nothing_and_stands_in_its_log(
    host: Running, names: Names
) -> None:
    host.tell("listen")
    outcome = {"reason": "measured", "rtt_ms": 31.25}
    before = host.state()["outcomes"].count(outcome)
    with RawClient(host.url, subject=names[0]) as ann, RawClient(host.url, subject=names[1]) as bob:
        host.tell("start probe", a=names[0], b=names[1])
        measure(ann, bob, 31.25)
        until(lambda: host.state()["outcomes"].count(outcome) >= before + 2)
        until(lambda: host.logged("the host's listener is broken"))
        host.tell("start probe", a=names[0], b=names[1])
        measure(ann, bob, 31.25)
        until(lambda: host.state()["outcomes"].count(outcome) >= before + 4)


def test_a_connect_that_the_host_registers_later_is_noticed_and_replaces_nothing(
    host: Running, names: Names
) -> None:
    host.tell("connect later")
    assert host.logged("'connect' handler after mount()")
    with RawClient(host.url, subject=names[0]) as ann:
        assert ann.call("leave_room", {"room": "none"}) == {"ok": True}
    assert any(kind == "later" for kind, _ in host.state()["seen"])


def test_a_name_that_both_use_is_refused_with_a_sentence(host: Running, names: Names) -> None:
    assert "stop() it first" in host.tell("clash")
    assert re.search("join_room.*prefix", host.tell("clash later"))
    with RawClient(host.url, subject=names[0]) as ann:
        assert ann.call("join_room", {"room": names[0], "seats": [0, 1]})["ok"]


# ---- synchronous hosts


def test_a_handler_may_wait_for_a_probe_unless_it_would_wait_for_itself(
    sync_host: Running, names: Names
) -> None:
    host = sync_host
    with RawClient(host.url, subject=names[0]) as ann, RawClient(host.url, subject=names[1]) as bob:
        with RawClient(host.url) as operator:
            operator.send("427" + json.dumps(["host", {"do": "probe", "a": names[0], "b": names[1]}]))
            if host.kind not in INLINE:
                measure(ann, bob, 12.5)
            answer = operator.acknowledged(7)
        if host.kind in INLINE:
            assert "would wait for itself" in answer
        else:
            assert answer == {"reason": "measured", "rtt_ms": 12.5}


@pytest.mark.parametrize("sync_host", sorted({*SYNCHRONOUS} - {*INLINE}), indirect=True)
def test_a_probe_is_waited_for_no_longer_than_asked(sync_host: Running, names: Names) -> None:
    host = sync_host
    with RawClient(host.url, subject=names[0]) as ann, RawClient(host.url, subject=names[1]) as bob:
        more = {"options": {"timeout_s": 0.2}}
        answer = host.tell("probe", a=names[0], b=names[1], **more)
        assert answer == {"reason": "cancelled", "rtt_ms": None}
        for client in (ann, bob):
            assert client.event("probe_prepare")
            assert client.event("probe_cancel")["reason"] == "cancelled"
        host.tell("start probe", a=names[0], b=names[1])  # both are free
        measure(ann, bob)


# ---- the end: last of all tests of a host


def test_a_service_is_stopped_and_mounted_anew_with_those_who_are_there(host: Running, names: Names) -> None:
    with RawClient(host.url) as operator, RawClient(host.url, subject=names[0]) as ann:
        for _ in range(2):
            assert operator.call("host", {"do": "stop"}) is None
        assert operator.call("count") == 1
        ann.emit("leave_room", {"room": "none"})
        assert ann.call("count") == 1  # the host's own goes on, and ours is nobody's
        operator.call("host", {"do": "mount"})
        assert ann.call("register_subject", {"subject_id": names[0]})["ok"]
        assert ann.call("join_room", {"room": names[0], "seats": [0, 1]})["ok"]
        with RawClient(host.url, subject=names[1]) as bob:
            assert bob.call("join_room", {"room": names[0], "seats": [0, 1]})["ok"]
            assert ann.event("match_found")["match_id"] == bob.event("match_found")["match_id"]
