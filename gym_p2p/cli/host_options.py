"""The options of ``gym-p2p host`` that no other command has."""

from __future__ import annotations

import argparse

from gym_p2p.cli.options import above_zero, between, count, name, seat_id, seats_option, whole
from gym_p2p.cli.seat_options import add_away_options, add_reaction_options, policy_name
from gym_p2p.policies.specs import FORMS

__all__ = ["add_links_options", "add_meeting_options", "add_page_options"]

PORT = 8770
MOST_HOURS = 10 * 365 * 24.0
"""A link lasts: ten years; a date that no calendar has is none to write down."""


def add_meeting_options(meeting: argparse._ArgumentGroup) -> None:
    """Add who plays with whom."""
    meeting.add_argument(
        "--queue", type=name, default="lab", metavar="NAME", help="where people meet (default: %(default)s)"
    )
    meeting.add_argument(
        "--partner",
        type=policy_name,
        metavar="POLICY",
        help=f"programs play the other seats, and nobody waits: {FORMS}",
    )
    add_reaction_options(meeting)
    meeting.add_argument(
        "--people", type=count, metavar="N", help="with --partner: people in a match (default: 1)"
    )
    meeting.add_argument("--seat", type=seat_id, help="with --partner: the first seat that people take")
    meeting.add_argument(
        "--server", metavar="URL", help="the service where they meet (default: one of this command's own)"
    )
    meeting.add_argument(
        "--wait",
        type=above_zero,
        default=900.0,
        metavar="S",
        help="how long somebody waits for others at most (default: %(default)g)",
    )
    meeting.add_argument(
        "--rejoin-timeout",
        type=between(0, 3600),
        default=30.0,
        metavar="S",
        help="how long the others wait for a player whose process died and is started again; 0: it is not "
        "(default: %(default)g)",
    )
    add_away_options(meeting)
    meeting.add_argument("--episodes", type=count, default=1, metavar="N", help="of a match (default: 1)")
    meeting.add_argument(
        "--split",
        type=seats_option,
        metavar="N|JSON",
        help="how a joint action splits into seats; as --seats of join",
    )


def add_links_options(links: argparse._ArgumentGroup) -> None:
    """Add who may come, and where."""
    links.add_argument(
        "--links", type=count, default=0, metavar="N", help="make N links, each for one person"
    )
    links.add_argument(
        "--links-file",
        metavar="FILE",
        help="where they are written; those in it hold on (default: links.csv in --exports)",
    )
    links.add_argument(
        "--links-last",
        type=between(0.01, MOST_HOURS),
        default=7 * 24.0,
        metavar="HOURS",
        help="after which a link that was not used is none (default: a week)",
    )
    links.add_argument(
        "--open", action="store_true", help="one link more, for everybody (default: if there are no others)"
    )
    links.add_argument(
        "--seats",
        type=count,
        metavar="N",
        help="people who play or wait at once; the next is asked to wait (default: what this machine can do)",
    )
    links.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="to listen on (default: %(default)s)"
    )
    links.add_argument("--port", type=whole, default=PORT, help="0 for any free one (default: %(default)s)")
    links.add_argument(
        "--public-url",
        metavar="URL",
        help="what links begin with, if a proxy stands in front or --host is no address that people can open",
    )


def add_page_options(page: argparse._ArgumentGroup) -> None:
    """Add how the page is."""
    page.add_argument("--keys", metavar="FILE", help="JSON or TOML: which key does what; as for join")
    page.add_argument("--title", help="above the game (default: the environment's name)")
    page.add_argument(
        "--hold",
        type=between(1, 3600),
        default=60.0,
        metavar="S",
        help="keep the seat of a page that was closed (default: %(default)g)",
    )
    page.add_argument(
        "--next",
        metavar="URL",
        help="where the page leads when it is over; {code} and {match} stand for the link's and the match's",
    )
