"""The host's port: who has no link gets nothing, and behind a proxy the same paths lead to the same pages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from gym_p2p.errors import ConfigurationError
from gym_p2p.hosting.door import Address, Door, listen
from gym_p2p.hosting.hall import Hall
from gym_p2p.hosting.house import Refuse, Why
from gym_p2p.hosting.links import Link, Links
from gym_p2p.human.messages import CLOSE_CODES
from gym_p2p.human.page_files import OURS
from tests.human.fake_page import HELLO
from tests.waiting import PATIENCE_S

ONE = Link(code="p001", token="t" * 32)
DOOR = Link(code="open", token="d" * 32, door=True)


class FullHall(Hall):
    """Lets nobody in, for a reason."""

    def __init__(self, why: Why, state: dict[str, Any] | None = None) -> None:
        self.answer = Refuse(why, state)
        self.entered = 0
        self.waited = 0
        self.told: list[bool] = []

    async def until_free(self, link: Link) -> None:
        del link
        self.waited += 1

    def enter(self, link: Link, *, hears: bool = True) -> Refuse:
        del link
        self.entered += 1
        self.told.append(hears)
        return self.answer


Ask = Callable[[aiohttp.ClientSession, str], Awaitable[Any]]


def at_door(hall: FullHall, ask: Ask, *, public_url: str | None = None) -> Any:
    """Open a door, and ask something there: it is given a session and where the door is."""

    async def run() -> Any:
        listening = listen("127.0.0.1", 0)
        port = listening.getsockname()[1]
        door = Door(
            hall,
            Links([ONE, DOOR], lambda: Link(code="v", token="v" * 32)),
            Address("127.0.0.1", port, public_url),
        )
        await door.open(listening)
        try:
            async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
                return await ask(session, f"http://127.0.0.1:{port}")
        finally:
            await door.close()

    return asyncio.run(run())


async def get(session: aiohttp.ClientSession, url: str, **headers: str) -> int:
    """Return the status of an answer, which has to say that it is the game's own, and not a proxy's."""
    async with session.get(url, headers=headers, allow_redirects=False) as answer:
        assert OURS in answer.headers
        return answer.status


@pytest.mark.parametrize(
    "path", ["", "x/", f"{'t' * 31}/", f"{'t' * 33}/", "page", "..%2f", "%00/", "x/page"]
)
def test_without_a_link_there_is_nothing(path: str) -> None:
    hall = FullHall(Why.FULL)
    assert at_door(hall, lambda session, base: get(session, f"{base}/{path}")) == 404
    assert hall.entered == 0


def test_looking_at_a_link_takes_no_seat_and_sets_nothing() -> None:
    hall = FullHall(Why.FULL)

    async def look(session: aiohttp.ClientSession, base: str) -> None:
        async with session.get(f"{base}/{ONE.token}/") as answer:
            assert answer.status == 200
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "Set-Cookie" not in answer.headers
            assert answer.headers["Referrer-Policy"] == "no-referrer"
        for name in ("main.js", "style.css", "static/link.js"):
            assert await get(session, f"{base}/{ONE.token}/{name}") == 200
        for name in ("none.js", "..%2fseat.py", "%2e%2e/seat.py", "main.js/", "offer"):
            assert await get(session, f"{base}/{ONE.token}/{name}") == 404
        async with session.get(f"{base}/{ONE.token}", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, f"{ONE.token}/")
        assert await get(session, f"{base}/{ONE.token}/", Host="evil.example") == 404

    at_door(hall, look)
    assert hall.entered == 0


async def _closed_with(
    session: aiohttp.ClientSession, url: str, origin: str, **headers: str
) -> tuple[int | None, list[Any]]:
    async with session.ws_connect(url, headers={"Origin": origin, **headers}) as page:
        await page.send_json(HELLO)
        told = [message.json() async for message in page]
        return page.close_code, told


@pytest.mark.parametrize("why", list(Why))
def test_who_is_not_let_in_is_told_why(why: Why) -> None:
    state = {"phase": "over", "code": "c0de"} if why is Why.OVER else None

    async def come(session: aiohttp.ClientSession, base: str) -> Any:
        return await _closed_with(session, f"{base}/{ONE.token}/page", base)

    code, told = at_door(FullHall(why, state), come)
    assert code == CLOSE_CODES[why.value]
    assert told == ([] if state is None else [{"t": "state", **state}])


def test_an_offer_that_is_refused_is_told_no_reason_and_the_line_after_it_is() -> None:
    hall = FullHall(Why.CRASHED, {"phase": "over", "again": True})

    async def come(session: aiohttp.ClientSession, base: str) -> Any:
        async with session.post(f"{base}/{ONE.token}/offer", json={}, headers={"Origin": base}) as answer:
            assert answer.status == 404
        return await _closed_with(session, f"{base}/{ONE.token}/page", base)

    code, told = at_door(hall, come)
    assert (code, len(told)) == (CLOSE_CODES["crashed"], 1)
    assert hall.told == [False, True]
    assert hall.waited == 2, "until the match before is written"


def test_a_door_gives_a_link_and_takes_no_seat() -> None:
    hall = FullHall(Why.FULL)

    async def come(session: aiohttp.ClientSession, base: str) -> Any:
        return await _closed_with(session, f"{base}/{DOOR.token}/page", base)

    assert at_door(hall, come) == (4009, [{"t": "elsewhere", "token": "v" * 32}])
    assert hall.entered == 0


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", ""])
def test_what_another_site_opens_is_refused(origin: str) -> None:
    hall = FullHall(Why.FULL)

    async def come(session: aiohttp.ClientSession, base: str) -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await _closed_with(session, f"{base}/{ONE.token}/page", origin)
        assert caught.value.status == 404
        async with session.post(f"{base}/{ONE.token}/offer", headers={"Origin": origin}) as answer:
            assert answer.status == 404

    at_door(hall, come)
    assert hall.entered == 0


@pytest.mark.parametrize("prefix", ["/rally", ""], ids=["passed on", "taken away"])
@pytest.mark.parametrize("host", ["play.example.org", "play.example.org:8443", "upstream", None])
def test_behind_a_proxy_the_links_lead_to_the_same_pages(prefix: str, host: str | None) -> None:
    public = "https://play.example.org/rally/"

    async def come(session: aiohttp.ClientSession, base: str) -> Any:
        headers = {} if host is None else {"Host": host}
        assert await get(session, f"{base}{prefix}/{ONE.token}/", **headers) == 200
        url = f"{base}{prefix}/{ONE.token}/page"
        return await _closed_with(session, url, "https://play.example.org", **headers)

    assert at_door(FullHall(Why.FULL), come, public_url=public)[0] == 4005
    assert Address("127.0.0.1", 1, public).of(ONE) == f"https://play.example.org/rally/{ONE.token}/"


def test_a_public_url_may_name_the_port_that_browsers_leave_out() -> None:
    async def come(session: aiohttp.ClientSession, base: str) -> Any:
        return await _closed_with(session, f"{base}/{ONE.token}/page", "https://play.example.org")

    assert at_door(FullHall(Why.FULL), come, public_url="https://Play.example.org:443")[0] == 4005


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])  # noqa: S104 - refused
def test_links_do_not_begin_with_what_is_no_address_of_anybody(host: str) -> None:
    with pytest.raises(ConfigurationError, match="public_url"):
        Address(host, 8770, None)
    assert Address(host, 8770, "http://192.0.2.7:8770").of(ONE) == f"http://192.0.2.7:8770/{ONE.token}/"


@pytest.mark.parametrize(
    "url", ["play.example.org", "ftp://x/", "http://", "https://x:y/", "https://x/?a=1", "https://me@x/"]
)
def test_a_public_url_that_is_none_is_told(url: str) -> None:
    with pytest.raises(ConfigurationError, match="public_url"):
        Address("127.0.0.1", 1, url)
