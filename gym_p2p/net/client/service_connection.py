"""One line to the service: opened with a deadline, registered, hung up.

It turns the Socket.IO library's many ways to fail into our errors, and sees to it that a line which did not
come about leaves no task and no socket. What is sent over the line is not its business.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import socket
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self

import aiohttp
import attrs
import msgspec
import socketio

from gym_p2p.config.checks import require_no_password
from gym_p2p.config.event_names import EventNames
from gym_p2p.config.secret import Secret, as_secret
from gym_p2p.core.api.payloads import decode, encode
from gym_p2p.core.api.requests import RegisterSubject
from gym_p2p.core.wire.foreign_text import printable, screened
from gym_p2p.errors import ConfigurationError, P2PError, ProtocolError, ServiceRefused, ServiceUnreachable
from gym_p2p.exports.unreachable import NO_SERVICE
from gym_p2p.net.client.failures import in_words, is_turned_away
from gym_p2p.net.client.packets import BoundedPacket
from gym_p2p.version import __version__

__all__ = ["CLIENT", "Credentials", "accepted", "check_url", "hang_up", "open_line"]

_LIBRARY_LOG = logging.getLogger("gym_p2p.net.library")
_LIBRARY_LOG.setLevel(logging.CRITICAL)  # it writes whole packets, and calls a lost line a warning

CLIENT = f"gym_p2p/{__version__}"
"""What this software calls itself to the other players."""

_OTHER_NAMES = (
    ", though a Socket.IO server is there: one that has the service under a prefix, or in another namespace?"
)
_GOODBYE_TIMEOUT_S = 1.0
"""For the other side's part of the closing handshake. Below ``_HANG_UP_TIMEOUT_S``."""
_HANG_UP_TIMEOUT_S = 2.0
_ADVICE = {
    "unauthenticated": "whoever runs the service makes one with `gym-p2p token`; it goes into GYM_P2P_TOKEN",
    "duplicate_session": "end the other program, or wait 15 s if it is gone already",
}
"""What to do, by the code of a refusal at the door."""
_BUSY_PAUSE_S = 0.5
"""Between two attempts where there are too many; half of it is random."""

_UNHEARD_S = 3.0
"""After which a line is dead whose other end takes nothing that is sent: the machine may have another address
by now. Below ``reconnect_timeout_s``, so that a broken path can be rebuilt over the next line."""

_TOKEN_VARIABLE = "GYM_P2P_TOKEN"  # noqa: S105  # a name; it keeps the token off command lines and records

Handlers = Mapping[str, Callable[..., None]]


_AS_THEY_ARE = EventNames()


@attrs.define(eq=False)
class Credentials:
    """One client's, over all its lines.

    Attributes:
        token: the join token; ``None`` for a service that wants none.
        resume_token: lets the next line take the present one's place; ``None`` before the service gave one.
        subject_id: who this is by the service's account; ``None`` before it gave one.
        match_token: of the match that is played, for a service that knows it no more; ``None`` without one.
    """

    token: Secret | None = attrs.field(default=None, converter=as_secret, repr=False)
    resume_token: Secret | None = attrs.field(default=None, converter=as_secret, repr=False)
    subject_id: str | None = None
    match_token: Secret | None = attrs.field(default=None, repr=False)

    @classmethod
    def of(cls, token: str | Secret | None) -> Self:
        """Return those with this token, or with the environment's if it is ``None``."""
        return cls(token if token is not None else os.environ.get(_TOKEN_VARIABLE) or None)

    def to_auth(self) -> dict[str, str] | None:
        """Return what a connect carries."""
        shown = {"token": self.token, "resume_token": self.resume_token}
        return {name: value.reveal() for name, value in shown.items() if value is not None} or None

    def learn(self, registered: Mapping[str, Any]) -> None:
        """Take what the service's answer to a registration gives for the next one."""
        resume_token = registered.get("resume_token")
        self.resume_token = as_secret(resume_token) if isinstance(resume_token, str) else None
        subject_id = registered.get("subject_id")
        self.subject_id = subject_id if isinstance(subject_id, str) else None


async def open_line(
    url: str,
    subject_id: str,
    *,
    http: aiohttp.ClientSession,
    handlers: Handlers,
    on_break: Callable[..., None],
    timeout_s: float,
    credentials: Credentials | None = None,
    names: EventNames = _AS_THEY_ARE,
) -> tuple[socketio.AsyncClient, float]:
    """Connect and register within the deadline; the caller must :func:`hang_up` the line that is returned.

    Returns:
        The line, and how long the service took to answer the registration, in ms.

    The handlers are called with the payload of their event, possibly before this returns; ``on_break`` is
    called when a line that has been returned breaks.

    Raises:
        ServiceUnreachable: nothing answers there, or something that is no gym_p2p service.
        ServiceRefused: it would not have this subject, or wants a (better) join token.
    """
    sio = socketio.AsyncClient(
        reconnection=False,  # done by the caller, with a deadline for every attempt
        logger=_LIBRARY_LOG,
        engineio_logger=_LIBRARY_LOG,
        handle_sigint=False,
        request_timeout=_GOODBYE_TIMEOUT_S,
        serializer=BoundedPacket,
        http_session=http,
    )
    for event, handler in handlers.items():
        sio.on(names.of(event), handler, namespace=names.namespace)
    shown = Credentials() if credentials is None else credentials
    door = _Door(sio, url, timeout_s, names.namespace)
    try:
        async with asyncio.timeout(timeout_s):
            rtt_ms = await _connect_and_register(door, subject_id, shown, names)
    except BaseException as error:
        reached = sio.eio.state == "connected"
        await hang_up(sio)
        if isinstance(error, socketio.exceptions.ConnectionError):
            door.raise_refusal()
        if isinstance(error, P2PError | asyncio.CancelledError):
            raise
        cause: BaseException | None = error
        if isinstance(error, TimeoutError):
            cause = None if reached else door.turned_away
        late = f"no answer within {timeout_s:g} s{_OTHER_NAMES * reached}"
        raise ServiceUnreachable(url, late if cause is None else await in_words(cause, url)) from None
    sio.on("disconnect", on_break, namespace=names.namespace)
    return sio, rtt_ms


async def _connect_and_register(
    door: _Door, subject_id: str, credentials: Credentials, names: EventNames
) -> float:
    await door.pass_through(credentials.to_auth())
    sio, url = door.sio, door.url
    match_token = None if credentials.match_token is None else credentials.match_token.reveal()
    registration = RegisterSubject(subject_id, CLIENT, match_token)
    sent_at = time.monotonic()
    event, namespace = names.of(registration.event), names.namespace
    answer = accepted(
        await sio.call(event, encode(registration), namespace=namespace, timeout=door.timeout_s), url
    )
    rtt_ms = (time.monotonic() - sent_at) * 1e3
    if answer.get("service") != "gym_p2p":
        raise ServiceUnreachable(url, NO_SERVICE)
    if not sio.connected:
        raise ServiceUnreachable(url, "the line broke at once")
    credentials.learn(answer)
    return rtt_ms


@attrs.define(eq=False)
class _Door:
    """Where a line is let in, or waits while the service only has too many others there."""

    sio: socketio.AsyncClient
    url: str
    timeout_s: float
    namespace: str
    turned_away: socketio.exceptions.ConnectionError | None = None
    """By what it was turned away last; an attempt that the deadline cuts off tells less."""
    _answer: object = None
    """What the newest attempt was told instead of being let in."""

    async def pass_through(self, auth: Mapping[str, str] | None) -> None:
        self.sio.on("connect_error", self._be_told, namespace=self.namespace)
        # The library takes an URL's host alone; a service behind a proxy may have a path.
        path = f"{urllib.parse.urlsplit(self.url).path.strip('/')}/socket.io"
        ends_at = time.monotonic() + self.timeout_s
        while True:
            try:
                await self.sio.connect(
                    self.url,
                    auth=auth,
                    transports=["websocket"],
                    namespaces=[self.namespace],
                    socketio_path=path,
                    wait_timeout=self.timeout_s,
                )
            except socketio.exceptions.ConnectionError as error:
                pause_s = _BUSY_PAUSE_S * random.uniform(0.5, 1.0)
                if not is_turned_away(error) or ends_at <= time.monotonic() + pause_s:
                    raise
                self.turned_away = error
                await asyncio.sleep(pause_s)
            else:
                _end_where_nothing_is_taken(self.sio)
                return

    def _be_told(self, answer: object) -> None:
        self._answer = answer

    def raise_refusal(self) -> None:
        """Raise the service's reason for not letting us in, if it gave one."""
        error = self._answer.get("data") if isinstance(self._answer, Mapping) else None
        if isinstance(error, Mapping) and "code" in error:
            refusal = _refusal(error)
            advice = _ADVICE.get(refusal.code)
            detail = refusal.detail if advice is None else f"{refusal.detail}; {advice}"
            raise ServiceRefused(refusal.code, detail, retry_after_s=refusal.retry_after_s) from None


def _end_where_nothing_is_taken(sio: socketio.AsyncClient) -> None:
    """Let the system end the line once it carries nothing any more: by itself it would try for minutes."""
    line = sio.eio.ws.get_extra_info("socket")
    if line is not None and hasattr(socket, "TCP_USER_TIMEOUT"):  # RFC 5482; Linux has it
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(_UNHEARD_S * 1e3))


async def hang_up(sio: socketio.AsyncClient) -> None:
    """End a line of the client library within a deadline; never raises."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_HANG_UP_TIMEOUT_S):
            await sio.disconnect()
    leftovers = [task for task in (sio.eio.read_loop_task, sio.eio.write_loop_task) if task is not None]
    for task in leftovers:
        task.cancel()
    await asyncio.gather(*leftovers, return_exceptions=True)


def check_url(url: str) -> None:
    """Raise ``ConfigurationError`` for what cannot be a service's address."""
    require_no_password("server_url", url)
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        valid = valid and not parts.query and not parts.fragment and "@" not in parts.netloc
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError("server_url", f"wanted something like http://127.0.0.1:8765, got {url!r}")


def accepted(answer: object, url: str) -> Mapping[str, Any]:
    """Return the fields of a yes; raise what a no means."""
    if not isinstance(answer, Mapping) or not isinstance(answer.get("ok"), bool):
        raise ServiceUnreachable(url, NO_SERVICE)
    if answer["ok"]:
        told: Mapping[str, Any] = screened(answer)
        return told
    raise _refusal(answer.get("error"))


@attrs.frozen
class _Error:
    """Why the service's answer is no."""

    code: str = "unknown"
    message: str = "no reason given"
    retry_after_ms: Annotated[float, msgspec.Meta(ge=0)] | None = None


def _refusal(error: object) -> ServiceRefused:
    try:
        read = decode(_Error, error)
    except ProtocolError:
        read = _Error()
    retry_after_s = None if read.retry_after_ms is None else read.retry_after_ms / 1000
    return ServiceRefused(printable(read.code), printable(read.message), retry_after_s=retry_after_s)
