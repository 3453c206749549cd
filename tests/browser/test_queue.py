"""A browser's page in a queue: probed, asked, matched, and told when there is no match."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.matchmaking.commands import TicketRow
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.server import Service
from tests.browser.chromium import Chromium
from tests.browser.players import PagePlayer, PythonPlayer, run, serving
from tests.waiting import eventually

SEATS: tuple[SeatId, SeatId] = ("left", "right")


def rows_of(service: Service) -> Sequence[TicketRow]:
    """Return who is in the queue."""
    return service.queue_report().queues["lab"]


def test_a_page_and_a_python_player_are_probed_matched_and_connected(
    chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, "python") as python,
            PagePlayer.at(service, "page", chromium) as page,
        ):
            joined = await page.join_queue("lab", SEATS, take="right")
            assert (joined["queue"], joined["group_size"], joined["waiting"]) == ("lab", 2, 1)
            await python.join_queue("lab", SEATS)
            ours, theirs = await asyncio.gather(python.match(), page.match())
            assert ours.match_id == theirs["match_id"]
            assert (ours.player_id, theirs["player_id"]) == SEATS
            assert ours.queue == theirs["queue"] == "lab"
            assert ours.probe is not None
            (pair,) = ours.probe.pairs
            assert set(pair.reports) == {"page", "python"}
            assert pair.rtt_ms == theirs["probe"]["pairs"][0]["rtt_ms"] is not None
            assert (await page.probed())[-1]["failure"] is None
            assert (await python.probed())[-1].failure is None
            await asyncio.gather(python.connect(), page.connect())
            assert await python.send("hello from python")
            assert await page.send("hello from the page")
            await asyncio.gather(python.hear("hello from the page"), page.hear("hello from python"))

    run(work())


def test_two_pages_that_are_asked_and_accept_are_matched(
    chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PagePlayer.at(service, "one", chromium, verdict=True) as one,
            PagePlayer.at(service, "other", chromium, verdict="accept") as other,
        ):
            await one.join_queue("lab", SEATS)
            await other.join_queue("lab", SEATS)
            matches = await asyncio.gather(one.match(), other.match())
            assert {match["player_id"] for match in matches} == set(SEATS)
            (proposed,) = await one.page.call("proposed", count=1)
            assert set(proposed["subjects"]) == {"one", "other"}
            assert proposed["probe"]["pairs"][0]["rtt_ms"] is not None
            await asyncio.gather(one.connect(), other.connect())

    run(work())


@pytest.mark.parametrize("verdict", [False, "reject", "next", "throw", "nonsense"])
def test_a_page_that_does_not_accept_stays_in_the_queue_and_so_does_the_other(
    verdict: object, chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, "python") as python,
            PagePlayer.at(service, "page", chromium, verdict=verdict) as page,
        ):
            await page.join_queue("lab", SEATS)
            await python.join_queue("lab", SEATS)
            (proposed,) = await page.page.call("proposed", count=1)
            assert set(proposed["subjects"]) == {"page", "python"}
            again = {("page", 1), ("python", 1)}
            await eventually(lambda: {(row.subject_id, row.rejections) for row in rows_of(service)} == again)
            await page.page.call("waiting")
            await page.page.call("leave")
            assert [row.subject_id for row in rows_of(service)] == ["python"]

    run(work())


def test_a_page_that_nobody_joins_is_told_so(chromium: Chromium, pages_url: str, tmp_path: Path) -> None:
    async def work() -> None:
        rules = MatchmakingConfig(give_up_after_s=0.5)
        async with (
            serving(tmp_path, pages_url, matchmaking=rules) as service,
            PagePlayer.at(service, "page", chromium) as page,
        ):
            await page.join_queue("lab", SEATS)
            assert await page.page.call("refusal") == "nobody_else"

    run(work())


def test_a_page_whose_line_breaks_in_a_queue_gets_its_place_again(
    chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, "python") as python,
            PagePlayer.at(service, "page", chromium) as page,
        ):
            await page.join_queue("lab", SEATS)
            await page.page.call("breakLine")
            await python.join_queue("lab", SEATS)
            ours, theirs = await asyncio.gather(python.match(), page.match())
            assert ours.match_id == theirs["match_id"]
            await asyncio.gather(python.connect(), page.connect())

    run(work())


def test_a_page_with_other_seats_is_refused(chromium: Chromium, pages_url: str, tmp_path: Path) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, "python") as python,
            PagePlayer.at(service, "page", chromium) as page,
        ):
            await python.join_queue("lab", SEATS)
            with pytest.raises(AssertionError, match="the seats are"):
                await page.join_queue("lab", ["a", "b", "c"])

    run(work())
