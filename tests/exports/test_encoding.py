from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.exports.encoding import encode, to_data


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
        max_leaves=20,
    )
)
def test_a_document_in_pieces_is_the_same_json(value: Any) -> None:
    assert json.loads(b"".join(encode(value))) == value


def test_a_long_list_is_encoded_in_several_pieces() -> None:
    value = {"long": list(range(5000)), "empty": {}, "none": []}
    pieces = list(encode(value))
    assert max(map(len, pieces)) < 10_000
    assert json.loads(b"".join(pieces)) == value


class Row(msgspec.Struct, rename="camel"):
    seat_id: int
    action: object = None


class Table(msgspec.Struct, rename="camel"):
    all_rows: list[Row]
    by_name: dict[str, list[Row]]
    none: None = None


def test_a_typed_document_is_the_same_in_pieces_and_as_data() -> None:
    shared = {"x": [1, 2]}
    rows = [Row(number, shared) for number in range(3000)]
    table = Table(rows, {"a": rows[:2], "b": []})
    whole = msgspec.to_builtins(table)
    assert json.loads(b"".join(encode(table))) == whole
    data = to_data(table)
    assert data == whole
    assert list(data) == ["allRows", "byName", "none"]
    data["allRows"][0]["action"]["x"].append(3)
    assert shared == {"x": [1, 2]}
    assert data["allRows"][1]["action"] == shared
