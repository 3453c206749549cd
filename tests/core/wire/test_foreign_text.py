from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.wire.foreign_text import printable, screened


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


def test_every_text_of_data_is_screened_and_so_are_its_keys() -> None:
    said = {"room\n": ["\x1b[2J", {"who": "\u202eevil", "n": 1}], "payload": {"sdp": "v=0\r\n"}, "none": None}
    assert screened(said, apart_from={"payload"}) == {
        "room\\n": ["\\x1b[2J", {"who": "\\u202eevil", "n": 1}],
        "payload": {"sdp": "v=0\r\n"},
        "none": None,
    }
    assert len(screened("a" * 10**6)) == 4096


@given(
    st.recursive(
        st.none() | st.integers() | st.text(st.characters(codec=None)),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(st.characters(codec=None)), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_what_is_screened_is_printable_and_screened_again_the_same(said: object) -> None:
    found = screened(said)
    assert screened(found) == found
    for text in texts(found):
        assert text.isprintable()


def texts(data: object) -> list[str]:
    if isinstance(data, dict):
        return [*data, *(text for item in data.values() for text in texts(item))]
    if isinstance(data, list):
        return [text for item in data for text in texts(item)]
    return [data] if isinstance(data, str) else []
