"""The page's server: static files, WebSockets and offers of data channels, on a thread.

Knows HTTP; who may ask is :mod:`gym_p2p.human.entrance`'s to know, and what goes over a connection
:mod:`gym_p2p.human.connections`'s. It runs on its own event loop, so that a slow ``env.step`` keeps no key
waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading

from aiohttp import WSMsgType, web

from gym_p2p.config import LinkConfig
from gym_p2p.errors import ConfigurationError, NetworkError, ProtocolError
from gym_p2p.human.carriers import SocketCarrier, close_code
from gym_p2p.human.connections import Connections
from gym_p2p.human.entrance import Entrance
from gym_p2p.human.messages import MAX_OFFER_BYTES, MAX_PAGE_MESSAGE_BYTES, decode_offer
from gym_p2p.human.page_files import PAGE_HEADERS, page_files
from gym_p2p.human.person import Person
from gym_p2p.net.loop import run_loop
from gym_p2p.processes.threads import OwnThread

__all__ = ["PageServer"]

_log = logging.getLogger(__name__)

_HELLO_LIMIT_S = 10.0
_START_LIMIT_S = 10.0
_STOP_LIMIT_S = 2.0
_CLOSE_LIMIT_S = 1.0
"""For a page to answer that it was closed."""


class PageServer:
    """Serves one person's page from :meth:`start` to :meth:`close`.

    Args:
        person: shared with the thread that plays, under :attr:`lock`.
        entrance: where the page's connections come from.
        link: how the path to the page is emulated, for demos and experiments.

    Attributes:
        lock: held by whoever uses the person.
        changed: notified, with the lock, after anything came from the page.
    """

    def __init__(self, person: Person, entrance: Entrance, link: LinkConfig | None = None) -> None:
        self._person = person
        self._link = link or LinkConfig()
        self._entrance = entrance
        self._files = page_files()
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self._connections: Connections | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """The link; whoever has it has the seat."""
        return self._entrance.url

    def start(self) -> None:
        """Let the page be opened.

        Raises:
            ConfigurationError: the port is taken.
        """
        self._entrance.open()
        self._thread = OwnThread(target=run_loop, args=(self._run(),), name="gym_p2p page", daemon=True)
        self._thread.start()
        if not self._started.wait(_START_LIMIT_S) or self._failure is not None:
            raise ConfigurationError("port", f"no page can be served: {self._failure}")

    def close(self) -> None:
        """Send what is to be sent, close the page's connections and the port. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stop.set)
        thread.join(_STOP_LIMIT_S + 1.0)

    def flush(self) -> None:
        """Have what the person's machine wants done; callable from any thread, with the lock held or not."""
        if self._loop is not None and self._connections is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._connections.carry_out)

    # On the loop.

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        connections = self._connections = Connections(self._person, self.changed)
        self._loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=MAX_OFFER_BYTES)
        app.router.add_get("/{token}/", self._file)
        app.router.add_get("/{token}/page", self._page)
        app.router.add_post("/{token}/offer", self._offer)
        app.router.add_get("/{token}/{name:(static/)?[^/]+}", self._file)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_LIMIT_S)
        try:
            await runner.setup()
            await self._entrance.serve(runner)
            self._started.set()
            await self._stop.wait()
            await connections.close(_STOP_LIMIT_S / 2)
        except Exception as error:  # noqa: BLE001 - told to who starts it
            self._failure = error
            _log.debug("the page's server failed", exc_info=True)
        finally:
            self._started.set()
            await runner.cleanup()
            self._entrance.close()

    async def _file(self, request: web.Request) -> web.StreamResponse:
        file = self._files.get(request.match_info.get("name", "index.html"))
        if file is None or not self._entrance.admits(request):
            return web.Response(status=404, text="there is no such page", headers=PAGE_HEADERS)
        content_type, body = file
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=PAGE_HEADERS)

    def _refusal(self, request: web.Request, connections: Connections) -> web.Response | None:
        """Return the answer to a connection that is not to be; ``None`` where it may be."""
        if not self._entrance.admits(request, script=True):
            return web.Response(status=404, text="there is no such page", headers=PAGE_HEADERS)
        if connections.full:
            return web.Response(status=503, text="too many pages are open", headers=PAGE_HEADERS)
        return None

    async def _page(self, request: web.Request) -> web.StreamResponse:
        connections = self._open
        refusal = self._refusal(request, connections)
        if refusal is not None:
            return refusal
        page = web.WebSocketResponse(
            max_msg_size=MAX_PAGE_MESSAGE_BYTES, compress=False, timeout=_CLOSE_LIMIT_S
        )
        await page.prepare(request)
        transport = request.transport
        if transport is None:  # gone meanwhile
            return page
        number, carrier = connections.add(
            lambda _: SocketCarrier(page, self._link.emulation, abort=transport.abort)
        )
        listener = asyncio.create_task(_listen(page, connections, number))
        try:
            connections.opened(number)
            await asyncio.wait({carrier.sending, listener}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            connections.closed(number)
            listener.cancel()
            await asyncio.gather(listener, carrier.close(), return_exceptions=True)
        if carrier.closed_for is not None:  # nobody reads beside it: the page's answer is waited for
            await page.close(code=close_code(carrier.closed_for), message=carrier.closed_for.encode())
        return page

    async def _offer(self, request: web.Request) -> web.Response:
        """Answer a page's offer of data channels; they are its connection once they are open."""
        connections = self._open
        refusal = self._refusal(request, connections)
        if refusal is not None:
            return refusal
        # The library behind it is for those who need it.
        from gym_p2p.human.data_channel import answer_offer  # noqa: PLC0415 - see above

        try:
            sdp = await answer_offer(decode_offer(await request.read()), self._link, connections)
        except (ProtocolError, NetworkError) as error:
            _log.debug("a page's offer cannot be used: %s", error)
            return web.Response(status=400, text="this offer cannot be used", headers=PAGE_HEADERS)
        return web.json_response({"type": "answer", "sdp": sdp}, headers=PAGE_HEADERS)

    @property
    def _open(self) -> Connections:
        assert self._connections is not None  # noqa: S101 - made before anything is served
        return self._connections


async def _listen(page: web.WebSocketResponse, connections: Connections, number: int) -> None:
    """Hand over what comes, until the socket is closed, or says nothing at first."""
    limit_s: float | None = _HELLO_LIMIT_S
    while True:
        try:
            message = await page.receive(limit_s)
        except TimeoutError:
            return
        limit_s = None
        if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            connections.hear(number, message.data)
        elif message.type is WSMsgType.ERROR or page.close_code == 1009:  # larger than a message can be
            connections.hear(number, b"")
            return
        elif message.type in {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED}:
            return
