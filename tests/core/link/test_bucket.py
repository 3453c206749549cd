"""A rate of bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.link.bucket import Bucket

_SIZES = st.integers(1, 5_000)


@given(
    bytes_per_s=st.integers(1, 10**9),
    burst=st.integers(1, 10**6),
    taken=st.lists(st.tuples(_SIZES, st.floats(0, 10))),
    size=_SIZES,
)
def test_what_it_says_will_be_taken_at_a_time_is_taken_then(
    bytes_per_s: int, burst: int, taken: list[tuple[int, float]], size: int
) -> None:
    bucket, now = Bucket(bytes_per_s, burst), 0.0
    for one, later_s in taken:
        now += later_s
        bucket.takes(one, now)
    fits = size / bytes_per_s <= burst / bytes_per_s
    assert bucket.takes(size, max(now, bucket.takes_at(size))) == fits


@given(
    bytes_per_s=st.integers(1, 10**6),
    burst=st.integers(1, 10**6),
    steps=st.lists(st.tuples(_SIZES, st.floats(0, 1))),
)
def test_no_more_is_taken_than_the_burst_and_the_rate(
    bytes_per_s: int, burst: int, steps: list[tuple[int, float]]
) -> None:
    bucket, now, total = Bucket(bytes_per_s, burst), 0.0, 0
    for size, later_s in steps:
        now += later_s
        total += size * bucket.takes(size, now)
        assert total <= (burst + bytes_per_s * now) * (1 + 1e-9) + 1e-6


def test_what_is_larger_than_the_burst_never_is() -> None:
    assert not Bucket(100, 10).takes(11, 1e6)
