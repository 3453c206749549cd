"""Frames in which others acted for a player, kept as runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.match.acted import ActedFrames

ACTORS = st.lists(st.binary(max_size=8).map(lambda data: bytes([one % 3 for one in data])), max_size=8)


@given(ACTORS, st.integers(0, 70), st.integers(0, 70))
def test_runs_say_what_was_said_of_every_frame(parts: list[bytes], one: int, other: int) -> None:
    frames, whole = ActedFrames(), b""
    for part in parts:
        frames.add(len(whole), part if any(part) else b"")
        whole += part
    padded = whole + bytes(80)
    assert [frames.at(frame) for frame in range(80)] == list(padded[:80])
    start, end = sorted((one, other))
    between = padded[start:end]
    assert frames.between(start, end) == (between if any(between) else b"")
    since = next((frame + 1 for frame in reversed(range(len(whole))) if not whole[frame]), 0)
    assert frames.since(len(whole)) == since
    assert bool(frames) == any(whole)


def test_frames_of_the_same_one_are_one_run() -> None:
    frames = ActedFrames()
    for frame in range(5, 1000):
        frames.add(frame, b"\x02")
    assert len(frames) == 1
