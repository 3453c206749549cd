"""The host's HTTP: who has a link gets the page, and its connection goes on to the process of their seat.

Knows requests, proxies in front, and what a browser says of where a request comes from; who may sit is
:mod:`gym_p2p.hosting.house`'s to say.
"""

from __future__ import annotations

import errno
import os
import socket
from urllib.parse import SplitResult, urlsplit

from aiohttp import web

from gym_p2p.errors import ConfigurationError
from gym_p2p.hosting.hall import Hall
from gym_p2p.hosting.house import Refuse, Why
from gym_p2p.hosting.links import Link, Links
from gym_p2p.hosting.seat import Seat
from gym_p2p.human.messages import CLOSE_CODES, MAX_OFFER_BYTES, MAX_PAGE_MESSAGE_BYTES, encode
from gym_p2p.human.page_files import PAGE_HEADERS, page_files

__all__ = ["Address", "Door", "listen"]

_CLOSE_LIMIT_S = 2.0

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
"""Left out by a browser that says where a request comes from (RFC 6454, section 6.2)."""

_EVERY_ADDRESS = frozenset({"", "0", "0.0.0.0", "::"})  # noqa: S104 - refused, not listened on

_NOT_PASSED_ON = frozenset({b"host", b"connection", b"keep-alive", b"transfer-encoding", b"content-length"})


class Address:
    """Where the pages are: for whoever opens a link, and on this machine.

    Args:
        host: the address to listen on.
        port: the same.
        public_url: what links begin with, where a proxy stands in front; ``None`` is this very port.

    Raises:
        ConfigurationError: that is no such URL, or there is none where nobody can open the address itself.
    """

    def __init__(self, host: str, port: int, public_url: str | None) -> None:
        if public_url is None and host in _EVERY_ADDRESS:
            raise ConfigurationError(
                "public_url",
                f"{host!r} is every address of this machine, and none that people can open: "
                f"say what links begin with, as in http://192.0.2.7:{port}",
            )
        shown = f"[{host}]" if ":" in host else host
        self.base = (public_url or f"http://{shown}:{port}").rstrip("/")
        public = _split(self.base)
        self.prefix = public.path
        local = {f"{name}:{port}" for name in (shown, "localhost", "127.0.0.1")}
        self._hosts = None if public_url is not None else local
        """By which names it is asked; ``None`` where a proxy calls it as it likes."""
        shown_public = public.netloc.lower().removesuffix(_DEFAULT_PORTS[public.scheme])
        self.origins = {f"http://{one}" for one in local} | {f"{public.scheme}://{shown_public}"}

    def of(self, link: Link) -> str:
        """Return a link's address."""
        return f"{self.base}/{link.token}/"

    def is_called(self, name: str) -> bool:
        """Return whether this can be the ``Host`` of a request for a page."""
        return self._hosts is None or name in self._hosts

    def path_of(self, path: str) -> str:
        """Return a request's path without the proxy's prefix, which it may have taken away itself."""
        return path.removeprefix(self.prefix) if path.startswith(f"{self.prefix}/") else path


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there.

    Raises:
        ConfigurationError: the port is taken, or there is no such address.
    """
    if not 0 <= port < 1 << 16:
        raise ConfigurationError("port", f"wanted 0 to 65535, got {port}")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, reuse_port=False)
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, OSError) else None
        option = "port" if number in {errno.EADDRINUSE, errno.EACCES} else "host"
        said = os.strerror(number) if number is not None and number > 0 else str(error)
        raise ConfigurationError(
            option, f"cannot listen on {host}:{port} ({said}): take another one"
        ) from None


class Door:
    """Serves the pages of a hall.

    Args:
        hall: its seats.
        links: who may come.
        address: where it is.
    """

    def __init__(self, hall: Hall, links: Links, address: Address) -> None:
        self._hall = hall
        self._links = links
        self._address = address
        self._files = page_files()
        app = web.Application(client_max_size=MAX_OFFER_BYTES)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_LIMIT_S)

    async def open(self, listening: socket.socket) -> None:
        """Serve whoever comes to this port."""
        await self._runner.setup()
        await web.SockSite(self._runner, listening).start()

    async def close(self) -> None:
        """Listen no more. Idempotent."""
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        token, slash, name = self._address.path_of(request.path)[1:].partition("/")
        link = self._links.find(token)
        if link is None or not self._address.is_called(request.host):
            return _nothing()
        if not slash:
            return web.Response(status=302, headers={**PAGE_HEADERS, "Location": f"{token}/"})
        by_our_page = request.headers.get("Origin") in self._address.origins
        match request.method, name:
            case "GET", "page" if by_our_page:
                return await self._page(request, link)
            case "POST", "offer" if by_our_page:
                return await self._pass_on(request, link)
            case "GET" | "HEAD", _:
                return self._file(name or "index.html")
        return _nothing()

    def _file(self, name: str) -> web.StreamResponse:
        if name not in self._files:
            return _nothing()
        content_type, body = self._files[name]
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=PAGE_HEADERS)

    async def _page(self, request: web.Request, link: Link) -> web.StreamResponse:
        if link.door:
            given = self._links.give()
            return await _close(request, "elsewhere", encode("elsewhere", token=given.token))
        seat = await self._enter(link)
        if isinstance(seat, Refuse):
            told = None if seat.state is None else encode("state", **seat.state)
            return await _close(request, seat.why.value, told)
        return _hand_over(request, seat)

    async def _pass_on(self, request: web.Request, link: Link) -> web.StreamResponse:
        """Pass on what a page's script asks of its seat before it has a line to it."""
        seat = None if link.door else await self._enter(link, hears=False)
        if seat is None or isinstance(seat, Refuse):
            return _nothing()  # the page opens its line then, and is told why there is none
        return _hand_over(request, seat, await request.read())

    async def _enter(self, link: Link, *, hears: bool = True) -> Seat | Refuse:
        await self._hall.until_free(link)
        try:
            seat = self._hall.enter(link, hears=hears)
        except OSError:
            return Refuse(Why.CRASHED)
        if not isinstance(seat, Refuse):
            self._links.used(link)
        return seat


def _split(url: str) -> SplitResult:
    public = urlsplit(url)
    try:
        known = public.scheme in {"http", "https"} and public.hostname and (public.port or True)
    except ValueError:  # a port that is none
        known = False
    if not known or public.query or public.fragment or public.username:
        raise ConfigurationError("public_url", f"wanted http(s)://HOST[:PORT][/PATH], got {url!r}")
    return public


def _nothing() -> web.Response:
    return web.Response(status=404, text="there is no such page", headers=PAGE_HEADERS)


async def _close(request: web.Request, why: str, told: str | None) -> web.StreamResponse:
    """Take a page's connection, tell it something, and close it with a reason."""
    page = web.WebSocketResponse(timeout=_CLOSE_LIMIT_S, max_msg_size=MAX_PAGE_MESSAGE_BYTES, compress=False)
    if not page.can_prepare(request):
        return _nothing()
    await page.prepare(request)
    if told is not None:
        await page.send_str(told)
    await page.close(code=CLOSE_CODES[why], message=why.encode())
    return page


def _hand_over(request: web.Request, seat: Seat, body: bytes = b"") -> web.StreamResponse:
    """Give a connection to the process of a seat, with what was read of it; here it is over."""
    transport = request.transport
    connection = None if transport is None else transport.get_extra_info("socket")
    if transport is None or connection is None:
        return _nothing()
    descriptor = os.dup(connection.fileno())
    try:
        seat.visit(_head(request, body) + body, descriptor)
    finally:
        os.close(descriptor)
    transport.abort()  # it closes this process's descriptor alone
    return web.Response()


def _head(request: web.Request, body: bytes) -> bytes:
    """Return the head of a request as the seat is to read it: of one connection, and this request alone."""
    name = request.path.rpartition("/")[2]
    lines = [f"{request.method} /seat/{name} HTTP/1.1".encode(), b"Host: seat"]
    lines += [b"%s: %s" % pair for pair in request.raw_headers if pair[0].lower() not in _NOT_PASSED_ON]
    if request.method == "GET":
        lines.append(b"Connection: Upgrade")
    else:
        lines += [b"Connection: close", b"Content-Length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n"
