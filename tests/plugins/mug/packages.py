"""What the framework and its pages take from registries, kept in ``build/`` until it is wanted differently.

``python -m tests.plugins.mug.packages`` installs it beforehand; the tests install what is missing. The
framework is in an environment of its own, for it brings a server of its own; the pages' three scripts are
taken out of their npm packages one by one, for one of these has 146 MB.
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

from tests import installing

__all__ = ["framework_python", "is_installed", "page_scripts"]

FOLDER = Path(__file__).parents[3] / "build" / "mug-tests"
FRAMEWORK = ("multi-user-gymnasium[server]==0.1.3", "attrs>=24.2", "msgspec>=0.20")
"""The released framework, and what the plug-in itself needs beside it."""
SCRIPTS = {
    "jquery@3.7.1": "dist/jquery.min.js",
    "phaser@3.80.1": "dist/phaser.min.js",
    "socket.io-client@4.7.2": "dist/socket.io.js",
}
VENV = FOLDER / "venv"
DONE = VENV / "installed.txt"
WANTED = "\n".join((sys.version, *FRAMEWORK))


def is_installed() -> bool:
    """Return whether the framework is there already."""
    return DONE.exists() and DONE.read_text() == WANTED


def framework_python() -> Path:
    """Install the framework unless it is; return the interpreter that has it.

    Raises:
        subprocess.SubprocessError: it cannot be installed.
    """
    python = VENV / "bin" / "python"
    with installing.alone(FOLDER):
        if not is_installed():
            installing.run(FOLDER, sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV))
            pip = (sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check")
            installing.run(FOLDER, *pip, "install", "--quiet", "--no-compile", *FRAMEWORK)
            DONE.write_text(WANTED)
    return python


def page_scripts() -> Path:
    """Fetch the scripts that the pages take from CDNs, unless they are there; return their folder.

    Raises:
        subprocess.SubprocessError: npm failed or took too long, twice.
    """
    folder = FOLDER / "scripts"
    folder.mkdir(parents=True, exist_ok=True)
    with installing.alone(FOLDER):
        for package, file in SCRIPTS.items():
            script = folder / Path(file).name
            if not script.exists():
                installing.run(FOLDER, "npm", "pack", "--silent", package)
                archive = FOLDER / f"{package.replace('@', '-')}.tgz"
                with tarfile.open(archive) as packed:
                    content = packed.extractfile(f"package/{file}")
                    assert content is not None
                    script.write_bytes(content.read())
                archive.unlink()
    return folder


if __name__ == "__main__":
    framework_python()
    page_scripts()
