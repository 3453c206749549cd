"""The processes of seats: forked or started, they do the same; and what the host and they tell each other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from gym_p2p.hosting import processes
from gym_p2p.hosting.messages import (
    Began,
    Dying,
    End,
    Ended,
    Failed,
    FromProcess,
    Inbox,
    Measure,
    Measured,
    Over,
    Part,
    PersonsPart,
    Visit,
    pack,
    receive,
    send,
)
from gym_p2p.hosting.player import Player
from gym_p2p.hosting.processes import SeatProcesses
from gym_p2p.hosting.trial import tried
from tests.waiting import PATIENCE_S, in_time, until


def measured(starter: SeatProcesses, env: str) -> FromProcess | None:
    """Have an environment tried, in a process of its own."""

    async def run() -> FromProcess | None:
        heard: list[FromProcess] = []
        gone = asyncio.Event()
        part = Part(env=env, env_args={}, options={"fps": 30.0}, person=PersonsPart(url=""))
        process = starter.start(Measure(part, 0.05), hear=heard.append, gone=gone.set)
        await asyncio.wait_for(gone.wait(), PATIENCE_S)
        await process.let_go()
        return heard[0] if heard else None

    return asyncio.run(run())


@pytest.mark.parametrize("forked", [True, False], ids=["forked", "started"])
def test_a_process_says_what_a_seat_costs_however_it_came_to_be(
    monkeypatch: pytest.MonkeyPatch, *, forked: bool
) -> None:
    if not forked:
        monkeypatch.setattr(processes, "can_fork", lambda: False)
    starter = SeatProcesses("gym_p2p/Rally-v0")
    try:
        found = measured(starter, "gym_p2p/Rally-v0")
        assert isinstance(found, Measured)
        assert found.seats == ["left", "right"]
        assert found.person_share > found.policy_share > 0
        assert measured(starter, "no_such_module:make") == Failed("no module 'no_such_module'", usage=True)
    finally:
        starter.close()


def test_a_server_that_was_killed_is_replaced() -> None:
    starter = SeatProcesses("gym_p2p/Rally-v0")
    try:
        server = starter._server
        if server is None:
            pytest.skip("nothing is forked here")
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: not server.is_there())
        assert isinstance(measured(starter, "gym_p2p/Rally-v0"), Measured)
    finally:
        starter.close()


@pytest.mark.quiet
def test_who_is_stopped_while_an_environment_loads_waits_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow.py").write_text("import time; open('loads', 'w').close(); time.sleep(60)")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    part = Part(env="slow:make", env_args={}, options={"fps": 30.0}, person=PersonsPart(url=""))

    async def stop() -> float:
        trial = asyncio.create_task(tried(part))
        await asyncio.to_thread(until, (tmp_path / "loads").exists)
        began = time.monotonic()
        trial.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await trial
        return time.monotonic() - began

    took_s = asyncio.run(stop())
    with in_time():
        assert took_s < 1.5


def test_messages_to_a_process_arrive_whole_with_what_came_with_them() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        part = Part(env="x", env_args={"n": 1}, options={"room": "r"}, seat=0, person=PersonsPart(url="u"))
        with socket.socket() as passed:
            send(ours, part)
            send(ours, Visit(b"GET / \xff\r\n" * 100), passed.fileno())
            send(ours, End())
        assert receive(theirs) == (part, None)
        visit = receive(theirs)
        assert visit is not None
        assert visit[0] == Visit(b"GET / \xff\r\n" * 100)
        assert isinstance(visit[1], int)
        os.close(visit[1])
        assert receive(theirs) == (End(), None)
        ours.sendall(pack(End())[:3])
        ours.close()
        assert receive(theirs) is None


def test_messages_from_a_process_are_put_together_of_any_pieces() -> None:
    over = Over({"phase": "over", "code": None})
    said: list[FromProcess] = [Began("match-1", "left"), over, Failed("why"), Dying("why")]
    data = b"".join(map(pack, said))
    for size in (1, 7, len(data)):
        inbox = Inbox()
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert [message for piece in pieces for message in inbox.feed(piece)] == said
    with pytest.raises(ValueError, match="bytes"):
        Inbox().feed(b"\xff\xff\xff\xff")


def test_a_player_who_is_told_to_end_while_documents_are_written_writes_them_to_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[FromProcess] = []
    player = Player(Part(env="gym_p2p/Rally-v0", env_args={}, options={}, policy="random"), None, told.append)
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(player, "_play", lambda: "done")
    monkeypatch.setattr(player._env.p2p, "close", lambda _reason: signal.raise_signal(signal.SIGINT))
    player.play()
    assert told == [Ended(ending="done", problems=[])]
    assert signal.getsignal(signal.SIGINT) is before
