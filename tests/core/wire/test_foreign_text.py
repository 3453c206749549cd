from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.wire.foreign_text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zoë plays 囲碁", "Zoë plays 囲碁"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("one\ntwo\r", r"one\ntwo\r"),
        ("right\u202eleft", r"right\u202eleft"),
        ("\ud800", r"\ud800"),
        ("\x9b31m", r"\x9b31m"),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(), max_size=400), st.integers(3, 350))
def test_whatever_it_is_it_is_one_printable_line_within_its_length(text: str, most: int) -> None:
    shown = printable(text, most)
    assert shown.isprintable()
    assert len(shown) <= most
    if text.isprintable() and len(text) <= most:
        assert shown == text
