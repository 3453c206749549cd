"""What an operator is told of whatever answers in place of the queues."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from gym_p2p.errors import ServiceRefused, ServiceUnreachable
from gym_p2p.net.client.operator import QueueView
from tests.waiting import PATIENCE_S


async def fetch(status: int) -> None:
    """Look at the queues where every request is answered with this."""

    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=status)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with asyncio.timeout(PATIENCE_S), QueueView(f"http://{host}:{port}") as view:
            await view.fetch("token")
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (429, "it takes no more connections for the moment; try again (HTTP 429)"),
        (503, "it is not available for the moment; try again (HTTP 503)"),
        (502, "a proxy answers there, and the service behind it does not (HTTP 502)"),
        (404, "nothing is served at this path (HTTP 404)"),
        (302, "it redirects to another address (HTTP 302)"),
        (200, "what answers there shows no queues"),
    ],
)
def test_what_shows_no_queues_is_told_by_what_it_means(status: int, words: str) -> None:
    with pytest.raises(ServiceUnreachable) as told:
        asyncio.run(fetch(status))
    assert told.value.problem.endswith(words)


def test_a_token_that_is_not_known_there_is_told_as_that() -> None:
    for status in (401, 403):
        with pytest.raises(ServiceRefused, match="does not know this operator token"):
            asyncio.run(fetch(status))
