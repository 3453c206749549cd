"""Fuzzes machines and decoders, guided by what of the package is reached: ``python -m tests.hostile.fuzz``.

The fuzzer is Atheris (libFuzzer for Python; ``pip install atheris``, on Linux). It changes the bytes from
which Hypothesis draws its examples, so that every input has the shape that the generators give it, and keeps
those that reach something new. What is said to a match matters by its order, and nearly all of it reaches the
same lines: of that Hypothesis draws as much as there is time for, in batches that each have a seed, and
nothing is instrumented.
Each property is fuzzed in a process of its own, at the same time. What breaks one is printed with its
example (where it is guided, the smallest), what takes too long with the place where it was; the exit status
is 1 then. Whatever happens, it ends :data:`GRACE_S` after its time at the latest.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis.database import InMemoryExampleDatabase

from tests.hostile.faults import FAULTS, planted

__all__ = ["main"]

ROOT = Path(__file__).parents[2]
NAMES = ("channel", "conversation", "service", "decoders")
BATCHED = frozenset({"channel", "conversation"})
"""What is drawn in batches rather than guided."""
GRACE_S = 40
"""For making an example smaller, and for ending."""

_MAX_INPUT_BYTES = 8_192
"""Hypothesis' own bound of what one example is drawn from."""
_SEEDS = 64
"""Random inputs to begin with: whole examples, as Hypothesis would draw them."""
_MAX_RSS_MB = 2_048
_SLOW_S = 20
"""An input that takes longer counts as one that hangs."""
_LEAST_S = 5
"""Is fuzzed, however long importing and instrumenting took, which belongs to the time."""
_BATCH = 100
_ENDING_S = 1.0
"""Of the grace, for stopping all of them and showing what they said."""


def main() -> int:
    """Fuzz all properties side by side, and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="how long (default: ten minutes)")
    parser.add_argument("--seed", type=int, default=0, help="of the changes; 0 is another one each time")
    parser.add_argument("--only", choices=NAMES, help="fuzz one of them")
    parser.add_argument("--plant", choices=FAULTS, help="a fault to be found")
    parser.add_argument(
        "--grace", type=float, default=GRACE_S, help="after its time it is stopped, in seconds"
    )
    parser.add_argument("--here", action="store_true", help="in this process")
    arguments = parser.parse_args()
    if not arguments.here:
        return _fuzz_all(arguments)
    until = time.monotonic() + arguments.seconds
    # Before it is stopped from outside it says where it is.
    faulthandler.dump_traceback_later(arguments.seconds + arguments.grace / 2, exit=True)
    work = _draw if arguments.only in BATCHED else _fuzz
    return work(arguments.only, until, arguments.seed, arguments.plant)


def _fuzz_all(arguments: argparse.Namespace) -> int:
    began, failed = time.monotonic(), False
    ends = began + arguments.seconds + arguments.grace
    with tempfile.TemporaryDirectory() as folder:
        running = {}
        for name in NAMES if arguments.only is None else [arguments.only]:
            log = (Path(folder) / name).open("w+b")
            options = ["--seconds", str(arguments.seconds), "--seed", str(arguments.seed)]
            options += ["--grace", str(arguments.grace)]
            options += ["--plant", arguments.plant] if arguments.plant else []
            running[name] = (
                subprocess.Popen(
                    [sys.executable, "-m", "tests.hostile.fuzz", "--here", "--only", name, *options],
                    cwd=ROOT,
                    env={**os.environ, "TMPDIR": folder},  # libFuzzer ends the process: it tidies nothing up
                    stdout=log,
                    stderr=subprocess.STDOUT,
                ),
                log,
            )
        for name, (process, log) in running.items():
            outcome = ""
            try:
                code = process.wait(max(0.0, ends - _ENDING_S - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
                outcome = ", for it had not ended in time and was stopped"
            log.seek(0)
            lines = log.read().decode(errors="replace").splitlines()
            log.close()
            failed |= code != 0
            shown = lines[-100:] if code else [line for line in lines if line.startswith(("Done", "stat::"))]
            sys.stdout.write("\n".join([f"== {name}: exit status {code}{outcome}", *shown, ""]))
    return int(failed)


def _found(began: float, where: str = "") -> None:
    sys.stdout.write(f"found after {time.monotonic() - began:.1f} s{where}\n")
    sys.stdout.flush()


def _plant(name: str | None) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if name is None else planted(FAULTS[name])


def _draw(name: str, until: float, seed: int, plant: str | None) -> int:
    """Try one property on batches of examples, each with a seed of its own; return the exit status."""
    from tests.hostile.machines import property_named  # noqa: PLC0415 - elsewhere it is imported instrumented

    logging.disable(logging.CRITICAL)
    batch = (seed or random.SystemRandom().randrange(10**6)) * 1_000_000
    began, tried = time.monotonic(), 0
    while tried == 0 or time.monotonic() < until:
        try:
            with _plant(plant):
                hypothesis.seed(batch + tried)(property_named(name, examples=_BATCH, shrinks=False))()
        except Exception:  # noqa: BLE001 - whatever it is: it does not hold
            _found(began, f", in batch {tried + 1}")
            sys.stdout.write(f"seed {batch + tried}\n")
            traceback.print_exc()
            return 1
        tried += 1
    took_s = time.monotonic() - began
    sys.stdout.write(f"Done {tried} batches of {_BATCH} in {took_s:.0f} second(s)\n")
    return 0


def _fuzz(name: str, until: float, seed: int, plant: str | None) -> int:
    """Fuzz one property; the process ends within."""
    import atheris  # noqa: PLC0415 - who only asks for help need not have it

    with atheris.instrument_imports(include=["gym_p2p"]):
        from tests.hostile.machines import property_named  # noqa: PLC0415 - what is imported is instrumented

    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    tested = property_named(name, database=InMemoryExampleDatabase())

    def try_one(data: bytes) -> Any:
        try:
            return tested.hypothesis.fuzz_one_input(data)
        except Exception:
            signal.setitimer(signal.ITIMER_REAL, 0)  # libFuzzer's: what follows is many inputs
            _found(began)
            traceback.print_exc()
            try:
                tested()  # it knows what has failed, and fails with the smallest such example
            except Exception:  # noqa: BLE001 - whatever it is; Atheris prints none of the example
                traceback.print_exc()
            raise

    options = [
        f"-max_total_time={max(_LEAST_S, int(until - time.monotonic()))}",
        f"-max_len={_MAX_INPUT_BYTES}",
        f"-rss_limit_mb={_MAX_RSS_MB}",
        f"-timeout={_SLOW_S}",
        f"-seed={seed}",
        "-len_control=0",  # a short input is an example that ends before it is whole, and is none
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    with tempfile.TemporaryDirectory() as folder:
        drawn = random.Random(seed or None)
        for number in range(_SEEDS):
            (Path(folder) / str(number)).write_bytes(drawn.randbytes(_MAX_INPUT_BYTES))
        atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", folder], try_one)
        with _plant(plant):
            atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
