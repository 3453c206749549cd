"""New links to one player, beside one that carries nothing any more.

Attempts are numbered, the same on both sides: who begins one names the next number in its descriptions, and
whoever sees a higher one than their own joins it. So both always work on the newest, whoever noticed first
and whatever signals are lost or late. Who has come back in a new process cannot know the newest: an offer of
theirs with a lower one is answered by an offer of the next. Of a link that opens it is up to the match
whether it is taken (:mod:`gym_p2p.core.match.reconnecting`).

Knows connectors and time; refuses to know why the path is broken, and what it carries.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gym_p2p.core.signaling.attempts import attempt_of
from gym_p2p.errors import P2PError
from gym_p2p.net.connector import Connector
from gym_p2p.net.links.driver import Driver
from gym_p2p.net.links.transport import Channel, LinkState
from gym_p2p.net.webrtc import PeerConnection
from gym_p2p.processes.tasks import note_failure

__all__ = ["ATTEMPT_TIMEOUT_S", "FIRST_PAUSE_S", "Attempt", "NewLink", "Rebuilder"]

_log = logging.getLogger(__name__)

ATTEMPT_TIMEOUT_S = 4.0
"""For one attempt: it takes four round trips over the service and the path, and addresses may change again
meanwhile. Several fit into ``reconnect_timeout_s``."""

_PROOF_TIMEOUT_S = 3.0
"""From a link being open to what the player at its other end says first."""

FIRST_PAUSE_S = 0.5
"""Until the first attempt: most paths that fall silent carry again by then, and where nothing but DTLS
records are lost, game messages go over the channel (:data:`~gym_p2p.core.link.game_records.DOUBT_S`)."""

_PAUSE_S = 0.25
"""Between two attempts: a network that has just changed may have no address yet."""

_PAUSE_MOST_S = 30.0
_SOON = 3
"""After so many attempts in vain the pause doubles each time: while others pass messages on, there is time,
and what the service passes on of signals is bounded."""

_AHEAD_MOST = 100_000_000
"""By how many attempts another can be ahead of us: as many as all processes of a player may make, where none
of these has reached us (:data:`~gym_p2p.net.worker.mesh.ATTEMPTS_OF_A_PROCESS`)."""


class MakeConnector(Protocol):
    """Makes what connects to the player, of one attempt."""

    def __call__(
        self, attempt: int, make_route: Callable[[], NewLink], *, timeout_s: float, offers_first: bool | None
    ) -> Connector:
        """Return it; every connection that it makes is of a new route."""


class NewLink:
    """What comes over a new link: the match, once it has recognised the player; nothing before."""

    def __init__(self, driver: Driver, player: int, attempt: Attempt) -> None:
        self._driver = driver
        self._player = player
        self._attempt = attempt
        self._taken = False
        self.connection: PeerConnection | None = None

    def message(self, _channel: Channel, data: bytes | str) -> None:
        """Pass on a message."""
        if self._taken:
            self._driver.message(self._player, data)
        elif self.connection is not None and self._driver.recognises(
            self._player, self.connection, self._attempt.number, data
        ):
            self._taken = True
            self._attempt.take(self.connection)
            self._driver.replace(self._player, self.connection)

    def state(self, state: LinkState) -> None:
        """Introduce ourselves once it is open; pass on its end."""
        if state is LinkState.OPEN and self.connection is not None:
            self._attempt.opened = self.connection
            self._driver.introduce(self._player, self.connection, self._attempt.number)
        elif self._taken:
            self._driver.link_state(self._player, state)


class Attempt:
    """One attempt, from its first signal to a link that is taken, or none.

    Attributes:
        number: from 1.
        opened: the link that is open; whether the match goes on over it shows.
        taken: whether it does.
        over: whether nothing comes of it any more.
        connector: takes the signals.
    """

    def __init__(self, number: int, on_taken: Callable[[PeerConnection], None]) -> None:
        self.number = number
        self.opened: PeerConnection | None = None
        self.taken = False
        self.over = False
        self.connector: Connector | None = None
        self._on_taken = on_taken
        self._settled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, connector: Connector, then: Callable[[], None], *, pause_s: float) -> None:
        """Connect; ``then`` is called once that has led to nothing, after a pause."""
        self.connector = connector
        self._task = asyncio.get_running_loop().create_task(self._run(connector, then, pause_s))
        self._task.add_done_callback(note_failure)

    def take(self, connection: PeerConnection) -> None:
        """Note that the match goes on over the link."""
        self.taken = True
        self._settled.set()
        self._on_taken(connection)

    async def stop(self) -> None:
        """End it, and leave nothing of it but a link that is taken. Idempotent."""
        self.over = True
        self._settled.set()
        if self._task is None:
            return
        if not self.taken:  # else it ends at once, and keeps the link
            self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self, connector: Connector, then: Callable[[], None], pause_s: float) -> None:
        connection: PeerConnection | None = None
        try:
            connection = await connector.connect()
            async with asyncio.timeout(_PROOF_TIMEOUT_S):
                await self._settled.wait()
        except TimeoutError:
            _log.debug("attempt %d: the link was open, and nobody came over it", self.number)
        except (OSError, P2PError) as error:
            _log.debug("attempt %d: %s", self.number, error)
        except Exception:  # noqa: BLE001 - the path is as broken as before, and needs another attempt
            _log.exception("attempt %d failed", self.number)
        finally:
            if connection is not None and not self.taken:
                connection.detach()
                await connection.close()
        if not self.taken and not self.over:
            await asyncio.sleep(pause_s)
            self.over = True
            then()


class Rebuilder:
    """Rebuilds the path to one player, as often as it breaks. Everything is called on the loop's thread.

    Args:
        make_connector: makes what connects.
        on_taken: called with a new link that the match goes on over, and how many attempts this break took.
        number: of the newest attempt before, as far as is known here.
    """

    def __init__(
        self,
        driver: Driver,
        player: int,
        make_connector: MakeConnector,
        on_taken: Callable[[int, PeerConnection, int], None],
        *,
        number: int = 0,
    ) -> None:
        self._driver = driver
        self._player = player
        self._make_connector = make_connector
        self._on_taken = on_taken
        self._number = number
        self._before = number
        """The newest attempt before this break."""
        self._broken = False
        self._alone = False
        """Whether we alone know that there is a link to be made."""
        self._closed = False
        self._first: asyncio.TimerHandle | None = None
        self._attempt: Attempt | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Make a new link, in a moment: the path is broken."""
        self._broken = not self._closed
        if self._broken and self._attempt is None and self._first is None:
            self._first = asyncio.get_running_loop().call_later(FIRST_PAUSE_S, self._try_again)

    def come_back(self) -> None:
        """Make a link at once, and with an offer: there is none yet, and the player knows nothing of us."""
        self._broken = self._alone = True
        if self._attempt is None:
            self._try_again()

    def concerns(self, payload: Mapping[str, Any] | None) -> bool:
        """Whether a signal is of a new link; a candidate, which names none, is while one is being made."""
        sdp = payload.get("sdp") if payload is not None else None
        return attempt_of(sdp) > 0 if isinstance(sdp, str) else self._attempt is not None

    def receive_signal(self, kind: object, payload: Mapping[str, Any] | None) -> None:
        """Take in a signal of an attempt: theirs, if it is newer than ours.

        An older one's is late, or its sender does not know ours, and learns of it by an offer of the next.
        """
        if self._closed:
            return
        sdp = payload.get("sdp") if payload is not None else None
        number = attempt_of(sdp) if isinstance(sdp, str) else self._number
        if self._number < number <= self._number + _AHEAD_MOST and kind == "offer":
            self._before += number - 1 - self._number  # of which we know nothing
            self._start(number, offers_first=False)
        elif 0 < number < self._number and kind == "offer" and self._attempt is None:
            self._start(self._number + 1, offers_first=True)
        attempt = self._attempt
        if attempt is not None and attempt.number == number and attempt.connector is not None:
            attempt.connector.receive_signal(kind, payload)

    def settle(self) -> int:
        """Try no more: the old link carries again, or a new one does, or the player is gone.

        A new link that is open already may be the one that the other side goes on over, and is left to it.

        Returns:
            How often it was tried in vain since the path broke.
        """
        attempts, self._before = self._number - self._before, self._number
        self._broken = self._alone = False
        if self._attempt is None or self._attempt.opened is None:
            self._stop()
        return attempts

    def give_up(self) -> int:
        """Try no more, and join no attempt any more: the player is gone; return what :meth:`settle` does."""
        self._closed = True
        tried = self.settle()
        self._stop()
        return tried

    async def close(self) -> None:
        """Leave nothing behind but a link that is taken, and join no attempt any more. Idempotent."""
        self._closed, self._broken = True, False
        self._stop()
        if self._stopping:
            await asyncio.wait(self._stopping)

    def _start(self, number: int, *, offers_first: bool | None) -> None:
        self._stop()
        self._number = number
        attempt = self._attempt = Attempt(number, self._take)
        connector = self._make_connector(
            number,
            lambda: NewLink(self._driver, self._player, attempt),
            timeout_s=ATTEMPT_TIMEOUT_S,
            offers_first=offers_first,
        )
        in_vain = max(0, number - 1 - self._before - _SOON)
        attempt.start(
            connector, self._try_again, pause_s=min(_PAUSE_MOST_S, _PAUSE_S * 2 ** min(in_vain, 10))
        )

    def _try_again(self) -> None:
        self._first = self._attempt = None
        if self._broken:
            self._start(self._number + 1, offers_first=True if self._alone else None)

    def _take(self, connection: PeerConnection) -> None:
        attempts = max(1, self.settle())
        self._stop()
        self._on_taken(self._player, connection, attempts)

    def _stop(self) -> None:
        if self._first is not None:
            self._first.cancel()
            self._first = None
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            stopping = asyncio.get_running_loop().create_task(attempt.stop())
            self._stopping.add(stopping)
            stopping.add_done_callback(self._stopping.discard)
            stopping.add_done_callback(note_failure)
