"""One person at one page, without I/O: who is connected, what they hold, what they are shown.

A page connects, says hello, and is *the* page from then on: a second one takes over, and the first is told.
What a page sends is bounded in size and rate and is nothing but key states, acknowledgements and clock
readings; a page that sends anything else is dropped, and its person is gone like a player whose connection
broke.

States of a person::

    EXPECTED --hello--> HERE --the page closes--> AWAY --hello--> HERE
    AWAY --longer than the seat is held--> GONE       HERE --leaves, or sends what no page does--> GONE
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Collection
from typing import Any

import attrs

from gym_p2p.core.presence.rate_limits import RateLimit
from gym_p2p.core.record.human import PageLink
from gym_p2p.errors import ProtocolError
from gym_p2p.human.encoding import Picture
from gym_p2p.human.frames import FrameStream
from gym_p2p.human.key_state import KeyState, Sample
from gym_p2p.human.measures import PageMeasures
from gym_p2p.human.messages import (
    VERSION,
    Acknowledge,
    Focus,
    Hello,
    Keys,
    Leave,
    PageMessage,
    Pong,
    decode_page_message,
    encode,
)

__all__ = ["ClosePage", "Output", "Person", "Presence", "SendFrame", "SendToPage"]

PING_INTERVAL_S = 0.5

SILENCE_LIMIT_S = 6.0
"""A page answers twelve pings in that time, also behind another tab; one that does not is asleep, or gone."""

_MESSAGES_PER_S = 600.0
"""An acknowledgement a frame at 240 Hz, and all keys that ten fingers can press."""
_BURST = 1200


class Presence(enum.Enum):
    """Where a person is."""

    EXPECTED = "expected"
    HERE = "here"
    AWAY = "away"
    GONE = "gone"


@attrs.frozen
class SendToPage:
    """Request: send a message; one that may get lost is of no use when it is late."""

    connection: int
    text: str
    may_get_lost: bool = False


@attrs.frozen
class SendFrame:
    """Request: send a frame, with its number."""

    connection: int
    number: int
    data: bytes


@attrs.frozen
class ClosePage:
    """Request: close a connection, with the reason for the person's page."""

    connection: int
    reason: str


Output = SendToPage | SendFrame | ClosePage


@attrs.define(eq=False, kw_only=True)
class Person:
    """A person who takes a seat.

    Args:
        known: the codes of the keys of their controls.
        welcome: what a page is told when it opens; plain data.
        hold_s: how long the seat of a closed page is held.
        unix_ms: Unix minus monotonic time, in milliseconds.
        interval_s: between two frames.

    Attributes:
        presence: where they are.
        gone: why they are gone; ``None`` while they are not.
        told: what the page is told of how it stands.
        focused: whether they see the game.
        keys: what they hold.
        measures: what is measured at their page.
    """

    known: Collection[str]
    welcome: dict[str, Any]
    hold_s: float
    unix_ms: float = 0.0
    interval_s: float = 1 / 60
    presence: Presence = attrs.field(default=Presence.EXPECTED, init=False)
    gone: str | None = attrs.field(default=None, init=False)
    focused: bool = attrs.field(default=False, init=False)
    keys: KeyState = attrs.field(init=False)
    measures: PageMeasures = attrs.field(init=False)
    _frames: FrameStream = attrs.field(factory=FrameStream, init=False)
    _limit: RateLimit = attrs.field(factory=lambda: RateLimit(_MESSAGES_PER_S, _BURST), init=False)
    _outputs: deque[Output] = attrs.field(factory=deque, init=False)
    _finished: bool = attrs.field(default=False, init=False)
    _links: dict[int, PageLink] = attrs.field(factory=dict, init=False)
    _page: int | None = attrs.field(default=None, init=False)
    _line_full: bool = attrs.field(default=False, init=False)
    told: dict[str, Any] = attrs.field(factory=dict, init=False)
    _ping: int = attrs.field(default=0, init=False)
    _ping_at: float | None = attrs.field(default=None, init=False)
    _heard_at: float = attrs.field(default=0.0, init=False)
    _away_until: float | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.keys = KeyState(self.known)
        self.measures = PageMeasures(unix_ms=self.unix_ms)
        self.measures.record.hold_ms = self.hold_s * 1e3
        self._note_facts()

    # What the page's connections say.

    def connected(self, connection: int, link: PageLink) -> None:
        """Note a connection, over which a page may say hello."""
        self._links[connection] = link

    def receive(self, connection: int, data: str | bytes, now: float) -> None:
        """Take in a message of a connection."""
        if connection == self._page:
            self._heard_at = now
        if self.presence is Presence.GONE:
            if connection != self._page:  # the page is told how it ended, and closed with that
                self._outputs.append(ClosePage(connection, "over"))
            return
        try:
            message = decode_page_message(data)
        except ProtocolError:
            self._drop(connection, now)
            return
        if self._too_often(connection, message, now):  # more than a person can cause
            self._drop(connection, now)
        elif isinstance(message, Hello):
            self._greet(connection, message, now)
        elif connection == self._page:
            self._hear(message, now)

    def disconnected(self, connection: int, now: float) -> None:
        """Note that a connection is closed."""
        self._links.pop(connection, None)
        if connection == self._page:
            self._page = None
            self._ping_at = None
            if self._finished:
                return
            if self.presence is Presence.HERE:
                self.presence = Presence.AWAY
                self._away_until = now + self.hold_s
                self._focus(now, focused=False)

    def line_full(self, connection: int) -> None:
        """Note that a connection has not taken all of a frame yet: there is no next one until then."""
        self._line_full |= connection == self._page

    def line_free(self, connection: int, now: float) -> None:
        """Note that a connection has taken all that it was given."""
        if connection == self._page and self._line_full:
            self._line_full = False
            self._send_frames(now)

    def finish(self) -> None:
        """Note that it is over: that the page's connection is closed now says nothing of the person."""
        self._finished = True

    def _too_often(self, connection: int, message: PageMessage, now: float) -> bool:
        count = 1.0 + len(self.keys.news(message)) if isinstance(message, Keys) else 1.0
        return self._limit.take(str(connection), now, count) is not None

    def _drop(self, connection: int, now: float) -> None:
        self._outputs.append(ClosePage(connection, "dropped"))
        if connection == self._page:
            self._go("page_dropped", now)

    def _greet(self, connection: int, hello: Hello, now: float) -> None:
        if hello.v != VERSION:
            self._outputs.append(ClosePage(connection, "version"))
            return
        if self._page is not None and self._page != connection:
            self._outputs.append(ClosePage(self._page, "taken_over"))
        self._page, self._line_full, self._heard_at = connection, False, now
        link = self._links.get(connection, "websocket")
        self.presence, self._away_until = Presence.HERE, None
        self.keys.restart()
        self._frames.restart(lossy=link == "datachannel")
        self.measures.page_opened(hello, link)
        self._ping_at = now
        self._focus(now, focused=True)
        self._send(encode("welcome", v=VERSION, **self.welcome))
        if self.told:
            self._send(encode("state", **self.told))
        self._send_frames(now)
        self.handle_timeout(now)
        self._note_facts()

    def _hear(self, message: PageMessage, now: float) -> None:
        match message:
            case Keys():
                self.measures.keys_changed(self.keys.receive(message))
                if self._frames.lossy:
                    self._send(encode("heard", seq=self.keys.seq), may_get_lost=True)
            case Acknowledge(number, shown):
                for one in shown:
                    self.measures.frame_shown(one.number, one.at)
                if self._frames.acknowledge(number):
                    self._send_frames(now)
            case Focus(focused):
                self._focus(now, focused=focused)
            case Pong():
                if self.measures.answered(message, now):
                    self._note_facts()
            case Leave():
                self._go("left", now)

    def _focus(self, now: float, *, focused: bool) -> None:
        self.focused = focused
        self.measures.record.focused(self.measures.unix(now), focused=focused)
        if not focused:
            self.keys.release()
            self.measures.keys_forgotten()

    def _go(self, why: str, now: float) -> None:
        self.presence, self.gone = Presence.GONE, why
        self._away_until = self._ping_at = None
        self.measures.record.lost = why == "page_closed"
        self._focus(now, focused=False)

    def _note_facts(self) -> None:
        self.measures.note_facts(
            frames_skipped=self._frames.skipped,
            pressed_by=self.keys.pressed_by,
            key_events_dropped=self.keys.dropped,
        )

    # What they play and see.

    def sample(self) -> Sample:
        """Return the keys of this frame."""
        self._note_facts()
        self.measures.keys_played()
        return self.keys.sample()

    def forget_presses(self) -> None:
        """Forget what was pressed while nothing was to be played: it has no effect, and none is measured."""
        self.measures.keys_forgotten()
        self.keys.sample()

    def offer(self, picture: Picture, *, frame: int, seq: int, now: float, episode: int = 1) -> None:
        """Show a picture, as soon as the page can take it: see :class:`~gym_p2p.human.frames.FrameStream`."""
        self._frames.offer(picture, frame=frame, seq=seq, now=now, episode=episode)
        self._send_frames(now)

    def tell(self, **state: Any) -> None:
        """Tell the page how it stands, where that is not what it was told last."""
        if state != self.told:
            self.told = state
            if self._page is not None:
                self._send(encode("state", **state))

    def _send_frames(self, now: float) -> None:
        clock = self.measures.clock
        rtt_s = None if clock is None else clock.rtt_s
        while self._page is not None and not self._line_full:
            frame = self._frames.next(now, rtt_s=rtt_s, interval_s=self.interval_s)
            if frame is None:
                return
            self.measures.frame_sent(frame)
            self._outputs.append(SendFrame(self._page, frame.number, frame.data))

    def _send(self, text: str, *, may_get_lost: bool = False) -> None:
        if self._page is not None:
            self._outputs.append(SendToPage(self._page, text, may_get_lost))

    # Time.

    def handle_timeout(self, now: float) -> None:
        """Ping the page, go on after frames that are lost, give up a person whose page stays closed."""
        if self._away_until is not None and self._away_until <= now:
            self._go("page_closed", now)
        if self._page is not None and self._ping_at is not None and self._heard_at + SILENCE_LIMIT_S <= now:
            self._outputs.append(ClosePage(self._page, "silent"))
            self.disconnected(self._page, now)
        if self._ping_at is not None and self._ping_at <= now:
            self._ping += 1
            self._ping_at = now + PING_INTERVAL_S
            self.measures.pinged(self._ping, now)
            self._send(encode("ping", id=self._ping), may_get_lost=True)
        free_at = self._frames.next_timeout()
        if free_at is not None and free_at <= now:
            self._send_frames(now)

    def next_timeout(self) -> float | None:
        """Return when to call :meth:`handle_timeout`; ``None`` is never."""
        free_at = None if self._page is None or self._line_full else self._frames.next_timeout()
        return min((at for at in (self._away_until, self._ping_at, free_at) if at is not None), default=None)

    def poll(self) -> Output | None:
        """Return the next request; ``None`` for none."""
        return self._outputs.popleft() if self._outputs else None
