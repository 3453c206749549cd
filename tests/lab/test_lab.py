"""The laboratory keeps its promises: paths and translators are as asked for, and nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from functools import partial
from typing import Any

import pytest

from tests.lab import SERVICE, Lab, Nat, echo, end, namespaces, ping, read_line, start_ping
from tests.lab.fixtures import MakeLab
from tests.lab.truth import ECHO_PORT
from tests.waiting import PATIENCE_S, in_time, until

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("lab_possible")]


BUSY_MS = 15.0
"""A busy machine makes round trips longer, by milliseconds, and never shorter."""


def _is_true(measured_ms: float | None, truth_ms: float) -> bool:
    return measured_ms is not None and truth_ms <= measured_ms <= truth_ms + BUSY_MS


def _left_behind() -> set[str]:
    return {name for name in namespaces.existing() if name.startswith(f"p2plab-{os.getpid()}-")}


@pytest.mark.quiet
@pytest.mark.parametrize("rtt_ms", [0, 20, 50, 100])
def test_round_trip_is_what_was_asked_for(make_lab: MakeLab, rtt_ms: float) -> None:
    lab = make_lab(one_way_ms=rtt_ms / 2)
    measured = ping(lab, "a", "b", count=60, interval_ms=5)
    assert measured.lost == 0
    with in_time():
        assert _is_true(measured.min_ms, rtt_ms)
        assert _is_true(measured.median_ms, rtt_ms)


@pytest.mark.quiet
def test_delay_can_differ_by_direction_and_change_while_running(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.condition(way=("a", "b"), one_way_ms=5)
    lab.condition(way=("b", "a"), one_way_ms=15)
    with in_time():
        assert _is_true(ping(lab, "a", "b", count=20).median_ms, 20)
    lab.condition(way=("b", "a"), one_way_ms=0)
    with in_time():
        assert _is_true(ping(lab, "a", "b", count=20).median_ms, 5)


def test_loss_takes_its_share_and_the_counters_agree(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.condition(way=("a", "b"), loss=0.1)
    measured = ping(lab, "a", "b", count=1000, interval_ms=1, wait_ms=1_000)
    assert 62 <= measured.lost <= 138  # four standard deviations around 100
    counted = lab.counters()
    assert counted.ways["a", "b"].lost == measured.lost
    assert counted.ways["b", "a"].lost == 0
    assert counted.ways["a", "b"].forwarded == measured.received


def test_same_seed_loses_the_same_packets(make_lab: MakeLab) -> None:
    def lost_pings(seed: int) -> list[int]:
        lab = make_lab(seed=seed)
        lab.condition(way=("a", "b"), loss=0.3)
        rtts_ms = ping(lab, "a", "b", count=100, interval_ms=1, wait_ms=1_000).rtts_ms
        return [number for number, rtt_ms in enumerate(rtts_ms) if rtt_ms is None]

    first = lost_pings(7)
    assert first
    assert lost_pings(7) == first
    assert lost_pings(8) != first


@pytest.mark.parametrize("conditions", [{"reorder": 0.2}, {"jitter_ms": 5.0, "in_order": False}])
def test_reordering_is_seen_by_the_receiver(make_lab: MakeLab, conditions: dict[str, float]) -> None:
    lab = make_lab()
    lab.condition(way=("a", "b"), **conditions)  # type: ignore[arg-type]  # mypy cannot match a plain dict
    measured = ping(lab, "a", "b", count=100, interval_ms=3)
    assert measured.lost == 0
    assert measured.out_of_order > 0
    assert lab.counters().ways["a", "b"].reordered == measured.out_of_order


@pytest.mark.quiet
def test_jitter_widens_the_round_trips_but_keeps_the_order(make_lab: MakeLab) -> None:
    lab = make_lab(one_way_ms=5)
    lab.condition(way=("a", "b"), jitter_ms=4)
    measured = ping(lab, "a", "b", count=200, interval_ms=5)
    assert measured.out_of_order == 0
    assert lab.counters().total("reordered") == 0
    assert measured.min_ms is not None
    assert measured.p95_ms is not None
    assert measured.min_ms >= 10
    assert measured.p95_ms - measured.min_ms > 8  # of an exponential of mean 4 ms it is 12


def test_duplicates_arrive_twice(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.condition(way=("a", "b"), duplicate=0.5)
    measured = ping(lab, "a", "b", count=100, interval_ms=1)
    assert 25 < measured.duplicates < 75
    assert lab.counters().ways["a", "b"].duplicated == measured.duplicates


@pytest.mark.quiet
def test_blackout_stops_the_hosts_but_not_the_service(make_lab: MakeLab) -> None:
    lab = make_lab(one_way_ms=5)
    with echo(lab, "b"), echo(lab, SERVICE):
        lab.condition(blackout=True)
        dark, service = start_ping(lab, "a", "b", SERVICE, count=10, wait_ms=1_000).result()
        lab.condition(blackout=False)
        light = start_ping(lab, "a", "b", count=10).result()[0]
    assert dark.received == 0
    assert dark.median_ms is None
    assert lab.counters().ways["a", "b"].blacked_out == 10
    assert service.lost == 0
    with in_time():
        assert _is_true(service.median_ms, 0)
    assert light.lost == 0


def test_service_goes_dark_alone_when_named(make_lab: MakeLab) -> None:
    lab = make_lab()
    lab.condition(between=("a", SERVICE), blackout=True)
    with echo(lab, "b"), echo(lab, SERVICE):
        peer, service = start_ping(lab, "a", "b", SERVICE, count=10, wait_ms=1_000).result()
    assert peer.lost == 0
    assert service.received == 0


@pytest.mark.quiet
def test_three_hosts_have_three_different_paths(make_lab: MakeLab) -> None:
    lab = make_lab(["a", "b", "c"])
    rtts_ms = {("a", "b"): 10, ("a", "c"): 30, ("b", "c"): 60}
    for pair, rtt_ms in rtts_ms.items():
        lab.condition(between=pair, one_way_ms=rtt_ms / 2)
    with echo(lab, "b"), echo(lab, "c"):
        to_b = start_ping(lab, "a", "b", count=20).result()[0]
        to_c = start_ping(lab, "a", "c", count=20).result()[0]
        between = start_ping(lab, "b", "c", count=20).result()[0]
    for measured, rtt_ms in zip((to_b, to_c, between), rtts_ms.values(), strict=True):
        with in_time():
            assert _is_true(measured.median_ms, rtt_ms)


def test_ice_finds_the_path_and_the_dead_interfaces_only(make_lab: MakeLab) -> None:
    lab = make_lab(dead_interfaces=1)
    code = "from aioice.ice import get_host_addresses as g; import json; print(json.dumps(g(True, True)))"
    process = lab.run("a", [sys.executable, "-c", code], stdout=subprocess.PIPE)
    found = json.loads(read_line(process, timeout_s=PATIENCE_S))
    assert sorted(found) == [lab.address("a"), "172.16.0.1"]


def _outer_addresses(lab: Lab, sockets: dict[str, socket.socket]) -> dict[str, tuple[str, int]]:
    """Return what the service sees the hosts' sockets as."""
    seen = {}
    with lab.inside(SERVICE), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stun:
        stun.bind((lab.address(SERVICE), 3478))
        stun.settimeout(PATIENCE_S)
        for host, sock in sockets.items():
            sock.sendto(b"who am I?", stun.getsockname())
            seen[host] = stun.recvfrom(64)[1]
    return seen


def _punch(lab: Lab, tries: int) -> tuple[bool, bool]:
    """Let ``a`` and ``b`` send to each other's outer address, then to where they hear from; who heard?"""
    with contextlib.ExitStack() as stack:
        sockets = {}
        for host in ("a", "b"):
            with lab.inside(host):
                sockets[host] = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sockets[host].settimeout(0.1)
        outer = _outer_addresses(lab, sockets)
        targets = {"a": outer["b"], "b": outer["a"]}
        heard = {"a": False, "b": False}
        for _ in range(tries):
            if all(heard.values()):
                break
            for host, sock in sockets.items():
                sock.sendto(b"hello", targets[host])
            for host, sock in sockets.items():
                with contextlib.suppress(TimeoutError):
                    _, targets[host] = sock.recvfrom(64)
                    heard[host] = True
    return heard["a"], heard["b"]


@pytest.mark.parametrize(
    ("kind_a", "kind_b", "meet"),
    [
        (Nat.PORT_RESTRICTED, Nat.PORT_RESTRICTED, True),
        (Nat.ADDRESS_RESTRICTED, Nat.ADDRESS_RESTRICTED, True),
        (Nat.SYMMETRIC, Nat.ADDRESS_RESTRICTED, True),
        (Nat.SYMMETRIC, Nat.FULL_CONE, True),
        (Nat.SYMMETRIC, Nat.PORT_RESTRICTED, False),
        (Nat.SYMMETRIC, Nat.SYMMETRIC, False),
    ],
)
def test_hole_punching_works_through_some_translators(
    make_lab: MakeLab, kind_a: Nat, kind_b: Nat, *, meet: bool
) -> None:
    lab = make_lab(nats={"a": kind_a, "b": kind_b})
    assert _punch(lab, tries=100 if meet else 3) == (meet, meet)


def test_symmetric_translator_shows_a_different_port_to_everyone(make_lab: MakeLab) -> None:
    lab = make_lab(nats={"a": Nat.SYMMETRIC})
    with echo(lab, "b"), echo(lab, SERVICE):
        by_b, by_service = start_ping(lab, "a", "b", SERVICE, count=2, wait_ms=2_000).result()
    assert by_b.seen_as is not None
    assert by_b.seen_as.startswith(lab.address("a"))
    assert by_b.seen_as != by_service.seen_as


def test_only_an_open_translator_lets_strangers_in(make_lab: MakeLab) -> None:
    lab = make_lab(["a", "b", "c"], nats={"b": Nat.FULL_CONE, "c": Nat.PORT_RESTRICTED})
    with echo(lab, "b"), echo(lab, "c"):
        to_open, to_restricted = start_ping(lab, "a", "b", "c", count=5, wait_ms=1_000).result()
    assert to_open.received == 5
    assert to_restricted.received == 0


def _hears_nothing(sock: socket.socket) -> bool:
    sock.settimeout(0.3)
    try:
        sock.recvfrom(64)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(PATIENCE_S)
    return False


def _leads_nowhere(inner: socket.socket, outer: socket.socket, seen_as: Any) -> bool:
    """Whether a translator has forgotten a mapping; the kernel takes its time for it."""
    outer.sendto(b"to what was forgotten", seen_as)
    return _hears_nothing(inner)


def test_a_translator_may_let_in_whoever_has_an_address_that_was_sent_to(make_lab: MakeLab) -> None:
    lab = make_lab(["a", "b", "c"], nats={"b": Nat.ADDRESS_RESTRICTED})
    with contextlib.ExitStack() as stack:
        sockets = {}
        for host in ("a", "b", "c"):
            with lab.inside(host):
                sockets[host] = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sockets[host].settimeout(PATIENCE_S)
        with lab.inside("a"):
            other = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sockets["a"].bind((lab.address("a"), 4000))
        sockets["b"].sendto(b"hello", (lab.address("a"), 4000))
        seen_as = sockets["a"].recvfrom(64)[1]
        other.sendto(b"from another port", seen_as)
        assert sockets["b"].recvfrom(64)[0] == b"from another port"
        sockets["c"].sendto(b"from a stranger", seen_as)
        assert _hears_nothing(sockets["b"])


@pytest.mark.parametrize("kind", [Nat.PORT_RESTRICTED, Nat.SYMMETRIC])
def test_a_translator_that_forgets_gives_a_socket_another_port_and_the_old_one_leads_nowhere(
    make_lab: MakeLab, kind: Nat
) -> None:
    lab = make_lab(nats={"a": kind})
    with contextlib.ExitStack() as stack:
        with lab.inside("a"):
            inner = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        with lab.inside("b"):
            outer = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        for sock in (inner, outer):
            sock.settimeout(PATIENCE_S)
        outer.bind((lab.address("b"), 4000))
        seen = []
        for _ in range(3):
            inner.sendto(b"hello", outer.getsockname())
            seen.append(outer.recvfrom(64)[1])
            outer.sendto(b"answer", seen[-1])
            assert inner.recvfrom(64)[0] == b"answer"
            lab.rebind("a")
            until(partial(_leads_nowhere, inner, outer, seen[-1]))
        assert len(set(seen)) == 3


def test_a_host_that_roams_has_another_address_and_its_old_sockets_lead_nowhere(make_lab: MakeLab) -> None:
    lab = make_lab(roaming=["a"])
    with echo(lab, "b"), lab.inside("a"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as old:
        old.settimeout(PATIENCE_S)
        old.bind((lab.address("a"), 4000))
        old.sendto(b"hello", (lab.address("b"), ECHO_PORT))
        assert old.recv(64).startswith(b"hello")
        lab.roam("a")
        with contextlib.suppress(OSError):
            old.sendto(b"hello again", (lab.address("b"), ECHO_PORT))
        assert _hears_nothing(old)
        (by_b,) = start_ping(lab, "a", "b", count=2, wait_ms=2_000).result()
    assert by_b.seen_as is not None
    assert by_b.seen_as.startswith(lab.address(lab.second("a")))


def test_nothing_is_left_when_the_body_raises() -> None:
    class RaisedError(Exception):
        pass

    def use() -> None:
        with Lab(nats={"a": Nat.SYMMETRIC}) as lab:
            processes.append(lab.run("a", ["sleep", "60"]))
            processes.append(lab.run(SERVICE, ["sh", "-c", "sleep 60 & sleep 60"]))
            assert _left_behind()
            assert namespaces.processes(_left_behind())
            raise RaisedError

    processes: list[subprocess.Popen[bytes]] = []
    with pytest.raises(RaisedError):
        use()
    assert not _left_behind()
    assert all(process.poll() is not None for process in processes)


def test_nothing_is_left_when_building_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Lab, host: str) -> None:
        raise RuntimeError(host)

    monkeypatch.setattr(Lab, "_add_dead_interfaces", fail)
    with pytest.raises(RuntimeError), Lab():
        pass
    assert not _left_behind()


def test_sweep_removes_what_a_dead_process_left_and_spares_the_living(make_lab: MakeLab) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait(timeout=PATIENCE_S)
    stale = f"p2plab-{dead.pid}-0-a"
    namespaces.ip(f"netns add {stale}")
    command = ["ip", "netns", "exec", stale, "sh", "-c", "echo there; exec sleep 60"]
    orphan = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        read_line(orphan, timeout_s=PATIENCE_S)
        living = make_lab()  # building it sweeps
        assert orphan.wait(timeout=PATIENCE_S) < 0
    finally:
        end(orphan)
    assert stale not in namespaces.existing()
    assert ping(living, "a", "b", count=2).received == 2
    namespaces.sweep()
    assert _left_behind()


def test_impossible_conditions_and_names_are_refused(make_lab: MakeLab) -> None:
    lab = make_lab()
    with pytest.raises(ValueError, match="loss"):
        lab.condition(loss=1.5)
    with pytest.raises(ValueError, match="no such way"):
        lab.condition(between=("a", "nobody"), loss=0.1)
    with pytest.raises(ValueError, match="names of hosts"):
        Lab(["a", SERVICE])
    assert ping(lab, "a", "b", count=5).lost == 0  # and what was refused has changed nothing
