"""The page's port: who has no link gets nothing, and what no page sends ends in a lost player."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import pytest

from gym_p2p.errors import ConfigurationError
from gym_p2p.human import carriers
from gym_p2p.human import server as page_server
from gym_p2p.human.entrance import OwnPort
from gym_p2p.human.page_files import OURS
from gym_p2p.human.person import Person, Presence
from gym_p2p.human.server import PageServer
from tests.human.fake_page import HELLO
from tests.waiting import PATIENCE_S, until


@pytest.fixture
def server() -> Iterator[PageServer]:
    made = PageServer(Person(known=["Space"], welcome={"title": "Rally"}, hold_s=10.0), OwnPort())
    made.start()
    yield made
    made.close()
    made.close()


def get(url: str, **headers: str) -> tuple[int, HTTPResponse]:
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE_S)  # noqa: S310 - http, of this test
    except urllib.error.HTTPError as error:
        return error.code, error  # type: ignore[return-value]  # it is a response as well
    return answer.status, answer


def test_the_link_opens_a_page_that_asks_nobody_else_and_keeps_nothing(server: PageServer) -> None:
    status, answer = get(server.url)
    assert status == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Set-Cookie"] is None
    body = answer.read().decode()
    assert "<script>" not in body
    assert "style=" not in body
    assert "http" not in body.replace("http-equiv", "")
    for name in ("main.js", "style.css", "texts.js", "static/link.js"):
        assert get(server.url + name)[0] == 200


@pytest.mark.parametrize("path", ["", "x/", "x/main.js", "x/page", "..%2f", "%00/"])
def test_without_the_token_there_is_no_page(server: PageServer, path: str) -> None:
    root = "http://" + urlsplit(server.url).netloc + "/"
    assert get(root + path)[0] == 404


def test_by_a_wrong_link_the_answer_says_that_it_is_the_games_own(server: PageServer) -> None:
    for url in (server.url, f"http://{urlsplit(server.url).netloc}/{'x' * 32}/"):
        assert get(url)[1].headers[OURS] is not None


@pytest.mark.parametrize("name", ["none.js", "..%2fserver.py", "%2e%2e/server.py", "main.js/"])
def test_files_beside_the_page_are_not_served(server: PageServer, name: str) -> None:
    assert get(server.url + name)[0] == 404


def test_another_name_of_the_host_gets_nothing(server: PageServer) -> None:
    assert get(server.url, Host="evil.example")[0] == 404


async def _play(
    server: PageServer, *messages: Any, hello: dict[str, Any] = HELLO, url: str | None = None, **headers: str
) -> int | None:
    """Open the page's socket, send; return the code with which it is closed."""
    sent = {"Origin": "http://" + urlsplit(server.url).netloc, **headers}
    async with (
        asyncio.timeout(PATIENCE_S),
        aiohttp.ClientSession() as session,
        session.ws_connect((url or server.url) + "page", headers=sent) as page,
    ):
        await page.send_str(json.dumps(hello))
        await page.receive()
        for message in messages:
            await page.send_str(message)
        while not page.closed:
            await page.receive()
        return page.close_code


def test_a_socket_that_another_site_opens_is_refused(server: PageServer) -> None:
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            asyncio.run(_play(server, Origin=origin))
        assert caught.value.status == 404


def test_a_socket_by_a_wrong_link_or_another_name_of_the_host_is_refused(server: PageServer) -> None:
    root = "http://" + urlsplit(server.url).netloc
    wrong: list[dict[str, Any]] = [
        {"url": f"{root}/{'x' * 32}/"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ]
    for how in wrong:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            asyncio.run(_play(server, **how))
        assert caught.value.status == 404


def test_a_page_of_another_version_is_told_and_takes_no_seat(server: PageServer) -> None:
    assert asyncio.run(_play(server, hello={**HELLO, "v": 1})) == 4004
    assert server._person.presence is Presence.EXPECTED


def _line_of(page: aiohttp.ClientWebSocketResponse) -> asyncio.ReadTransport:
    connection = page._response.connection
    assert connection is not None
    assert isinstance(connection.transport, asyncio.ReadTransport)
    return connection.transport


def test_a_page_that_another_takes_over_from_reads_why_however_much_it_says_meanwhile(
    server: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_server, "_CLOSE_LIMIT_S", PATIENCE_S)

    async def closed_with() -> int | None:
        headers = {"Origin": "http://" + urlsplit(server.url).netloc}
        async with (
            asyncio.timeout(PATIENCE_S),
            aiohttp.ClientSession() as session,
            session.ws_connect(server.url + "page", headers=headers) as first,
            session.ws_connect(server.url + "page", headers=headers) as second,
        ):
            await first.send_json(HELLO)
            assert (await first.receive()).type is aiohttp.WSMsgType.TEXT
            line = _line_of(first)
            line.pause_reading()
            await second.send_json(HELLO)
            assert (await second.receive()).type is aiohttp.WSMsgType.TEXT
            for n in range(20):
                await first.send_json({"t": "ack", "n": n, "shown": []})
                await asyncio.sleep(0.01)
            line.resume_reading()
            async for _ in first:  # until it is closed, or broken
                pass
            return first.close_code

    assert asyncio.run(closed_with()) == 4001


def test_a_page_that_reads_nothing_any_more_does_not_stay_when_another_takes_over(
    server: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carriers, "CLOSE_LIMIT_S", 0.1)
    noise = np.random.default_rng(1).integers(0, 256, (2500, 2500, 3), np.uint8)  # more than a line holds

    async def take_over() -> None:
        headers = {"Origin": "http://" + urlsplit(server.url).netloc}
        async with (
            asyncio.timeout(PATIENCE_S),
            aiohttp.ClientSession() as session,
            session.ws_connect(server.url + "page", headers=headers) as first,
        ):
            await first.send_json(HELLO)
            assert (await first.receive()).type is aiohttp.WSMsgType.TEXT
            _line_of(first).pause_reading()
            with server.lock:
                server._person.offer(noise, frame=0, seq=0, now=time.monotonic())
            server.flush()
            await asyncio.sleep(0.5)  # nobody reads it
            async with session.ws_connect(server.url + "page", headers=headers, max_msg_size=0) as second:
                await second.send_json(HELLO)
                assert (await second.receive()).type is aiohttp.WSMsgType.TEXT
                await asyncio.to_thread(until, lambda: len(server._open._carriers) == 1)

    asyncio.run(take_over())


def test_more_tabs_than_anybody_opens_are_refused(server: PageServer) -> None:
    async def open_many() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            aiohttp.ClientSession() as session,
            contextlib.AsyncExitStack() as stack,
        ):
            for _ in range(8):
                origin = "http://" + urlsplit(server.url).netloc
                await stack.enter_async_context(session.ws_connect(server.url + "page", origin=origin))
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await _play(server)
            assert caught.value.status == 503

    asyncio.run(open_many())


@pytest.mark.parametrize("message", ["x", "x" * 1_000_000], ids=["garbage", "a megabyte"])
def test_what_no_page_sends_ends_in_a_lost_player(server: PageServer, message: str) -> None:
    code = asyncio.run(_play(server, message))
    assert code in {4002, 1009}
    until(lambda: server._person.gone == "page_dropped")


OFFERS = {
    "nothing": (b"", 400),
    "no JSON": (b"\xff{", 400),
    "no offer": (b'{"sdp": ""}', 400),
    "an offer of nothing": (json.dumps({"sdp": "v=0", "candidates": []}).encode(), 400),
    "more than an offer": (json.dumps({"sdp": "v=0", "candidates": [], "seat": "left"}).encode(), 400),
    "candidates that are none": (json.dumps({"sdp": "v=0", "candidates": [{"a": "b"}] * 33}).encode(), 400),
    "a megabyte": (b"x" * 1_000_000, 413),
}


@pytest.mark.parametrize("name", OFFERS)
def test_an_offer_that_no_page_makes_is_refused_and_leaves_nothing(server: PageServer, name: str) -> None:
    body, status = OFFERS[name]
    origin = "http://" + urlsplit(server.url).netloc
    assert post(server.url + "offer", body, Origin=origin) == status
    assert server._open._carriers == {}
    assert server._person.presence is Presence.EXPECTED


def test_an_offer_of_another_site_or_by_a_wrong_link_is_not_looked_at(server: PageServer) -> None:
    origin = "http://" + urlsplit(server.url).netloc
    assert post(server.url + "offer", b"{}", Origin="http://evil.example") == 404
    assert post(server.url + "offer", b"{}") == 404
    assert post(f"{origin}/{'x' * 32}/offer", b"{}", Origin=origin) == 404


def post(url: str, body: bytes, **headers: str) -> int:
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - http, of this test
    try:
        return int(urllib.request.urlopen(request, timeout=PATIENCE_S).status)  # noqa: S310 - the same
    except urllib.error.HTTPError as error:
        return error.code


def test_ten_thousand_key_events_end_in_a_lost_player(server: PageServer) -> None:
    keys = [json.dumps({"t": "keys", "held": [], "changes": [[n, 1.0, "Space"]]}) for n in range(1, 10_001)]

    async def flood() -> None:
        with contextlib.suppress(ConnectionError):  # closed while it still sent
            await _play(server, *keys)

    asyncio.run(flood())
    until(lambda: server._person.gone == "page_dropped")


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = PageServer(Person(known=[], welcome={}, hold_s=1.0), OwnPort(taken.getsockname()[1]))
        with pytest.raises(ConfigurationError, match="port"):
            server.start()
        server.close()
