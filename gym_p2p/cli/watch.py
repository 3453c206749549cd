"""``gym-p2p watch``: look on at a running match, in an environment of one's own."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
from rich.console import Group, RenderableType
from rich.text import Text

from gym_p2p.cli.drawing import load_drawn
from gym_p2p.cli.live import checks_cell, live_view, picture_panel
from gym_p2p.cli.options import (
    NAMES,
    above_zero,
    add_env_argument,
    add_seats_argument,
    add_watchers_argument,
    count,
    env_arguments,
    environment_in_words,
    find_local_modules,
    name,
)
from gym_p2p.cli.tables import Column, FittingTable, figure
from gym_p2p.config import DEFAULT_SERVER_URL
from gym_p2p.errors import MatchOver, WatchDiverged
from gym_p2p.processes.progress import doing

if TYPE_CHECKING:
    from gym_p2p.play.paused import Paused
    from gym_p2p.spectate.spectator import Spectator

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

REPORT_INTERVAL_S = 0.1

_LIVE_ONLY = frozenset({"picture", "state", "frame", "behind", "paused"})
"""What the summary leaves out."""

DESCRIPTION = (
    "Look on at a running match: every confirmed frame from the episode's first on, played "
    "in an environment of one's own; first the past, as fast as it can be played, then live."
)
EPILOG = f"""\
examples:
  gym-p2p watch gym_p2p/Rally-v0 --picture                the match in room "default" of a service here
  gym-p2p watch pettingzoo.atari.pong_v3 --env-arg obs_type=ram --room lab --server http://10.0.0.5:8765
  gym-p2p watch gym_p2p/Rally-v0 --match match-0f3a...     one that came out of a queue

Some player of the match has to allow it: join --spectators N. The players do not notice who looks on.
{NAMES}
"""


EXIT_CODES = {
    0: "done: what was played here is what the players played, as far as it was seen",
    1: "the match was lost from sight, or what was played here is not what they played",
    3: "no service, no connection, or nobody shows such a match",
    4: "all outcomes were the same, but something in the states was not",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("env", help="the players' environment, as for join")
    parser.add_argument("--server", default=DEFAULT_SERVER_URL, metavar="URL", help="default: %(default)s")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--room", type=name, default="default", help="the match's room (default: %(default)s)")
    place.add_argument("--match", metavar="ID", help="the match itself, where it came out of a queue")
    parser.add_argument(
        "--subject", type=name, metavar="ID", help="who you are to the service (default: anonymous)"
    )
    add_env_argument(parser)
    add_watchers_argument(parser)
    add_seats_argument(parser)
    parser.add_argument("--frames", type=count, metavar="N", help="leave after N frames")
    parser.add_argument(
        "--wait",
        type=above_zero,
        default=300.0,
        metavar="S",
        help="for a match to begin (default: %(default)g)",
    )
    parser.add_argument("--picture", action="store_true", help="show the environment's ansi rendering")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON, and no live view")


@attrs.define(kw_only=True)
class _Sight:
    """What was seen so far."""

    match_id: str | None = None
    source: str | None = None
    episodes: int = 0
    frame: int = 0
    frames: int = 0
    behind: int = 0
    state: str = "waiting"
    rewards: dict[str, float] = attrs.field(factory=dict)
    checksums_agreed: int = 0
    desyncs: int = 0
    ending: str = "done"
    picture: str | None = None
    paused: Paused | None = None

    def __rich__(self) -> RenderableType:
        """Return its picture as of whenever it is drawn: while the match stands, only the time goes on."""
        return _picture(self)

    @property
    def exit_code(self) -> int:
        """The command's exit code."""
        if self.ending == "interrupted":
            return 130
        if self.ending == "diverged in the state":
            return 4
        return 0 if self.ending in {"done", "normal"} and not self.desyncs else 1


def run(arguments: argparse.Namespace) -> int:
    """Look on."""
    from gym_p2p.spectate.playback import STATE  # noqa: PLC0415 - Gymnasium, which --help does not need
    from gym_p2p.spectate.spectator import Spectator  # noqa: PLC0415 - the same

    sight = _Sight()
    reports: list[Callable[[_Sight], None]] = []

    def show_pause(paused: Paused | None) -> None:
        sight.paused = paused
        for report in reports:
            report(sight)

    find_local_modules()
    with doing(f"loading {arguments.env}"):
        mode = "ansi" if arguments.picture else None
        env = load_drawn(arguments.env, env_arguments(arguments.env_arg), mode=mode, option="--picture")
    spectator = Spectator(
        env,
        watchers=arguments.watchers,
        seats=arguments.seats,
        server_url=arguments.server,
        room=arguments.room,
        match_id=arguments.match,
        subject_id=arguments.subject,
        room_timeout_s=arguments.wait,
        compare_states=not arguments.picture,
        on_pause=show_pause,
    )
    view = live_view(lambda sight: sight, hidden=arguments.json, plain=_line)
    with view as report, contextlib.redirect_stdout(sys.stderr), spectator:
        reports.append(report)
        try:
            with environment_in_words(arguments.env):
                _watch(spectator, sight, arguments, report)
        except KeyboardInterrupt:
            sight.ending = "interrupted"
            if sight.match_id is None:
                raise
        except MatchOver as over:
            sight.ending = over.reason
        except WatchDiverged as error:
            sight.ending = "diverged in the state" if error.what == STATE else "diverged"
            sight.desyncs = spectator.desyncs
            print(f"gym-p2p watch: {error}", file=sys.stderr)
    if arguments.json:
        seen = attrs.asdict(sight, filter=lambda field, _value: field.name not in _LIVE_ONLY)
        print(json.dumps({"type": "summary", **seen}))
    else:
        print(_end_in_words(sight))
    return sight.exit_code


def _watch(
    spectator: Spectator, sight: _Sight, arguments: argparse.Namespace, report: Callable[[_Sight], None]
) -> None:
    """Look on until as many frames as wanted were seen.

    Raises:
        MatchOver: the match is over.
    """
    report(sight)
    reported_at = 0.0
    while True:
        spectator.reset()
        _look(spectator, sight, picture=arguments.picture)
        sight.episodes += 1
        while spectator.agents:
            _, rewards, _, _, infos = spectator.step()
            sight.checksums_agreed = spectator.checksums_agreed
            if "p2p" not in next(iter(infos.values()), {}):
                sight.frames += 1
                for seat, reward in rewards.items():
                    sight.rewards[str(seat)] = round(sight.rewards.get(str(seat), 0.0) + reward, 6) + 0.0
            if sight.frames == arguments.frames:
                return
            now = time.monotonic()
            if reported_at + REPORT_INTERVAL_S <= now:
                reported_at = now
                _look(spectator, sight, picture=arguments.picture)
                report(sight)


def _look(spectator: Spectator, sight: _Sight, *, picture: bool) -> None:
    if spectator.match is not None:
        sight.match_id, sight.source = spectator.match.match_id, str(spectator.match.source)
    sight.frame, sight.behind = spectator.frame, spectator.behind
    sight.state = "catching up" if spectator.catching_up else "live"
    if picture:
        rendered = spectator.render()
        sight.picture = rendered if isinstance(rendered, str) else None


def _line(sight: _Sight) -> str:
    where = f"{sight.state}, frame {sight.frame}"
    return where if sight.paused is None else f"{where}, paused: {sight.paused}"


def _picture(sight: _Sight) -> RenderableType:
    parts: list[RenderableType] = [_table(sight)]
    if sight.paused is not None:
        parts.append(Text(f"paused: {sight.paused}", style="yellow"))
    if sight.picture is not None:
        parts.append(picture_panel(sight.picture, f"frame {sight.frame}"))
    return Group(*parts)


_COLUMNS = (
    Column("state", words=True),
    Column("ep", rank=4),
    Column("frames"),
    Column("behind", rank=3),
    Column("shown by", rank=5, words=True),
    Column("rewards", rank=2, words=True),
    Column("checksums", rank=1, words=True),
)


def _table(sight: _Sight) -> FittingTable:
    table = FittingTable(_COLUMNS)
    table.add_row(
        sight.state,
        str(sight.episodes),
        f"{sight.frames:,}",
        str(sight.behind),
        sight.source or "-",
        _rewards(sight) or "-",
        checks_cell(sight.checksums_agreed, sight.desyncs),
    )
    return table


def _rewards(sight: _Sight) -> str:
    return ", ".join(f"{seat} {figure(reward, 'g')}" for seat, reward in sight.rewards.items())


def _end_in_words(sight: _Sight) -> str:
    """Return how it ended and what was seen, as two lines."""
    how = {
        "done": f"left after {sight.frames:,} frames",
        "interrupted": "interrupted",
        "diverged": "diverged: this copy does not show what the players saw",
        "diverged in the state": "diverged: what was shown was the same, but something in the state is not",
    }.get(sight.ending, f"the match has ended ({sight.ending})")
    episodes = "1 episode" if sight.episodes == 1 else f"{sight.episodes} episodes"
    checks = checks_cell(sight.checksums_agreed, sight.desyncs).plain
    seen = f"{episodes}, {sight.frames:,} frames; rewards: {_rewards(sight) or '-'}; checksums: {checks}"
    return f"{how}\nseen: {seen}"
