"""The same page against our service mounted on every kind of host, and under other names."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.browser.chromium import Chromium
from tests.browser.players import PagePlayer, PythonPlayer, meet, run
from tests.server.hosts.conftest import KINDS, Running, require_hosts
from tests.server.test_mounted_players import mounted

NAMES = {"prefix": "p2p_", "namespace": "/lab"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_and_a_python_player_are_probed_and_meet_on_a_host(
    kind: str, chromium: Chromium, tmp_path: Path
) -> None:
    require_hosts()

    async def work(host: Running) -> None:
        async with PythonPlayer.at(host, "python") as python, PagePlayer.at(host, "page", chromium) as page:
            await asyncio.to_thread(host.tell, "start probe", a="python", b="page")
            assert (await page.probed())[-1]["failure"] is None
            assert (await python.probed())[-1].failure is None
            ours, theirs = await meet(python, page, ("alice", "Alice"))
            assert (ours.role, theirs.role) == ("offerer", "answerer")

    with Running(kind, tmp_path / "host") as host:
        assert host.url
        run(work(host))


class Address(NamedTuple):
    url: str


def test_a_page_and_a_python_player_meet_under_a_prefix_in_a_namespace(
    chromium: Chromium, pages_url: str, tmp_path: Path
) -> None:
    async def work() -> None:
        async with mounted(tmp_path / "data", cors_allowed_origins=pages_url) as url:
            host = Address(url)
            async with (
                PythonPlayer.at(host, "python", **NAMES) as python,
                PagePlayer.at(host, "page", chromium, **NAMES) as page,
            ):
                await meet(python, page, ("alice", "Alice"))

    run(work())
