"""The released framework, unmodified, with our plug-in: its server, and its pages in Chromium."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.mug import packages
from tests.plugins.mug.real import Browser, Page, Server, running_browser, running_server
from tests.requirements import require
from tests.waiting import until

pytestmark = pytest.mark.timeout(func_only=True)
INITIAL_MS = 100
"""Below what the liar claims, which the threshold of 150 ms reaches within seconds."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    require("node", "apt-get install nodejs npm")
    require("npm", "apt-get install nodejs npm")
    require("chromium", "apt-get install chromium")
    if not packages.is_installed() and os.environ.get("GYM_P2P_REQUIRE_ALL") != "1":
        pytest.skip("needs the framework; install it with: python -m tests.plugins.mug.packages")
    with running_browser() as running:
        yield running


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    assert browser
    with running_server(tmp_path_factory.mktemp("mug"), "ours", str(INITIAL_MS)) as running:
        yield running


@pytest.fixture(scope="module")
def pages(browser: Browser, server: Server) -> Iterator[dict[str, Page]]:
    """Ten pages at the door of one waiting room; each test lets some of them in."""
    kinds = dict.fromkeys(("ada", "bob", "cyd", "dan", "eve", "fay"), "honest")
    with browser.pages(server, **kinds, mum="silent", lia="liar", lee="leaver", mia="mute") as opened:
        yield opened


def decided(server: Server, kind: str, *subjects: str) -> dict[str, Any]:
    """Return the newest decision of this kind about these subjects, once there is one."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = [
            one
            for one in server.decisions
            if one["kind"] == kind and set(one.get("subjects", ())) == set(subjects)
        ]
        return bool(found)

    until(look)
    return found[-1]


def join(*pages: Page) -> None:
    for page in pages:
        page.join()


def test_two_pages_are_probed_matched_and_the_log_says_why(pages: dict[str, Page], server: Server) -> None:
    both = pages["ada"], pages["bob"]
    join(*both)
    for page in both:
        assert page.wait_for("match_found_countdown")["message"] == "Players found!"
        assert page.wait_for("probe_verdict")["reason"] == "measured"
    [probe] = decided(server, "made", "ada", "bob")["probes"]
    assert set(probe["reports"]) == {"ada", "bob"}  # both sides count
    assert probe["rtt_ms"] == max(report["rtt_ms"] for report in probe["reports"].values())
    [match] = server.matches
    assert match["matchmaker_class"] == "WideningMatchmaker"
    assert {one["subject_id"] for one in match["participants"]} == {"ada", "bob"}


def test_a_silent_page_holds_up_nobody_for_good(pages: dict[str, Page], server: Server) -> None:
    mum, cyd, dan = pages["mum"], pages["cyd"], pages["dan"]
    join(mum, cyd)
    assert cyd.wait_for("probe_cancel")["reason"] == "not_ready"
    assert decided(server, "rejected", "cyd", "mum")["reason"] == "probe_failed"
    mum.close()
    join(dan)
    for page in (cyd, dan):
        page.wait_for("match_found_countdown")


def test_a_page_that_lies_is_asked_again_and_the_larger_figure_counts(
    pages: dict[str, Page], server: Server
) -> None:
    lia, eve = pages["lia"], pages["eve"]
    join(lia, eve)
    assert eve.wait_for("probe_verdict")["marks"] == ["disagreed"]
    probed = decided(server, "probed", "eve", "lia")
    assert (probed["attempt"], probed["disagree"], probed["rtt_ms"]) == (2, True, 120.0)
    assert (probed["verdict"] == "rejected") == (probed["rtt_ms"] > probed["threshold_ms"])
    eve.wait_for("match_found_countdown")  # once the threshold has widened: the pair is not banned
    assert len([one for one in eve.events if one["event"] == "probe_prepare"]) == 2


def test_a_page_that_leaves_frees_the_other_and_a_missing_report_holds_up_nobody(
    pages: dict[str, Page], server: Server
) -> None:
    lee, fay, mia = pages["lee"], pages["fay"], pages["mia"]
    join(lee, fay)
    assert fay.wait_for("probe_cancel")["reason"] == "left"
    assert decided(server, "rejected", "fay", "lee")["reason"] == "left"
    join(mia)
    for page in (fay, mia):
        assert page.wait_for("probe_verdict")["marks"] == ["one_sided"]
        page.wait_for("match_found_countdown")


def test_its_log_holds_no_error_of_ours(server: Server) -> None:
    log = Path(server.folder / "server.log").read_text()
    assert "Initialized probe coordinator" in log
    assert "gym_p2p/plugins" not in log
