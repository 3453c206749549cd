from __future__ import annotations

import json
import math
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.wire.bounded_json import IN_MESSAGE, JsonBounds, StrictJson, decode_json
from gym_p2p.errors import ProtocolError

SMALL = JsonBounds(size_bytes=2_000, values=40, text_bytes=100, depth=5)
STRICT = JsonBounds(size_bytes=2**20, values=2**12, text_bytes=2**16)
LENIENT = JsonBounds(size_bytes=2**20, values=2**12, text_bytes=2**16, any_text=True)

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def problem(data: str | bytes, bounds: JsonBounds) -> str:
    with pytest.raises(ProtocolError) as caught:
        decode_json(data, bounds)
    return caught.value.problem


def depth(value: Any) -> int:
    items = (
        list(value.values() if isinstance(value, dict) else value) if isinstance(value, dict | list) else []
    )
    return 1 + max(map(depth, items), default=0) if isinstance(value, dict | list) else 0


def values(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + len(value) + sum(map(values, value.values()))
    return 1 + sum(map(values, value)) if isinstance(value, list) else 1


@pytest.mark.parametrize("bounds", [STRICT, LENIENT])
@given(value=PLAIN)
def test_what_is_within_the_bounds_is_read_as_it_was_written(bounds: JsonBounds, value: Any) -> None:
    found = decode_json(json.dumps(value), bounds)
    assert found == value
    assert str(found) == str(value), "1, 1.0 and True are three"


@given(PLAIN)
def test_it_is_refused_if_and_only_if_it_is_beyond_a_bound(value: Any) -> None:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    texts = [
        token
        for token in _texts(value)
        if len(json.dumps(token, ensure_ascii=False).encode()) - 2 > SMALL.text_bytes
    ]
    beyond = (
        len(text.encode()) > SMALL.size_bytes
        or depth(value) > SMALL.depth
        or bool(texts)
        or values(value) > SMALL.values
    )
    if not beyond:
        assert decode_json(text, SMALL) == value
    elif (
        values(value) > 2 * SMALL.values or values(value) <= SMALL.values
    ):  # an empty list is counted as one more
        assert problem(text, SMALL)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(text for item in value.values() for text in _texts(item))]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ("[" * 6 + "]" * 6, "JSON nested too deeply"),
        ('{"a":' * 6 + "0" + "}" * 6, "JSON nested too deeply"),
        ('[{"[[[[":' * 3 + "0" + "}]" * 3, "JSON nested too deeply"),
        ("[" + "[]," * 40 + "0]", "too many values in JSON"),
        ("{" + ",".join(f'"{n}":0' for n in range(30)) + "}", "too many values in JSON"),
        ('"' + "a" * 101 + '"', "text in JSON too long"),
        ('{"' + "a" * 101 + '":0}', "text in JSON too long"),
        ('"' + "\\u0041" * 30 + '"', "text in JSON too long"),
        (" " * 2_001, "JSON too long"),
        ("", "malformed JSON"),
        ("[1,]", "malformed JSON"),
        ("[1}", "malformed JSON"),
        ("]]]]", "malformed JSON"),
        ('"a', "malformed JSON"),
        ('"a\\', "malformed JSON"),
        ("NaN", "malformed JSON"),
        ("-Infinity", "malformed JSON"),
        ("1e999", "malformed JSON"),
        (b'"\xff"', "malformed JSON"),
        ("\ud800", "malformed JSON"),
        ('"\\ud800"', "malformed JSON"),
    ],
)
def test_what_is_wrong_is_named_in_fixed_words(data: str | bytes, what: str) -> None:
    assert problem(data, SMALL) == what


def test_what_stands_in_a_text_is_no_bracket_and_no_value() -> None:
    text = json.dumps(["[[[[[[[[,,,,,,,,,,,,,,,,,,,,,,,,,,:::::::::::", '\\"[[[[[[[[', "}"])
    assert decode_json(text, SMALL) == json.loads(text)


@pytest.mark.parametrize("bounds", [STRICT, LENIENT])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-8-sig"])
def test_what_is_counted_is_what_is_read_and_no_other_encoding_is_guessed(
    bounds: JsonBounds, encoding: str
) -> None:
    # in UTF-16 this sign is a byte that is no quotation mark and one that looks like it
    deep = '{"\u2230":' + "[" * 600 + "]" * 600 + "}" if "16" in encoding else '{"a":0}'
    as_bytes = deep.encode(encoding)
    assert problem(as_bytes, bounds) == "malformed JSON"
    assert problem(as_bytes.decode(), bounds) == "malformed JSON", "as a peer's text may hold it"


def test_lone_surrogates_pass_where_any_text_does() -> None:
    assert decode_json('["\\ud800"]', LENIENT) == ["\ud800"]
    assert problem('["\\ud800"]', STRICT) == "malformed JSON"


@pytest.mark.parametrize("bounds", [STRICT, LENIENT])
@given(
    text=st.text(st.sampled_from('[]{},:"\\au0d8 1e.-tN'), max_size=80) | st.text(st.characters(codec=None))
)
def test_whatever_it_is_it_is_read_or_refused_and_can_be_written_again(bounds: JsonBounds, text: str) -> None:
    try:
        found = decode_json(text, bounds)
    except ProtocolError:
        return
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("piece", ["[],", "{},", '{"":0},', "[[]],", '"",', '"\\"', "\\", '"', ":", "0,"])
def test_nothing_is_built_of_what_is_beyond_the_bounds_and_no_byte_is_looked_at_for_long(piece: str) -> None:
    # a search that began anew at every quotation mark would take a minute for each of these
    text = "[" + piece * (2**20 // len(piece) - 2) + "0]"
    tracemalloc.start()
    assert problem(text, STRICT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20, "the text itself, without its texts, and the brackets of it"


def test_a_whole_message_of_lists_takes_little() -> None:
    tracemalloc.start()
    decode_json('{"a":[' + "[]," * 16_000 + "0]}", IN_MESSAGE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2**20


def test_the_librarys_json_module_raises_what_the_library_expects() -> None:
    module = StrictJson(SMALL)
    assert module.loads(module.dumps({"a": [1, None]}, separators=(",", ":"))) == {"a": [1, None]}
    for text in ("[" * 10, "NaN", "["):
        with pytest.raises(ValueError, match="JSON"):
            module.loads(text)
    assert math.isfinite(module.loads("1e308"))
