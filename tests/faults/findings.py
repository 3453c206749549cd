"""What an audit finds, in values."""

from __future__ import annotations

from typing import Literal

import attrs

__all__ = ["Finding", "Verdict", "What"]

What = Literal[
    "frame lost",
    "frame doubled",
    "export lost",
    "invalid",
    "disagreement",
    "untrue",
    "unnamed",
    "left over",
    "ending",
]


@attrs.frozen
class Finding:
    """One thing that is wrong."""

    what: What
    text: str
    count: int = 1


@attrs.frozen
class Verdict:
    """What came of a run.

    Attributes:
        findings: everything that is wrong.
        noticed_s: of each fault that documents name, after how long they say so.
        resumed_s: of each fault that was over, after how long all played on.
    """

    findings: list[Finding]
    noticed_s: list[float]
    resumed_s: list[float]

    def count(self, *what: What) -> int:
        """Return how much was found of some kinds."""
        return sum(finding.count for finding in self.findings if finding.what in what)
