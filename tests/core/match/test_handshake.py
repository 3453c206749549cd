from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.events import Connected, HandshakeMismatch
from gym_p2p.core.match.handshake import Handshake, handshake_differences, refusal
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.match.terms import term_differences
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES
from gym_p2p.core.wire.messages import MAX_DIFFERENCES, PROTOCOL_VERSION, Hello, decode, encode
from gym_p2p.errors import ProtocolError

OURS: dict[str, Any] = {"must": {"game": "counting"}, "about": {"fps": 60}}
texts = st.text(st.characters(), max_size=5)


def hello(**description: Any) -> Hello:
    return Hello(PROTOCOL_VERSION, JsonObject({"must": {"game": "counting"}, **description}), b"theirs", 0, 0)


def handshake(players: int = 3) -> tuple[Handshake, dict[int, Peer]]:
    peers = {index: Peer(index=index, sync=SyncConfig(), players=players) for index in range(1, players)}
    for peer in peers.values():
        peer.opened(0.0)
    return Handshake(OURS, peers, Seals(b"ours", players=players), reconnect_ms=0, rejoin_ms=0), peers


def test_the_last_greeting_connects_everybody_with_what_each_stated() -> None:
    greeting, peers = handshake()
    assert greeting.receive(peers[2], hello(about={"fps": 30})) is None
    before = greeting.complete
    assert greeting.receive(peers[1], hello()) == Connected((None, {}, {"fps": 30}))
    assert (before, greeting.complete) == (False, True)
    assert {peer.state for peer in peers.values()} == {PeerState.PLAYING}


@pytest.mark.parametrize("about", [None, 1, "x", [1]])
def test_what_is_stated_beside_is_a_mapping_or_nothing(about: Any) -> None:
    greeting, peers = handshake(2)
    assert greeting.receive(peers[1], hello(about=about)) == Connected((None, {}))


def test_a_second_greeting_is_a_protocol_error() -> None:
    greeting, peers = handshake()
    greeting.receive(peers[1], hello())
    with pytest.raises(ProtocolError, match="second handshake"):
        greeting.receive(peers[1], hello())


@pytest.mark.parametrize("must", [None, [], "x", 1])
def test_a_greeting_without_a_description_is_a_protocol_error(must: Any) -> None:
    greeting, peers = handshake()
    with pytest.raises(ProtocolError, match="handshake without a description"):
        greeting.receive(peers[1], hello(must=must))


def test_who_plays_something_else_is_not_played_with() -> None:
    greeting, peers = handshake()
    found = greeting.receive(peers[1], hello(must={"game": "chess"}))
    assert found == HandshakeMismatch(1, (("game", "counting", "chess"),))
    assert peers[1].state is PeerState.GREETING


def test_of_another_version_nothing_but_the_version_is_compared() -> None:
    other = Hello(PROTOCOL_VERSION - 1, JsonObject({}), b"", 0, 0)
    assert handshake_differences(OURS, other) == (
        ("protocol version", str(PROTOCOL_VERSION), str(PROTOCOL_VERSION - 1)),
    )


def test_our_greeting_arrives_as_it_is() -> None:
    greeting, peers = handshake()
    key = Seals(b"ours", players=3).key_for(1)
    assert decode(encode(greeting.hello(peers[1]))) == Hello(PROTOCOL_VERSION, JsonObject(OURS), key, 0, 0)


@given(st.dictionaries(texts, texts, max_size=5), st.dictionaries(texts, texts, max_size=5))
def test_both_sides_find_the_same_differences(one: dict[str, str], other: dict[str, str]) -> None:
    found = term_differences(one, other)
    assert {(what, theirs, ours) for what, ours, theirs in term_differences(other, one)} == set(found)
    assert (not found) == (one == other)


@given(st.lists(st.tuples(texts, texts, texts), max_size=200))
def test_a_refusal_can_always_be_sent(rows: list[tuple[str, str, str]]) -> None:
    differences = term_differences({name: ours for name, ours, _ in rows}, {})
    message = refusal(differences)
    assert message.differences == differences[:MAX_DIFFERENCES]
    assert decode(encode(message)) == message


def test_a_refusal_lists_as_much_as_it_may_hold() -> None:
    differences = tuple((f"{number}", "x" * 3000, "y") for number in range(40))
    message = refusal(differences)
    assert message.differences == differences[:20]
    assert len(encode(message)) <= MAX_CTRL_BYTES
