"""A message of inputs, as a running match sends sixty a second: what encoding and decoding it costs."""

from __future__ import annotations

import time

from gym_p2p.core.wire.messages import Inputs, decode, encode

__all__ = ["INPUT_MESSAGE", "measure_input_message"]

INPUT_MESSAGE = Inputs(
    episode=3, start=4_321, received=(4_325, 4_317), advantage=1, inputs=(b"\1", b"\1", b"\2", b"\2"), delay=0
)
"""Of two players with one byte an action. At 60 a second and 50 ms one way four frames are under way."""

_BATCH = 50
"""Messages a sample: one alone is not far above the clock's own cost."""


def measure_input_message(samples: int) -> list[float]:
    """Encode and decode the message so often (times the batch); return microseconds a message."""
    took_us = []
    for _ in range(samples):
        began = time.perf_counter_ns()
        for _ in range(_BATCH):
            decode(encode(INPUT_MESSAGE))
        took_us.append((time.perf_counter_ns() - began) / 1e3 / _BATCH)
    return took_us
