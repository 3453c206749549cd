"""Threads of this package, told from the program's by what they are."""

from __future__ import annotations

import threading

__all__ = ["OwnThread"]


class OwnThread(threading.Thread):
    """A thread that runs nothing of the user's that could play a seat."""
