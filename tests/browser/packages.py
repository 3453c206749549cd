"""What the browser's tests need of npm, kept in ``build/`` until ``package.json`` changes.

``python -m tests.browser.packages`` installs it beforehand; the tests install what is missing.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.browser.chromium import HERE

__all__ = ["installed"]

FOLDER = HERE.parents[1] / "build" / "browser-tests"
NPM_TIMEOUT_S = 180
"""From a cold cache npm fetches some twenty megabytes, on a machine that may be busy."""
ATTEMPTS = 2


def installed() -> Path:
    """Install them unless they are; return the ``node_modules``. One process installs, others wait for it.

    Raises:
        subprocess.SubprocessError: npm failed or took too long, twice.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted, done = HERE / "package.json", FOLDER / "installed.json"
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists() or done.read_text() != wanted.read_text():
            shutil.copy(wanted, FOLDER / "package.json")
            _install()
            shutil.copy(wanted, done)
    return FOLDER / "node_modules"


def _install() -> None:
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock"]
    for attempt in range(ATTEMPTS):
        try:
            subprocess.run(command, cwd=FOLDER, check=True, stdin=subprocess.DEVNULL, timeout=NPM_TIMEOUT_S)
        except subprocess.SubprocessError:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return


if __name__ == "__main__":
    installed()
