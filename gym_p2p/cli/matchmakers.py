"""How queues are run, as people write it on a command line: matchmakers by name, hooks, limits."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

from gym_p2p.config import MatchmakingConfig
from gym_p2p.config.names import load_named
from gym_p2p.core.matchmaking.strategy import (
    FIFOMatchmaker,
    GroupReunionMatchmaker,
    LatencyFIFOMatchmaker,
    Matchmaker,
    require_matchmaker,
)
from gym_p2p.core.matchmaking.widening import WideningMatchmaker
from gym_p2p.errors import UsageError

__all__ = ["KNOWN_MATCHMAKERS", "add_queue_options", "add_set_option", "make_matchmaker"]

_MATCHMAKERS: Mapping[str, tuple[type[Matchmaker], Mapping[str, Any]]] = {
    "fifo": (FIFOMatchmaker, {}),
    "latency-fifo": (LatencyFIFOMatchmaker, {"max_server_rtt_ms": 200.0, "max_p2p_rtt_ms": 150.0}),
    "reunion": (GroupReunionMatchmaker, {"max_p2p_rtt_ms": 150.0}),
    "widening": (WideningMatchmaker, {}),
}
"""Names on the command line, and with what they are made unless ``--set`` says otherwise."""

KNOWN_MATCHMAKERS = tuple(_MATCHMAKERS)
_DEFAULT = "widening"
"""As the service's own."""


def add_set_option(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add ``--set``, whose values :func:`make_matchmaker` takes."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the matchmaker; VALUE is JSON; may be repeated",
    )


def add_queue_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of how a service runs its queues."""
    group = parser.add_argument_group("queues")
    group.add_argument(
        "--matchmaker",
        default=_DEFAULT,
        metavar="NAME",
        help=f"{', '.join(KNOWN_MATCHMAKERS)}, or module:Class (default: %(default)s)",
    )
    add_set_option(group)
    group.add_argument(
        "--pre-match",
        metavar="MODULE:FUNCTION",
        help="called with every match that is found and what was measured (a ProposedMatch); returns, or "
        "awaits, True, False or a Verdict",
    )
    group.add_argument(
        "--give-up-after",
        type=_seconds_or_never,
        default=MatchmakingConfig().give_up_after_s,
        metavar="S",
        help="how long anybody waits in a queue, or 'never' (default: %(default)g)",
    )
    group.add_argument(
        "--decision-log",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="append every decision to decisions.jsonl in the data directory (default: yes)",
    )


def _seconds_or_never(text: str) -> float | None:
    try:
        return None if text == "never" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"wanted a number of seconds, or 'never', got {text!r}") from None


def make_matchmaker(name: str, pairs: list[str]) -> Matchmaker:
    """Return the matchmaker of that name: one of the known ones, or ``module:Class``.

    Args:
        name: which one.
        pairs: its options as ``KEY=VALUE``, the value in JSON.

    Raises:
        UsageError: there is none of that name, or it does not take these options.
    """
    made, defaults = _MATCHMAKERS.get(name) or (_plug_in(name), {})
    options = dict(defaults)
    for pair in pairs:
        key, separator, value = pair.partition("=")
        try:
            options[key] = json.loads(value)
        except ValueError:
            separator = ""
        if not separator:
            raise UsageError(f"--set wants KEY=VALUE, VALUE in JSON, got {pair!r}")
    _require_known(name, made, options)
    try:
        return require_matchmaker(made(**options))
    except TypeError as error:
        raise UsageError(f"{name}: {error}") from error


def _require_known(name: str, made: Callable[..., object], options: Mapping[str, Any]) -> None:
    parameters = signature(made).parameters.values()
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters]
    for option in options:
        if option not in known:
            has = f"has {', '.join(known)}" if known else "has no options"
            raise UsageError(f"--set {option}: the matchmaker {name} {has}")


def _plug_in(name: str) -> Callable[..., object]:
    if ":" not in name:
        known = ", ".join(KNOWN_MATCHMAKERS)
        raise UsageError(f"no matchmaker {name!r}; known are {known}, and module:Class for your own")
    return load_named("matchmaker", name)
