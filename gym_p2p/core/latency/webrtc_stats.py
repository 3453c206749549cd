"""Reading W3C webrtc-stats reports, whoever made them: the round trip, the path, and whether it is new.

It knows the names of webrtc-stats and trusts nothing behind them: keys may be missing, values may be of
any type, attributes may raise. It refuses to know where a report comes from and what becomes of the
readings.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import attrs
import msgspec

from gym_p2p.core.latency.statistics import Count

__all__ = [
    "GAME_RECORDS_ID",
    "MAX_MEASURED_RTT_MS",
    "ConnectionDetails",
    "Freshness",
    "GameTransportCounts",
    "PollStatus",
    "RoundTrip",
    "extract_connection",
    "extract_round_trip",
]

MAX_MEASURED_RTT_MS = 3_600_000.0
"""An hour. What took longer is no measurement: STUN gives up after 39.5 s (RFC 8489, 6.2.1)."""


GAME_RECORDS_ID = "gym-p2p-game-records"
"""Id and type of the one entry in our own reports that W3C does not know."""


class PollStatus(enum.StrEnum):
    """What one poll of a link found."""

    FRESH = "fresh"
    """A measurement that was not there at the poll before."""
    STALE = "stale"
    """No new measurement, and no sign that anything went unanswered."""
    UNANSWERED = "unanswered"
    """No new measurement although a request was under way at least one poll ago."""
    NO_PAIR = "no_pair"
    """The report holds no selected candidate pair: nothing can be read from it."""
    DISCONNECTED = "disconnected"
    """The connection, open before, is not ``connected``."""
    FAILED = "failed"
    """No report could be had: it raised, or took too long."""


class GameTransportCounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, rename="camel"):
    """How often this player's game messages changed their way, over the life of a link."""

    doubts: Count
    """How often to the channel for a while, because for half a second nothing showed that records arrive."""
    returns: Count
    """How often back to the channel, because for three seconds nothing did, though the path was alive."""
    resumed: Count
    """How often by records again after such a return."""


@attrs.frozen
class ConnectionDetails:
    """The path that a link uses; candidate types and protocols are W3C's words, ``None`` is unknown.

    Attributes:
        game_transport: what carries game messages between two of this package, ``dtls`` or ``datachannel``;
            ``None`` on anybody else's connection, and until both sides have found out.
        game_transport_counts: how often that changed; ``None`` on anybody else's connection.
        relayed_by: ``service`` or ``player``, who passes messages on in place of a connection; else ``None``.
        relaying_player: who that player is.
    """

    type: Literal["direct", "relay", "unknown"]
    local_candidate_type: str | None = None
    remote_candidate_type: str | None = None
    protocol: str | None = None
    relay_protocol: str | None = None
    game_transport: str | None = None
    game_transport_counts: GameTransportCounts | None = None
    relayed_by: str | None = None
    relaying_player: int | str | None = None


@attrs.frozen
class RoundTrip:
    """The selected pair's newest round trip, and the counters that tell whether it is new."""

    rtt_ms: float
    pair_id: str
    responses_received: int | None = None
    requests_sent: int | None = None


def extract_round_trip(report: Any) -> RoundTrip | None:
    """Return the selected pair's round trip from a W3C stats report, or ``None`` if it has none.

    Args:
        report: a mapping of id to stats object, or an iterable of stats objects; each a mapping or an
            object with attributes, under W3C's names. Anything else is ``None``, never an exception.
    """
    try:
        pair = _selected_pair(_by_id(report))
        seconds = None if pair is None else _number(_get(pair, "currentRoundTripTime"))
        if seconds is None or not 0 <= seconds * 1000 <= MAX_MEASURED_RTT_MS:
            return None
        return RoundTrip(
            rtt_ms=seconds * 1000,
            pair_id=str(_get(pair, "id")),
            responses_received=_count(_get(pair, "responsesReceived")),
            requests_sent=_requests(pair),
        )
    except Exception:  # noqa: BLE001 - somebody else's objects may raise anything from an attribute
        return None


def extract_connection(report: Any) -> ConnectionDetails | None:
    """Return the path that the selected pair of a W3C stats report describes, or ``None`` without a pair."""
    try:
        stats = _by_id(report)
        pair = _selected_pair(stats)
        if pair is None:
            return None
        local = stats.get(_get(pair, "localCandidateId"))
        remote = stats.get(_get(pair, "remoteCandidateId"))
        types = (_text(_get(local, "candidateType")), _text(_get(remote, "candidateType")))
        records = stats.get(GAME_RECORDS_ID)
        settled = _get(records, "settled") is not False
        return ConnectionDetails(
            type="relay" if "relay" in types else "unknown" if None in types else "direct",
            local_candidate_type=types[0],
            remote_candidate_type=types[1],
            protocol=_text(_get(local, "protocol")),
            relay_protocol=_text(_get(local, "relayProtocol")),
            game_transport=_text(_get(records, "transport")) if settled else None,
            game_transport_counts=_game_transport_counts(records),
        )
    except Exception:  # noqa: BLE001 - somebody else's objects may raise anything from an attribute
        return None


def _by_id(report: Any) -> dict[Any, Any]:
    if isinstance(report, Mapping):
        return dict(report)
    entries: Iterable[Any] = report.values() if callable(getattr(report, "values", None)) else report
    return {_get(entry, "id"): entry for entry in entries}


def _selected_pair(stats: Mapping[Any, Any]) -> Any | None:
    for entry in stats.values():
        if _get(entry, "type") == "transport":
            pair = stats.get(_get(entry, "selectedCandidatePairId"))
            if _get(pair, "type") == "candidate-pair":
                return pair
    return None


def _get(entry: Any, name: str) -> Any:
    return entry.get(name) if isinstance(entry, Mapping) else getattr(entry, name, None)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _game_transport_counts(records: Any) -> GameTransportCounts | None:
    doubts, returns, resumed = (_count(_get(records, name)) for name in ("doubts", "returns", "resumed"))
    if doubts is None or returns is None or resumed is None:
        return None
    return GameTransportCounts(doubts, returns, resumed)


def _requests(pair: Any) -> int | None:
    """Return every check that was sent: a browser counts those of consent (RFC 7675) apart."""
    checks = _count(_get(pair, "requestsSent"))
    return None if checks is None else checks + (_count(_get(pair, "consentRequestsSent")) or 0)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


_MAX_PAIRS = 256
"""ICE checks at most 100 pairs (RFC 8445, 6.1.2.5); beyond this the ids are made up anew each time."""


@attrs.define(eq=False)
class Freshness:
    """Tells a new measurement from one that a report merely repeats.

    Browsers check a pair every 2.5 s or so and repeat the value in between. A reading is fresh when the
    pair's ``responsesReceived`` grew, or when the report has no such field. Otherwise it is unanswered if a
    request was already under way at the poll before (without ``requestsSent``: if that poll was not fresh
    either), for an answer that is only in flight is no outage.
    """

    _answered: dict[str, int] = attrs.field(factory=dict, init=False)
    _requests_at_answer: int | None = attrs.field(default=None, init=False)
    _requests: int | None = attrs.field(default=None, init=False)
    _repeated: bool = attrs.field(default=False, init=False)

    def reset(self) -> None:
        """Forget the counters: another connection's begin anew."""
        self._answered.clear()
        self._requests_at_answer = self._requests = None
        self._repeated = False

    def classify(self, reading: RoundTrip) -> PollStatus:
        """Return ``FRESH``, ``STALE`` or ``UNANSWERED`` for the newest reading."""
        count = reading.responses_received
        fresh = count is None or count > self._answered.get(reading.pair_id, 0)
        if count is not None:
            if len(self._answered) >= _MAX_PAIRS:
                self._answered.clear()
            self._answered[reading.pair_id] = count
        if fresh:
            self._requests = self._requests_at_answer = reading.requests_sent
            self._repeated = False
            return PollStatus.FRESH
        if self._requests is None or self._requests_at_answer is None:
            overdue = self._repeated
        else:
            overdue = self._requests > self._requests_at_answer
        self._requests, self._repeated = reading.requests_sent, True
        return PollStatus.UNANSWERED if overdue else PollStatus.STALE
