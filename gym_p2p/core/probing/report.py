"""What the two sides of a probe tell, and what the pair's latency is by both.

Knows the fields of ``probe_prepare``, ``probe_result`` and ``probe_verdict``, and the rule by which two
reports become one number. It refuses to know how a report came about.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import attrs

from gym_p2p.config import IceServer
from gym_p2p.core.api.rooms import ice_from_wire, ice_to_wire
from gym_p2p.core.probing.burst import MAX_PINGS
from gym_p2p.core.probing.statistics import PingStatistics
from gym_p2p.errors import ProtocolError

__all__ = ["Mark", "ProbePath", "ProbePrepare", "ProbeReport", "ProbeVerdict", "Reconciled", "reconcile"]

MAX_RTT_MS = 60_000.0
_DISAGREE_MS = 8.0
_DISAGREE = 0.25
"""Both sides measure one path: on a bad radio link their medians of ten pings differ by 38 ms in a thousand
cases; an invented number usually by more than this."""
_MAX_TEXT_CHARS = 64


class Mark(enum.StrEnum):
    """What is noteworthy about a pair's figure."""

    ONE_SIDED = "one_sided"
    """Only one side had a usable report."""
    DISAGREED = "disagreed"
    """The two sides' medians differ by more than 25 % and 8 ms; the larger one counts."""


@attrs.frozen(kw_only=True)
class ProbePath:
    """The path of a probe, in W3C's words; ``None`` is unknown."""

    local: str | None = None
    remote: str | None = None
    protocol: str | None = None
    relay_protocol: str | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return attrs.asdict(self)

    @classmethod
    def from_wire(cls, data: object) -> Self:
        """Validate and build; raises :class:`ProtocolError`."""
        if not isinstance(data, Mapping):
            raise ProtocolError("malformed path")
        names = (field.name for field in attrs.fields(cls))
        return cls(**{name: _optional_text(data, name) for name in names})


@attrs.frozen(kw_only=True)
class ProbeReport:
    """One side's ``probe_result``.

    Attributes:
        rtt_ms: the median round trip; ``None`` is a failed measurement.
        failure: why there is none, one word.
    """

    rtt_ms: float | None
    samples_ms: tuple[float, ...] = ()
    jitter_ms: float | None = None
    loss: float | None = None
    path: ProbePath | None = None
    failure: str | None = None

    @classmethod
    def of(cls, statistics: PingStatistics, path: ProbePath | None) -> Self:
        """Return what is reported of a measurement."""
        return cls(
            rtt_ms=statistics.median_ms,
            samples_ms=statistics.samples_ms,
            jitter_ms=statistics.mad_ms,
            loss=statistics.loss,
            path=path,
            failure=None if statistics.samples_ms else "no_answers",
        )

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form, with the ``success`` that browsers tell."""
        return {
            "rtt_ms": self.rtt_ms,
            "success": self.rtt_ms is not None,
            "samples_ms": list(self.samples_ms),
            "jitter_ms": self.jitter_ms,
            "loss": self.loss,
            "path": None if self.path is None else self.path.to_wire(),
            "failure": self.failure,
        }

    @classmethod
    def from_wire(cls, data: object) -> Self:
        """Validate and build; unknown fields are ignored.

        Raises:
            ProtocolError: a field of the wrong type or out of range, or ``success`` without a round trip.
        """
        if not isinstance(data, Mapping):
            raise ProtocolError("malformed probe_result")
        success, rtt_ms = data.get("success"), _optional_number(data, "rtt_ms", MAX_RTT_MS)
        if not isinstance(success, bool) or (success and rtt_ms is None):
            raise ProtocolError("malformed success")
        path = data.get("path")
        return cls(
            rtt_ms=rtt_ms if success else None,
            samples_ms=_samples(data),
            jitter_ms=_optional_number(data, "jitter_ms", MAX_RTT_MS),
            loss=_optional_number(data, "loss", 1.0),
            path=None if path is None else ProbePath.from_wire(path),
            failure=_optional_text(data, "failure"),
        )


@attrs.frozen
class Reconciled:
    """The pair's figure by both reports; ``rtt_ms`` is ``None`` when neither has one."""

    rtt_ms: float | None
    marks: frozenset[Mark] = frozenset()


def reconcile(reports: Sequence[ProbeReport | None]) -> Reconciled:
    """Return what two sides' reports amount to; ``None`` is a report that did not come.

    The larger median counts, so that nobody gains by reporting too little.
    """
    medians = [report.rtt_ms for report in reports if report is not None and report.rtt_ms is not None]
    if not medians:
        return Reconciled(None)
    if len(medians) == 1:
        return Reconciled(medians[0], frozenset({Mark.ONE_SIDED}))
    low, high = min(medians), max(medians)
    disagree = high - low > max(_DISAGREE_MS, _DISAGREE * low)
    return Reconciled(high, frozenset({Mark.DISAGREED}) if disagree else frozenset())


@attrs.frozen(kw_only=True)
class ProbePrepare:
    """The service's request to get ready for a probe.

    Attributes:
        peer_client: the software that the other side says it runs; ``None`` for a browser.
        threshold_ms: what the result will be compared with; ``None`` when with nothing.
        deadline_ms: how long the whole probe may take from now on.
    """

    probe_session_id: str
    peer_subject_id: str
    ice_servers: tuple[IceServer, ...] = ()
    relay_only: bool = False
    peer_client: str | None = None
    threshold_ms: float | None = None
    deadline_ms: float | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form; browsers take their TURN credentials from fields of their own."""
        turn = next((server for server in self.ice_servers if server.username is not None), None)
        return {
            "probe_session_id": self.probe_session_id,
            "peer_subject_id": self.peer_subject_id,
            "turn_username": None if turn is None else turn.username,
            "turn_credential": None if turn is None else turn.credential,
            "ice_servers": [ice_to_wire(server) for server in self.ice_servers],
            "relay_only": self.relay_only,
            "peer_client": self.peer_client,
            "threshold_ms": self.threshold_ms,
            "deadline_ms": self.deadline_ms,
        }

    @classmethod
    def from_wire(cls, data: object) -> Self:
        """Validate and build; raises :class:`ProtocolError`."""
        if not isinstance(data, Mapping):
            raise ProtocolError("malformed probe_prepare")
        servers, relay_only = data.get("ice_servers") or [], data.get("relay_only", False)
        if not isinstance(servers, list) or not isinstance(relay_only, bool):
            raise ProtocolError("malformed probe_prepare")
        return cls(
            probe_session_id=_text(data, "probe_session_id"),
            peer_subject_id=_text(data, "peer_subject_id"),
            ice_servers=tuple(ice_from_wire(server) for server in servers),
            relay_only=relay_only,
            peer_client=_optional_text(data, "peer_client"),
            threshold_ms=_optional_number(data, "threshold_ms", MAX_RTT_MS),
            deadline_ms=_optional_number(data, "deadline_ms", 600_000),
        )


@attrs.frozen(kw_only=True)
class ProbeVerdict:
    """The end of a probe, as the service tells both: ``probe_verdict``, or else ``probe_cancel``."""

    probe_session_id: str
    reason: str
    rtt_ms: float | None = None
    marks: frozenset[str] = frozenset()

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON-ready form."""
        return {
            "probe_session_id": self.probe_session_id,
            "reason": self.reason,
            "rtt_ms": self.rtt_ms,
            "marks": sorted(self.marks),
        }

    @classmethod
    def from_wire(cls, data: object) -> Self:
        """Validate and build; raises :class:`ProtocolError`."""
        if not isinstance(data, Mapping):
            raise ProtocolError("malformed verdict")
        marks = data.get("marks") or []
        if not isinstance(marks, list) or not all(isinstance(mark, str) for mark in marks):
            raise ProtocolError("malformed marks")
        return cls(
            probe_session_id=_text(data, "probe_session_id"),
            reason=_text(data, "reason"),
            rtt_ms=_optional_number(data, "rtt_ms", MAX_RTT_MS),
            marks=frozenset(marks),
        )


def _samples(data: Mapping[str, Any]) -> tuple[float, ...]:
    samples = data.get("samples_ms")
    if samples is None:
        return ()
    if not isinstance(samples, list) or len(samples) > MAX_PINGS:
        raise ProtocolError("malformed samples_ms")
    return tuple(_number(sample, "samples_ms", MAX_RTT_MS) for sample in samples)


def _number(value: object, name: str, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProtocolError(f"malformed {name}")
    if not (0 <= value <= most and math.isfinite(value)):
        raise ProtocolError(f"malformed {name}")
    return float(value)


def _optional_number(data: Mapping[str, Any], name: str, most: float) -> float | None:
    value = data.get(name)
    return None if value is None else _number(value, name, most)


def _text(data: Mapping[str, Any], name: str) -> str:
    value = _optional_text(data, name, most=128)
    if value is None:
        raise ProtocolError(f"malformed {name}")
    return value


def _optional_text(data: Mapping[str, Any], name: str, *, most: int = _MAX_TEXT_CHARS) -> str | None:
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
        raise ProtocolError(f"malformed {name}")
    return value
