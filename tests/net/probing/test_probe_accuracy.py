"""A handful of probes on two known paths; the whole series is ``python -m benchmarks.probe_accuracy``."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from benchmarks.probe_accuracy import measure_path, peers, service
from benchmarks.probe_figures import LabPath, target_ms
from tests.lab.fixtures import MakeLab
from tests.waiting import in_time

pytestmark = [pytest.mark.netns, pytest.mark.quiet, pytest.mark.usefixtures("lab_possible")]

PROBES = 5
ROOM_MS = 4.0
"""For a machine with few cores and other work; the series has none."""
NOISE_MS = 4.5
"""Three standard errors of the median of five medians of ten pings, each with 5 ms of jitter both ways."""


def test_both_sides_report_a_known_path_and_not_a_farther_one(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab()
    with service(lab, tmp_path) as serving, peers(lab, "a", "b") as running:
        clean, shaken = (
            measure_path(lab, serving, running, path, probes=PROBES)
            for path in (LabPath(50.0), LabPath(20.0, 5.0, 0.02))
        )
    with in_time():
        assert clean.truth_ms == pytest.approx(50.0, abs=0.5)
        assert shaken.truth_ms == pytest.approx(28.4, abs=1.5)
    for found, noise_ms in ((clean, 0.0), (shaken, NOISE_MS)):
        assert not found.failed
        assert set(found.sides_ms) == {"a", "b"}
        for reports_ms in found.sides_ms.values():
            assert len(reports_ms) == PROBES
            error_ms = statistics.median(reports_ms) - found.truth_ms
            with in_time():
                assert -0.2 - noise_ms <= error_ms <= target_ms(found.truth_ms) + ROOM_MS + noise_ms
    with in_time():
        assert statistics.median(clean.took_s) < 1.1 + 0.5
    assert len(set(shaken.sides_ms["a"])) == PROBES
    assert lab.counters().ways["a", "b"].lost > 0
