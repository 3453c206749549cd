"""Tables in terminals of any width: a figure stands whole in them, or not at all."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from gym_p2p.cli.live import match_table
from gym_p2p.cli.status import Status
from gym_p2p.cli.tables import Column, FittingTable, figure

WIDTHS = (40, 60, 80, 200)


def shown(renderable: RenderableType, width: int) -> list[str]:
    """Return the lines of what a terminal of this width shows."""
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=True, color_system=None).print(renderable)
    return out.getvalue().splitlines()


def status(seat: str, peers: list[str], **more: Any) -> Status:
    figures = {"nowMs": 1234.56, "medianMs": 876.54, "p95Ms": 4321.09, "jitterMs": 432.1}
    return Status(
        **{
            "seat": seat,
            "state": "playing",
            "episode": 17,
            "frame": 3,
            "frames_total": 1_234_567,
            "steps_per_s": 59.9,
            "reward": -1234.5,
            "checksums_agreed": 20_576,
            "latency": dict.fromkeys(peers, figures),
            **more,
        }
    )


FIGURES = {
    *("17", "1,234,567", "60", "-1234.5", "1234.6", "876.5", "4321.1", "432.1", "20576"),
    *("-", "equal", "playing"),
}


def test_a_seat_that_is_not_known_yet_is_a_dash() -> None:
    waiting = Status(seat=None, state="connecting")
    assert shown(match_table([waiting]), 80)[1].split()[:2] == ["-", "connecting"]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("seats", [["left", "right"], ["adversary_0", "agent_0", "agent_1", "agent_2"]])
def test_the_live_table_never_cuts_a_number(width: int, seats: list[str]) -> None:
    statuses = [status(seat, [peer for peer in seats if peer != seat]) for seat in seats]
    heading, *lines = shown(match_table(statuses), width)
    assert all(len(line) <= width for line in (heading, *lines))
    assert {"seat", "frame", "RTT"} <= set(heading.split())
    assert len(lines) == len(seats) * (len(seats) - 1)
    words = {word for line in lines for word in line.split() if not set("…_") & set(word)} - set(seats)
    assert words <= FIGURES
    assert "1,234,567" in words
    if width == 200:
        assert words == FIGURES - {"-"}


@pytest.mark.parametrize("width", WIDTHS)
def test_what_there_was_no_room_for_is_told_where_it_is_the_result(width: int) -> None:
    lines = shown(match_table([status("left", ["right"])], tells=True), width)
    told = " ".join(lines)
    heading = set(lines[0].split())
    for column in ("jitter", "ep", "reward", "p95"):
        assert (column in heading) != (re.search(rf"left out.*\b{column}\b", told) is not None)
    assert ("left out" in told) == (width < 200 and "jitter" not in heading)


columns = st.lists(
    st.builds(
        Column, st.text("abcdefgh", min_size=1, max_size=8), rank=st.integers(0, 9), words=st.booleans()
    ),
    min_size=1,
    max_size=9,
    unique_by=lambda column: column.name,
)


@given(columns=columns, rows=st.data(), width=st.integers(20, 120))
def test_a_figure_that_is_shown_is_whole_and_goes_by_rank(
    columns: list[Column], rows: st.DataObject, width: int
) -> None:
    numbers = st.integers(10**3, 10**7).map(str)
    row = [rows.draw(st.text("xyz", max_size=40) if column.words else numbers) for column in columns]
    table = FittingTable(columns)
    table.add_row(*row)
    heading = shown(table, width)[0].split()
    kept = [column for column in columns if column.name in heading]
    gone = [column for column in columns if column not in kept and column.rank]
    always = [column for column in columns if not column.rank]
    least = sum(max(len(column.name), 6 if column.words else 7) + 1 for column in always)
    if least > width:
        return  # not even what always stays has room: nothing can be promised
    assert set(always) <= set(kept)
    assert max((column.rank for column in kept), default=0) <= min((one.rank for one in gone), default=99)
    body = shown(table, width)[1].split()
    assert [word for word in body if word.isdigit()] == [
        cell for column, cell in zip(columns, row, strict=True) if column in kept and not column.words
    ]


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (-0.0, "g", "0"),
        (-0.04, ".1f", "0.0"),
        (-0.4, ".0f", "0"),
        (-1.5, "g", "-1.5"),
        (-0.0004, ".1%", "0.0%"),
    ],
)
def test_nothing_has_no_sign(value: float, form: str, text: str) -> None:
    assert figure(value, form) == text
