"""What the browser's tests need of npm, kept in ``build/`` until ``package.json`` changes.

``python -m tests.browser.packages`` installs it beforehand; the tests install what is missing.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests import installing
from tests.browser.chromium import HERE

__all__ = ["installed"]

FOLDER = HERE.parents[1] / "build" / "browser-tests"
INSTALL = ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock")


def installed() -> Path:
    """Install them unless they are; return the ``node_modules``. One process installs, others wait for it.

    Raises:
        subprocess.SubprocessError: npm failed or took too long, twice.
    """
    wanted, done = HERE / "package.json", FOLDER / "installed.json"
    with installing.alone(FOLDER):
        if not done.exists() or done.read_text() != wanted.read_text():
            shutil.copy(wanted, FOLDER / "package.json")
            installing.run(FOLDER, *INSTALL)
            shutil.copy(wanted, done)
    return FOLDER / "node_modules"


if __name__ == "__main__":
    installed()
