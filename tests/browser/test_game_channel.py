"""The game channel between a browser and our Python peer, and between two browsers."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from gym_p2p.core.wire.seats import SeatId
from tests.browser.chromium import Chromium
from tests.browser.players import PagePlayer, PythonPlayer, meet, run, serving
from tests.waiting import eventually, in_time

Ids = tuple[SeatId, SeatId]

IDS: list[Ids] = [
    ("alice", "Alice"),  # code points would have it the other way round, as with the next two
    ("a_b", "a-b"),
    ("a", "B"),
    (2, 10),
]
"""By the browsers' rule the first one offers."""
TIE: Ids = ("1", "01")
SORTED_OTHERWISE: Ids = ("b", "\u00e4")
"""Beyond ASCII our rule and the browsers' differ: each takes itself for the one who offers."""
PATIENCE_MS = 1900
"""An expected offer is waited for a little longer than this."""
YIELDED_MS = 4000
"""Whoever does not give way to an offer at once does so after two repetitions of their own."""
KINDS = pytest.mark.parametrize("kind", ["module", "plain"])
ROLES = ("offerer", "answerer")


@KINDS
@pytest.mark.parametrize("offers_first", ["python", "page"])
@pytest.mark.parametrize("ids", IDS, ids=str)
def test_a_python_player_and_a_page_open_the_channel_in_both_roles(
    ids: Ids, offers_first: str, kind: str, chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, "python") as python,
            PagePlayer.at(service, "page", chromium, kind=kind) as page,
        ):
            python_first = offers_first == "python"
            ours, theirs = await meet(python, page, ids if python_first else ids[::-1])
            assert (ours.role, theirs.role) == (ROLES if python_first else ROLES[::-1])
            assert page.candidates, "the page told of no candidate: nothing was shown of mDNS names"
            assert all(".local " in candidate for candidate in page.candidates)
            assert len(python.made) == 1

    run(work())


@KINDS
def test_a_page_connects_with_a_python_player_whose_id_ties_with_its_own(
    kind: str, chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, "python") as python,
            PagePlayer.at(service, "page", chromium, kind=kind) as page,
        ):
            ours, _ = await meet(python, page, TIE)
            assert ours.took_ms >= PATIENCE_MS, "somebody offered before their patience was over"

    run(work())


@KINDS
def test_offers_that_cross_end_in_one_channel(
    kind: str, chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, "python") as python,
            PagePlayer.at(service, "page", chromium, kind=kind) as page,
        ):
            python.signals_go.clear()
            await python.join("room", SORTED_OTHERWISE, SORTED_OTHERWISE[0])
            await page.join("room", SORTED_OTHERWISE, SORTED_OTHERWISE[1])
            await python.match()
            connecting = asyncio.ensure_future(python.connect())
            await page.match()
            theirs_connecting = asyncio.ensure_future(page.connect())
            await page.page.call("offered", count=1)
            await eventually(lambda: "offer" in python.sent)
            began = time.monotonic()
            python.signals_go.set()
            ours, theirs = await connecting, await theirs_connecting
            took_ms = 1000 * (time.monotonic() - began)
            assert page.offers, "the offers did not cross"
            assert (ours.role, theirs.role) == ROLES
            with in_time():
                assert took_ms < YIELDED_MS, "nobody gave way at once"

    run(work())


def test_a_python_player_who_comes_late_finds_one_offer_however_often_it_was_repeated(
    chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, "python") as python,
            PagePlayer.at(service, "page", chromium) as page,
        ):
            await page.join("room", IDS[0], IDS[0][0])
            await python.join("room", IDS[0], IDS[0][1])
            await asyncio.gather(page.match(), python.match())
            connecting = asyncio.ensure_future(page.connect())
            await page.page.call("offered", count=2)
            await asyncio.gather(python.connect(), connecting)
            assert len(page.offers) >= 2, "the offer was not repeated"
            assert len(set(page.offers)) == 1, "an offer with other words is another offer"

    run(work())


@KINDS
def test_two_players_who_each_expect_the_other_to_offer_connect(
    kind: str, chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, "python") as python,
            PagePlayer.at(service, "page", chromium, kind=kind) as page,
        ):
            ours, _ = await meet(python, page, SORTED_OTHERWISE[::-1])
            assert ours.took_ms >= PATIENCE_MS, "somebody offered before their patience was over"

    run(work())


@pytest.mark.parametrize("ids", [IDS[0], TIE], ids=str)
@pytest.mark.parametrize("kinds", [("module", "module"), ("module", "plain"), ("plain", "module")], ids=str)
def test_two_pages_open_the_channel(
    ids: Ids, kinds: tuple[str, str], chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PagePlayer.at(service, "one", chromium, kind=kinds[0]) as one,
            PagePlayer.at(service, "other", chromium, kind=kinds[1]) as other,
        ):
            opened = await meet(one, other, ids)
            assert {side.role for side in opened} == set(ROLES)
            assert all(".local " in candidate for candidate in one.candidates + other.candidates)

    run(work())


def test_a_page_whose_line_breaks_while_it_waits_gets_its_seat_again(
    chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, "python") as python,
            PagePlayer.at(service, "page", chromium) as page,
        ):
            await page.join("room", IDS[0], IDS[0][0])
            await page.page.call("breakLine")
            await python.join("room", IDS[0], IDS[0][1])
            found, _ = await asyncio.gather(python.match(), page.match())
            assert [player.player_id for player in found.peers] == [IDS[0][0]]
            await asyncio.gather(python.connect(), page.connect())

    run(work())


def test_a_page_is_told_when_another_client_takes_its_name(
    chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with serving(tmp_path, pages_url) as service, PagePlayer.at(service, "anna", chromium) as page:
            await page.join("room", IDS[0], IDS[0][0])
            async with PythonPlayer.at(service, "anna"):
                assert await page.page.call("refusal") == "replaced"

    run(work())


def test_a_page_is_told_why_it_gets_no_seat(chromium: Chromium, pages_url: str, tmp_path: Path) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, "python") as python,
            PagePlayer.at(service, "page", chromium) as page,
        ):
            await python.join("room", IDS[0], IDS[0][0])
            with pytest.raises(AssertionError, match="taken already"):
                await page.join("room", IDS[0], IDS[0][0])

    run(work())
