"""What a test needs beyond the package: skipped with the line that installs it, or failed on demand."""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest

__all__ = ["require"]


def require(module_or_program: str, install_line: str) -> None:
    """Skip the running test (or module) unless a module or a program of that name is installed.

    With ``GYM_P2P_REQUIRE_ALL=1`` in the environment it fails instead, so that nothing is missed silently.
    """
    found = shutil.which(module_or_program) is not None
    if not found and all(part.isidentifier() for part in module_or_program.split(".")):
        try:
            found = importlib.util.find_spec(module_or_program) is not None
        except ModuleNotFoundError:
            found = False
    if found:
        return
    reason = f"needs {module_or_program}; install it with: {install_line}"
    if os.environ.get("GYM_P2P_REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)
