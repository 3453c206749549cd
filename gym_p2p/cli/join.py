"""``gym-p2p join``: play a seat of an environment, as a policy or a person, against anyone on the service."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import attrs
from rich.console import Console, Group, RenderableType
from rich.logging import RichHandler

from gym_p2p.cli.live import (
    live_view,
    match_line,
    match_table,
    picture_panel,
    print_report_line,
    print_summary,
    queue_line,
)
from gym_p2p.cli.options import (
    NAMES,
    add_match_options,
    add_seats_argument,
    add_watchers_argument,
    between,
    count,
    env_arguments,
    environment_in_words,
    find_local_modules,
    match_options,
    name,
    require_places,
    seat_id,
)
from gym_p2p.cli.play import Part, PersonsPart, play
from gym_p2p.cli.seat_options import (
    add_away_options,
    add_human_options,
    add_policy_options,
    reactions,
    require_one_player,
    stand_in_of,
)
from gym_p2p.cli.status import EXIT_CODES, Status
from gym_p2p.cli.tables import terminal_console
from gym_p2p.config import DEFAULT_SERVER_URL
from gym_p2p.errors import MatchRefused, NoMatch, UsageError
from gym_p2p.processes.progress import is_live

if TYPE_CHECKING:
    from gym_p2p.wrapper import P2POptions

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

DESCRIPTION = (
    "Play a seat of an environment, with a policy or yourself, against who joins the same room, or whom a "
    "queue finds."
)
EPILOG = f"""\
examples:
  gym-p2p join gym_p2p/Rally-v0 --policy scripted
  gym-p2p join gym_p2p/Rally-v0 --seat left --human       yourself, in a page of your browser
  gym-p2p join gym_p2p/Rally-v0 --policy onnx:rally.onnx --reaction-ms 200 --actions-per-second 4
  gym-p2p join gym_p2p/Rally-v0 --queue lab --pre-match 80 --on-refusal requeue
  gym-p2p join pettingzoo.atari.pong_v3 --env-arg obs_type=ram --seat first_0 --frames 1000
  gym-p2p join my_package.games:make_env --policy my_package.agents:greedy --server http://10.0.0.5:8765

{NAMES}
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "env", help="a Gymnasium id, a PettingZoo module (pettingzoo.atari.pong_v3), or module:function"
    )
    parser.add_argument("--server", default=DEFAULT_SERVER_URL, metavar="URL", help="default: %(default)s")
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--room", type=name, default="default", help="players of one room meet (default: %(default)s)"
    )
    place.add_argument(
        "--queue",
        type=name,
        metavar="NAME",
        help="instead of a room: be probed, and matched with whoever is near",
    )
    parser.add_argument(
        "--pre-match",
        metavar="MS|MODULE:FUNCTION",
        help="your vote before a queue's match: the largest round trip of any two players, or a function "
        "that is given the match (a MatchProposed) and returns True, False or a Verdict",
    )
    parser.add_argument(
        "--on-refusal",
        choices=["raise", "requeue"],
        help="after your own refusal: give up, or wait for somebody else (default: raise)",
    )
    parser.add_argument("--seat", type=seat_id, help="the seat to take (default: any free one)")
    parser.add_argument(
        "--subject", type=name, metavar="ID", help="who you are to the service (default: anonymous)"
    )
    add_policy_options(parser, default="random")
    add_human_options(parser)
    parser.add_argument(
        "--rejoin-timeout",
        type=between(0, 3600),
        default=0.0,
        metavar="S",
        help="wait so long for a player whose program ended, who comes back by starting it again "
        "(default: %(default)g: not at all)",
    )
    add_away_options(parser)
    parser.add_argument(
        "--no-rejoin",
        dest="rejoin",
        action="store_false",
        help="join anew, even if the others of a match wait that this program was killed in",
    )
    parser.add_argument("--episodes", type=count, metavar="N", help="leave after N episodes")
    add_watchers_argument(parser)
    add_seats_argument(parser)
    parser.add_argument("--picture", action="store_true", help="show the environment's ansi rendering")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON, and no live view")
    parser.add_argument("--lines", action="store_true", help="print every status as a line of JSON")
    add_match_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Play."""
    find_local_modules()
    require_places(arguments)
    require_one_player(arguments)
    part = Part(
        env=arguments.env,
        env_args=env_arguments(arguments.env_arg),
        seat=arguments.seat,
        watchers=arguments.watchers,
        seats=arguments.seats,
        policy=arguments.policy or "random",
        reactions=reactions(arguments),
        person=PersonsPart(keys=arguments.keys, browser=arguments.browser) if arguments.human else None,
        seed=arguments.seed,
        frames=arguments.frames,
        episodes=arguments.episodes,
        picture=arguments.picture,
        stand_in=stand_in_of(arguments),
        options={
            **match_options(arguments),
            **_place(arguments),
            "server_url": arguments.server,
            "subject_id": arguments.subject,
            "rejoin": arguments.rejoin,
            "rejoin_timeout_s": arguments.rejoin_timeout,
            "while_away": arguments.while_away,
        },
    )
    try:
        with (
            _shown(arguments) as report,
            contextlib.redirect_stdout(sys.stderr),  # what an environment prints is none of our output
            environment_in_words(part.env),
        ):
            summary = play(part, report)
    except (NoMatch, MatchRefused) as error:
        advice = "with --on-refusal requeue it waits for somebody else"
        if isinstance(error, NoMatch):
            advice = "run it again to wait again (serve --give-up-after S sets for how long)"
        print(f"gym-p2p join: {error.problem}; {advice}", file=sys.stderr)
        return 3  # as for every other side that would not
    if arguments.json or arguments.lines:
        print(json.dumps({"type": "summary", **attrs.asdict(summary)}), flush=True)
    else:
        print_summary([summary])
        print_report_line([summary])
    return summary.exit_code


def _place(arguments: argparse.Namespace) -> P2POptions:
    """Return the wrapper's options of where the others are met."""
    if arguments.queue is None:
        if arguments.pre_match is not None or arguments.on_refusal is not None:
            raise UsageError("--pre-match and --on-refusal want --queue: in a room nobody is chosen")
        return {"room": arguments.room}
    return {
        "queue": arguments.queue,
        "pre_match": _limit_or_name(arguments.pre_match),
        "on_refusal": arguments.on_refusal or "raise",
    }


def _limit_or_name(text: str | None) -> float | str | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


@contextlib.contextmanager
def _shown(arguments: argparse.Namespace) -> Iterator[Callable[[Status], None]]:
    if arguments.lines:
        out = sys.stdout

        def print_line(status: Status) -> None:
            print(json.dumps({"type": "status", **attrs.asdict(status)}), file=out, flush=True)

        yield print_line
        return
    if arguments.json:
        yield lambda _status: None
        return
    console = terminal_console()
    with _logged_above(console), live_view(_picture, plain=_line, console=console) as show:
        yield show


def _line(status: Status) -> str:
    return match_line(status) if status.queue is None else ""  # what a queue says is logged


def _picture(status: Status) -> RenderableType:
    if status.queue is not None:
        return queue_line(status.queue)
    return Group(match_table([status]), picture_panel(status.picture, str(status.seat)))


@contextlib.contextmanager
def _logged_above(console: Console) -> Iterator[None]:
    """Show, above the live view, who is waited for and when the players are connected."""
    told_by = ("match_client", "coming_back", "kept_match")
    logs = [logging.getLogger(f"gym_p2p.play.{name}") for name in told_by]
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if is_live(sys.stderr):
        handler = RichHandler(console=console, show_time=False, show_level=False, show_path=False)
        # The live view shows it.
        handler.addFilter(lambda record: record.name != "gym_p2p.play.match_client.queue")
    for log in logs:
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    try:
        yield
    finally:
        for log in logs:
            log.removeHandler(handler)
            log.propagate = True
