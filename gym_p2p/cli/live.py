"""What a person sees of a running match: tables, drawn from plain statuses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gym_p2p.cli.play import Status, Summary
from gym_p2p.core.api.queues import QueueStatus

__all__ = [
    "bare_table",
    "checks_cell",
    "live_view",
    "match_table",
    "picture_panel",
    "queue_line",
    "summary_table",
]

_T = TypeVar("_T")


@contextlib.contextmanager
def live_view(
    draw: Callable[[_T], RenderableType], console: Console, *, hidden: bool
) -> Iterator[Callable[[_T], None]]:
    """Yield what shows a state in place of the one before; nothing does where there is no terminal."""
    if hidden or not console.is_terminal:
        yield lambda _state: None
        return
    with Live(console=console, refresh_per_second=10, transient=True) as live:
        yield lambda state: live.update(draw(state))


def bare_table(*columns: str, figures: tuple[str, ...] = ()) -> Table:
    """Return a table without lines: columns of words, then figures to the right."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in (*columns, *figures):
        table.add_column(name, justify="right" if name in figures else "left", no_wrap=True)
    return table


def match_table(statuses: Iterable[Status]) -> RenderableType:
    """Return one row for every link of every player, and how each keeps together with the others."""
    statuses = list(statuses)
    lines = [Text(f"{status.seat}: {status.sync}", style="dim") for status in statuses if status.sync]
    return Group(_links_table(statuses), *lines)


def _links_table(statuses: Iterable[Status]) -> Table:
    table = bare_table(
        *("seat", "state", "ep", "frame", "fps", "reward", "peer"),
        figures=("RTT ms", "median", "p95", "jitter"),
    )
    table.add_column("checksums")
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


def summary_table(summaries: Iterable[Summary]) -> RenderableType:
    """Return how the players' matches went, and where their exports lie."""
    summaries = list(summaries)
    lines: list[RenderableType] = [Text(""), match_table(summary.status for summary in summaries), Text("")]
    for summary in summaries:
        where = summary.exports.get("multiplayer", "nowhere: no directory was given")
        stored = "stored at the service" if summary.uploaded else "not uploaded (kept for the next time)"
        lines.append(Text(f"{summary.status.seat}: {summary.ending}, {stored}"))
        lines.append(Text(f"  {where} (and two beside it)", style="dim", overflow="fold"))
        lines += [Text(f"  problem: {problem}", style="yellow") for problem in summary.problems]
    return Group(*lines)


def _player_cells(status: Status) -> list[str]:
    rate = "-" if status.steps_per_s is None else f"{status.steps_per_s:,.0f}"
    return [
        str(status.seat),
        status.state,
        str(status.episode),
        f"{status.frames_total:,}",
        rate,
        f"{status.reward:g}",
    ]


def _latency_cells(latency: Mapping[str, Any] | None) -> list[str]:
    if latency is None:
        return ["-"] * 4
    return [f"{latency[key]:.1f}" for key in ("nowMs", "medianMs", "p95Ms", "jitterMs")]


def checks_cell(agreed: int, desyncs: int, state_desyncs: int = 0) -> Text:
    """Return how many checksums agreed, or that some did not: in outcomes, or in states alone."""
    if desyncs:
        return Text(f"{desyncs} differ", style="bold red")
    if state_desyncs:
        return Text(f"{state_desyncs} in state", style="bold yellow")
    return Text(f"{agreed} equal", style="green" if agreed else "dim")
