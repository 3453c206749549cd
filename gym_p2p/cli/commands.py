"""Parses the command line, runs the command, turns errors into exit codes."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from gym_p2p.cli import (
    bench,
    check,
    demo,
    join,
    matchmaking,
    probe,
    queue,
    replay,
    serve,
    simulate,
    token,
    watch,
)
from gym_p2p.errors import NetworkError, P2PError, PeerError, UsageError
from gym_p2p.version import __version__

__all__ = ["make_parser", "run"]

EXIT_CODES = """\
exit codes:
  0    done: played to the end, nothing differed
  1    the match ended early, or the players' games differed
  2    wrong usage
  3    no service, no connection, or another player's side refused
  130  Ctrl-C (what was played is exported)
"""


def run(argv: Sequence[str] | None) -> int:
    """Run a command; return its exit code.

    Raises:
        KeyboardInterrupt: before the command had anything to end cleanly.
    """
    parser = make_parser()
    arguments = parser.parse_args(argv)
    logging.basicConfig(format=arguments.log_format, level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("gym_p2p").setLevel(arguments.log_level.upper())  # the libraries' own is too much
    try:
        code: int = arguments.run(arguments)
    except UsageError as error:
        print(f"gym-p2p {arguments.command}: {error}", file=sys.stderr)
        return 2
    except (NetworkError, PeerError) as error:
        print(f"gym-p2p {arguments.command}: {error}", file=sys.stderr)
        return 3
    except P2PError as error:
        print(f"gym-p2p {arguments.command}: {error}", file=sys.stderr)
        return 1
    return code


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of ``gym-p2p`` with every command."""
    parser = argparse.ArgumentParser(
        prog="gym-p2p",
        description="Play multi-agent environments peer to peer over WebRTC, and measure the latency.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(log_format="%(message)s")
    parser.add_argument("--version", action="version", version=f"gym_p2p {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    playing = (demo, serve, token, join, watch, simulate, replay)
    for module in (*playing, check, probe, queue, matchmaking, bench):
        module.add_parser(commands)
    for command in commands.choices.values():
        command.formatter_class = argparse.RawDescriptionHelpFormatter
        command.epilog = "\n\n".join(filter(None, (command.epilog, EXIT_CODES)))
        if not any(action.dest == "log_level" for action in command._actions):  # noqa: SLF001 - no public way
            command.add_argument(
                "--log-level",
                default="warning",
                choices=["debug", "info", "warning", "error"],
                help="how much is logged to standard error (default: %(default)s)",
            )
    return parser
