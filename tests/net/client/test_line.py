"""What a line carries, and that it is taken up again: fast while a path is to be rebuilt over it."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from gym_p2p.config.event_names import EventNames
from gym_p2p.core.api.requests import RelayMessage
from gym_p2p.errors import ServiceUnreachable
from gym_p2p.net.client import line as lines
from gym_p2p.net.client.line import Line
from tests.net.virtual_time import VirtualTimeLoop, on_virtual_time


def broken_line(loop: VirtualTimeLoop, attempts: list[float], monkeypatch: pytest.MonkeyPatch) -> Line:
    """A line to a service that is away, and when it was tried."""

    async def in_vain(*_args: object, **_options: object) -> None:
        attempts.append(loop.time())
        raise ServiceUnreachable("http://nowhere", "nobody is there")

    monkeypatch.setattr(lines, "open_line", in_vain)
    line = Line(lambda *_event: None, EventNames())
    line._http = object()  # type: ignore[assignment]  # which nothing is sent by
    return line


def test_a_line_that_is_wanted_is_tried_at_once_and_twice_a_second_for_as_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        attempts: list[float] = []
        line = broken_line(loop, attempts, monkeypatch)
        trying = asyncio.create_task(line._register_again())
        await asyncio.sleep(60.0)
        calm = [after - before for before, after in itertools.pairwise(attempts)]
        assert max(calm) <= lines._RECONNECT_MAX_S
        assert min(calm[-3:]) >= lines._RECONNECT_MAX_S / 2
        wanted_at = loop.time()
        line.wanted_for(10.0)
        await asyncio.sleep(0)
        await asyncio.sleep(10.0)
        hurried = [wanted_at, *(at for at in attempts if at > wanted_at)]
        assert hurried[1] - wanted_at <= lines._WANTED_MAX_S
        pauses = [after - before for before, after in itertools.pairwise(hurried)]
        assert max(pauses) <= lines._WANTED_MAX_S + 1e-6
        await asyncio.sleep(60.0)
        assert attempts[-1] - attempts[-2] >= lines._RECONNECT_MAX_S / 2
        trying.cancel()
        await asyncio.gather(trying, return_exceptions=True)

    on_virtual_time(main)


URL = "http://127.0.0.1:8765"
TIMEOUT_S = 2.0
BUSY = (0.5, "it takes no more connections for the moment (HTTP 429)")
REFUSED = (0.0, "Connection refused")
SILENT = (TIMEOUT_S, "no answer within 2 s")


@pytest.mark.parametrize(
    ("rounds", "told"),
    [
        ([BUSY, SILENT], f"{BUSY[1]}; at the last attempt: {SILENT[1]}"),
        ([REFUSED, BUSY, SILENT, SILENT], f"{BUSY[1]}; at the last attempt: {SILENT[1]}"),
        ([BUSY, REFUSED], REFUSED[1]),
        ([SILENT, BUSY], BUSY[1]),
        ([SILENT, SILENT], SILENT[1]),
        ([BUSY], BUSY[1]),
        ([BUSY, (TIMEOUT_S, BUSY[1])], BUSY[1]),
    ],
)
def test_a_silent_last_attempt_does_not_hide_what_another_one_was_told_before(
    monkeypatch: pytest.MonkeyPatch, rounds: list[tuple[float, str]], told: str
) -> None:
    async def main(loop: VirtualTimeLoop) -> None:
        coming = iter(rounds)
        pauses_s = lines._WANTED_MAX_S * (len(rounds) - 1)
        patience_s = sum(took_s for took_s, _ in rounds) + pauses_s
        began = loop.time()

        async def in_vain(*_args: object, **_options: object) -> None:
            took_s, problem = next(coming)
            await asyncio.sleep(took_s)
            raise ServiceUnreachable(URL, problem)

        monkeypatch.setattr(lines, "open_line", in_vain)
        line = Line(lambda *_event: None, EventNames())
        with pytest.raises(ServiceUnreachable) as raised:
            await line.open(URL, "ann", TIMEOUT_S, token=None, patience_s=patience_s)
        await line.close()
        assert raised.value.problem == told
        assert str(raised.value) == str(ServiceUnreachable(URL, told))
        assert not list(coming)
        assert loop.time() == pytest.approx(began + patience_s)

    on_virtual_time(main)


def test_what_may_be_lost_waits_for_no_line_and_behind_little_and_gives_way_to_what_must_arrive() -> None:
    async def main(_loop: VirtualTimeLoop) -> None:
        line, message = Line(lambda *_event: None, EventNames()), RelayMessage("m", 1, "eA==")
        assert not line.send_now(message, may_be_lost=True)
        assert not line.send_now(message, may_be_lost=False)
        line._up.set()
        inputs = [line.send_now(message, may_be_lost=True) for _ in range(lines._MAX_WAITING)]
        assert sum(inputs) == line._outgoing.qsize() == lines._MOST_BEFORE
        words = [line.send_now(message, may_be_lost=False) for _ in range(lines._MAX_WAITING)]
        assert sum(words) == lines._MOST_BEFORE_MESSAGES - lines._MOST_BEFORE
        line.send(message)
        assert line._outgoing.qsize() == lines._MOST_BEFORE_MESSAGES + 1

    on_virtual_time(main)
