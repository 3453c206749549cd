from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import psutil
import pytest

from gym_p2p.net.loop import run_loop
from gym_p2p.processes.owner import Owner
from gym_p2p.processes.owner_watch import OwnerWatch
from tests.waiting import PATIENCE_S

_OWNED = """
import asyncio, os, sys
from gym_p2p.net.loop import run_loop
from gym_p2p.processes.owner import Owner
from gym_p2p.processes.owner_watch import OwnerWatch

async def main():
    over = asyncio.Event()
    owner = Owner(int(sys.argv[2]), by_pidfd=sys.argv[1] == "pidfd")
    watch = OwnerWatch(owner, over.set)
    print("watching", flush=True)
    await asyncio.wait_for(over.wait(), 20)
    watch.stop()
    assert owner.has_ended()
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
    owner.wait(PATIENCE_S)


@pytest.mark.parametrize("by_pidfd", [True, False])
def test_an_owner_who_had_ended_before_is_noticed_at_once(*, by_pidfd: bool) -> None:
    ended: list[str] = []

    async def main() -> None:
        owner = Owner(os.getpid(), by_pidfd=by_pidfd)
        OwnerWatch(owner, lambda: ended.append("ended")).stop()
        owner.close()

    run_loop(main())
    assert ended == ["ended"]  # this process is not its own parent


@pytest.mark.parametrize("by_pidfd", [True, False])
def test_a_living_owner_is_left_alone_and_nothing_stays_open(*, by_pidfd: bool) -> None:
    ended: list[str] = []

    async def main() -> None:
        await asyncio.sleep(0)
        before = _open_fds()
        owner = Owner(os.getppid(), by_pidfd=by_pidfd)
        watch = OwnerWatch(owner, lambda: ended.append("ended"))
        await asyncio.sleep(0.3)
        assert not owner.has_ended()
        for _ in range(2):
            watch.stop()
            owner.close()
        assert _open_fds() <= before  # others of this process may have closed some

    run_loop(main())
    assert ended == []
