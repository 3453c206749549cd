"""Fuzzes machines and decoders, guided by what of the package is reached: ``python -m tests.hostile.fuzz``.

The fuzzer is Atheris (libFuzzer for Python; ``pip install atheris``, on Linux). It changes the bytes from
which Hypothesis draws its examples, so that every input has the shape that the generators give it, and keeps
those that reach something new. Each property is fuzzed in a process of its own, at the same time. What breaks
one is printed with its smallest example, what takes too long with the place where it was; the exit status is
1 then. Whatever happens, it ends two minutes after its time at the latest.
"""

from __future__ import annotations

import argparse
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

from hypothesis.database import InMemoryExampleDatabase

__all__ = ["main"]

ROOT = Path(__file__).parents[2]
NAMES = ("channel", "service", "decoders")

_MAX_INPUT_BYTES = 8_192
"""Hypothesis' own bound of what one example is drawn from."""
_SEEDS = 64
"""Random inputs to begin with: whole examples, as Hypothesis would draw them."""
_MAX_RSS_MB = 2_048
_SLOW_S = 30
"""An input that takes longer counts as one that hangs."""
_STARTS_S = 120
"""For importing, instrumenting and making an example smaller, beyond the time that is fuzzed."""


def main() -> int:
    """Fuzz all properties side by side, and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="how long (default: ten minutes)")
    parser.add_argument("--seed", type=int, default=0, help="of the changes; 0 is another one each time")
    parser.add_argument("--only", choices=NAMES, help="fuzz one of them, in this process")
    arguments = parser.parse_args()
    if arguments.only is not None:
        _fuzz(arguments.only, arguments.seconds, arguments.seed)
    return _fuzz_all(arguments.seconds, arguments.seed)


def _fuzz_all(seconds: int, seed: int) -> int:
    began, failed = time.monotonic(), False
    with tempfile.TemporaryDirectory() as folder:
        running = {}
        for name in NAMES:
            command = [sys.executable, "-m", "tests.hostile.fuzz", "--only", name]
            log = (Path(folder) / name).open("w+b")
            options = ["--seconds", str(seconds), "--seed", str(seed)]
            running[name] = (
                subprocess.Popen(
                    [*command, *options],
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
                code = process.wait(max(1.0, began + seconds + _STARTS_S - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
                outcome = f", for it had not ended after {seconds + _STARTS_S} s and was stopped"
            log.seek(0)
            lines = log.read().decode(errors="replace").splitlines()
            log.close()
            failed |= code != 0
            shown = lines[-100:] if code else [line for line in lines if line.startswith(("Done", "stat::"))]
            sys.stdout.write("\n".join([f"== {name}: exit status {code}{outcome}", *shown, ""]))
    return int(failed)


def _fuzz(name: str, seconds: int, seed: int) -> None:
    """Fuzz one property; the process ends within."""
    import atheris  # noqa: PLC0415 - who only asks for help need not have it

    with atheris.instrument_imports(include=["gym_p2p"]):
        from tests.hostile.machines import property_named  # noqa: PLC0415 - what is imported is instrumented

    logging.disable(logging.CRITICAL)
    tested = property_named(name, database=InMemoryExampleDatabase())

    def try_one(data: bytes) -> Any:
        try:
            return tested.hypothesis.fuzz_one_input(data)
        except Exception:
            signal.setitimer(signal.ITIMER_REAL, 0)  # libFuzzer's: what follows is many inputs
            traceback.print_exc()
            try:
                tested()  # it knows what has failed, and fails with the smallest such example
            except Exception:  # noqa: BLE001 - whatever it is; Atheris prints none of the example
                traceback.print_exc()
            raise

    options = [
        f"-max_total_time={seconds}",
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
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
