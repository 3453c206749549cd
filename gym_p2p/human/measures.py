"""What is measured at a person's page: round trips and its clock, when frames were seen, how long keys took.

Times of the page are milliseconds on its own clock, ours monotonic seconds. Refuses to know who is at the
page and how messages travel.
"""

from __future__ import annotations

from collections import Counter, deque

import attrs

from gym_p2p.core.latency.clock import ClockEstimate, ClockOffset
from gym_p2p.core.latency.quality import Quality, QualityMonitor
from gym_p2p.core.record.human import HumanFacts, HumanRecord, PageInput, PageLink, ShownFrame
from gym_p2p.human.frames import Frame
from gym_p2p.human.messages import Change, Hello, LinkReason, Pong

__all__ = ["PageMeasures"]

_MOST_LATENCY_MS = 60_000.0
_KEPT = 128
"""Frames and changes of keys whose showing is waited for."""
_SHOWN_KEPT = 4096
"""Frames whose showing nobody has taken up: more than a minute of them."""

_REASONS: dict[LinkReason, str] = {
    "loopback": "the page and the process that plays are on one machine",
    "opened": "a data channel is tried first, and opened in time",
    "late": "no data channel opened in time",
    "failed": "no data channel could be made",
    "unsupported": "the browser has no data channels",
    "asked": "the page's link asks for it",
}


@attrs.define(eq=False, kw_only=True)
class PageMeasures:
    """The figures of one person's pages.

    Args:
        unix_ms: Unix minus monotonic time, in milliseconds.

    Attributes:
        record: where they go.
    """

    unix_ms: float = 0.0
    record: HumanRecord = attrs.field(factory=HumanRecord, init=False)
    _hello: Hello | None = attrs.field(default=None, init=False)
    _link: PageLink = attrs.field(default="websocket", init=False)
    _clock: ClockOffset = attrs.field(factory=ClockOffset, init=False)
    _monitor: QualityMonitor = attrs.field(factory=QualityMonitor, init=False)
    _before: HumanFacts | None = attrs.field(default=None, init=False)
    """Of a person who had this seat of the match earlier."""
    _pages: int = attrs.field(default=0, init=False)
    _frames_shown: int = attrs.field(default=0, init=False)
    _pings: deque[tuple[int, float]] = attrs.field(factory=lambda: deque(maxlen=8), init=False)
    _unplayed: deque[Change] = attrs.field(factory=lambda: deque(maxlen=_KEPT), init=False)
    """Changes that no frame was played with yet."""
    _unseen: deque[Change] = attrs.field(factory=lambda: deque(maxlen=_KEPT), init=False)
    """The same of those that one was played with, and no page has shown it."""
    _on_the_way: deque[Frame] = attrs.field(factory=lambda: deque(maxlen=_KEPT), init=False)
    _shown: deque[ShownFrame] = attrs.field(factory=lambda: deque(maxlen=_SHOWN_KEPT), init=False)

    @property
    def clock(self) -> ClockEstimate | None:
        """The page's clock minus ours; ``None`` before it is known."""
        return self._clock.estimate()

    @property
    def quality(self) -> Quality | None:
        """How good the line to the page is, by its newest round trip; ``None`` before one is known."""
        return self._monitor.status

    def unix(self, now: float) -> float:
        """Return a time of ours in Unix milliseconds."""
        return self.unix_ms + now * 1e3

    def page_opened(self, hello: Hello, link: PageLink) -> None:
        """Begin with another page, of whose clock nothing is known."""
        self._hello, self._link = hello, link
        self._pages += 1
        self._clock, self._monitor = ClockOffset(), QualityMonitor()
        for waiting in (self._unplayed, self._unseen, self._on_the_way, self._pings):
            waiting.clear()

    def continue_in(self, record: HumanRecord, now: float) -> None:
        """Go on in the record of a match, which may have figures of who had the seat before."""
        if record is not self.record:
            self._before = record.facts
            record.absorb(self.record, self.unix(now))
            self.record = record

    # Round trips.

    def pinged(self, number: int, now: float) -> None:
        """Note that a ping goes out."""
        self._pings.append((number, now))

    def answered(self, pong: Pong, now: float) -> bool:
        """Take in the answer to a ping; False where none was waited for, or its times cannot be."""
        sent = next((at for number, at in self._pings if number == pong.id), None)
        if sent is None:
            return False
        while self._pings and self._pings[0][0] <= pong.id:
            self._pings.popleft()
        if not self._clock.observe(sent, pong.received / 1e3, pong.sent / 1e3, now):
            return False
        rtt_ms = max(0.0, (now - sent) * 1e3 - (pong.sent - pong.received))
        self.record.rtt.record(round(self.unix(now)), rtt_ms)
        self._monitor.observe(rtt_ms)
        return True

    # Keys, and the frames that show their effect.

    def keys_changed(self, changes: list[Change]) -> None:
        """Note changes of keys that no frame is played with yet."""
        self._unplayed.extend(changes)

    def keys_played(self) -> None:
        """Note that a frame is played with all changes so far."""
        self._unseen.extend(self._unplayed)
        self._unplayed.clear()

    def keys_forgotten(self) -> None:
        """Note that no frame will be played with the changes since: they have no effect to be measured."""
        self._unplayed.clear()

    def frame_sent(self, frame: Frame) -> None:
        """Note that a frame goes to the page."""
        self._on_the_way.append(frame)

    def frame_shown(self, number: int, at: float) -> None:
        """Note that a frame was drawn, and with it the effect of every key that it was played with."""
        while self._on_the_way and self._on_the_way[0].number < number:
            self._on_the_way.popleft()
        if not self._on_the_way or self._on_the_way[0].number != number:
            return  # told before
        frame = self._on_the_way.popleft()
        self._frames_shown += 1
        if (clock := self.clock) is not None:
            at_ms = self.unix_ms + at - clock.offset_s * 1e3
            self._shown.append(ShownFrame(frame.episode, frame.frame, at_ms))
        while self._unseen and self._unseen[0].seq <= frame.seq:
            latency_ms = at - self._unseen.popleft().at
            if 0 <= latency_ms <= _MOST_LATENCY_MS:
                self.record.action_shown(latency_ms)

    def take_shown(self) -> list[ShownFrame]:
        """Return the frames that were shown since the last call, in their order."""
        taken = list(self._shown)
        self._shown.clear()
        return taken

    # All together.

    def note_facts(
        self, *, frames_skipped: int, pressed_by: Counter[PageInput], key_events_dropped: int
    ) -> None:
        """Put what stands at present into the record."""
        hello, clock, before = self._hello, self.clock, self._before
        reason = "loopback" if hello is None else hello.why
        self.record.facts = HumanFacts(
            link=self._link,
            link_reason=_REASONS[reason],
            frames_shown=self._frames_shown + (0 if before is None else before.frames_shown),
            frames_skipped=frames_skipped + (0 if before is None else before.frames_skipped),
            key_events=pressed_by.total() + (0 if before is None else before.key_events),
            key_events_dropped=key_events_dropped + (0 if before is None else before.key_events_dropped),
            pages_opened=self._pages + (0 if before is None else before.pages_opened),
            page_size=None if hello is None else (hello.width, hello.height),
            input=None if hello is None else _most(pressed_by) or ("touch" if hello.touch else "keys"),
            browser=None if hello is None else hello.browser or None,
            browser_version=None if hello is None else hello.version or None,
            clock_offset_ms=None if clock is None else clock.offset_s * 1e3,
            clock_error_ms=None if clock is None else clock.error_s * 1e3,
        )


def _most(pressed_by: Counter[PageInput]) -> PageInput | None:
    """Return what most keys were pressed with; ``None`` before one was."""
    return pressed_by.most_common(1)[0][0] if pressed_by else None
