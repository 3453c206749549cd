"""The same page against our service mounted on every kind of host."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium
from tests.browser.players import PagePlayer, PythonPlayer, meet, run
from tests.requirements import require
from tests.server.hosts.conftest import KINDS, Running


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_and_a_python_player_are_probed_and_meet_on_a_host(
    kind: str, chromium: Chromium, tmp_path: Path
) -> None:
    for package in ("fastapi", "flask_socketio", "eventlet", "gevent", "simple_websocket"):
        require(package, "pip install -e '.[test]'")

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
