"""Faults of differing depth to be planted, a line each: what the fuzzer finds is seen by them.

``python -m tests.hostile.faults --seconds 60`` plants one after the other and prints how long it took to find
it. Knows the places in the source; refuses to know how it is looked for.
"""

from __future__ import annotations
import __future__

import argparse
import contextlib
import importlib
import inspect
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import attrs

__all__ = ["EASY", "FAULTS", "Fault", "planted"]

ROOT = Path(__file__).parents[2]


@attrs.frozen
class Fault:
    """A fault.

    Attributes:
        looked_for: the property that does not hold with it.
        place: a function, as ``module:name``.
        line: what stands there, once.
        other: what stands there instead.
    """

    looked_for: str
    place: str
    line: str
    other: str


def _raises(line: str, condition: str) -> tuple[str, str]:
    """Return a line and what stands instead: an error before it, in some case."""
    return line, f"if {condition}: raise KeyError\n    {line}"


_MATCH = "gym_p2p.core.match."
_SYNC = "gym_p2p.core.sync."

FAULTS: dict[str, Fault] = {
    "every refusal": Fault(
        "channel", f"{_MATCH}inbox:Inbox._on_refuse", *_raises("peer.refused = True", "peer.index")
    ),
    "an input after a gap": Fault(
        "conversation", f"{_MATCH}input_buffers:RemoteInputs.add", "skip < 0 or", "skip < -1 or"
    ),
    "a fragment, the third of three": Fault(
        "conversation",
        "gym_p2p.core.wire.fragments:Reassembler.add",
        *_raises("self._pieces.append(data[_HEAD_BYTES:])", "index == 2 and count == 3"),
    ),
    "an acknowledgement of one too many": Fault(
        "conversation",
        f"{_MATCH}claims:check_inputs",
        "received[local] > given:",
        "received[local] > given + 1:",
    ),
    "early inputs of the second episode": Fault(
        "conversation",
        f"{_MATCH}course:Course.take_inputs",
        *_raises("given = 0 if is_early", "is_early and message.inputs and self._exchange.episode == 1"),
    ),
    "a guess that was wrong three frames ago": Fault(
        "conversation",
        f"{_SYNC}input_track:InputTrack.add",
        "elif self._inputs[at] != data:",
        "elif self._inputs[at] != data and len(self._inputs) - at < 3:",
    ),
    "a report of two who are gone, in the second episode": Fault(
        "conversation",
        f"{_MATCH}membership:Departures.receive_holdings",
        *_raises("causes = {", "len(theirs.held) == 2 and self._exchange.episode == 2"),
    ),
    "a barrier that is too far ahead": Fault(
        "conversation",
        f"{_MATCH}barrier:Barrier.receive",
        "<= self.newest(episode)",
        "<= self.newest(episode) + 3",
    ),
    "no agreement after a false report": Fault(
        "conversation",
        f"{_MATCH}membership:Departures.receive_holdings",
        "if self._ours is None or self._ours.gone != self._gone():\n",
        "if False:\n",
    ),
    "a goodbye without a seal": Fault(
        "conversation",
        f"{_MATCH}membership:Departures._keep_words",
        "if not self._seals.is_theirs(",
        "if whose.goodbye and not self._seals.is_theirs(",
    ),
    "whoever leaves owes no report": Fault(
        "conversation",
        f"{_MATCH}answers:Answers._owes",
        "if peer.playing and",
        "if peer.state is PeerState.PLAYING and",
    ),
    "nothing becomes final for who is excluded": Fault(
        "conversation",
        f"{_MATCH}membership:Departures._excluded_by",
        "yield from self._take(peer, 0, (), now)",
        "return",
    ),
    "it hangs": Fault(
        "conversation", f"{_MATCH}match:Match.opened", "peer = self._peers[player]", "while True: pass"
    ),
}
"""What may be planted, the easiest first."""

EASY = ("every refusal", "a guess that was wrong three frames ago")
"""Of which each is found within a few hundred examples."""


def _function(place: str) -> FunctionType:
    module, _, name = place.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    assert isinstance(found, FunctionType)
    return found


@contextlib.contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """Plant a fault as long as this lasts, for whoever has imported the function, too."""
    function = _function(fault.place)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(fault.line) == 1, f"{fault.place} has changed"
    made: dict[str, Any] = {}
    flags = __future__.annotations.compiler_flag
    code = compile(source.replace(fault.line, fault.other), f"planted in {fault.place}", "exec", flags)
    exec(code, function.__globals__, made)  # noqa: S102 - our own source, a line changed
    before, function.__code__ = function.__code__, made[function.__name__].__code__
    try:
        yield
    finally:
        function.__code__ = before


def main() -> int:
    """Plant one after the other, and print until when each is found."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.faults", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long to look for each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("names", nargs="*", help="of faults; all of them unless given")
    arguments = parser.parse_args()
    missed = 0
    for name in arguments.names or [name for name in FAULTS if name != "it hangs"]:
        options = ["--seconds", str(arguments.seconds), "--seed", str(arguments.seed)]
        command = [
            sys.executable,
            "-m",
            "tests.hostile.fuzz",
            "--only",
            FAULTS[name].looked_for,
            "--plant",
            name,
        ]
        done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, check=False)
        missed += done.returncode == 0
        when = next(
            (line for line in done.stdout.splitlines() if line.startswith("found after")), "not found"
        )
        sys.stdout.write(f"| {name} | {when} |\n")
        sys.stdout.flush()
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
