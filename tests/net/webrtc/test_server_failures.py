"""Which STUN and TURN servers gave nothing, and why, is told alike in whichever order that is learnt."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
from types import SimpleNamespace
from typing import Any

import aioice
import aioice.candidate
import aioice.ice
import aioice.stun
import pytest

from gym_p2p.config import IceServer
from gym_p2p.net.webrtc import relays
from gym_p2p.net.webrtc.gathering import Gatherer
from gym_p2p.net.webrtc.server_failures import ServerFailures
from tests.net.virtual_time import VirtualTimeLoop, on_virtual_time

STUN = IceServer(urls=("stun:192.0.2.1:3478",))
URL = STUN.urls[0]
OURS = ("192.0.2.7", "198.51.100.7")
UNREACHABLE = OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
TRANSLATED = aioice.Candidate(
    foundation="1", component=1, transport="udp", priority=1, host="203.0.113.1", port=9, type="srflx"
)

Answer = tuple[float, Exception | aioice.Candidate]
"""After how many seconds a query ends, and how."""


class Ice:
    """What a gatherer uses of aioice's connection: two addresses of this machine."""

    def __init__(self) -> None:
        self._local_candidates: list[aioice.Candidate] = []
        self._protocols = [SimpleNamespace(local_candidate=SimpleNamespace(host=host)) for host in OURS]

    async def get_component_candidates(self, *_: object) -> list[aioice.Candidate]:
        return []


def told(monkeypatch: pytest.MonkeyPatch, *answers: Answer) -> str:
    """Return what is told of a server that answers each of our addresses so."""
    by_host = dict(zip(OURS, answers, strict=True))
    words = []

    async def query(protocol: Any, _server: object) -> tuple[aioice.Candidate, None]:
        after_s, answer = by_host[protocol.local_candidate.host]
        await asyncio.sleep(after_s)
        if isinstance(answer, Exception):
            raise answer
        return answer, None

    async def main(_loop: VirtualTimeLoop) -> None:
        ice: Any = Ice()
        gatherer = Gatherer(
            ice, servers=[STUN], relay_only=False, prepare=lambda _: None, on_late=lambda _: None
        )
        await gatherer.gather()
        await asyncio.sleep(60.0)
        assert not gatherer.pending
        words.append(gatherer.failures)
        await gatherer.close()

    monkeypatch.setattr(aioice.ice, "server_reflexive_candidate", query)
    on_virtual_time(main)
    return words[0]


@pytest.mark.parametrize("others", [aioice.stun.TransactionTimeout(), TimeoutError()])
def test_what_is_exact_is_told_and_not_the_time_out_of_another_address(
    monkeypatch: pytest.MonkeyPatch, others: Exception
) -> None:
    exact: Answer = (0.0, UNREACHABLE)
    late: Answer = (4.0, others)
    for answers in ((exact, late), (late, exact)):
        assert told(monkeypatch, *answers) == f"{URL}: Network is unreachable"
    assert told(monkeypatch, exact, (60.0, others)) == f"{URL}: Network is unreachable"


def test_a_server_that_answered_one_of_our_addresses_has_not_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    for after_s in (0.0, 1.0):
        failing: Answer = (0.5, UNREACHABLE)
        answering: Answer = (after_s, TRANSLATED)
        assert told(monkeypatch, failing, answering) == ""
        assert told(monkeypatch, answering, failing) == ""


def test_of_two_exact_failures_the_better_addresss_is_told_whichever_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = ConnectionRefusedError()
    for first_s, second_s in ((0.0, 1.0), (1.0, 0.0)):
        words = told(monkeypatch, (first_s, UNREACHABLE), (second_s, refused))
        assert words == f"{URL}: Network is unreachable"


def test_one_url_with_two_credentials_is_told_of_each_in_the_order_in_which_they_are_named() -> None:
    url = "turn:192.0.2.1:3478"
    ann, bob = (IceServer(urls=(url,), username=name, credential="c") for name in ("ann", "bob"))
    failed = [(ann, ConnectionRefusedError()), (bob, UNREACHABLE)]
    for order in itertools.permutations(failed):
        failures = ServerFailures()
        for server, error in order:
            failures.note_failure(server, url, error, rank=0)
        expected = f"{url}: connection refused: nothing listens there; {url}: Network is unreachable"
        assert failures.told([ann, bob]) == expected
        failures.note_answer(bob, url)
        assert failures.told([ann, bob]) == f"{url}: connection refused: nothing listens there"


def test_what_is_alike_for_both_credentials_is_told_once() -> None:
    url = "turn:192.0.2.1:3478"
    both = [IceServer(urls=(url,), username=name, credential="c") for name in ("ann", "bob")]
    failures = ServerFailures()
    for server in both:
        failures.note_failure(server, url, UNREACHABLE, rank=0)
    assert failures.told(both) == f"{url}: Network is unreachable"


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([(0.1, UNREACHABLE), (60.0, TimeoutError())], UNREACHABLE),
        ([(60.0, TimeoutError()), (0.1, UNREACHABLE)], UNREACHABLE),
        ([(0.1, UNREACHABLE), (1.0, aioice.stun.TransactionTimeout())], UNREACHABLE),
        ([(1.0, aioice.stun.TransactionTimeout()), (0.1, UNREACHABLE)], UNREACHABLE),
        ([(2.0, UNREACHABLE), (0.1, ConnectionRefusedError())], UNREACHABLE),
        ([(60.0, TimeoutError()), (60.0, TimeoutError())], None),
        ([(60.0, TimeoutError())], None),
        ([], None),
    ],
)
def test_of_a_relays_addresses_the_first_that_says_more_than_a_time_out_is_told(
    monkeypatch: pytest.MonkeyPatch, answers: list[tuple[float, Exception]], told: Exception | None
) -> None:
    hosts = [f"192.0.2.{number}" for number in range(len(answers))]
    by_host = dict(zip(hosts, answers, strict=True))

    async def addresses(_parsed: object) -> list[str]:
        if not hosts:
            await asyncio.sleep(60.0)
        return hosts

    async def allocate(*, turn_server: tuple[str, int], **_: object) -> None:
        after_s, error = by_host[turn_server[0]]
        await asyncio.sleep(after_s)
        raise error

    async def main(loop: VirtualTimeLoop) -> None:
        parsed = {"host": "relay", "port": 3478, "scheme": "turn", "transport": "udp"}
        ice: Any = Ice()
        with pytest.raises(TimeoutError if told is None else type(told)) as raised:
            await relays.obtain_relay(ice, STUN, parsed, hide_us=True, timeout_s=5.0)
        assert told is None or raised.value is told
        assert loop.time() <= 5.1

    monkeypatch.setattr(relays, "_addresses", addresses)
    monkeypatch.setattr(aioice.ice, "relayed_candidate", allocate)
    on_virtual_time(main)
