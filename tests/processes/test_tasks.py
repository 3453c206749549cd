from __future__ import annotations

import asyncio
import logging

import pytest

from gym_p2p.errors import PeerLost
from gym_p2p.processes.tasks import note_failure


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (RuntimeError("a bug"), logging.ERROR),
        (OSError("a socket"), logging.DEBUG),
        (PeerLost("right", "silent"), logging.DEBUG),
    ],
)
def test_a_bug_is_an_error_and_what_the_world_does_is_no_news(
    error: Exception, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise error

    async def main() -> None:
        task = asyncio.create_task(fail(), name="one of ours")
        task.add_done_callback(note_failure)
        await asyncio.wait([task])
        await asyncio.sleep(0)

    with caplog.at_level(logging.DEBUG, "gym_p2p.processes.tasks"):
        asyncio.run(main())
    ((_, found, message),) = [one for one in caplog.record_tuples if one[0] == "gym_p2p.processes.tasks"]
    assert found == level
    assert "one of ours" in message
