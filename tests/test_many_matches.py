"""Match after match in one process: nothing may pile up."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
from functools import partial

import attrs
import gymnasium
import psutil

from gym_p2p import P2PEnv
from tests.players import Episode, Lobby, fork_servers, play_episode, together
from tests.toys import BLEND
from tests.waiting import until

MATCHES = int(os.environ.get("GYM_P2P_MATCHES", "100"))
"""Set it higher for a soak run."""

PROCESS_MATCHES = int(os.environ.get("GYM_P2P_PROCESS_MATCHES", "12"))
"""The same, of matches whose network is a process."""

WARM_UP = 50

MEMORY_SLACK_BYTES = 8 * 2**20
"""Of the allocator's; a leak of one certificate or loop a match would be several times that in 500."""

SLACK = {"threads": 2, "descriptors": 2, "loops": 2, "tasks": 4, "memory_bytes": MEMORY_SLACK_BYTES}
"""What others do in this process meanwhile is none of ours."""

SETTLES_S = 10.0
"""Longer than what is closing takes, on a machine that stands still now and then."""


@attrs.frozen
class Usage:
    """What a process holds."""

    threads: int
    descriptors: int
    processes: frozenset[psutil.Process]
    loops: int
    tasks: int
    memory_bytes: int

    @classmethod
    def now(cls) -> Usage:
        gc.collect()
        process = psutil.Process()
        kept = gc.get_objects()
        return cls(
            threads=threading.active_count(),
            descriptors=process.num_fds(),
            processes=frozenset(process.children()),
            loops=sum(isinstance(thing, asyncio.AbstractEventLoop) for thing in kept),
            tasks=sum(isinstance(thing, asyncio.Task) and not _sleeps_on(thing) for thing in kept),
            memory_bytes=process.memory_info().rss,
        )


def _sleeps_on(task: asyncio.Task[object]) -> bool:
    """Whether it is one of the service's, which Engine.IO leaves asleep for a ping interval."""
    return getattr(task.get_coro(), "__qualname__", "") == "AsyncSocket._send_ping"


def _match(lobby: Lobby, network: str = "thread") -> None:
    options = lobby.options(exports=None, network=network)
    envs = [P2PEnv(gymnasium.make(BLEND), seat=seat, **options) for seat in "ab"]
    played = together(*(partial(play_episode, env, frames=3) for env in envs))
    assert all(isinstance(episode, Episode) for episode in played), played
    together(*(env.close for env in envs))


def _assert_no_more_than(before: Usage) -> None:
    """Check that nothing has piled up, once the service's side of the last match has closed, too."""

    def grown() -> list[str]:
        after = Usage.now()
        return [
            f"{name} grew from {getattr(before, name)} to {getattr(after, name)}"
            for name, slack in SLACK.items()
            if getattr(after, name) > getattr(before, name) + slack
        ] + [f"{process} is left" for process in after.processes - before.processes]

    with contextlib.suppress(AssertionError):
        until(lambda: not grown(), SETTLES_S)
    assert grown() == []


def test_match_after_match_in_one_process_leaves_nothing_behind(lobby: Lobby) -> None:
    for _ in range(min(WARM_UP, MATCHES // 2)):
        _match(lobby)
    before = Usage.now()
    for _ in range(MATCHES - min(WARM_UP, MATCHES // 2)):
        _match(lobby)
    _assert_no_more_than(before)


def test_match_after_match_of_network_processes_leaves_one_server_and_nothing_of_theirs(lobby: Lobby) -> None:
    for _ in range(2):
        _match(lobby, "process")
    until(lambda: len(fork_servers()) == 1)  # one of a test before may still be about to end
    before, (server,) = Usage.now(), fork_servers()
    assert server in before.processes
    until(lambda: server.children() == [])
    held = server.num_fds()
    for _ in range(PROCESS_MATCHES - 2):
        _match(lobby, "process")
    assert fork_servers() == [server]
    _assert_no_more_than(before)
    until(lambda: server.children() == [] and server.num_fds() <= held)
