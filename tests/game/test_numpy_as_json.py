"""NumPy's values as JSON's: what the core does for any library, with the one that environments use."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from gym_p2p.core.record.plain import plain


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (np.str_("♠"), "♠"),
        ({np.str_("k"): np.int64(3), 1.5: np.float32(0.5)}, {"k": 3, "1.5": 0.5}),
        ([np.float64("-inf"), np.float32("nan")], [None, None]),
        ({"a": np.array(["\ud800"])}, {"a": ["\\ud800"]}),
        (np.bool_("yes"), True),
    ],
)
def test_numpys_values_can_be_written_as_json(value: Any, written: Any) -> None:
    assert plain(value) == written
    assert msgspec.json.decode(msgspec.json.encode(plain(value))) == written
