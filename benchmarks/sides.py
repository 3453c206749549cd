"""Two versions of the package side by side: a checkout of an earlier commit, and an environment for each.

Both environments are made anew and have the third-party packages of the one that runs this, so that nothing
but the package itself differs. Refuses to know what is measured.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

__all__ = ["NotMeasured", "Side", "sides"]

ROOT = Path(__file__).parents[1]
PROGRAMS = Path(__file__).with_name("measured")
TIMEOUT_S = 300.0


class NotMeasured(Exception):
    """A program that measures has failed."""


@attrs.frozen
class Side:
    """One version, ready to run.

    Attributes:
        name: its column.
        python: the interpreter of its environment.
    """

    name: str
    python: str

    def command(self, *arguments: str) -> list[str]:
        """Return the command of a program of this version."""
        return [self.python, "-P", *arguments]

    def measured(self, program: Path, *arguments: str) -> dict[str, Any]:
        """Run a program that prints one JSON object; return that.

        Raises:
            NotMeasured: it failed.
        """
        try:
            printed = _output(self.command(str(program), *arguments))
        except (SystemExit, subprocess.TimeoutExpired) as error:
            raise NotMeasured(str(error)) from None
        found: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return found

    @contextlib.contextmanager
    def service(self) -> Iterator[str]:
        """Run a service of this version; yields its address."""
        process = subprocess.Popen(  # noqa: S603  # an interpreter that was made here
            self.command(str(PROGRAMS / "serve.py")), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        with process:
            yield str(process.stdout.readline()).strip()  # type: ignore[union-attr]  # a pipe, see above
            process.stdin.close()  # type: ignore[union-attr]  # as above


@contextlib.contextmanager
def sides(revision: str) -> Iterator[tuple[Side, Side]]:
    """Yield an earlier commit, and this checkout as it stands."""
    with tempfile.TemporaryDirectory(prefix="gym-p2p-before-") as name:
        folder, checkout = Path(name), Path(name) / "checkout"
        _git("worktree", "add", "--detach", "--quiet", str(checkout), revision)
        try:
            short = _git("rev-parse", "--short", f"{revision}^{{commit}}")
            yield (
                Side(short, _environment(folder / "before", checkout)),
                Side("now", _environment(folder / "after", ROOT)),
            )
        finally:
            _git("worktree", "remove", "--force", str(checkout))


def _environment(folder: Path, checkout: Path) -> str:
    """Make an environment that has a checkout, and the packages that are here; return its Python."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    within = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=within))
    here = [folder for folder in sys.path if Path(folder).name in {"site-packages", "dist-packages"}]
    # Plain folders, whose own .pth files are not read: an editable installation among them would be one.
    (site / "sides.pth").write_text("\n".join([str(checkout), *here]) + "\n", encoding="utf-8")
    code = "import gym_p2p, gym_p2p.cli; print(gym_p2p.__file__)"
    found = _output([str(python), "-P", "-c", code])
    if Path(found).parents[1] != checkout.resolve():
        raise SystemExit(f"the environment of {checkout} has the package of {found}")
    return str(python)


def _git(*arguments: str) -> str:
    return _output(["git", *arguments])


def _output(command: list[str]) -> str:
    """Run a program; return what it printed."""
    done = subprocess.run(  # noqa: S603  # ours: git, and interpreters that were made here
        command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}:\n{done.stderr[-2000:].strip()}")
    return done.stdout.strip()
