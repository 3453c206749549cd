"""What a person sees of a running match: tables, drawn from plain statuses."""

from __future__ import annotations

import contextlib
import logging
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO, TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from gym_p2p.cli.status import Status, Summary
from gym_p2p.cli.tables import Column, FittingTable, figure, output_console, terminal_console
from gym_p2p.core.api.queues import QueueStatus
from gym_p2p.processes.progress import PlainLines, is_live

__all__ = [
    "checks_cell",
    "live_view",
    "match_line",
    "match_table",
    "picture_panel",
    "print_report_line",
    "print_summary",
    "queue_line",
]

_T = TypeVar("_T")


@contextlib.contextmanager
def live_view(
    draw: Callable[[_T], RenderableType],
    *,
    plain: Callable[[_T], str],
    console: Console | None = None,
    hidden: bool = False,
) -> Iterator[Callable[[_T], None]]:
    """Yield what shows a state in place of the one before; at the end the screen is as it was.

    Args:
        draw: makes its picture, for a terminal.
        plain: puts it into a few words, which are said now and then where there is no terminal.
        console: where it is shown; ``None`` is standard error.
        hidden: show nothing.
    """
    if hidden:
        yield lambda _state: None
        return
    if not is_live(sys.stderr):
        with PlainLines(sys.stderr) as lines:
            yield lambda state: lines.say(plain(state))
        return
    stderr = sys.stderr
    with (
        Live(console=console or terminal_console(), refresh_per_second=10, transient=True) as live,
        _logs_above(stderr),
    ):
        try:
            yield lambda state: live.update(draw(state))
        finally:
            live.update(Text(""), refresh=True)  # or what is taller than the screen would stay


@contextlib.contextmanager
def _logs_above(stderr: TextIO) -> Iterator[None]:
    """Let what is logged appear above the view: written beside it, it would be drawn over.

    Args:
        stderr: standard error without the view.
    """
    handlers = [one for one in logging.getLogger().handlers if isinstance(one, logging.StreamHandler)]
    moved = [one for one in handlers if one.stream is stderr]
    for handler in moved:
        handler.setStream(sys.stderr)  # what the view has put in its place
    try:
        yield
    finally:
        for handler in moved:
            handler.setStream(stderr)


_LINKS = (
    Column("seat", words=True),
    Column("state", rank=4, words=True),
    Column("ep", rank=9),
    Column("frame"),
    Column("fps", rank=5),
    Column("reward", rank=8),
    Column("peer", rank=2, words=True),
    Column("RTT ms", rank=1),
    Column("median", rank=6),
    Column("p95", rank=7),
    Column("jitter", rank=10),
    Column("checksums", rank=3, words=True),
)


def match_table(statuses: Iterable[Status], *, tells: bool = False) -> RenderableType:
    """Return one row for every link of every player, and how each keeps together with the others.

    Args:
        statuses: the players'.
        tells: whether a line says which columns there was no room for.
    """
    statuses = list(statuses)
    lines = [Text(f"{status.seat}: {status.sync}", style="dim") for status in statuses if status.sync]
    lines += [
        Text(f"{status.seat}: paused: {status.paused}", style="yellow")
        for status in statuses
        if status.paused
    ]
    told = [(status.seat, one) for status in statuses for one in (*status.away, *status.relayed)]
    lines += [Text(f"{seat}: {one}", style="yellow") for seat, one in told]
    return Group(_links_table(statuses, tells=tells), *lines)


def _links_table(statuses: Iterable[Status], *, tells: bool) -> FittingTable:
    table = FittingTable(_LINKS, tells=tells)
    for status in statuses:
        links: Mapping[str, dict[str, Any] | None] = status.latency or {"": None}
        for number, (peer, latency) in enumerate(links.items()):
            first = number == 0
            cells = _player_cells(status) if first else [""] * 6
            checks = (
                checks_cell(status.checksums_agreed, status.desyncs, status.state_desyncs) if first else ""
            )
            table.add_row(*cells, peer, *_latency_cells(latency), checks)
    return table


def match_line(status: Status) -> str:
    """Return in a few words where a player is."""
    seat = "" if status.seat is None else f"{status.seat}: "
    frames = f", frame {status.frames_total:,}" if status.frames_total else ""
    waits = status.paused or "; ".join(status.away)
    return f"{seat}{status.state}{frames}" + (f", {waits}" if waits else "")


def queue_line(status: QueueStatus) -> Text:
    """Return where a player stands who waits in a queue."""
    limit = "any distance" if status.threshold_ms is None else f"up to {status.threshold_ms:.0f} ms"
    return Text.assemble(
        f"in queue {status.queue!r}: ",
        (status.state, "bold"),
        f", {status.waiting} here, {status.wait_s:.0f} s, {limit}, probes: {status.probes}",
    )


def picture_panel(picture: str | None, title: str) -> RenderableType:
    """Return the environment's picture, if there is one."""
    if picture is None:
        return Text("")
    return Panel(Text.from_ansi(picture), title=title, expand=False, border_style="dim")


def print_summary(summaries: Iterable[Summary]) -> None:
    """Print how the players' matches went, and where their exports lie."""
    summaries = list(summaries)
    console = output_console()
    statuses = [summary.status for summary in summaries]
    console.print(Text(""), match_table(statuses, tells=True), Text(""), sep="\n")
    for summary in summaries:
        for line in _summary_lines(summary):
            console.print(line, soft_wrap=True)


def print_report_line(summaries: Iterable[Summary]) -> None:
    """Print the line that makes the report of what was just played, where documents were written."""
    paths = [Path(path) for summary in summaries for path in summary.exports.values()]
    if paths:
        folder = shlex.quote(str(_seen_from_here(paths[0].parent)))
        output_console().print(Text(f"A report of it: gym-p2p report {folder}", style="dim"), soft_wrap=True)


def _summary_lines(summary: Summary) -> Iterator[Text]:
    stored = "stored at the service"
    if not summary.uploaded:
        stored = "not uploaded" if summary.lost else "not uploaded (kept for the next time)"
    ending = summary.ending if summary.told is None else f"{summary.ending} ({summary.told})"
    yield Text(f"{summary.status.seat}: {ending}, {stored}")
    written = [Path(path) for path in summary.exports.values()]
    if written:
        names = ", ".join(path.name for path in written)
        yield Text(f"  in {_seen_from_here(written[0].parent)}: {names}", style="dim")
    elif not summary.problems:
        yield Text("  no files: no folder was given", style="dim")
    if summary.recording is not None:
        recording = shlex.quote(str(_seen_from_here(Path(summary.recording))))
        yield Text(f"  recorded: gym-p2p replay {recording}", style="dim")
    for problem in summary.problems:
        yield Text(f"  problem: {problem}", style="yellow")


def _seen_from_here(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except (ValueError, FileNotFoundError):  # it lies elsewhere, or the working directory was deleted
        return path


def _player_cells(status: Status) -> list[str]:
    rate = "-" if status.steps_per_s is None else f"{status.steps_per_s:,.0f}"
    return [
        "-" if status.seat is None else str(status.seat),
        status.state,
        str(status.episode),
        f"{status.frames_total:,}",
        rate,
        figure(status.reward, "g"),
    ]


def _latency_cells(latency: Mapping[str, Any] | None) -> list[str]:
    if latency is None:
        return ["-"] * 4
    return [figure(latency[key], ".1f") for key in ("nowMs", "medianMs", "p95Ms", "jitterMs")]


def checks_cell(agreed: int, desyncs: int, state_desyncs: int = 0) -> Text:
    """Return how many checksums agreed, or that some did not: in outcomes, or in states alone."""
    if desyncs:
        return Text(f"{desyncs} differ", style="bold red")
    if state_desyncs:
        return Text(f"{state_desyncs} in state", style="bold yellow")
    return Text(f"{agreed} equal", style="green" if agreed else "dim")
