"""What asyncio complains of when a task, or a future, has failed and nobody has asked."""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Iterator

__all__ = ["no_complaints"]


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if "never retrieved" in text:
            self.texts.append(text)


@contextlib.contextmanager
def no_complaints() -> Iterator[None]:
    """Fail where asyncio has so complained: whatever a network does, somebody takes note of it."""
    complaints = _Complaints()
    log = logging.getLogger("asyncio")
    log.addHandler(complaints)
    try:
        yield
        gc.collect()  # of a task that nobody has asked, asyncio complains as it is collected
    finally:
        log.removeHandler(complaints)
    assert not complaints.texts, "\n".join(complaints.texts)
