from __future__ import annotations

import os

import pytest

from gym_p2p.bench.placement import placements


@pytest.mark.parametrize(
    ("allowed", "found"),
    [({3}, {"one processor": (3, 3)}), ({5, 2, 7}, {"one processor": (2, 2), "two processors": (2, 5)})],
)
def test_ends_are_placed_where_this_process_may_run(
    monkeypatch: pytest.MonkeyPatch, allowed: set[int], found: object
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: allowed, raising=False)
    assert placements() == found


def test_where_no_process_can_be_kept_on_a_processor_the_system_places_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert placements() == {"": (None, None)}
