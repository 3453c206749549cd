"""What goes out of a connection's sockets before there is one."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any

import aioice.ice
import aioice.stun
import pytest

from gym_p2p.net.webrtc.sockets import CHECKS, _Requests
from tests.net.peers import run
from tests.waiting import in_time


class _Unanswered:
    """A socket that nothing comes back to."""

    def __init__(self) -> None:
        self.transactions: dict[bytes, Any] = {}
        self.sent_at: list[float] = []

    def send_stun(self, _message: aioice.stun.Message, _addr: tuple[str, int]) -> None:
        self.sent_at.append(asyncio.get_running_loop().time())


def _check() -> aioice.stun.Message:
    return aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)


def test_a_connectivity_check_is_never_repeated_seldom() -> None:
    async def work() -> list[float]:
        protocol: Any = _Unanswered()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.6):
                await _Requests(protocol).request(_check(), ("192.0.2.1", 9))
        assert not protocol.transactions
        return [after - before for before, after in itertools.pairwise(protocol.sent_at)]

    pauses_s = run(work())
    with in_time():
        assert pauses_s == pytest.approx([0.15, 0.3, 0.6, 0.6, 0.6], abs=0.1)


def test_a_check_is_given_up_as_late_as_by_aioice_and_one_without_repetition_after_the_first_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gym_p2p.net.webrtc.sockets.repeat_after_s", lambda _repeats: 0.001)

    async def sent(**arguments: Any) -> int:
        protocol: Any = _Unanswered()
        with pytest.raises(aioice.stun.TransactionTimeout):
            await _Requests(protocol).request(_check(), ("192.0.2.1", 9), **arguments)
        return len(protocol.sent_at)

    async def work() -> list[int]:
        return [await sent(), await sent(retransmissions=0)]

    assert run(work()) == [CHECKS, 1]
