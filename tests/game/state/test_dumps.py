"""Packed states: ours come back as they were, and whatever another player packed is compared or refused."""

from __future__ import annotations

import base64
import json
import tracemalloc
import zlib
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gym_p2p.core.match.state_transfer import MAX_STATE_BYTES
from gym_p2p.game.checksum import checksum
from gym_p2p.game.state.dumps import MAX_PLAIN_BYTES, NoStateError, compare, pack
from gym_p2p.game.state.fields import Fields
from gym_p2p.game.state.fields_json import fields_from_json

OURS: Fields = {
    "unwrapped": {"class": "Env", "score": 3},
    "unwrapped.ball": np.array([0.5, 1.5]),
    "unwrapped.name": "\ud800 lone",
    "unwrapped.\ud800": 2**70,
}


def packed(data: Any) -> bytes:
    return zlib.compress(json.dumps(data).encode())


def text(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


def test_a_state_is_packed_without_a_loss_and_names_what_differs() -> None:
    found = compare(pack(OURS), pack({**OURS, "unwrapped.ball": np.array([0.5, 2.5])}))
    assert found.differences == [("unwrapped.ball[1]", "1.5", "2.5")]
    assert compare(pack(OURS), pack(OURS)).differences == []
    back = fields_from_json(msgspec.json.decode(found.ours))
    assert checksum(back["unwrapped.name"]) == checksum(OURS["unwrapped.name"])
    assert back["unwrapped.\\ud800"] == 2**70
    assert pack({}) == zlib.compress(b"{}")


@pytest.mark.parametrize(
    "state", [{"x": bytes(MAX_PLAIN_BYTES)}, {"x": np.random.default_rng(1).bytes(2 * MAX_STATE_BYTES)}]
)
def test_a_state_of_ours_that_is_too_large_is_not_sent(state: Fields) -> None:
    with pytest.raises(NoStateError, match="it has more than"):
        pack(state)


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "no zlib": b"{}",
    "cut off": packed({"x": 1})[:-4],
    "more behind it": packed({"x": 1}) + b"x",
    "a bomb": zlib.compress(b"[" + b" " * 2**25, 9),
    "16 MB of lists": zlib.compress(b'{"x":[' + b"[]," * (2**24 // 3) + b"0]}", 9),
    "4 MB of lists": zlib.compress(b'{"x":[' + b"[]," * 1_300_000 + b"0]}", 9),
    "4 MB of mappings": zlib.compress(b'{"x":[' + b'{"a":{}},' * 400_000 + b"0]}", 9),
    "deep": zlib.compress(b'{"x":' + b"[" * 600 + b"]" * 600 + b"}"),
    "deep as fields": zlib.compress(b'{"x":' + b'{"set":[' * 40 + b"]}" * 40 + b"}"),
    "no mapping": packed([1]),
    "a float beyond": packed({"x": {"float": "0x1p99999"}}),
    "a float that is none": packed({"x": {"float": 1}}),
    "infinity": zlib.compress(b'{"x":1e999}'),
    "no number": zlib.compress(b'{"x":NaN}'),
    "a plain float": packed({"x": 0.5}),
    "a lone surrogate": packed({"x": "\ud800"}),
    "a lone surrogate as a path": packed({"\ud800": 1}),
    "no UTF-8": zlib.compress(b'{"\xff":1}'),
    "a whole number of many digits": zlib.compress(b'{"x":' + b"9" * 5000 + b"}"),
    "a whole number of many digits as text": packed({"x": {"int": "9" * 5000}}),
    "an unknown kind": packed({"x": {"what": 1}}),
    "no kind": packed({"x": {}}),
    "no array": packed({"x": {"array": []}}),
    "an array of objects": packed({"x": {"array": ["|O", [1], text(8)]}}),
    "a dtype by name": packed({"x": {"array": ["float64", [1], text(8)]}}),
    "a dtype of dtypes": packed({"x": {"array": [[["a", "<f8"]], [1], text(8)]}}),
    "a dtype to evaluate": packed({"x": {"array": ["(9999999999,)f8,(2)f4", [1], text(8)]}}),
    "another size": packed({"x": {"array": ["<f8", [2**62], text(8)]}}),
    "a shape of texts": packed({"x": {"array": ["<f8", ["a"], text(8)]}}),
    "70 dimensions": packed({"x": {"array": ["<f8", [1] * 70, text(8)]}}),
    "text that is none": packed(
        {"x": {"array": ["<U1", [1], base64.b64encode(b"\xff\xff\xff\xff").decode()]}}
    ),
    "a mapping with a mapping as its key": packed({"x": {"dict": [[{"dict": []}, 1]]}}),
    "a set of arrays": packed({"x": {"set": [{"array": ["<f8", [1], text(8)]}]}}),
    "no base64": packed({"x": {"bytes": 1}}),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_state_is_refused_in_words_and_takes_little(data: bytes) -> None:
    ours = pack(OURS)
    tracemalloc.start()
    with pytest.raises(NoStateError, match=r"\w") as caught:
        compare(ours, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 * 2**20
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


STATES: dict[str, bytes] = {
    "as many values as there may be": packed({"x": [{"int": "1"}] * 24_000}),
    "as many mappings as there may be": packed({"x": [{"dict": []}] * 24_000}),
    "as many fields as there may be": packed({str(n): n for n in range(49_000)}),
    "one long text": packed({"x": "\x1b[2J" * 400_000}),
    "one long path": packed({"\x1b[2J\u202e" * 200_000: 1}),
    "long texts within each other": packed({"x": {"dict": [["k" * 10**6, {"dict": [["q" * 10**6, 1]]}]]}}),
    "one large array": packed({"unwrapped.ball": {"array": ["<f8", [370_000], text(8 * 370_000)]}}),
    "an array without items of a large shape": packed({"x": {"array": ["<f8", [0, 2**40], ""]}}),
    "numbers": packed(
        {"x": {"number": ["<f8", [], base64.b64encode(b"\xff" * 8).decode()]}, "y": {"float": "nan"}}
    ),
}


@pytest.mark.parametrize("data", STATES.values(), ids=STATES)
def test_what_is_a_state_is_compared_and_takes_no_more_than_the_bounds_allow(data: bytes) -> None:
    ours = pack(OURS)
    tracemalloc.start()
    found = compare(ours, data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 48 * 2**20
    assert 0 < len(found.differences) <= 20
    for row in found.differences:
        assert all(cell.isprintable() and len(cell) <= 300 for cell in row)
    assert len(found.theirs) <= MAX_PLAIN_BYTES
    json.loads(found.theirs)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["array", "number", "int", "float", "bytes", "text", "dict", "set", "x"]),
            inner,
            max_size=2,
        )
    ),
    max_leaves=8,
)
ARRAYS = st.tuples(
    st.sampled_from(["<f8", "|b1", "<U2", "|S3", "<M8[s]", "|V4", "<c16", "|O", "f8", ""]),
    st.lists(st.integers(-2, 5), max_size=3),
    st.binary(max_size=32).map(lambda data: base64.b64encode(data).decode()),
).map(lambda parts: {"array": list(parts)})


@given(st.dictionaries(st.text(max_size=4), JSON | ARRAYS, max_size=3))
def test_whatever_is_packed_is_compared_or_refused(data: dict[str, Any]) -> None:
    try:
        found = compare(pack(OURS), packed(data))
    except NoStateError:
        return
    assert found.differences
    msgspec.json.decode(found.theirs)
    msgspec.json.decode(msgspec.json.encode(found.differences))


@given(st.binary(max_size=64))
@example(b"{}")
def test_whatever_bytes_come_are_compared_or_refused(data: bytes) -> None:
    with pytest.raises(NoStateError):
        compare(pack(OURS), data)
    try:
        found = compare(pack(OURS), zlib.compress(data))
    except NoStateError:
        return
    assert found.differences
    assert msgspec.json.decode(found.theirs) == msgspec.json.decode(data)
