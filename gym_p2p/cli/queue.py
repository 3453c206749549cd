"""``gym-p2p queue``: who waits in the queues of a running service, as a live table."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from pathlib import Path

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from gym_p2p.cli.options import between
from gym_p2p.cli.surroundings import run_until_interrupted
from gym_p2p.cli.tables import Column, FittingTable, figure, output_console
from gym_p2p.config import DEFAULT_DATA_DIR, DEFAULT_SERVER_URL
from gym_p2p.core.api.payloads import encode
from gym_p2p.core.matchmaking.commands import TicketRow
from gym_p2p.core.matchmaking.report import QueueReport
from gym_p2p.errors import ConfigurationError, ServiceRefused, ServiceUnreachable
from gym_p2p.net.client.operator import QueueView
from gym_p2p.processes.progress import doing
from gym_p2p.server.guard.tokens import OperatorClaims, TokenSigner, read_secret

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "report_view", "run"]

_TOKEN = "GYM_P2P_OPERATOR_TOKEN"  # noqa: S105  # the name of a variable
_OWN_TOKEN_S = 60.0
"""A token that the command makes for itself is made anew for every look."""
_PRINTED_TOKEN_S = 12 * 3600.0
"""A working day."""
_NAME_IT = f"give the service's own with --data-dir, or set {_TOKEN}"
DESCRIPTION = "Show the queues of a running service: states, waits, thresholds, estimates, probes."
EPILOG = f"""\
Only the service's operator may look: whoever can read the secret in its --data-dir. From another machine:

  gym-p2p queue --print-token --data-dir DIR                              (where the service runs)
  {_TOKEN}=… gym-p2p queue --server http://10.0.0.5:8765     (anywhere, for twelve hours)
"""


EXIT_CODES = {0: "done: shown", 3: "no service, or it refused"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "--server", "--server-url", default=DEFAULT_SERVER_URL, metavar="URL", help="default: %(default)s"
    )
    parser.add_argument(
        "--data-dir",
        default=DEFAULT_DATA_DIR,
        metavar="DIR",
        help="the service's, which holds its secret (default: %(default)s)",
    )
    parser.add_argument(
        "--interval", type=between(0.1, 3600), default=1.0, metavar="S", help="between two looks (default: 1)"
    )
    parser.add_argument("--once", action="store_true", help="look once")
    parser.add_argument("--json", action="store_true", help="print every look as a line of JSON")
    parser.add_argument("--print-token", action="store_true", help=f"print a token for {_TOKEN}, and end")


def run(arguments: argparse.Namespace) -> int:
    """Watch until Ctrl-C."""
    if arguments.print_token:
        print(_own_token(arguments.data_dir, _PRINTED_TOKEN_S))
        return 0
    run_until_interrupted(_watch(arguments))
    return 0


async def _watch(arguments: argparse.Namespace) -> None:
    console = output_console()
    async with QueueView(arguments.server) as view:
        with doing(f"asking {arguments.server}"):
            report = await _look(view, arguments)
        if arguments.json or arguments.once or console.is_dumb_terminal or not console.is_terminal:
            _print(report, as_json=arguments.json)
            while not arguments.once:
                await asyncio.sleep(arguments.interval)
                _print(await _look(view, arguments), as_json=arguments.json)
            return
        with Live(report_view(report), console=console, auto_refresh=False) as live:
            while True:
                await asyncio.sleep(arguments.interval)
                live.update(await _picture(view, arguments), refresh=True)


async def _picture(view: QueueView, arguments: argparse.Namespace) -> RenderableType:
    """Return the next look; a service that is away for a moment ends nothing."""
    try:
        return report_view(await _look(view, arguments))
    except ServiceUnreachable as error:
        return Text(str(error), style="yellow")


async def _look(view: QueueView, arguments: argparse.Namespace) -> QueueReport:
    given = os.environ.get(_TOKEN)
    token = given or _own_token(arguments.data_dir, _OWN_TOKEN_S)
    try:
        return await view.fetch(token)
    except ServiceRefused as error:
        advice = f"the one in {_TOKEN} has expired, or is of another service"
        if not given:
            advice = f"{arguments.data_dir} is not that service's data directory: {_NAME_IT}"
        raise ServiceRefused(error.code, f"{error.detail}; {advice}") from None


def _own_token(data_dir: str, lifetime_s: float) -> str:
    try:
        secret = read_secret(Path(data_dir))
    except OSError as error:
        problem = f"cannot read a service's secret in {data_dir}: {error.strerror or error}"
        raise ConfigurationError("data_dir", f"{problem}; {_NAME_IT}") from None
    claims = OperatorClaims(expires_at=time.time() + lifetime_s)
    return TokenSigner(secret, OperatorClaims).issue(claims)


def report_view(report: QueueReport) -> RenderableType:
    """Return the picture of a report: a table a queue, and totals."""
    parts: list[RenderableType] = []
    for name, rows in report.queues.items():
        parts += [_queue_table(name, rows), ""]
    return Group(*parts, _totals(report))


_COLUMNS = (
    Column("subject", words=True),
    Column("state", rank=1, words=True),
    Column("wait s"),
    Column("limit ms", rank=3),
    Column("best ms", rank=2),
    Column("probes", rank=4),
    Column("rejected", rank=5),
)


def _queue_table(name: str, rows: tuple[TicketRow, ...]) -> FittingTable:
    table = FittingTable(_COLUMNS, title=Text(f"{name} ({len(rows)})", style="bold"))
    for row in rows:
        figures = (figure(row.wait_s, ".1f"), _ms(row.threshold_ms), _ms(row.best_estimate_ms))
        table.add_row(row.subject_id, row.state, *figures, str(row.probes), str(row.rejections))
    return table


def _totals(report: QueueReport) -> Text:
    waiting = ", ".join(f"{count} {state}" for state, count in sorted(report.totals.states.items()))
    return Text(
        f"{waiting or 'nobody waits'}; longest wait {report.totals.longest_wait_s:.1f} s; "
        f"{report.totals.matches} matches, {report.totals.connections} connections",
        style="dim",
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else figure(value, ".0f")


def _print(report: QueueReport, *, as_json: bool) -> None:
    if as_json:
        line = {"type": "queues", "timestamp_ms": time.time_ns() // 1_000_000, **encode(report)}
        print(json.dumps(line, allow_nan=False), flush=True)
    else:
        output_console().print(report_view(report))
