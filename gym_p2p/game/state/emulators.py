"""The emulators of ``ale-py`` and ``multi-agent-ale-py``: saved by their own functions.

Knows what these functions leave out. Refuses to know how an emulator came into a game.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["emulator_bytes", "put_emulator", "repeat_probability", "save_emulator"]


def repeat_probability(emulator: Any) -> float:
    """Return how probable it is that a frame gets the action of the one before instead of its own.

    That action is kept beside what ``cloneSystemState`` saves, and nothing reads or sets it: after a return,
    the first frame may repeat an action of the future that was given up.
    """
    name = "repeat_action_probability"
    # One of the two packages takes text, the other one bytes.
    return float(emulator.getFloat(name.encode() if _is_freed_by_hand(emulator) else name))


def _is_freed_by_hand(emulator: Any) -> bool:
    """Whether it is that of ``multi-agent-ale-py``, whose saved states have to be freed."""
    return hasattr(emulator, "deleteState")


class _Clone:
    """A saved emulator that has to be freed by hand."""

    __slots__ = ("_free", "state")

    def __init__(self, emulator: Any) -> None:
        self.state = emulator.cloneSystemState()
        self._free = emulator.deleteState

    def __del__(self) -> None:
        self._free(self.state)


def save_emulator(emulator: Any) -> Any:
    """Return what :func:`put_emulator` takes."""
    return _Clone(emulator) if _is_freed_by_hand(emulator) else emulator.cloneSystemState()


def put_emulator(found: Any, content: Any) -> None:
    """Write a saved emulator back."""
    found.restoreSystemState(content.state if isinstance(content, _Clone) else content)


def emulator_bytes(found: Any, content: Any) -> np.ndarray[Any, Any]:
    """Return a saved emulator as bytes, the same in every process."""
    if isinstance(content, _Clone):
        return np.array(found.encodeState(content.state), np.uint8)
    return np.frombuffer(bytes(content.serialize()), np.uint8)
