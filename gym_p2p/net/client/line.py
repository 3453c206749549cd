"""A client's line to the service: opened, kept, taken up again whenever it breaks.

It knows when to try again and what may wait for the line. What is sent over it, and what its breaking means,
is :class:`~gym_p2p.net.client.signaling.SignalingClient`'s to decide.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp
import socketio

from gym_p2p.config import Secret
from gym_p2p.config.event_names import EventNames
from gym_p2p.config.public_ids import public_id_problem
from gym_p2p.core.api.events import SERVICE_EVENTS
from gym_p2p.core.api.payloads import Payload, encode
from gym_p2p.errors import ConfigurationError, P2PError, ServiceRefused, ServiceUnreachable
from gym_p2p.net.client.service_connection import Credentials, accepted, check_url, hang_up, open_line

__all__ = ["Line"]

_LOG = logging.getLogger(__name__)
_ANSWER_TIMEOUT_S = 5.0
_RECONNECT_FIRST_S = 0.25
_RECONNECT_MAX_S = 5.0
"""Between attempts; half of it is random, so that the clients of a restarted service do not come as one."""
_WANTED_MAX_S = 0.5
"""The same while a path is broken, which has seconds to be rebuilt over the line."""
_MAX_WAITING = 256
"""Events that wait for a line that is being taken up again."""
_MOST_BEFORE = 64
"""Behind so many nothing is put that may be lost."""
_MOST_BEFORE_MESSAGES = 192
"""Behind so many no message of a match is put that is sent again: the rest is for events, which are not."""


# Of ``_up`` and ``_broken`` at most one is set. ``_broken`` is set by the library alone, when a line that
# had registered breaks, and cleared by the next registration: a break can therefore come while ``keep`` is
# still at work on the one before, and is taken up in its next round. Only ``_send_waiting`` takes from the
# queue, one event at a time, and only once the line is up, so events keep their order over any number of
# lines; the one that was on its way when a line broke is lost with it, as its answer would be. ``flush``
# ends because every event that is taken is either sent or lost.


class Line:
    """One client's line. :meth:`close` it in any case.

    Args:
        on_event: called with the name and the payload of every event, as it came.
        names: what the service's events are called there.

    Attributes:
        url: where the service is.
        service_rtt_ms: the round trip to the service when the line was opened; ``None`` before.
    """

    def __init__(self, on_event: Callable[..., None], names: EventNames) -> None:
        self.url = ""
        self._names = names
        self.service_rtt_ms: float | None = None
        self._handlers = {name: functools.partial(on_event, name) for name in SERVICE_EVENTS}
        self._subject_id = ""
        self._credentials = Credentials()
        self._http: aiohttp.ClientSession | None = None
        self._sio: socketio.AsyncClient | None = None
        self._up = asyncio.Event()
        self._broken = asyncio.Event()
        self._given_up = False
        self._wanted_until = float("-inf")
        self._wanted = asyncio.Event()
        self._outgoing: asyncio.Queue[tuple[Payload, bool]] = asyncio.Queue(_MAX_WAITING)
        """Events, and whether an answer is wanted."""
        self._sending: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        """Whether the service can be reached at this moment."""
        return self._up.is_set()

    @property
    def subject_id(self) -> str:
        """Who the service takes this client for: the one that it wanted to be, or its join token's."""
        return self._credentials.subject_id or self._subject_id

    def playing(self, match_token: Secret | None) -> None:
        """Show this whenever the line is taken up again; ``None`` when no match is played any more."""
        self._credentials.match_token = match_token

    @property
    def resume_token(self) -> Secret | None:
        """What lets another line take this one's place; ``None`` where the service gave nothing."""
        return self._credentials.resume_token

    async def open(
        self,
        url: str,
        subject_id: str,
        timeout_s: float,
        *,
        token: str | Secret | None,
        resume_token: Secret | None = None,
        match_token: Secret | None = None,
        patience_s: float = 0.0,
    ) -> None:
        """Find the service and register; see :meth:`SignalingClient.connect`."""
        if self._http is not None:
            raise RuntimeError("connect() has been called before")
        check_url(url)
        problem = public_id_problem(subject_id)
        if problem is not None:
            raise ConfigurationError("subject_id", problem)
        self.url, self._subject_id = url, subject_id
        self._credentials = Credentials.of(token)
        self._credentials.resume_token, self._credentials.match_token = resume_token, match_token
        self._http = aiohttp.ClientSession()
        await self._register_within(timeout_s, patience_s)
        self._sending = asyncio.create_task(self._send_waiting(), name="gym_p2p signalling send")

    async def keep(self) -> AsyncIterator[bool]:
        """Take the line up again whenever it breaks: ``False`` when it has broken, ``True`` when it is back.

        Ends once :meth:`give_up` was called.

        Raises:
            ServiceRefused: the service does not let this client in again.
        """
        while True:
            await self._broken.wait()
            yield False
            if self._given_up:
                return
            await self._register_again()
            _LOG.debug("the service is back")
            yield True

    def wanted_for(self, seconds: float) -> None:
        """Take the line up again as fast as can be for so long, should it be broken: a match needs it."""
        self._wanted_until = asyncio.get_running_loop().time() + seconds
        self._wanted.set()

    def give_up(self) -> None:
        """Do not take the line up again when it breaks."""
        self._given_up = True

    def send_now(self, payload: Payload, *, may_be_lost: bool) -> bool:
        """Send an event unless there is no line, or much waits for it already; no answer is wanted.

        What is not taken is lost here: whoever gave it sends it again, or can do without.

        Args:
            payload: the event.
            may_be_lost: whether it is worth something now or not at all; it then gives way to others.

        Returns:
            Whether it was taken.
        """
        most = _MOST_BEFORE if may_be_lost else _MOST_BEFORE_MESSAGES
        if not self.up or self._outgoing.qsize() >= most:
            return False
        self._outgoing.put_nowait((payload, False))
        return True

    def send(self, payload: Payload) -> None:
        """Send an event; see :meth:`SignalingClient.send`."""
        try:
            self._outgoing.put_nowait((payload, True))
        except asyncio.QueueFull:
            _LOG.warning("%s was dropped: the service has been away for too long", payload.event)

    async def flush(self) -> None:
        """Wait until everything that was to be sent has been."""
        await self._outgoing.join()

    async def request(self, payload: Payload) -> Mapping[str, Any]:
        """Send an event, and return the answer; see :meth:`SignalingClient.request`."""
        sio = self._sio
        if sio is None or not self.up:
            raise ServiceUnreachable(self.url, "the line is broken")
        try:
            answer = await sio.call(
                self._names.of(payload.event),
                encode(payload),
                namespace=self._names.namespace,
                timeout=_ANSWER_TIMEOUT_S,
            )
        except socketio.exceptions.SocketIOError:
            raise ServiceUnreachable(
                self.url, f"no answer to {payload.event}: a part that this host has left out?"
            ) from None
        return accepted(answer, self.url)

    async def close(self) -> None:
        """Hang up; leaves no task and no socket. Idempotent, and never raises."""
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        sio, self._sio = self._sio, None
        if sio is not None:
            await hang_up(sio)
        http, self._http = self._http, None
        if http is not None:
            await http.close()
        self._up.clear()

    async def _register_within(self, timeout_s: float, patience_s: float) -> None:
        """Register; try again for so long where nothing answers.

        An attempt whose time ran out may say nothing: what another one was told before is told with it.
        """
        loop = asyncio.get_running_loop()
        until, told = loop.time() + patience_s, False
        known: ServiceUnreachable | None = None
        while True:
            began = loop.time()
            try:
                return await self._register(timeout_s)
            except ServiceUnreachable as error:
                now = loop.time()
                if now < began + timeout_s:
                    known = error
                left_s = until - now
                if left_s <= 0:
                    raise _with_what_was_known(error, known) from None
                if not told:
                    _LOG.warning("%s; it is tried again for up to %.0f s", error, left_s)
                    told = True
            await asyncio.sleep(min(_WANTED_MAX_S, left_s))

    async def _register(self, timeout_s: float) -> None:
        """Connect and register; leaves no line behind when it fails."""
        if self._http is None:
            raise RuntimeError("connect() comes first")
        self._sio, self.service_rtt_ms = await open_line(
            self.url,
            self._subject_id,
            http=self._http,
            handlers=self._handlers,
            on_break=self._on_break,
            timeout_s=timeout_s,
            credentials=self._credentials,
            names=self._names,
        )
        self._broken.clear()
        self._up.set()

    async def _register_again(self) -> None:
        delay_s = _RECONNECT_FIRST_S
        while not self.up:
            await self._pause(delay_s * random.uniform(0.5, 1.0))
            delay_s = min(2 * delay_s, _RECONNECT_MAX_S)
            try:
                await self._register(_ANSWER_TIMEOUT_S)
            except P2PError as error:
                _LOG.debug("the service is still away: %s", type(error).__name__)
                if isinstance(error, ServiceRefused) and error.code == "unauthenticated":
                    _LOG.warning("the service does not let this client in again: %s", error.detail)
                    raise

    async def _pause(self, delay_s: float) -> None:
        """Wait so long before the next attempt; less as soon as the line is wanted."""
        loop = asyncio.get_running_loop()
        self._wanted.clear()
        wanted = loop.time() < self._wanted_until
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(delay_s, _WANTED_MAX_S) if wanted else delay_s):
                await self._wanted.wait()

    async def _send_waiting(self) -> None:
        while True:
            payload, wants_answer = await self._outgoing.get()
            await self._up.wait()
            await self._emit(payload, wants_answer=wants_answer)
            self._outgoing.task_done()

    async def _emit(self, payload: Payload, *, wants_answer: bool) -> None:
        event = payload.event
        try:
            if self._sio is not None:
                await self._sio.emit(
                    self._names.of(event),
                    encode(payload),
                    namespace=self._names.namespace,
                    callback=functools.partial(_log_refusal, event) if wants_answer else None,
                )
        except socketio.exceptions.SocketIOError:
            _LOG.warning("%s was lost with the line to the service", event)
        except Exception:  # noqa: BLE001  # what comes after it is still to be sent
            _LOG.exception("sending %s", event)

    def _on_break(self, *_reason: Any) -> None:
        self._up.clear()
        self._broken.set()


def _with_what_was_known(last: ServiceUnreachable, known: ServiceUnreachable | None) -> ServiceUnreachable:
    """Return why no attempt succeeded, by the last one and the last whose time did not run out."""
    if known is None or known.problem == last.problem:
        return last
    return ServiceUnreachable(last.url, f"{known.problem}; at the last attempt: {last.problem}")


def _log_refusal(event: str, answer: object = None) -> None:
    try:
        accepted(answer, "")
    except ServiceRefused as error:
        # An event may cross the end of what it belongs to, and whom it is for may be away.
        level = logging.DEBUG if error.code in {"stale", "not_a_member"} else logging.WARNING
        _LOG.log(level, "the service refused %s: %s", event, error.code)
    except ServiceUnreachable:
        pass
