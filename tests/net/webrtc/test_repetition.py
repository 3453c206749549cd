"""Requests that nobody answers: how often they go out."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any

import aioice.stun
import pytest

from gym_p2p.net.webrtc.repetition import STUN_TRIES, repeat_soon
from tests.net.peers import run
from tests.waiting import in_time

ADDRESS = ("192.0.2.1", 9)


class _Unanswered:
    """A client that nothing comes back to."""

    def __init__(self) -> None:
        self.transactions: dict[bytes, aioice.stun.Transaction] = {}
        self.sent_at: list[float] = []
        repeat_soon(self)

    def send_stun(self, _message: aioice.stun.Message, _addr: tuple[str, int]) -> None:
        self.sent_at.append(asyncio.get_running_loop().time())

    async def request(self, retransmissions: int | None = None) -> None:
        message = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
        transaction = aioice.stun.Transaction(message, ADDRESS, self, retransmissions=retransmissions)
        self.transactions[message.transaction_id] = transaction
        await transaction.run()


def test_a_request_is_never_repeated_seldom() -> None:
    async def work() -> list[float]:
        client = _Unanswered()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.6):
                await client.request()
        return [after - before for before, after in itertools.pairwise(client.sent_at)]

    pauses_s = run(work())
    with in_time():
        assert pauses_s == pytest.approx([0.15, 0.3, 0.6, 0.6, 0.6], abs=0.1)


@pytest.mark.parametrize(("retransmissions", "tries"), [(None, STUN_TRIES), (0, 1)])
def test_a_request_is_given_up_in_the_end_and_one_that_is_sent_once_is_sent_once(
    monkeypatch: pytest.MonkeyPatch, retransmissions: int | None, tries: int
) -> None:
    monkeypatch.setattr("gym_p2p.net.webrtc.repetition.repeat_after_s", lambda _repeats: 0.001)

    async def work() -> int:
        client = _Unanswered()
        with pytest.raises(aioice.stun.TransactionTimeout):
            await client.request(retransmissions)
        return len(client.sent_at)

    assert run(work()) == tries


def test_what_is_no_request_of_the_clients_goes_out_as_it_is() -> None:
    async def work() -> None:
        client = _Unanswered()
        measured: Any = object()
        answer = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.RESPONSE)
        client.send_stun(answer, ADDRESS)
        client.transactions[answer.transaction_id] = measured
        client.send_stun(answer, ADDRESS)
        assert len(client.sent_at) == 2

    run(work())
