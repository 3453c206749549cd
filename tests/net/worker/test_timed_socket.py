"""What the user's thread waits at."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from gym_p2p.core.link.busy_polling import LOOKS_FOR_S, MOST_S, TRIAL_SHARE, BusyPolling
from gym_p2p.net.worker.timed_socket import SHORT_S, TimedSocket
from tests.waiting import PATIENCE_S, in_time

WAITS = {"sleeps": None, "looks": BusyPolling}
BOTH = pytest.mark.parametrize("polling", WAITS.values(), ids=WAITS.keys())


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


Ends = tuple[socket.socket, socket.socket]
Polling = type[BusyPolling] | None


def waiting_at(end: socket.socket, polling: Polling) -> TimedSocket:
    return TimedSocket(end, None if polling is None else polling())


@BOTH
@pytest.mark.parametrize("timeout_s", [0.0, LOOKS_FOR_S / 2, LOOKS_FOR_S, SHORT_S / 2, SHORT_S * 2])
def test_nothing_is_told_when_the_time_is_over_and_not_before(
    ends: Ends, polling: Polling, timeout_s: float
) -> None:
    one = waiting_at(ends[0], polling)
    began = time.monotonic()
    assert one.recv(100, timeout_s) is None
    took_s = time.monotonic() - began
    assert took_s >= timeout_s - 1e-3  # the system counts in coarse steps where it polls
    with in_time():
        assert took_s < timeout_s + 0.05


@BOTH
@pytest.mark.parametrize("timeout_s", [0.0, LOOKS_FOR_S / 2, SHORT_S, SHORT_S * 2])
def test_what_is_there_is_given_at_once_and_so_is_the_end(
    ends: Ends, polling: Polling, timeout_s: float
) -> None:
    one = waiting_at(ends[0], polling)
    ends[1].send(b"it")
    assert one.recv(100, timeout_s) == b"it"
    ends[1].close()
    assert one.recv(100, timeout_s) == b""


@BOTH
@pytest.mark.parametrize("after_s", [LOOKS_FOR_S / 5, 20 * LOOKS_FOR_S])
def test_what_comes_meanwhile_is_given(ends: Ends, polling: Polling, after_s: float) -> None:
    one = waiting_at(ends[0], polling)
    later = threading.Timer(after_s, ends[1].send, (b"it",))
    later.start()
    assert one.recv(100, PATIENCE_S) == b"it"
    later.join()


def test_who_sleeps_never_looks_and_who_looks_does_so_only_while_it_pays(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[None] = []
    monkeypatch.setattr(os, "sched_yield", lambda: offered.append(None))
    assert waiting_at(ends[0], None).recv(100, SHORT_S) is None
    assert not offered
    looking = waiting_at(ends[0], BusyPolling)
    began, looks = time.monotonic(), 0
    for _ in range(100):
        before = len(offered)
        assert looking.recv(100, 2 * LOOKS_FOR_S) is None
        looks += len(offered) > before
    assert 1 < looks <= 1 + (MOST_S + (time.monotonic() - began) * TRIAL_SHARE) / LOOKS_FOR_S
