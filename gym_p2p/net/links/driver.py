"""Moves bytes and time between a match machine and its links.

Knows the machine's verbs and the links' shape; refuses to know what is sent. The clock is a structural
type, so that the same driver runs on an event loop and on the virtual time of
:mod:`gym_p2p.net.links.memory`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from gym_p2p.core.match.commands import Command
from gym_p2p.core.match.events import Event
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.links.transport import Link, LinkState

__all__ = ["Clock", "Driver", "Timer"]

_log = logging.getLogger(__name__)

_GAME = Channel.GAME


class Timer(Protocol):
    """A scheduled call that can be taken back."""

    def cancel(self) -> None:
        """Take the call back."""


class Clock(Protocol):
    """Monotonic seconds and calls at a time; an asyncio event loop is one."""

    def time(self) -> float:
        """Return the time now."""

    def call_at(self, when: float, callback: Callable[[], Any], /) -> Timer:
        """Call back at a time."""


class Driver:
    """Runs one match over its links. Every method is called on the clock's thread."""

    def __init__(self, match: Match, *, clock: Clock, emit: Callable[[Event], None]) -> None:
        self._match = match
        self._clock = clock
        self._emit = emit
        self._links: dict[int, Link] = {}
        self._by_service: dict[int, Link] = {}
        self._timer: Timer | None = None
        self._wakes_at: float | None = None
        self._stopped = False
        self.game_messages_sent = 0
        self.game_bytes_sent = 0

    def attach(self, player: int, link: Link) -> None:
        """Take over an open link to a player."""
        self._links[player] = link
        self._match.opened(player, self._clock.time())
        self._pump()

    def service_link(self, player: int, link: Link) -> None:
        """Have a link to a player over which the service passes messages on, for when it is wanted.

        What comes over it goes to :meth:`service_message`; when it carries, to :meth:`service_up`.
        """
        self._by_service[player] = link

    def service_up(self, *, up: bool) -> None:
        """Note whether the service can pass messages on now."""
        self._match.service_up(up=up)
        self._pump()

    def begin_by_service(self, player: int) -> None:
        """Begin with a player to whom there is no direct path yet; :meth:`attach` one when there is."""
        self._match.begin_by_service(player, self._clock.time())
        self._pump()

    def service_message(self, player: int, data: bytes) -> None:
        """Hand the match a message from a player that the service passed on."""
        if player in self._by_service:
            self._match.receive_by_service(player, data, self._clock.time())
            self._pump()

    def link_state(self, player: int, state: LinkState) -> None:
        """Note that a link changed its state."""
        if state is LinkState.CLOSED and player in self._links:
            self._match.closed(player, self._clock.time())
            self._pump()

    def look_for(self, player: int, *, after_s: float) -> None:
        """Ask for a player by ways round, if no link leads to them by then: we have come back."""
        self._match.look_for(player, self._clock.time() + after_s)
        self._pump()

    def introduce(self, player: int, link: Link, attempt: int) -> None:
        """Say over a new link, which is open, who is at this end of it, to a player who is not gone."""
        introduction = self._match.introduction(player, attempt, link.binding)
        if introduction is not None:
            link.send(Channel.CTRL, introduction)

    def recognises(self, player: int, link: Link, attempt: int, data: bytes | str) -> bool:
        """Whether what came over a new link shows who is at its other end; :meth:`replace` comes then."""
        if isinstance(data, str) or self._stopped:
            return False
        return self._match.recognises(player, attempt, link.binding, data)

    def replace(self, player: int, link: Link) -> None:
        """Go on over a new link: the old one's messages and states are no more for here."""
        self._match.replacing(player, self._clock.time())
        self._pump()
        self._links[player] = link
        self._match.replaced(player, self._clock.time())
        self._pump()

    def message(self, player: int, data: bytes | str) -> None:
        """Hand a message from a player to the match."""
        if player not in self._links:
            return
        self._match.receive(player, data if isinstance(data, bytes) else data.encode(), self._clock.time())
        self._pump()

    def command(self, command: Command) -> None:
        """Hand a command to the match."""
        self._match.command(command, self._clock.time())
        self._pump()

    def stop(self) -> None:
        """Stop the timer; nothing is called any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._links, self._by_service, self._stopped = {}, {}, True

    def _pump(self) -> None:
        while (output := self._match.poll()) is not None:
            if isinstance(output, Transmit):
                self._send(output)
            else:
                self._emit(output)
        self._schedule()

    def _send(self, request: Transmit) -> None:
        link = (self._by_service if request.by_service else self._links).get(request.player)
        if link is None:
            return
        if not link.send(request.channel, request.data):
            # On the game channel the next tick repeats it; on the other one the link is closing.
            _log.debug("not sent to player %d: %s", request.player, request.channel.value)
        elif request.channel is _GAME:
            self.game_messages_sent += 1
            self.game_bytes_sent += len(request.data)

    def _schedule(self) -> None:
        # Deadlines mostly move later with every message. The timer is only ever moved earlier: one that
        # fires too early finds nothing due and is set again, which is cheaper than moving it each time.
        when = self._match.next_timeout()
        if when is None or not (self._links or self._by_service):
            return
        if self._timer is not None and self._wakes_at is not None and self._wakes_at <= when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = when
        self._timer = self._clock.call_at(when, self._wake)

    def _wake(self) -> None:
        self._timer = self._wakes_at = None
        self._match.handle_timeout(self._clock.time())
        self._pump()
