"""The options that several commands share, and how their values are read."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from gym_p2p.config.public_ids import PUBLIC_ID, public_id_problem
from gym_p2p.core.wire.codec import MAX_SEED
from gym_p2p.errors import P2PError, UsageError
from gym_p2p.files.private import check_place

if TYPE_CHECKING:
    from gym_p2p.wrapper import P2POptions

__all__ = [
    "MATCH_OPTIONS",
    "NAMES",
    "above_zero",
    "add_emulation_options",
    "add_env_argument",
    "add_match_options",
    "add_seats_argument",
    "add_watchers_argument",
    "between",
    "count",
    "emulation",
    "env_arguments",
    "environment_in_words",
    "find_local_modules",
    "frames_or_auto",
    "match_options",
    "name",
    "number",
    "require_places",
    "seat_id",
    "seats_option",
    "seed",
    "whole",
]

NAMES = f"Names of players, rooms and queues have {PUBLIC_ID}."

MATCH_OPTIONS = (
    *(
        "frames",
        "fps",
        "seed",
        "input_delay",
        "sync",
        "view",
        "network",
        "reconnect_timeout",
        "relay",
        "spectators",
    ),
    *("one_way_ms", "jitter_ms", "loss", "exports"),
)
"""What :func:`add_match_options` reads as one value each: all but ``--env-arg`` and ``--record``."""


def add_env_argument(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add ``--env-arg``, which :func:`env_arguments` reads."""
    parser.add_argument(
        "--env-arg",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an argument of the environment; VALUE is JSON, or text",
    )


def add_watchers_argument(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add ``--watchers``."""
    parser.add_argument(
        "--watchers",
        type=whole,
        default=0,
        metavar="N",
        help="seats of a Gymnasium environment that only watch, watcher_1 ...; the same for all players",
    )


def add_seats_argument(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add ``--seats``."""
    parser.add_argument(
        "--seats",
        type=seats_option,
        metavar="N|JSON",
        help="how a joint action splits: N equal shares (1: one seat has all of it), or each seat's indices "
        'or keys, as in \'{"left": [0, 1, 2], "right": [3, 4, 5]}\'; the same for all players',
    )


def add_match_options(
    parser: argparse.ArgumentParser, *, frames: int | None = None, fps: str = "as fast as possible"
) -> None:
    """Add the options of a player in a match, and say what ``frames`` and ``fps`` are by default."""
    _add_playing(parser.add_argument_group("playing"), frames=frames, fps=fps)
    _add_network(parser.add_argument_group("network"))
    _add_exports(parser.add_argument_group("exports"))


def _add_playing(play: argparse._ArgumentGroup, *, frames: int | None, fps: str) -> None:
    frames_help = "leave after N frames" + (f" (default: {frames})" if frames else "")
    play.add_argument("--frames", type=count, metavar="N", help=frames_help)
    play.add_argument("--fps", type=number, metavar="F", help=f"frames a second (default: {fps})")
    play.add_argument("--seed", type=seed, metavar="N", help="the seed to insist on (default: an agreed one)")
    play.add_argument(
        "--input-delay",
        type=frames_or_auto,
        default=0,
        metavar="N",
        help="frames to effect, or auto (default: 0)",
    )
    play.add_argument(
        "--sync",
        choices=["auto", "lockstep", "rollback"],
        default="auto",
        help="wait for everybody's action, or predict it and correct (default: %(default)s)",
    )
    play.add_argument(
        "--view",
        choices=["predicted", "confirmed"],
        default="predicted",
        help="with rollback: show now, or what is final (default: %(default)s)",
    )
    add_env_argument(play)


def _add_network(network: argparse._ArgumentGroup) -> None:
    network.add_argument(
        "--network", choices=["process", "thread"], help="where the network runs (default: process)"
    )
    network.add_argument(
        "--reconnect-timeout",
        type=between(0, 600),
        default=10.0,
        metavar="S",
        help="pause so long at most for a broken path, and rebuild it; 0: do not (default: %(default)g)",
    )
    network.add_argument(
        "--relay",
        choices=["service", "players", "none"],
        default="service",
        help="who passes messages on where two players have no good path: another player or else the "
        "service, other players alone, or nobody (default: %(default)s)",
    )
    network.add_argument(
        "--spectators",
        type=whole,
        default=0,
        metavar="N",
        help="show the match to up to N spectators (default: 0)",
    )
    add_emulation_options(network)


def add_emulation_options(network: argparse._ArgumentGroup) -> None:
    """Add the options of an emulated path, which :func:`emulation` reads."""
    network.add_argument(
        "--one-way-ms",
        type=between(0, 10_000),
        default=0.0,
        metavar="MS",
        help="emulated delay of what this side sends",
    )
    network.add_argument(
        "--jitter-ms",
        type=between(0, 10_000),
        default=0.0,
        metavar="MS",
        help="emulated mean extra delay (exponential)",
    )
    network.add_argument(
        "--loss",
        type=between(0, 1),
        default=0.0,
        metavar="P",
        help="emulated share of lost datagrams, 0 to 1",
    )


def emulation(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of a :class:`~gym_p2p.config.LinkEmulation` that were given."""
    return {name: getattr(arguments, name) for name in ("one_way_ms", "jitter_ms", "loss")}


def _add_exports(exports: argparse._ArgumentGroup) -> None:
    exports.add_argument(
        "--exports", default="p2p-exports", metavar="DIR", help="the documents' folder (default: %(default)s)"
    )
    exports.add_argument(
        "--exports-fallback",
        default=True,
        metavar="DIR",
        help="where they go once that folder takes no more (default: below the user's state folder)",
    )
    exports.add_argument(
        "--record",
        nargs="?",
        default=True,
        const=True,
        metavar="PATH",
        help="record the match elsewhere than beside its documents: to a .p2preplay file, or into a folder",
    )
    exports.add_argument(
        "--no-record",
        dest="record",
        action="store_const",
        const=False,
        help="do not record the match: it cannot be played again then",
    )


def require_places(arguments: argparse.Namespace) -> None:
    """Pass where documents and recordings can be written, before anything else is begun; leave nothing there.

    Raises:
        ConfigurationError: they cannot.
    """
    check_place(arguments.exports)
    if isinstance(arguments.exports_fallback, str):
        check_place(arguments.exports_fallback, option="exports_fallback")
    if isinstance(arguments.record, str):
        path = Path(arguments.record)
        check_place(path.parent if path.suffix == ".p2preplay" else path, option="record")


def match_options(arguments: argparse.Namespace) -> P2POptions:
    """Return the wrapper's options of what :func:`add_match_options` read."""
    options: P2POptions = {
        "fps": arguments.fps,
        "input_delay": arguments.input_delay,
        "sync": arguments.sync,
        "view": arguments.view,
        "reconnect_timeout_s": arguments.reconnect_timeout,
        "relay": arguments.relay,
        "spectators": arguments.spectators,
        "exports": arguments.exports,
        "exports_fallback": arguments.exports_fallback,
        "record": arguments.record,
        "emulation": emulation(arguments),
    }
    if arguments.network is not None:
        options["network"] = arguments.network
    return options


@contextlib.contextmanager
def environment_in_words(env: str) -> Iterator[None]:
    """Raise what an environment raises while it is played as an error of one line with its words.

    Raises:
        UsageError: it raised an error.
    """
    try:
        yield
    except P2PError:
        raise
    except Exception as error:
        from gym_p2p.game.env.load import said_by_environment  # noqa: PLC0415 - Gymnasium, for an error alone

        said = said_by_environment(error)
        if said is None:
            raise
        raise UsageError(f"{env} cannot be played: it raised {said}") from error


def find_local_modules() -> None:
    """Let ``module:function`` name a module of the working directory, as ``python -m`` would."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def env_arguments(pairs: list[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` pairs; a value that is no JSON is a text.

    >>> env_arguments(["N=3", "obs_type=ram", "continuous_actions=true"])
    {'N': 3, 'obs_type': 'ram', 'continuous_actions': True}
    """
    arguments: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key.isidentifier():
            raise UsageError(f"--env-arg wants KEY=VALUE, got {pair!r}")
        try:
            arguments[key] = json.loads(value)
        except ValueError:
            arguments[key] = value
    return arguments


def seat_id(text: str) -> str | int:
    """Read a seat: a whole number is an index, anything else a name.

    >>> seat_id("first_0"), seat_id("1")
    ('first_0', 1)
    """
    return int(text) if text.lstrip("-").isdigit() else text


def seats_option(text: str) -> int | dict[str, Any]:
    """Read how a joint action splits.

    >>> seats_option("2"), seats_option('{"left": [0, 1], "right": 2}')
    (2, {'left': [0, 1], 'right': 2})
    """
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, bool) or not isinstance(found, int | dict):
        raise argparse.ArgumentTypeError(
            f'wanted a number of seats, or JSON like {{"left": [0, 1], "right": [2, 3]}}, got {text!r}'
        )
    return found


def frames_or_auto(text: str) -> int | Literal["auto"]:
    """Read an input delay: a number of frames, or ``auto``."""
    return "auto" if text == "auto" else _read(int, text, "a whole number, or auto")


def whole(text: str) -> int:
    """Read a whole number."""
    return _read(int, text, "a whole number")


def seed(text: str) -> int:
    """Read an episode's seed."""
    value = whole(text)
    if not 0 <= value <= MAX_SEED:
        raise argparse.ArgumentTypeError(f"wanted a whole number from 0 to 2**64 - 1, got {text}")
    return value


def number(text: str) -> float:
    """Read a number."""
    return _read(float, text, "a number")


def count(text: str) -> int:
    """Read a whole number from 1."""
    value = _read(int, text, "a whole number from 1")
    if value < 1:
        raise argparse.ArgumentTypeError(f"wanted a whole number from 1, got {text}")
    return value


def above_zero(text: str) -> float:
    """Read a number above 0."""
    value = _read(float, text, "a number above 0")
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"wanted a number above 0, got {text}")
    return value


def between(least: float, most: float) -> Callable[[str], float]:
    """Return what reads a number of that range."""

    def read(text: str) -> float:
        value = _read(float, text, f"{least:g} to {most:g}")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"wanted {least:g} to {most:g}, got {text}")
        return value

    return read


def name(text: str) -> str:
    """Read the name of a subject, a room or a queue: a wrong one is refused before anything begins."""
    problem = public_id_problem(text)
    if problem is not None:
        raise argparse.ArgumentTypeError(problem)
    return text


_T = TypeVar("_T")


def _read(kind: Callable[[str], _T], text: str, wanted: str) -> _T:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"wanted {wanted}, got {text!r}") from None
