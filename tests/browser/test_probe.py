"""Probes between a browser and our Python peer, and between two browsers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gym_p2p.core.api.probes import ProbePrepare, ProbeReport
from gym_p2p.core.probing.outcome import Mark, ProbeOutcome, Reason
from gym_p2p.server import Service
from tests.browser.chromium import Chromium
from tests.browser.players import PagePlayer, PythonPlayer, run, serving
from tests.waiting import eventually, in_time

KINDS = pytest.mark.parametrize("kind", ["module", "plain"])
PAIRS = [("alice", "Alice"), ("Alice", "alice"), ("1", "01")]
"""By the browsers' rule the first offers, the second, nobody."""
LATENCY_MS = 50.0
RTT_MS = (95.0, 160.0)
"""DevTools delays both directions of a data channel by the latency given; a busy machine adds to some."""
ATTEMPTS = 5
"""A channel that just opened loses a message now and then, for which the plain page waits too long."""


async def measured_by_both(service: Service, subjects: tuple[str, str]) -> tuple[int, ProbeOutcome]:
    """Let two probe each other until both have measured; return how often that took, and the outcome."""
    for attempt in range(1, ATTEMPTS + 1):
        outcome = await service.probe(*subjects)
        assert outcome.reason is Reason.MEASURED
        if Mark.ONE_SIDED not in outcome.marks:
            return attempt, outcome
    pytest.fail(f"of {ATTEMPTS} probes none was measured by both: {outcome}")


def reports_of(outcome: ProbeOutcome) -> dict[str, ProbeReport]:
    """Return what both sides reported."""
    reports = {name: report for name, report in outcome.reports.items() if report is not None}
    assert len(reports) == 2
    assert all(report.rtt_ms is not None for report in reports.values())
    return reports


@pytest.mark.parametrize("subjects", PAIRS, ids=str)
def test_a_python_player_and_a_page_probe_each_other_in_both_roles(
    subjects: tuple[str, str], chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, subjects[0]),
            PagePlayer.at(service, subjects[1], chromium) as page,
        ):
            _, outcome = await measured_by_both(service, subjects)
            reports = reports_of(outcome)
            assert outcome.rtt_ms == max(report.rtt_ms or 0.0 for report in reports.values())
            for report in reports.values():
                assert len(report.samples_ms) >= 5
                assert report.path is not None
                assert report.path.protocol == "udp"
            result = (await page.probed())[-1]
            assert result["failure"] is None
            assert result["verdict"]["rtt_ms"] == outcome.rtt_ms
            assert page.candidates
            assert all(".local " in candidate for candidate in page.candidates)

    run(work())


@pytest.mark.parametrize(
    ("every_ms", "told"), [(1_000, True), (60_000, True), (1_000, False)], ids=["hidden", "long", "occluded"]
)
def test_a_hidden_page_measures_what_a_visible_one_does(
    every_ms: int,
    told: bool,  # noqa: FBT001  # parametrized
    chromium: Chromium,
    pages_url: str,
    tmp_path: Path,
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, "alice"),
            chromium.page() as page,
        ):
            page.spoilt = True
            await page.call("hide", everyMs=every_ms, told=told)
            await page.call("start", url=service.url, subject="bob", plain=False, verdict=None)
            _, outcome = await measured_by_both(service, ("alice", "bob"))
            hidden = reports_of(outcome)["bob"]
            assert len(hidden.samples_ms) >= 5
            with in_time():
                assert (hidden.rtt_ms or 0.0) < every_ms / 4

    run(work())


@pytest.mark.parametrize("subjects", PAIRS, ids=str)
def test_a_python_player_and_a_page_that_knows_only_the_plain_wire_probe_each_other(
    subjects: tuple[str, str], chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, subjects[0]) as python,
            PagePlayer.at(service, subjects[1], chromium, kind="plain") as page,
        ):
            # Such a page closes the channel as soon as it has measured; what we have until then counts.
            attempts, outcome = await measured_by_both(service, subjects)
            reports = reports_of(outcome)
            # Where both disagree the service lets them measure once more within one probe.
            assert reports[subjects[1]].rtt_ms in [one["rtt_ms"] for one in await page.probed(attempts)]
            assert (await python.probed(attempts))[-1].failure is None

    run(work())


@KINDS
@pytest.mark.parametrize("subjects", PAIRS[1:], ids=str)
def test_two_pages_probe_each_other(
    subjects: tuple[str, str], kind: str, chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PagePlayer.at(service, subjects[0], chromium) as one,
            PagePlayer.at(service, subjects[1], chromium, kind=kind) as other,
        ):
            attempts, outcome = await measured_by_both(service, subjects)
            reports_of(outcome)
            assert (await one.probed(attempts))[-1]["statistics"]["samplesMs"]
            assert len(await other.probed(attempts)) == attempts

    run(work())


def test_both_sides_of_a_probe_measure_the_delay_of_the_page(
    chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with (
            serving(tmp_path, pages_url) as service,
            PythonPlayer.at(service, "python"),
            PagePlayer.at(service, "page", chromium) as page,
        ):
            await page.page.emulate(latency_ms=LATENCY_MS)
            for _ in range(ATTEMPTS):
                _, outcome = await measured_by_both(service, ("python", "page"))
                rtts_ms = [report.rtt_ms or 0.0 for report in reports_of(outcome).values()]
                assert min(rtts_ms) >= RTT_MS[0]
                if max(rtts_ms) <= RTT_MS[1]:
                    break
            else:
                pytest.fail(f"none is right: the last is {rtts_ms}")

    run(work())


def test_a_page_whose_player_leaves_in_mid_probe_frees_the_other(
    chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with serving(tmp_path, pages_url) as service, PagePlayer.at(service, "page", chromium) as page:
            async with PythonPlayer.at(service, "leaver") as leaver:
                asked: list[ProbePrepare] = []
                leaver.client.events.listen(ProbePrepare, asked.append)  # and never gets ready
                probing = asyncio.ensure_future(service.probe("leaver", "page"))
                await eventually(lambda: bool(asked))
                await leaver.client.close()
                assert (await probing).reason is Reason.LEFT
            async with PythonPlayer.at(service, "stayer"):
                assert (await service.probe("stayer", "page")).reason is Reason.MEASURED
            assert [result["verdict"]["reason"] for result in await page.probed(2)][-1] == "measured"

    run(work())
