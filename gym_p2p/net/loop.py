"""Which event loop the network runs on: uvloop where it exists, asyncio's own elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["run_loop"]

try:
    import uvloop
except ImportError:  # not made for this platform
    _new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    _new_loop = uvloop.new_event_loop


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on a fresh event loop to its end."""
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        runner.run(main)
