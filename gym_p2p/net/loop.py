"""Which event loop the network runs on: uvloop where it exists, asyncio's own elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

__all__ = ["run_loop"]

try:
    from uvloop import new_event_loop
except ImportError:  # not made for this platform
    from asyncio import new_event_loop


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on a fresh event loop to its end."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main)
