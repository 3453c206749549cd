"""What every document holds, whatever it is about: which match, who played, what they played and earned.

An attribute's docstring is the description of its key in the published schema.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from gym_p2p.core.latency.statistics import LatencyStatistics
from gym_p2p.core.record.absences import ClockJump, Departure, Pause, Rejoin, ServiceOutage, newest_departures
from gym_p2p.core.record.building import latency_by_peer, unique_names
from gym_p2p.core.record.clock_offsets import ClockOffsetAt
from gym_p2p.core.record.episode_result import EpisodeResult, episode_result
from gym_p2p.core.record.human import Human, focus_loss, human_document
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.open_objects import EnvironmentFacts
from gym_p2p.core.record.parts import SCHEMA_VERSION, Connection, DocumentPart, FocusLoss
from gym_p2p.core.record.plain import plain
from gym_p2p.core.record.player_identity import PlayerIdentity
from gym_p2p.core.record.policy import Policy
from gym_p2p.core.record.ways_taken import PassedOn, WayTaken
from gym_p2p.core.wire.seats import SeatId

__all__ = ["Document", "common_keys"]


class Document(DocumentPart, frozen=True, kw_only=True):
    """A document: whose it is, of which match, and what was played in that."""

    schema_version: Literal[2] = SCHEMA_VERSION
    """The version of this schema: 2 brought who played, what they earned, and when; 1 had all other keys."""
    game_id: str
    """The match's id."""
    player_id: SeatId
    """The id of the player whose account this is: their first seat."""
    players: list[PlayerIdentity]
    """Everybody who played, in the order of their first seats."""
    environment: EnvironmentFacts
    """What was played: ``id``, ``arguments``, ``packages``, ``sourceHash``; beside these, as texts by topic,
    all on which the players' sides had to agree, and what this player ran it on."""
    episodes: list[EpisodeResult]
    """Every episode: how it began and ended, and what every seat came to."""
    departures: list[Departure]
    """Players who are gone, in the order in which they went, and who says how that came about."""
    pauses: list[Pause]
    """Times in which the match stood still for somebody, in order; not more than the first thousand."""
    rejoins: list[Rejoin] = field(default_factory=list)
    """Players whose process ended and who came back, in order; not more than the first thousand."""
    ways_taken: list[WayTaken] = field(default_factory=list)
    """Every other way that messages to another player took, in order; not more than the first thousand."""
    passed_on: list[PassedOn] = field(default_factory=list)
    """Between whom this player passed messages on, in order; not more than the first thousand."""
    service_outages: list[ServiceOutage] = field(default_factory=list)
    """Times in which the service could not be reached, in order; not more than the first thousand."""
    clock_jumps: list[ClockJump] = field(default_factory=list)
    """How the machine's wall clock was set during the match; not more than the first thousand times."""
    clock_offsets: dict[str, list[ClockOffsetAt]]
    """By peer's id: how their clock stood to this player's, whenever that changed and at least once a minute;
    empty where it is not known."""
    connection_paths: dict[str, list[Connection]]
    """By peer's id: every path that the link to them had, oldest first; empty before one was found."""
    latency: LatencyStatistics | None
    """The worst link by median; null without a sample."""
    latency_by_peer: dict[str, LatencyStatistics | None]
    """Every link, by the peer's id; null without a sample."""
    focus_loss: FocusLoss | None = None
    """When the game was in the background, of a player in a browser; null for one who cannot lose focus."""
    human: Human | None = None
    """The person who played at a page of this process, and how that was measured; null where none did."""
    policies: list[Policy] = field(default_factory=list)
    """The policies that played seats of this player's, as far as they say so; empty where none did."""


def common_keys(record: MatchRecord, now_ms: int) -> dict[str, Any]:
    """Return what all documents of a record hold, as arguments of their types.

    Args:
        record: of the match.
        now_ms: Unix milliseconds, as of which they are.
    """
    worst = record.worst_link()
    names = unique_names(record.links)
    return {
        "game_id": record.game_id,
        "player_id": record.player_id,
        "players": list(record.identities),
        "environment": plain(record.environment),
        "episodes": [episode_result(view, record.players) for view in record.views()],
        "departures": newest_departures(record.departures.copy()),
        "pauses": record.pauses.copy(),
        "rejoins": record.rejoins.copy(),
        "ways_taken": record.ways_taken.copy(),
        "passed_on": record.passed_on.copy(),
        "service_outages": _outages(record, now_ms),
        "clock_jumps": record.clock_jumps.copy(),
        "clock_offsets": {names[peer]: link.clock.offsets.copy() for peer, link in record.links.items()},
        "connection_paths": {names[peer]: link.paths.copy() for peer, link in record.links.items()},
        "latency": None if worst is None else worst.series.statistics(),
        "latency_by_peer": latency_by_peer(record),
        "focus_loss": focus_loss(record.human, record.time(now_ms)),
        "human": human_document(record.human),
        "policies": [policy.document() for policy in record.policies.copy()],
    }


def _outages(record: MatchRecord, now_ms: int) -> list[ServiceOutage]:
    """Return the service's outages, one that has not ended yet as the last."""
    outages, since_ms = record.service_outages.copy(), record.service_away_ms
    if since_ms is not None:
        away_ms = float(max(0, record.time(now_ms) - since_ms))
        outages.append(ServiceOutage(start=since_ms, end=None, duration_ms=away_ms))
    return outages
