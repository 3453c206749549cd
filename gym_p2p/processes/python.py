"""Starts a Python process that finds the same modules as this one, wherever this one has them from.

A child's own search path would be another one: the parent may have added folders to its own, run in a
checkout that is not installed, or from a folder that is not the child's. So it gets the parent's.
"""

from __future__ import annotations

import importlib.machinery
import json
import os
import sys
from pathlib import Path

__all__ = ["can_start_python", "python_command", "search_path"]

_PACKAGE = Path(__file__).absolute().parents[1]

_RUN = "import sys, json, runpy; sys.path[:] = json.loads(sys.argv.pop(1)); del sys.argv[0]; "
_RUN += "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
"""What the child runs first. The path is an argument: a variable would be inherited by everything that an
environment starts, and cannot hold a folder whose name has a colon."""


def can_start_python() -> bool:
    """Return whether ``sys.executable`` is an interpreter.

    In a frozen program it is that program, which would start once more; where Python is embedded in another
    program it may be nothing.
    """
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module as a program, with this process's search path.

    The working directory is not on that path unless it is on this process's (``-P``).
    """
    return [sys.executable, "-P", "-c", _RUN, json.dumps(search_path()), module, *arguments]


def search_path() -> list[str]:
    """Return the search path as absolute folders, with this very package on it."""
    path = [folder for entry in sys.path if isinstance(entry, str) and (folder := _absolute(entry))]
    found = importlib.machinery.PathFinder.find_spec(_PACKAGE.name, path)
    if found is None or found.origin != str(_PACKAGE / "__init__.py"):
        path.insert(0, str(_PACKAGE.parent))
    return path


def _absolute(entry: str) -> str | None:
    try:
        return os.path.abspath(entry)  # noqa: PTH100 - an archive's name stays as it is, links included
    except FileNotFoundError:  # relative to a working directory that was deleted: nothing is found there
        return None
