"""Grades of a link's latency. It knows two thresholds, and refuses to know what a grade leads to."""

from __future__ import annotations

import enum

import attrs

from gym_p2p.errors import ConfigurationError

__all__ = ["Quality", "QualityChange", "QualityMonitor"]


class Quality(enum.StrEnum):
    """How good a link's latency is."""

    GOOD = "good"
    WARNING = "warning"
    CRITICAL = "critical"


@attrs.frozen
class QualityChange:
    """A link's quality is another than before; ``previous`` is ``None`` at the first measurement."""

    status: Quality
    previous: Quality | None
    rtt_ms: float


@attrs.define(eq=False)
class QualityMonitor:
    """Grades round trips: strictly above ``warning_ms`` and ``critical_ms``; at a threshold is below it."""

    warning_ms: float = 150.0
    critical_ms: float = attrs.field(default=300.0)
    status: Quality | None = attrs.field(default=None, init=False)
    """The newest grade; ``None`` before the first measurement."""

    @critical_ms.validator
    def _in_order(self, _attribute: attrs.Attribute[float], value: float) -> None:
        if not 0 <= self.warning_ms <= value:
            raise ConfigurationError(
                "critical_ms", f"wanted at least warning_ms ({self.warning_ms!r}), got {value!r}"
            )

    def observe(self, rtt_ms: float) -> QualityChange | None:
        """Grade a measurement; return the change if there is one."""
        status = Quality.GOOD
        if rtt_ms > self.critical_ms:
            status = Quality.CRITICAL
        elif rtt_ms > self.warning_ms:
            status = Quality.WARNING
        if status is self.status:
            return None
        change = QualityChange(status, self.status, rtt_ms)
        self.status = status
        return change
