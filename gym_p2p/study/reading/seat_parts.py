"""The parts of the documents, as they are read, about who sat at a seat, and what a person had of it.

See :mod:`gym_p2p.study.reading.document_parts`.
"""

from __future__ import annotations

import msgspec

from gym_p2p.study.reading.document_parts import Id, Latency, Part

__all__ = ["ActionLatency", "Background", "Focus", "Human", "PageTimes", "Player", "Policy"]


class Player(Part, frozen=True):
    """Who played."""

    player_id: Id
    subject_id: str | None = None
    seats: list[Id] = msgspec.field(default_factory=list)
    local: bool | None = None
    version: str | None = None
    platform: str | None = None
    played_by: str | None = None
    played_by_seat: dict[str, str] = msgspec.field(default_factory=dict)


class Policy(Part, frozen=True):
    """A policy that played a seat."""

    policy: str
    seat: Id | None = None
    reaction_ms: float | None = None
    actions_per_s: float | None = None


class Background(Part, frozen=True):
    """A period in which the game was not seen."""

    start: float
    end: float
    duration_ms: float | None = None


class Focus(Part, frozen=True):
    """When the game was in the background."""

    background_periods: list[Background] = msgspec.field(default_factory=list)


class PageTimes(Part, frozen=True):
    """What a person's page has drawn of an episode."""

    encoding: str
    frames: str
    t: str
    unfocused: dict[str, str] = msgspec.field(default_factory=dict)


class ActionLatency(Part, frozen=True):
    """How long keys took to be seen."""

    count: int | None = None
    median_ms: float | None = None
    p95_ms: float | None = None
    samples: list[float] = msgspec.field(default_factory=list)


class Human(Part, frozen=True):
    """The person who played, as their page was measured."""

    link: str | None = None
    frames_shown: int | None = None
    frames_skipped: int | None = None
    action_latency: ActionLatency | None = None
    page_rtt: Latency | None = None
