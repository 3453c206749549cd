"""The page's server: a loopback port, a secret in the path, static files and one WebSocket, on a thread.

Knows HTTP and sockets; who is at the page and what they are told is :mod:`gym_p2p.human.person`'s to know. It
runs on its own event loop, so that a slow ``env.step`` keeps no key waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import itertools
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable
from importlib import resources

from aiohttp import WSMsgType, web

from gym_p2p.errors import ConfigurationError
from gym_p2p.human.messages import MAX_PAGE_MESSAGE_BYTES
from gym_p2p.human.person import ClosePage, Output, Person, SendToPage
from gym_p2p.net.loop import LoopTimer, run_loop
from gym_p2p.processes.threads import OwnThread

__all__ = ["PageServer"]

_log = logging.getLogger(__name__)

HOST = "127.0.0.1"

_MOST_CONNECTIONS = 8
"""Tabs that are open at once; each but the newest is told so and closed."""
_HELLO_LIMIT_S = 10.0
_START_LIMIT_S = 10.0
_STOP_LIMIT_S = 2.0
_CLOSE_LIMIT_S = 1.0
"""For a page to answer that it was closed."""

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_CLOSE_CODES = {"taken_over": 4001, "dropped": 4002, "over": 4003, "version": 4004}
"""Private codes (RFC 6455, 7.4.2), by which the page knows what to say."""


class PageServer:
    """Serves one person's page from :meth:`start` to :meth:`close`.

    Args:
        person: shared with the thread that plays, under :attr:`lock`.
        port: to listen on; 0 takes a free one.

    Attributes:
        lock: held by whoever uses the person.
        changed: notified, with the lock, after anything came from the page.
    """

    def __init__(self, person: Person, *, port: int = 0) -> None:
        self._person = person
        self._port = port
        self._token = secrets.token_urlsafe(24)
        self._files = _page_files()
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self._numbers = itertools.count(1)
        self._sockets: dict[int, web.WebSocketResponse] = {}
        self._sending: dict[int, asyncio.Queue[Output]] = {}
        self._senders: dict[int, asyncio.Task[str | None]] = {}
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._timer: LoopTimer | None = None
        self._started = threading.Event()
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """The link; whoever has it has the seat."""
        return f"http://{HOST}:{self._port}/{self._token}/"

    def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: the port is taken.
        """
        listening = self._listen()
        self._port = listening.getsockname()[1]
        self._thread = OwnThread(
            target=run_loop, args=(self._run(listening),), name="gym_p2p page", daemon=True
        )
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
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._carry_out)

    def _listen(self) -> socket.socket:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, self._port))
            listening.listen()
        except OSError as error:
            listening.close()
            raise ConfigurationError(
                "port",
                f"cannot listen on {HOST}:{self._port} ({error.strerror}): take another one, or 0 for any",
            ) from error
        return listening

    # On the loop.

    async def _run(self, listening: socket.socket) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._timer = LoopTimer(self._timed)
        app = web.Application()
        app.router.add_get("/{token}/", self._file)
        app.router.add_get("/{token}/page", self._page)
        app.router.add_get("/{token}/{name}", self._file)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_LIMIT_S)
        try:
            await runner.setup()
            await web.SockSite(runner, listening).start()
            self._started.set()
            await self._stop.wait()
            self._carry_out()
            await self._drain()
        except Exception as error:  # noqa: BLE001 - told to who starts it
            self._failure = error
            _log.debug("the page's server failed", exc_info=True)
        finally:
            self._started.set()
            self._timer.set(None)
            await runner.cleanup()
            listening.close()

    async def _drain(self) -> None:
        """Let what is queued go, for a moment: the page's last state."""
        for connection in list(self._sending):
            self._sending[connection].put_nowait(ClosePage(connection, "over"))
        if self._senders:
            await asyncio.wait(self._senders.values(), timeout=_STOP_LIMIT_S / 2)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        file = self._files.get(request.match_info.get("name", "index.html"))
        if file is None or not self._may(request):
            return web.Response(status=404, text="there is no such page", headers=_HEADERS)
        content_type, body = file
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=_HEADERS)

    def _may(self, request: web.Request) -> bool:
        """Whether the link is right, and the page that asks is ours: no other site may open its socket."""
        given = request.match_info["token"].encode()
        here = f"{HOST}:{self._port}"
        if request.host not in {here, f"localhost:{self._port}"}:
            return False
        return hmac.compare_digest(given, self._token.encode())

    async def _page(self, request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if not self._may(request) or origin != f"http://{request.host}":
            return web.Response(status=404, text="there is no such page", headers=_HEADERS)
        if len(self._sockets) >= _MOST_CONNECTIONS:
            return web.Response(status=503, text="too many pages are open", headers=_HEADERS)
        page = web.WebSocketResponse(
            max_msg_size=MAX_PAGE_MESSAGE_BYTES, compress=False, timeout=_CLOSE_LIMIT_S
        )
        await page.prepare(request)
        connection = next(self._numbers)
        self._sockets[connection] = page
        self._sending[connection] = asyncio.Queue()
        sender = self._senders[connection] = asyncio.create_task(self._send(connection, page))
        listener = asyncio.create_task(self._listen_to(connection, page))
        try:
            await asyncio.wait({sender, listener}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._sockets[connection]
            self._with(lambda person, now: person.disconnected(connection, now))
            self._sending.pop(connection, None)
            del self._senders[connection]
            listener.cancel()
            sender.cancel()
            _, reason = await asyncio.gather(listener, sender, return_exceptions=True)
        if isinstance(
            reason, str
        ):  # nobody reads beside it: the page's answer is waited for, else this is lost
            await page.close(code=_CLOSE_CODES[reason], message=reason.encode())
        return page

    async def _listen_to(self, connection: int, page: web.WebSocketResponse) -> None:
        limit_s: float | None = _HELLO_LIMIT_S
        while True:
            try:
                message = await page.receive(limit_s)
            except TimeoutError:
                return
            limit_s = None
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                self._hear(connection, message.data)
            elif message.type is WSMsgType.ERROR or page.close_code == 1009:  # larger than a message can be
                self._hear(connection, b"")
                return
            elif message.type in {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED}:
                return

    def _hear(self, connection: int, data: str | bytes) -> None:
        self._with(lambda person, now: person.receive(connection, data, now))

    def _with(self, do: Callable[[Person, float], None]) -> None:
        with self.lock:
            do(self._person, time.monotonic())
            self.changed.notify_all()
        self._carry_out()

    def _timed(self) -> None:
        self._with(lambda person, now: person.handle_timeout(now))

    def _carry_out(self) -> None:
        with self.lock:
            while (output := self._person.poll()) is not None:
                queue = self._sending.get(output.connection)
                if queue is not None:
                    queue.put_nowait(output)
            due = self._person.next_timeout()
        if self._timer is not None:
            self._timer.set(due)

    async def _send(self, connection: int, page: web.WebSocketResponse) -> str | None:
        """Send one message after the other; the person's machine sees to it that few wait.

        Returns:
            Why the page's connection is to be closed; ``None`` if it is.
        """
        queue = self._sending[connection]
        while True:
            output = await queue.get()
            try:
                match output:
                    case SendToPage(_, str() as text):
                        await page.send_str(text)
                    case SendToPage(_, bytes() as data):
                        await page.send_bytes(data)
                    case ClosePage(_, reason):
                        return reason
            except ConnectionError:
                return None


def _page_files() -> dict[str, tuple[str, bytes]]:
    """Return the page's files by name: their types and contents."""
    folder = resources.files("gym_p2p.human").joinpath("page")
    found: dict[str, tuple[str, bytes]] = {}
    for file in folder.iterdir():
        kind = _TYPES.get(file.name.rpartition(".")[2])
        if kind is not None:
            found[file.name] = kind, file.read_bytes()
    return found
