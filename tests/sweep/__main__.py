"""Third-party environments, one after the other: is every verdict right, and does every match play?

Run by hand, with a virtual environment of its own, for these packages are many and old::

    python -m venv sweep
    sweep/bin/pip install -e '.[envs,video]' box2d psutil supersuit minigrid rware crafter aenum numba
    sweep/bin/pip install 'pettingzoo[classic,butterfly]'
    sweep/bin/pip install --no-deps slimevolleygym gym multigrid magent2
    sweep/bin/pip install stable-baselines3          # with torch: large; for the learners only
    sweep/bin/python -m tests.sweep                  # all; or some: NAME ..., --list

Each environment is tried in a process of its own. What is not installed is skipped, and says why.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings

from gym_p2p.errors import UsageError
from tests.sweep import learners
from tests.sweep.cases import CASES
from tests.sweep.trial import run

TIMEOUT_S = 400
_SKIPPED = 77
_BAD = ("WRONG", "FAILED")


def main() -> int:
    """Try what was asked for, and print a row for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweep", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="parts of the names of what to try")
    parser.add_argument("--list", action="store_true", help="print the names")
    parser.add_argument("--here", metavar="NAME", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here is not None:
        return _here(arguments.here)
    names = [case.name for case in CASES] + list(learners.LEARNERS)
    if arguments.names:
        names = [name for name in names if any(part in name for part in arguments.names)]
    if arguments.list:
        print("\n".join(names))  # noqa: T201 the answer
        return 0
    failed = sum(not _tried(name) for name in names)
    print(f"{len(names)} tried, {failed} not as they should be")  # noqa: T201 the result
    return 1 if failed else 0


def _tried(name: str) -> bool:
    """Try one in a process of its own; return whether all was well."""
    began = time.monotonic()
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.sweep", "--here", name],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            env={**os.environ, "PYGAME_HIDE_SUPPORT_PROMPT": "1"},
        )
    except subprocess.TimeoutExpired:
        print(f"{name}\n    FAILED: not done after {TIMEOUT_S} s", flush=True)  # noqa: T201 the result
        return False
    lines = [line[4:] for line in ended.stdout.splitlines() if line.startswith("::: ")]
    if ended.returncode != 0 and not lines:
        said = ended.stderr.strip().splitlines() or ["nothing"]
        lines.append(f"FAILED: ended with {ended.returncode}, and said {said[-1][:200]}")
    rows = "".join(f"\n    {line}" for line in lines)
    print(f"{name}  ({time.monotonic() - began:.0f} s){rows}", flush=True)  # noqa: T201 the result
    return ended.returncode in {0, _SKIPPED} and not any(bad in line for line in lines for bad in _BAD)


def _here(name: str) -> int:
    """Try one in this process."""
    warnings.filterwarnings("ignore")
    case = next((case for case in CASES if case.name == name), None)
    try:
        rows = learners.LEARNERS[name]() if case is None else run(case)
        for part, told in rows:
            print(f"::: {part:<10} {told}", flush=True)  # noqa: T201 the parent reads it
    except (UsageError, ImportError) as error:
        needs = () if case is None else case.needs
        print(f"::: skipped: {error} (pip install {' '.join(needs)})")  # noqa: T201 the parent reads it
        return _SKIPPED if needs or case is None else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
