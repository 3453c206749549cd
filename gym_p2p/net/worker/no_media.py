"""Spares a process FFmpeg, which aiortc loads for sound and pictures (PyAV): a twelfth of all its imports.

We have data channels alone: a description with anything else is refused before aiortc sees it
(:mod:`gym_p2p.net.webrtc.descriptions`), so that nothing of it is ever called. aiortc only names its classes.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any

__all__ = ["leave_out_media"]

_MEDIA = "av"


class _Hollow(types.ModuleType):
    """A module in which every name is an empty class."""

    def __getattr__(self, name: str) -> type[Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Hollows(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds hollow modules where PyAV's would be."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the import system's signature
        target: types.ModuleType | None = None,  # noqa: ARG002 - likewise
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] != _MEDIA:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Hollow(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing in it."""


def leave_out_media() -> None:
    """Let this process have no PyAV; before aiortc is imported, and only where nobody else may want it."""
    sys.meta_path.insert(0, _Hollows())
