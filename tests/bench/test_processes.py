from __future__ import annotations

import contextlib

import pytest

from gym_p2p.bench.processes import Pair, Worker
from gym_p2p.errors import P2PError


def test_a_worker_says_what_went_wrong_and_goes_on() -> None:
    with Worker("wire", wire="udp", loop="asyncio") as worker:
        with pytest.raises(P2PError, match="AttributeError"):
            worker.request("no such thing")
        assert "127.0.0.1" in worker.request("offer")


def test_a_worker_that_cannot_start_is_an_error_and_not_a_wait() -> None:
    with Worker("player") as worker, pytest.raises(P2PError, match=r"ended by itself|is gone"):
        worker.request("bare", frames=1)


def test_closing_twice_is_fine_and_asking_afterwards_is_an_error() -> None:
    worker = Worker("wire", wire="udp", loop="asyncio")
    worker.close()
    worker.close()
    with pytest.raises((P2PError, ValueError)):
        worker.request("offer")


def test_udp_ends_echo_and_exchange_every_message() -> None:
    with contextlib.ExitStack() as stack:
        one, other = (stack.enter_context(Worker("wire", wire="udp", loop="asyncio")) for _ in range(2))
        one.request("finish", answer=other.request("answer", offer=one.request("offer")))
        other.request("reflect")
        assert len(one.request("echo", count=20)) == 20
        both = Pair(one, other)
        both.request("listen")
        assert [len(took_us) for took_us in both.request("exchange", count=30)] == [30, 30]


def test_an_emulated_path_delays_udp_as_it_is_told() -> None:
    with contextlib.ExitStack() as stack:
        arguments = {"wire": "udp", "loop": "product", "emulation": {"one_way_ms": 15.0}}
        one, other = (stack.enter_context(Worker("wire", **arguments)) for _ in range(2))
        one.request("finish", answer=other.request("answer", offer=one.request("offer")))
        other.request("reflect")
        assert min(one.request("echo", count=3)) >= 29_000
