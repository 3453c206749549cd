from __future__ import annotations

import logging

import pytest

from gym_p2p.play.few_lines import LINES_AT_ONCE, LINES_PER_S, FewLines


def test_of_a_line_at_every_frame_a_few_are_written_and_the_next_says_how_many_were_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines = FewLines(logging.getLogger("of a match"))
    for frame in range(600):
        lines.warn(frame / 60, "differs at frame %d", frame)
    assert [record.getMessage() for record in caplog.records] == [
        f"differs at frame {frame}" for frame in range(LINES_AT_ONCE)
    ]
    lines.warn(1 / LINES_PER_S, "differs at frame %d", 600)
    left_out = 600 - LINES_AT_ONCE
    assert (
        caplog.messages[-1] == f"differs at frame 600 (and {left_out} lines like this one that were left out)"
    )


def test_lines_of_another_kind_are_written_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    lines = FewLines(logging.getLogger("of a match"))
    for frame in range(60):
        lines.warn(0.0, "differs at frame %d", frame)
    lines.warn(0.0, "another line")
    assert caplog.messages[-1] == "another line"
