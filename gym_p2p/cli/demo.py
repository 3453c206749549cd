"""``gym-p2p demo``: a service and the players of a match on this machine, over real channels."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
from rich.console import Group, RenderableType
from rich.text import Text

from gym_p2p.cli.demo_setting import BUNDLED, FPS, FRAMES, command_of, setting_of
from gym_p2p.cli.live import (
    live_view,
    match_line,
    match_table,
    picture_panel,
    print_report_line,
    print_summary,
)
from gym_p2p.cli.options import (
    add_match_options,
    add_seats_argument,
    count,
    find_local_modules,
    require_places,
)
from gym_p2p.cli.seat_options import add_human_options, add_policy_options, require_page
from gym_p2p.cli.status import EXIT_CODES, Status, Summary
from gym_p2p.cli.tables import output_console
from gym_p2p.config import ServiceConfig
from gym_p2p.core.record.folders import short_id
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import NetworkError, UsageError
from gym_p2p.exports.documents import find_document, read_document
from gym_p2p.files.private import check_directory
from gym_p2p.processes.progress import doing

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

_WRONG_USAGE = 2
"""The exit code of a command that was given what cannot be."""

LEARN_LIMIT_S = 15.0
"""For the others in a match to learn that a player's process has ended: longer than a path is rebuilt for."""

END_TIMEOUT_S = 20.0
"""From asking the players to stop until they are killed: a goodbye, the exports, an upload."""

DESCRIPTION = (
    "Start a service and the players of a match, each a process of its own, and show them. None of them is "
    "started again should it end: --rejoin-timeout and --while-away are for join and host."
)
EPILOG = """\
examples:
  gym-p2p demo                                      the bundled game, about ten seconds
  gym-p2p demo --human                              you against a policy, in a page, for an episode
  gym-p2p demo --one-way-ms 40 --jitter-ms 3        the same over an emulated path
  gym-p2p demo --env pettingzoo.atari.pong_v3 --env-arg obs_type=ram --frames 600
  gym-p2p demo --env CartPole-v1 --players 3        one plays, two watch
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("--env", default=BUNDLED, help="as for join (default: %(default)s)")
    parser.add_argument("--players", type=count, metavar="N", help="default: as many as there are seats")
    add_policy_options(parser, default="scripted for the bundled game, else random")
    add_human_options(parser)
    parser.add_argument("--json", action="store_true", help="print the summaries as JSON, and no live view")
    add_seats_argument(parser)
    add_match_options(parser, frames=FRAMES, fps=f"{FPS:g}")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo."""
    from gym_p2p.server import serve_in_thread  # noqa: PLC0415 - the service, which --help does not need

    find_local_modules()
    require_places(arguments)
    require_page(arguments)
    with doing(f"loading {arguments.env}"):
        setting = setting_of(arguments)
    check_directory(arguments.exports)
    data_dir = str(Path(arguments.exports) / "service")
    with serve_in_thread(ServiceConfig(port=0, data_dir=data_dir)) as service:
        players: list[_PlayerProcess] = []
        try:
            for seat in setting.seats:
                command = command_of(arguments, setting, seat, url=service.url)
                players.append(_PlayerProcess(command, seat))  # those before must be ended if one fails
            interrupted = _watch(players, arguments)
            summaries = [player.summary for player in players if player.summary is not None]
        finally:
            for player in players:
                player.kill()
        aggregate = _aggregate(Path(data_dir), summaries)
    if summaries:
        _print(arguments, summaries, aggregate)
    if interrupted:
        if not summaries:
            raise KeyboardInterrupt  # nothing else says so
        return 130
    if len(summaries) < len(players):
        told = "not every player came to the end of a match; what they printed is above"
        killed = [
            f"{player.status.seat} was killed by {player.killed_by}" for player in players if player.killed_by
        ]
        told = "; ".join([told, *killed])
        if any(player.refused for player in players):
            raise UsageError(told)
        raise NetworkError(told)
    return max(summary.exit_code for summary in summaries)


class _PlayerProcess:
    """A player's process and what it last reported, as its reader's thread has it."""

    def __init__(self, command: Sequence[str], seat: SeatId) -> None:
        self.status = Status(seat=seat, state="starting")
        self.summary: Summary | None = None
        self._stopping = False
        # Its own process group: a Ctrl-C is passed on once, by us, as a request to end.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        threading.Thread(target=self._tell, daemon=True).start()

    @property
    def running(self) -> bool:
        return self._process.poll() is None or self._reader.is_alive()

    @property
    def failed(self) -> bool:
        return not self.running and self.summary is None

    @property
    def refused(self) -> bool:
        """Whether it did not begin, for what it was given."""
        return self._process.returncode == _WRONG_USAGE

    @property
    def killed_by(self) -> str | None:
        """The signal that ended it before it had a summary, by its name or, without one, its number.

        ``None`` where none did.
        """
        code = self._process.returncode
        if self.summary is not None or self._stopping or code is None or code >= 0:
            return None
        named = {number.value: number.name for number in signal.Signals}  # most realtime ones have no name
        return named.get(-code, f"signal {-code}")

    def stop(self) -> None:
        """Let it say goodbye and write its exports."""
        self._stopping = self._stopping or self._process.poll() is None
        self._process.terminate()

    def kill(self) -> None:
        """End it if it still runs."""
        with self._process:
            self._process.kill()
            self._reader.join(1.0)

    def _tell(self) -> None:
        """Pass on what it says, line by line, above the live view: written by itself, it would tear that."""
        for line in self._process.stderr or ():
            if not (self._stopping and line == "interrupted\n"):  # it was told to
                print(line, end="", file=sys.stderr, flush=True)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            report = json.loads(line)
            kind = report.pop("type")
            if kind == "status":
                self.status = Status(**report)
            elif kind == "summary":
                self.status = Status(**report.pop("status"))
                self.summary = Summary(status=self.status, **report)


def _watch(players: Sequence[_PlayerProcess], arguments: argparse.Namespace) -> bool:
    """Show the match until everybody has ended; return whether it was interrupted."""
    interrupted = False
    deadline: float | None = None
    failed_at: float | None = None
    with live_view(_screen, plain=_line, hidden=arguments.json) as show:
        while True:
            try:
                if not any(player.running for player in players):
                    break
                show(players)
                if deadline is None and any(player.failed for player in players):
                    failed_at = failed_at or time.monotonic()
                    if _learn_no_more(players, failed_at):
                        deadline = _stop(players)
                if deadline is not None and deadline < time.monotonic():
                    break
                time.sleep(0.1)
            except KeyboardInterrupt:
                interrupted = True
                deadline = _stop(players)
    return interrupted


def _learn_no_more(players: Sequence[_PlayerProcess], failed_at: float) -> bool:
    """Return whether the others will not learn by themselves that one is gone, and document it."""
    playing = any(player.running for player in players) and any(player.status.episode for player in players)
    return not playing or failed_at + LEARN_LIMIT_S <= time.monotonic()


def _stop(players: Sequence[_PlayerProcess]) -> float:
    for player in players:
        player.stop()
    return time.monotonic() + END_TIMEOUT_S


def _screen(players: Sequence[_PlayerProcess]) -> RenderableType:
    first = players[0].status
    title = f"{first.seat} and the others, frame {first.frame}"
    return Group(match_table(player.status for player in players), picture_panel(first.picture, title))


def _line(players: Sequence[_PlayerProcess]) -> str:
    return "; ".join(match_line(player.status) for player in players)


def _aggregate(data_dir: Path, summaries: Sequence[Summary]) -> dict[str, Any] | None:
    """Return the summary of the service's comparison of the players, if all of them uploaded."""
    for summary in summaries:
        for folder in data_dir.glob(f"*-{short_id(str(summary.match_id))}"):
            path = find_document(folder / "aggregate.json")
            if path is not None:
                compared: dict[str, Any] = json.loads(read_document(path))["summary"]
                return compared
    return None


def compared_in_words(aggregate: dict[str, Any]) -> str:
    """Say what the service found when it laid the players' documents side by side."""
    checksums, actions = aggregate["totalHashesCompared"], aggregate["totalActionsCompared"]
    if not (checksums or actions):
        return "The service compared nothing: the match was over before a frame was played and checked."
    verdict = "NOT synchronised"
    if aggregate["fullySynced"]:
        verdict = "fully synchronised"
    elif not (aggregate["hashDivergenceFrames"] or aggregate["actionDivergenceFrames"]):
        verdict = "nothing differed, and not all could be compared"
    return f"The service compared {checksums} checksums and {actions} actions: {verdict}."


def _print(
    arguments: argparse.Namespace, summaries: Sequence[Summary], aggregate: dict[str, Any] | None
) -> None:
    if arguments.json:
        result = {"players": [attrs.asdict(summary) for summary in summaries], "aggregate": aggregate}
        print(json.dumps(result))
        return
    print_summary(summaries)
    console = output_console()
    if aggregate is None:
        console.print(Text("The service could not compare the players: not all of them uploaded.", "yellow"))
        print_report_line(summaries)
        return
    console.print(compared_in_words(aggregate), soft_wrap=True)
    print_report_line(summaries)
