from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import psutil
import pytest

from gym_p2p.net.loop import run_loop
from gym_p2p.processes.owner import OwnerWatch

_OWNED = """
import asyncio, os, sys
from gym_p2p.net.loop import run_loop
from gym_p2p.processes.owner import OwnerWatch

async def main():
    over = asyncio.Event()
    watch = OwnerWatch(int(sys.argv[2]), over.set, by_pidfd=sys.argv[1] == "pidfd")
    print("watching", flush=True)
    await asyncio.wait_for(over.wait(), 20)
    watch.stop()
    print("noticed", flush=True)

run_loop(main())
"""
_OWNER = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2], str(os.getpid())])
time.sleep(60)
"""


def _open_fds() -> int:
    number: int = psutil.Process().num_fds()
    return number


@pytest.mark.parametrize("how", ["pidfd", "looking"])
def test_the_end_of_a_killed_owner_is_noticed(how: str) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, _OWNED, how], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert owner.stdout is not None
    with owner.stdout:
        assert owner.stdout.readline() == "watching\n"
        owner.kill()
        assert owner.stdout.readline() == "noticed\n"
    owner.wait(10)


@pytest.mark.parametrize("by_pidfd", [True, False])
def test_an_owner_who_had_ended_before_is_noticed_at_once(*, by_pidfd: bool) -> None:
    ended: list[str] = []

    async def main() -> None:
        OwnerWatch(os.getpid(), lambda: ended.append("ended"), by_pidfd=by_pidfd).stop()

    run_loop(main())
    assert ended == ["ended"]  # this process is not its own parent


@pytest.mark.parametrize("by_pidfd", [True, False])
def test_a_living_owner_is_left_alone_and_nothing_stays_open(*, by_pidfd: bool) -> None:
    ended: list[str] = []

    async def main() -> None:
        await asyncio.sleep(0)
        before = _open_fds()
        watch = OwnerWatch(os.getppid(), lambda: ended.append("ended"), by_pidfd=by_pidfd)
        await asyncio.sleep(0.3)
        watch.stop()
        watch.stop()
        assert _open_fds() == before

    run_loop(main())
    assert ended == []
