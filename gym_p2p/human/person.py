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

from gym_p2p.core.latency.clock import ClockOffset
from gym_p2p.core.presence.rate_limits import RateLimit
from gym_p2p.core.record.human import HumanFacts, HumanRecord
from gym_p2p.errors import ProtocolError
from gym_p2p.human.frames import Frame, FrameStream, Picture
from gym_p2p.human.key_state import KeyState, Sample
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

__all__ = ["ClosePage", "Output", "Person", "Presence", "SendToPage"]

PING_INTERVAL_S = 0.5

_MESSAGES_PER_S = 600.0
"""An acknowledgement a frame at 240 Hz, and all keys that ten fingers can press."""
_BURST = 1200
_MOST_LATENCY_MS = 60_000.0
_KEPT = 128
"""Frames and key events whose showing is waited for."""


class Presence(enum.Enum):
    """Where a person is."""

    EXPECTED = "expected"
    HERE = "here"
    AWAY = "away"
    GONE = "gone"


@attrs.frozen
class SendToPage:
    """Request: send a message; bytes are a frame."""

    connection: int
    data: str | bytes


@attrs.frozen
class ClosePage:
    """Request: close a connection, with the reason for the person's page."""

    connection: int
    reason: str


Output = SendToPage | ClosePage


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
        record: what was measured.
        told: what the page is told of how it stands.
    """

    known: Collection[str]
    welcome: dict[str, Any]
    hold_s: float
    unix_ms: float = 0.0
    interval_s: float = 1 / 60
    presence: Presence = attrs.field(default=Presence.EXPECTED, init=False)
    gone: str | None = attrs.field(default=None, init=False)
    record: HumanRecord = attrs.field(factory=HumanRecord, init=False)
    focused: bool = attrs.field(default=False, init=False)
    keys: KeyState = attrs.field(init=False)
    _frames: FrameStream = attrs.field(factory=FrameStream, init=False)
    _limit: RateLimit = attrs.field(factory=lambda: RateLimit(_MESSAGES_PER_S, _BURST), init=False)
    _clock: ClockOffset = attrs.field(factory=ClockOffset, init=False)
    _outputs: deque[Output] = attrs.field(factory=deque, init=False)
    _finished: bool = attrs.field(default=False, init=False)
    _page: int | None = attrs.field(default=None, init=False)
    _hello: Hello | None = attrs.field(default=None, init=False)
    told: dict[str, Any] = attrs.field(factory=dict, init=False)
    _pages_opened: int = attrs.field(default=0, init=False)
    _shown: int = attrs.field(default=0, init=False)
    _pings: deque[tuple[int, float]] = attrs.field(init=False)
    _ping: int = attrs.field(default=0, init=False)
    _ping_at: float | None = attrs.field(default=None, init=False)
    _away_until: float | None = attrs.field(default=None, init=False)
    _unplayed_keys: deque[tuple[int, float]] = attrs.field(init=False)
    """Messages of keys that no frame was played with yet: their numbers and times on the page's clock."""
    _unseen_keys: deque[tuple[int, float]] = attrs.field(init=False)
    """The same of those that one was played with, and no page has shown it."""
    _on_the_way: deque[Frame] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.keys = KeyState(self.known)
        self._pings = deque(maxlen=8)
        self._unplayed_keys, self._unseen_keys = deque(maxlen=_KEPT), deque(maxlen=_KEPT)
        self._on_the_way = deque(maxlen=_KEPT)
        self.record.hold_ms = self.hold_s * 1e3
        self._note_facts()

    # What the page's connections say.

    def receive(self, connection: int, data: str | bytes, now: float) -> None:
        """Take in a message of a connection."""
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
        if connection == self._page:
            self._page = None
            self._ping_at = None
            if self._finished:
                return
            if self.presence is Presence.HERE:
                self.presence = Presence.AWAY
                self._away_until = now + self.hold_s
                self._focus(now, focused=False)

    def finish(self) -> None:
        """Note that it is over: that the page's connection is closed now says nothing of the person."""
        self._finished = True

    def _too_often(self, connection: int, message: PageMessage, now: float) -> bool:
        count = 1.0 + len(message.pressed) if isinstance(message, Keys) else 1.0
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
        self._page, self._hello = connection, hello
        self.presence, self._away_until = Presence.HERE, None
        self._pages_opened += 1
        self.keys.restart()
        self._frames.restart()
        self._clock = ClockOffset()
        self._unplayed_keys.clear()
        self._unseen_keys.clear()
        self._on_the_way.clear()
        self._pings.clear()
        self._ping_at = now
        self._focus(now, focused=True)
        self._send(encode("welcome", v=VERSION, **self.welcome))
        if self.told:
            self._send(encode("state", **self.told))
        self._send_frames()
        self.handle_timeout(now)
        self._note_facts()

    def _hear(self, message: PageMessage, now: float) -> None:
        match message:
            case Keys():
                if self.keys.receive(message):
                    self._unplayed_keys.append((message.seq, message.at))
            case Acknowledge(number, shown):
                for one in shown:
                    self._note_shown(one.number, one.at)
                if self._frames.acknowledge(number):
                    self._send_frames()
            case Focus(focused):
                self._focus(now, focused=focused)
            case Pong():
                self._note_pong(message, now)
            case Leave():
                self._go("left", now)

    def _focus(self, now: float, *, focused: bool) -> None:
        self.focused = focused
        self.record.focused(self._unix(now), focused=focused)
        if not focused:
            self.keys.release()
            self._unplayed_keys.clear()

    def _go(self, why: str, now: float) -> None:
        self.presence, self.gone = Presence.GONE, why
        self._away_until = self._ping_at = None
        self.record.lost = why == "page_closed"
        self._focus(now, focused=False)

    # What is measured.

    def _note_shown(self, number: int, at: float) -> None:
        """Note that a frame was drawn, and with it the effect of every key that it was played with."""
        while self._on_the_way and self._on_the_way[0].number < number:
            self._on_the_way.popleft()
        if not self._on_the_way or self._on_the_way[0].number != number:
            return
        frame = self._on_the_way.popleft()
        self._shown += 1
        while self._unseen_keys and self._unseen_keys[0][0] <= frame.seq:
            latency_ms = at - self._unseen_keys.popleft()[1]
            if 0 <= latency_ms <= _MOST_LATENCY_MS:
                self.record.action_shown(latency_ms)

    def _note_pong(self, pong: Pong, now: float) -> None:
        sent = next((at for number, at in self._pings if number == pong.id), None)
        if sent is None:
            return
        while self._pings and self._pings[0][0] <= pong.id:
            self._pings.popleft()
        if self._clock.observe(sent, pong.received / 1e3, pong.sent / 1e3, now):
            rtt_s = (now - sent) - (pong.sent - pong.received) / 1e3
            self.record.rtt.record(round(self._unix(now)), max(0.0, rtt_s * 1e3))
            self._note_facts()

    def _unix(self, now: float) -> float:
        return self.unix_ms + now * 1e3

    def _note_facts(self) -> None:
        hello, clock = self._hello, self._clock.estimate()
        self.record.facts = HumanFacts(
            link="websocket",
            link_reason="the page and the process that plays are on one machine",
            frames_shown=self._shown,
            frames_skipped=self._frames.skipped,
            key_events=self.keys.events,
            key_events_dropped=self.keys.dropped,
            pages_opened=self._pages_opened,
            page_size=None if hello is None else (hello.width, hello.height),
            input=None if hello is None else ("touch" if hello.touch else "keys"),
            browser=None if hello is None else hello.browser or None,
            browser_version=None if hello is None else hello.version or None,
            clock_offset_ms=None if clock is None else clock.offset_s * 1e3,
            clock_error_ms=None if clock is None else clock.error_s * 1e3,
        )

    # What they play and see.

    def sample(self) -> Sample:
        """Return the keys of this frame."""
        self._note_facts()
        self._unseen_keys.extend(self._unplayed_keys)
        self._unplayed_keys.clear()
        return self.keys.sample()

    def forget_presses(self) -> None:
        """Forget what was pressed while nothing was to be played: it has no effect, and none is measured."""
        self._unplayed_keys.clear()
        self.keys.sample()

    def offer(self, picture: Picture, *, frame: int, seq: int) -> None:
        """Show a picture, as soon as the page can take it: see :class:`~gym_p2p.human.frames.FrameStream`."""
        self._frames.offer(picture, frame=frame, seq=seq)
        if self._page is not None:
            self._send_frames()

    def tell(self, **state: Any) -> None:
        """Tell the page how it stands, where that is not what it was told last."""
        if state != self.told:
            self.told = state
            if self._page is not None:
                self._send(encode("state", **state))

    def _send_frames(self) -> None:
        clock = self._clock.estimate()
        rtt_s = None if clock is None else clock.rtt_s
        while (frame := self._frames.next(rtt_s=rtt_s, interval_s=self.interval_s)) is not None:
            self._on_the_way.append(frame)
            self._send(frame.data)

    def _send(self, data: str | bytes) -> None:
        if self._page is not None:
            self._outputs.append(SendToPage(self._page, data))

    # Time.

    def handle_timeout(self, now: float) -> None:
        """Ping the page; give up a person whose page stays closed."""
        if self._away_until is not None and self._away_until <= now:
            self._go("page_closed", now)
        if self._ping_at is not None and self._ping_at <= now:
            self._ping += 1
            self._ping_at = now + PING_INTERVAL_S
            self._pings.append((self._ping, now))
            self._send(encode("ping", id=self._ping))

    def next_timeout(self) -> float | None:
        """Return when to call :meth:`handle_timeout`; ``None`` is never."""
        due = [at for at in (self._away_until, self._ping_at) if at is not None]
        return min(due, default=None)

    def poll(self) -> Output | None:
        """Return the next request; ``None`` for none."""
        return self._outputs.popleft() if self._outputs else None
