"""Parses the command line, runs the command, turns errors into exit codes.

A command is the module of its name here: ``DESCRIPTION``, ``EPILOG``, ``add_options(parser)`` and
``run(arguments)``, which returns the exit code. It is imported when it is the one that is wanted.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Collection, Sequence

from gym_p2p.errors import NetworkError, P2PError, PeerError, UsageError
from gym_p2p.version import __version__

__all__ = ["main", "make_parser"]

COMMANDS = {
    "demo": "a whole match on this machine: service, players, measurements, exports",
    "serve": "run the service where players meet",
    "token": "make a join token for a participant",
    "join": "play a seat of an environment against anyone on a service",
    "watch": "look on at a running match",
    "simulate": "play matches on virtual time, and see what delay does",
    "replay": "play a recorded match again: verify it, show it, write its transitions",
    "check": "find out whether an environment can be played by peers, and in which mode",
    "probe": "measure the latency to somebody who waits for that on a service",
    "queue": "watch who waits in the queues of a running service",
    "matchmaking": "simulate a queue under a policy, or replay a decision log under another one",
    "bench": "measure what things cost, beside floors and anchors",
}

EXIT_CODES = """\
exit codes:
  0    done: played to the end, nothing differed
  1    the match ended early, or the players' games differed
  2    wrong usage
  3    no service, no connection, or another player's side refused
  4    all outcomes were the same, but something in the players' states was not
  130  Ctrl-C (what was played is exported)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        # Nothing that takes a value stands before the command: it is the first word.
        arguments = make_parser([word for word in argv if word in COMMANDS][:1]).parse_args(argv)
        logging.basicConfig(format=arguments.log_format, level=logging.WARNING, stream=sys.stderr)
        logging.getLogger("gym_p2p").setLevel(arguments.log_level.upper())  # the libraries' own is too much
        return int(arguments.run(arguments))
    except P2PError as error:
        print(f"gym-p2p {arguments.command}: {error}", file=sys.stderr)
        if isinstance(error, UsageError):
            return 2
        return 3 if isinstance(error, NetworkError | PeerError) else 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def make_parser(wanted: Collection[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """Return the parser of ``gym-p2p``; of the commands, those that are wanted know their options."""
    parser = argparse.ArgumentParser(
        prog="gym-p2p",
        description="Play multi-agent environments peer to peer over WebRTC, and measure the latency.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(log_format="%(message)s")
    parser.add_argument("--version", action="version", version=f"gym_p2p {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, summary in COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name not in wanted:
            continue
        module = importlib.import_module(f"gym_p2p.cli.{name}")
        command.description = module.DESCRIPTION
        command.epilog = f"{module.EPILOG}\n{EXIT_CODES}"
        module.add_options(command)
        command.add_argument(
            "--log-level",
            default="warning",
            choices=["debug", "info", "warning", "error"],
            help="how much is logged to standard error (default: %(default)s)",
        )
        command.set_defaults(run=module.run)
    return parser
