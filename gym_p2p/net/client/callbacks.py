"""Handlers of what comes over a line: called safely, and what came before there was one is kept for it.

Knows nothing of what the calls mean.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs

__all__ = ["Inbox", "call_safely"]

_LOG = logging.getLogger(__name__)
_MAX_KEPT = 256


@attrs.define(eq=False)
class Inbox:
    """Calls for a handler, kept until there is one."""

    handler: Callable[..., None] | None = None
    kept: deque[tuple[Any, ...]] = attrs.field(factory=lambda: deque(maxlen=_MAX_KEPT))

    def attach(self, handler: Callable[..., None] | None) -> None:
        """Set the handler, and hand it what was kept."""
        self.handler = handler
        while self.handler is not None and self.kept:
            call_safely(self.handler, *self.kept.popleft())

    def put(self, *arguments: Any) -> None:
        """Call the handler, now or once there is one."""
        if self.handler is None:
            self.kept.append(arguments)
        else:
            call_safely(self.handler, *arguments)


def call_safely(handler: Callable[..., None], *arguments: Any) -> None:
    """Call a handler; the caller's bug must not cut his line."""
    try:
        handler(*arguments)
    except Exception:  # noqa: BLE001  # see above
        _LOG.exception("in a signalling callback")
