"""A person's page, as it is recorded: what they played with, how long a key took to be seen, what was shown.

It knows what was measured at one page; it refuses to know how frames got there. One thread may record while
another reads: see :mod:`gym_p2p.core.record.episode`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple

import attrs
from msgspec import Meta
from msgspec.structs import asdict

from gym_p2p.core.latency.series import LatencySeries
from gym_p2p.core.latency.statistics import LatencyStatistics, figures
from gym_p2p.core.record.parts import BackgroundPeriod, Count, DocumentPart, FocusLoss, Milliseconds

__all__ = [
    "ActionLatency",
    "Human",
    "HumanFacts",
    "HumanRecord",
    "PageInput",
    "PageLink",
    "ShownFrame",
    "focus_loss",
    "human_document",
]

PAGE_PING_SOURCE = "page.ping"
"""The name of the measurement, as exported under ``source``."""

_MOST_LATENCIES = 100_000
"""Key events whose latency is kept: one a second for a day."""

_MOST_PERIODS = 10_000
"""Periods in the background that are listed; of all others their number and length are kept. Whoever switches
between two windows once a second does so for three hours."""

_LISTED = 1000

PageLink = Literal["websocket", "datachannel"]
"""What carries frames and keys between a page and the process that plays."""

PageInput = Literal["keys", "touch", "gamepad"]
"""What a person presses keys with."""


class ShownFrame(NamedTuple):
    """A frame that a person's page has drawn, and when, in Unix milliseconds by this process's clock."""

    episode: int
    frame: int
    at_ms: float


class ActionLatency(DocumentPart, frozen=True, kw_only=True):
    """From a key event to the frame on the screen that shows its effect, both on the page's clock."""

    count: Annotated[int, Meta(ge=1)]
    """How many key events that is of."""
    min_ms: Milliseconds
    """The shortest, in milliseconds."""
    median_ms: Milliseconds
    """The middle one, or the mean of the middle two, in milliseconds."""
    mean_ms: Milliseconds
    """The mean, in milliseconds."""
    p95_ms: Milliseconds
    """The 95th percentile, in milliseconds."""
    max_ms: Milliseconds
    """The longest, in milliseconds."""
    samples: list[Milliseconds]
    """The newest thousand, oldest first, in milliseconds."""


class HumanFacts(DocumentPart, frozen=True, kw_only=True):
    """What is known of a person's page: the newest one, where it was opened again."""

    link: PageLink
    """What carries frames and keys between the page and the process that plays."""
    link_reason: str
    """Why that, in words."""
    frames_shown: Count
    """How many frames the page has drawn."""
    frames_skipped: Count
    """How many frames were not sent, because a newer one was there before the page could take them."""
    key_events: Count
    """How many presses of keys of the controls there were."""
    key_events_dropped: Count
    """How many presses of other keys."""
    pages_opened: Count
    """How often the page was opened: again, by a reload or in another tab."""
    page_size: tuple[Count, Count] | None
    """Its width and height in CSS pixels; null before it was opened."""
    input: PageInput | None
    """What most keys were pressed with; before one was, by the device; null before the page was opened."""
    browser: str | None
    """The browser's family; null is unknown."""
    browser_version: str | None
    """Its major version; null is unknown."""
    clock_offset_ms: float | None
    """The page's clock minus this process's monotonic one, in milliseconds; null before that is known."""
    clock_error_ms: Milliseconds | None
    """The bound of its error, in milliseconds; null before it is known."""


class Human(HumanFacts, frozen=True, kw_only=True):
    """The person who played, as their page was measured."""

    action_latency: ActionLatency | None
    """From a key event to the frame that shows its effect; null without one."""
    page_rtt: LatencyStatistics | None
    """The round trips between the page and the process that plays; null without a sample."""


@attrs.define(eq=False)
class HumanRecord:
    """The page of one player, if they are a person.

    Attributes:
        facts: replaced whole; ``None`` while no person plays.
        action_latencies: in milliseconds, in the order in which the frames were shown.
        rtt: the round trips to the page.
        away: when the page was in the background, ``(from, to)`` in Unix milliseconds, oldest first; of one
            that lasts, nothing yet, and not more than the first :data:`_MOST_PERIODS`.
        away_beyond: how many there were beyond those, and how long they were together, in milliseconds.
        away_since: since when it is in the background, in Unix milliseconds; ``None`` where it is not.
        hold_ms: how long the seat of a closed page is held, in milliseconds.
        lost: whether it was closed for longer than that.
    """

    facts: HumanFacts | None = None
    action_latencies: list[float] = attrs.field(factory=list)
    rtt: LatencySeries = attrs.field(factory=lambda: LatencySeries(source=PAGE_PING_SOURCE))
    away: list[tuple[float, float]] = attrs.field(factory=list)
    away_beyond: tuple[int, float] = (0, 0.0)
    away_since: float | None = None
    hold_ms: float = 0.0
    lost: bool = False

    def action_shown(self, latency_ms: float) -> None:
        """Record how long a key event took to be seen."""
        if len(self.action_latencies) < _MOST_LATENCIES:
            self.action_latencies.append(latency_ms)

    def focused(self, now_ms: float, *, focused: bool) -> None:
        """Record that the page went to the background, or came back."""
        if not focused and self.away_since is None:
            self.away_since = now_ms
        elif focused and self.away_since is not None:
            since, self.away_since = self.away_since, None
            self._add_away(since, max(since, now_ms))

    def absorb(self, later: HumanRecord, now_ms: float) -> None:
        """Add what was measured of the person who has the seat now, and who goes on in this record."""
        for latency_ms in later.action_latencies:
            self.action_shown(latency_ms)
        if (growth := later.rtt.since((0, 0, 0))[0]) is not None:
            self.rtt.grow(growth)
        for begin, end in later.away:
            self._add_away(begin, end)
        (count, lasted_ms), (more, longer_ms) = self.away_beyond, later.away_beyond
        self.away_beyond = count + more, lasted_ms + longer_ms
        self.focused(now_ms, focused=True)  # who had the seat before is gone, wherever they looked
        self.away_since = later.away_since
        self.hold_ms, self.lost, self.facts = later.hold_ms, later.lost, later.facts

    def _add_away(self, begin: float, end: float) -> None:
        if len(self.away) < _MOST_PERIODS:
            self.away.append((begin, end))
        else:
            count, lasted_ms = self.away_beyond
            self.away_beyond = count + 1, lasted_ms + end - begin


def human_document(record: HumanRecord) -> Human | None:
    """Return the person as they stand in every document; ``None`` where no person plays."""
    facts = record.facts
    if facts is None:
        return None
    return Human(
        **asdict(facts),
        action_latency=_action_latency(record.action_latencies.copy()),
        page_rtt=record.rtt.statistics(),
    )


def _action_latency(latencies: Sequence[float]) -> ActionLatency | None:
    if not latencies:
        return None
    known = figures(latencies)
    names = ("min_ms", "median_ms", "mean_ms", "p95_ms", "max_ms")
    return ActionLatency(
        count=len(latencies), samples=list(latencies[-_LISTED:]), **{name: known[name] for name in names}
    )


def focus_loss(record: HumanRecord, now_ms: float) -> FocusLoss | None:
    """Return when the game was in the background; ``None`` where no person plays.

    Args:
        record: of the person.
        now_ms: up to when, in Unix milliseconds.
    """
    if record.facts is None:
        return None
    since = record.away_since
    periods = record.away.copy()
    if since is not None:
        periods.append((since, max(since, now_ms)))
    rows = [BackgroundPeriod(start=begin, end=end, duration_ms=end - begin) for begin, end in periods]
    more, longer_ms = record.away_beyond
    return FocusLoss(
        background_periods=rows,
        total_background_ms=sum(row.duration_ms for row in rows) + longer_ms,
        period_count=len(rows) + more,
        timeout_ms=record.hold_ms,
        was_timeout_triggered=record.lost,
    )
