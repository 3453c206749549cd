"""Parses the command line, runs the command, turns errors into exit codes.

A command is the module of its name here: ``DESCRIPTION``, ``EPILOG``, what its ``EXIT_CODES`` mean,
``add_options(parser)``, and ``run(arguments)``, which returns one of them. It is imported when it is the one
that is wanted.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import logging
import signal
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

from gym_p2p.cli.starting import starting
from gym_p2p.cli.surroundings import (
    ended_by_signals,
    let_go_of_output,
    require_working_directory,
    steady_streams,
)
from gym_p2p.errors import ConfigurationError, NetworkError, P2PError, PeerError, UsageError
from gym_p2p.version import __version__

__all__ = ["main", "make_parser"]

COMMANDS = {
    "demo": "a whole match on this machine: service, players, measurements, exports",
    "serve": "run the service where players meet",
    "token": "make a join token for a participant",
    "join": "play a seat of an environment against anyone on a service",
    "host": "seats for people who have nothing but a link: a page, and a process for each",
    "watch": "look on at a running match",
    "simulate": "play matches on virtual time, and see what delay does",
    "replay": "play a recorded match again: verify it, show it, write its transitions",
    "exports": "recover and hand in documents, make tokens for that, explain tables and pseudonyms",
    "report": "one page of HTML about what was played: latency, rollbacks, returns, problems",
    "check": "find out whether an environment can be played by peers, and in which mode",
    "probe": "measure the latency to somebody who waits for that on a service",
    "queue": "watch who waits in the queues of a running service",
    "matchmaking": "simulate a queue under a policy, or replay a decision log under another one",
    "bench": "measure what things cost, beside floors and anchors",
}

_EVERYWHERE = {
    1: "it did not work out; the last line says why",
    3: "no service, or no connection (of a command that wants one)",
    2: "wrong usage",
    130: "Ctrl-C, SIGTERM, SIGHUP",
    141: "nobody reads the output any more (as with head)",
}
"""What these exit codes say of a command that has no words of its own for them, in its module."""

_OF_ALL = {
    0: "done",
    1: "not as it should be; what that is, each command's --help says",
    3: "no service, no connection, or another player's side refused",
    4: "all outcomes were the same, but something in the players' states was not",
}

_CALLED = {
    "server_url": "server",
    "subject_id": "subject",
    "urls": "ice-server",
    "cors_origins": "cors-origin",
    "give_up_after_s": "give-up-after",
    "next_url": "next",
}
"""What an option of the wrapper is called here, where that is not its own name."""


_POSITIONAL = frozenset({"action", "command", "env", "file", "log", "path", "peer", "subject", "what"})
"""What is read from the command line without a name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code. In the main thread, SIGTERM and SIGHUP end it as Ctrl-C does."""
    argv = sys.argv[1:] if argv is None else argv
    # Nothing that takes a value stands before the command: it is the first word.
    wanted = [word for word in argv if word in COMMANDS][:1]
    steady_streams()
    try:
        with ended_by_signals():
            return _run(argv, wanted)
    except (P2PError, KeyboardInterrupt) as error:
        code, said = _failure(error, " ".join(["gym-p2p", *wanted]))
    except BrokenPipeError:
        code, said = (
            128 + signal.SIGPIPE,
            "",
        )  # who reads a few lines and goes wants no complaint between them
    except OSError as error:
        code, said = 1, f"gym-p2p: {_output_problem(error)}\n"
    with contextlib.suppress(OSError):
        print(said, end="", file=sys.stderr)
    let_go_of_output()
    return code


def _run(argv: Sequence[str], wanted: Sequence[str]) -> int:
    if wanted:
        require_working_directory()
    with starting(*wanted):
        parser = make_parser(wanted)
    arguments = parser.parse_args(argv)
    logging.basicConfig(format=arguments.log_format, level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("gym_p2p").setLevel(arguments.log_level.upper())  # the libraries' own is too much
    try:
        code = int(arguments.run(arguments))
    except ConfigurationError as error:
        raise _as_given(error, arguments) from error
    sys.stdout.flush()  # here, where a reader who is gone is noticed
    return code


def _failure(error: P2PError | KeyboardInterrupt, command: str) -> tuple[int, str]:
    """Return the exit code, and what is said."""
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted\n"
    code = 3 if isinstance(error, NetworkError | PeerError) else 1
    return 2 if isinstance(error, UsageError) else code, f"{command}: {error}\n"


def _output_problem(error: OSError) -> str:
    """Return why the output could not be written.

    Raises:
        OSError: this one, which is not of the output: a file's has its name.
    """
    if error.errno == errno.EIO:
        return "the output goes nowhere: the terminal is gone"
    if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} or error.filename is not None:
        raise error
    from gym_p2p.files.problems import disk_problem  # noqa: PLC0415 - it takes a tenth of a second, at every start

    return f"the output was not written: {disk_problem(error)}"


def _as_given(error: ConfigurationError, arguments: argparse.Namespace) -> ConfigurationError:
    """Return an error that calls its option as it is called on the command line."""
    option = _CALLED.get(error.option, error.option).replace("-", "_")
    if option in _POSITIONAL or option not in vars(arguments):
        return error
    return ConfigurationError(f"--{option.replace('_', '-')}", error.problem)


def _exit_codes(own: Mapping[int, str]) -> str:
    codes = sorted({**_EVERYWHERE, **own}.items())
    return "exit codes:\n" + "".join(f"  {code:<3}  {meaning}\n" for code, meaning in codes)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in a line, and where all options stand; argparse would list them."""

    def parse_known_args(  # type: ignore[override]  # the two forms that argparse has of it
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, and refuse what is left: a command's parser knows better where to read on than ours."""
        known, left = super().parse_known_args(args, namespace)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}")
        return known, left

    def error(self, message: str) -> NoReturn:
        """Tell and exit."""
        self.exit(2, f"{self.prog}: {message.removeprefix('argument ')} ({self.prog} --help tells all)\n")


def make_parser(wanted: Collection[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """Return the parser of ``gym-p2p``; of the commands, those that are wanted know their options."""
    parser = _Parser(
        prog="gym-p2p",
        description="Play multi-agent environments peer to peer over WebRTC, and measure the latency.",
        epilog=_exit_codes(_OF_ALL),
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
        command.epilog = f"{module.EPILOG}\n{_exit_codes(module.EXIT_CODES)}"
        module.add_options(command)
        command.add_argument(
            "--log-level",
            default="warning",
            choices=["debug", "info", "warning", "error"],
            help="how much is logged to standard error (default: %(default)s)",
        )
        command.set_defaults(run=module.run)
    return parser
