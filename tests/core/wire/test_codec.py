from __future__ import annotations

import pickle
from typing import Any

import pytest

from gym_p2p.core.wire.codec import Codec, Count, JsonObject, Version, WireMessage
from gym_p2p.errors import ProtocolError


class Greets(WireMessage, tag=0x01, frozen=True):
    version: Version
    about: JsonObject


class Counts(WireMessage, tag=0x02, frozen=True):
    count: Count


class Tells(WireMessage, tag=0x03, frozen=True):
    what: JsonObject | None


codec: Codec[Any] = Codec(Counts | Tells, {Greets: lambda version: Greets(version, JsonObject({}))}, 7)


def test_a_message_is_an_array_of_its_kind_and_its_fields() -> None:
    assert codec.encode(Counts(5)) == b"\x92\x02\x05"
    assert codec.decode(b"\x92\x02\x05") == Counts(5)


def test_a_greeting_begins_with_its_kind_and_the_version() -> None:
    data = codec.encode(Greets(7, JsonObject({"a": 1})))
    assert data[:2] == b"\x01\x07"
    assert codec.decode(data) == Greets(7, JsonObject({"a": 1}))


@pytest.mark.parametrize("rest", [b"", b"not even MessagePack", b"\xa2{}", b"\xff" * 1000])
def test_another_version_is_read_as_far_as_its_number(rest: bytes) -> None:
    assert codec.decode(b"\x01\x09" + rest) == Greets(9, JsonObject({}))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty message"),
        (b"\x7f", "unknown kind of message"),
        (b"\x90", "unknown kind of message"),
        (b"\x92\x01\x07", "unknown kind of message"),
        (b"\x92\x7f\x07", "unknown kind of message"),
        (b"\x06\x02", "unknown kind of message"),
        (b"\x06\x02\x00\x01\x92\x02\x05", "unknown kind of message"),
        (b"\x93\x02\x07\x07", "wrong shape"),
        (b"\x91\x02", "wrong shape"),
        (b"\x92\x02\xff", "wrong shape"),
        (b"\x92\x02", "malformed message"),
        (b"\x92\x02\x01\x01", "malformed message"),
        (b"\x92\x02\xc1", "malformed message"),
        (b"\x92\x03" + b"\x91" * 60_000, "malformed message"),
        (b"\x92\x03\xdd\xff\xff\xff\xff", "malformed message"),
        (b"\x92\x03\xc7\x05\x01abcde", "wrong shape"),
        (b"\x92\x03\xa1[", "malformed JSON"),
        (b"\x92\x03\xa2[]", "wrong shape"),
        (b"\x92\x03\xda\xe0\x00" + b"[" * 0xE000, "too many values in JSON"),
        (b"\x92\x03\xa8" + b'{"a":NaN', "malformed JSON"),
        (b"\x92\x03\xab" + b'{"a":1e999}', "malformed JSON"),
        (b"\x92\x03\xac" + b'{"a":-1e999}', "malformed JSON"),
        (b"\x92\x03\xd9\x46" + b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", "JSON nested too deeply"),
        (b"\x92\x03\xda\x20\x00" + b'{"a":' + b"9" * (0x2000 - 6) + b"}", "malformed JSON"),
        (b"\x01", "malformed message"),
        (b"\x01\xff", "wrong shape"),
        (b"\x01\x07", "malformed message"),
        (b"\x01\x07\x01", "wrong shape"),
        (bytes(65_537), "message too long"),
    ],
)
def test_what_is_wrong_with_the_bytes_is_named_in_fixed_words(data: bytes, problem: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        codec.decode(data)
    assert caught.value.problem == problem


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_does_not_have_are_not_sent(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        codec.encode(Tells(JsonObject({"x": number})))


def test_what_cannot_travel_is_named() -> None:
    with pytest.raises(TypeError, match="a complex cannot travel"):
        codec.encode(Counts(1j))  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"wide": 2**200},
        {"text": "\ud800"},
        {"nested": {"a": [1, 2.5, None, True]}},
        {"\u00e4": "\U0001f600"},
    ],
)
def test_a_mapping_of_plain_data_arrives_as_it_was(mapping: dict[str, Any]) -> None:
    assert codec.decode(codec.encode(Tells(JsonObject(mapping)))) == Tells(JsonObject(mapping))


def test_a_mapping_is_a_mapping_and_crosses_a_pipe() -> None:
    mapping = JsonObject({"a": 1})
    assert mapping == {"a": 1}
    assert (len(mapping), list(mapping), mapping["a"], mapping.get("b")) == (1, ["a"], 1, None)
    assert pickle.loads(pickle.dumps(mapping)) == mapping  # noqa: S301 - our own
    assert repr(mapping) == "JsonObject({'a': 1})"


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Counts(1).count = 2  # type: ignore[misc]  # on purpose
