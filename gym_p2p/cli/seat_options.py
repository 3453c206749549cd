"""The options of who plays a seat: a policy, and how fast it may react, or a person at a page."""

from __future__ import annotations

import argparse
from typing import TypedDict

from gym_p2p.cli.options import between
from gym_p2p.errors import UsageError
from gym_p2p.policies.specs import FORMS, read_spec

__all__ = [
    "Reactions",
    "add_away_options",
    "add_human_options",
    "add_policy_options",
    "add_reaction_options",
    "policy_name",
    "reactions",
    "require_keys",
    "require_one_player",
    "require_page",
    "stand_in_of",
]


class Reactions(TypedDict):
    """How fast a policy may react, as :class:`~gym_p2p.PolicySeat` takes it."""

    reaction_ms: float
    actions_per_s: float | None


def add_policy_options(parser: argparse.ArgumentParser, *, default: str) -> None:
    """Add which policy plays, and what :func:`reactions` reads.

    Args:
        parser: of the command.
        default: which one plays where none is named, in words.
    """
    policy = parser.add_argument_group("a policy plays")
    policy.add_argument("--policy", type=policy_name, help=f"{FORMS} (default: {default})")
    add_reaction_options(policy)


def add_reaction_options(policy: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add what :func:`reactions` reads."""
    policy.add_argument(
        "--reaction-ms",
        type=between(0, 60_000),
        default=0.0,
        metavar="MS",
        help="from what it sees to the first action that is chosen by it, counted in frames (default: 0)",
    )
    policy.add_argument(
        "--actions-per-second",
        type=between(0.01, 10_000),
        metavar="N",
        help="it changes its action so often a second at most (default: whenever it wants)",
    )


def policy_name(text: str) -> str:
    """Read the name of a policy; whether there is such a one for a seat is known with the environment."""
    try:
        read_spec(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def reactions(arguments: argparse.Namespace) -> Reactions:
    """Return how fast a policy may react, of what :func:`add_reaction_options` read."""
    return {"reaction_ms": arguments.reaction_ms, "actions_per_s": arguments.actions_per_second}


def add_away_options(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add who acts for players who are away; :func:`stand_in_of` reads the second."""
    parser.add_argument(
        "--while-away",
        choices=["pause", "default_action", "stand_in"],
        default="pause",
        help="meanwhile the match pauses, or default actions or --stand-in play for them; all players "
        "say the same (default: %(default)s)",
    )
    parser.add_argument(
        "--stand-in",
        type=policy_name,
        metavar="POLICY",
        help=f"who plays for players who are away, the same for all: {FORMS}",
    )


def stand_in_of(arguments: argparse.Namespace) -> str | None:
    """Return who plays for players who are away; ``None`` where nobody does.

    Raises:
        UsageError: the options do not go together.
    """
    if (arguments.stand_in is None) == (arguments.while_away == "stand_in"):
        raise UsageError("--stand-in goes with --while-away stand_in, and that with it")
    if arguments.while_away != "pause" and not arguments.rejoin_timeout:
        raise UsageError("--while-away wants --rejoin-timeout: else nobody who is away is waited for")
    stand_in: str | None = arguments.stand_in
    return stand_in


def add_human_options(parser: argparse.ArgumentParser) -> None:
    """Add what a person at a page is asked for; :func:`require_page` checks it."""
    human = parser.add_argument_group("a person plays")
    human.add_argument(
        "--human",
        action="store_true",
        help="play yourself, in a page that opens in a browser, at the game's own rate (or --fps)",
    )
    human.add_argument(
        "--keys",
        metavar="FILE",
        help='JSON or TOML: which key does what, as in {"ArrowLeft": 1} (default: as the environment has it)',
    )
    human.add_argument(
        "--no-browser", dest="browser", action="store_false", help="open none: only print the page's link"
    )


def require_one_player(arguments: argparse.Namespace) -> None:
    """Pass where either a policy plays or a person does.

    Raises:
        UsageError: what was given is for both, or for neither.
    """
    if arguments.human and arguments.policy is not None:
        raise UsageError("--human and --policy: either you play the seat, or a policy does")
    if arguments.human and (arguments.reaction_ms or arguments.actions_per_second is not None):
        raise UsageError("--reaction-ms and --actions-per-second are for a policy: you react as you do")
    require_page(arguments)


def require_page(arguments: argparse.Namespace) -> None:
    """Pass where what is for a page comes with a person who has one, and can be read.

    Raises:
        UsageError: it does not, or cannot.
    """
    if not arguments.human and (arguments.keys is not None or not arguments.browser):
        raise UsageError("--keys and --no-browser want --human: nobody else has a page")
    require_keys(arguments)


def require_keys(arguments: argparse.Namespace) -> None:
    """Pass where the file of keys holds a table, if there is one, before anything else is begun.

    Whether the table fits is known with the environment.

    Raises:
        ConfigurationError: it cannot be read, or holds none.
    """
    if arguments.keys is not None:
        from gym_p2p.human.keys.files import read_keys  # noqa: PLC0415 - Gymnasium, which --help does not need

        read_keys(arguments.keys)
