"""Every message has the bytes that the test vectors say, both ways, and what they refuse is refused."""

from __future__ import annotations

import json
import re
from typing import get_args

import pytest

from gym_p2p.core.spectating.messages import FEED_VERSION, FeedMessage
from gym_p2p.core.wire import codec
from gym_p2p.core.wire.messages import PROTOCOL_VERSION, Message, Ping, decode
from gym_p2p.errors import ProtocolError
from tests.core.wire.vectors import PATH, WIRES, Vector, class_named, refused, vectors

VECTORS = list(vectors())
REFUSED = list(refused())


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_the_fields_of_a_vector_have_its_bytes(vector: Vector) -> None:
    _, encode, _ = WIRES[vector.wire]
    assert encode(vector.message) == vector.data


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_the_bytes_of_a_vector_are_its_fields(vector: Vector) -> None:
    _, _, decode = WIRES[vector.wire]
    assert decode(vector.data) == vector.message


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_no_prefix_of_a_vector_is_a_message(vector: Vector) -> None:
    _, _, decode = WIRES[vector.wire]
    for end in range(len(vector.data)):
        with pytest.raises(ProtocolError):
            decode(vector.data[:end])


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_nothing_may_follow_a_vector(vector: Vector) -> None:
    _, _, decode = WIRES[vector.wire]
    for extra in (b"\x00", b"\xc0", vector.data):
        with pytest.raises(ProtocolError):
            decode(vector.data + extra)


@pytest.mark.parametrize(("wire", "why", "data"), REFUSED, ids=[f"{wire}-{why}" for wire, why, _ in REFUSED])
def test_what_the_vectors_refuse_is_refused(wire: str, why: str, data: bytes) -> None:
    assert why
    with pytest.raises(ProtocolError):
        WIRES[wire][2](data)


def test_every_message_has_a_vector() -> None:
    names = {vector.name for vector in VECTORS}
    assert names == {cls.__name__ for cls in (*get_args(Message), *get_args(FeedMessage))}


def test_the_vectors_are_of_this_version_and_name_every_kind() -> None:
    told = json.loads(PATH.read_text())
    assert (told["match"]["version"], told["feed"]["version"]) == (PROTOCOL_VERSION, FEED_VERSION)
    for wire in WIRES:
        for one in told[wire]["messages"]:
            assert one["kind"] == class_named(wire, one["name"]).__struct_config__.tag


def test_the_example_of_the_layout_is_a_message() -> None:
    told = (PATH.parents[1] / "protocol.md").read_text()
    examples = [
        re.findall(r"`\[0x11, 7, 1000000, 3\]` is `([0-9a-f ]+)`", told),
        re.findall(r"\[0x11, 7, 1000000, 3\] +-> +([0-9a-f ]+)", codec.__doc__ or ""),
    ]
    for (example,) in examples:
        assert decode(bytes.fromhex(example)) == Ping(7, 1_000_000, 3)
