"""A goodbye that another player passes on is its sender's own, or is nothing."""

from __future__ import annotations

from hashlib import blake2b

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.match.events import PlayerGone, ProtocolErrorSeen, Source
from gym_p2p.core.match.match import Match
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.wire.forwarded import FORWARD_SEAL_BYTES
from gym_p2p.core.wire.messages import Cause, Goodbye, Holdings, Relay, Resume, encode
from tests.core.match.pairs import goodbye, greeted_match, outputs_of, seals_of


def told(match: Match) -> list[object]:
    return [one for one in outputs_of(match) if isinstance(one, PlayerGone | ProtocolErrorSeen)]


def lost_to_one(match: Match, *, of: int = 2) -> None:
    """Let the first peer report that another is gone."""
    match.receive(1, encode(Holdings(0, ((of, 0, Cause.LOST),))), 0.2)


def test_what_a_player_said_to_another_alone_is_told_as_their_own_words_and_who_passed_them_on() -> None:
    match = greeted_match(3)
    match.receive(1, encode(Relay(2, encode(seals_of(2, 3).sealed(goodbye("failed"))))), 0.1)
    assert told(match) == []  # they are here
    match.closed(2, 0.2)
    lost_to_one(match)
    assert told(match) == [PlayerGone(2, "peer_left", 0, "failed", None, Source.GOODBYE, 1)]


def test_it_counts_as_well_when_it_is_passed_on_after_they_are_gone() -> None:
    match = greeted_match(4)
    match.closed(2, 0.1)
    said = seals_of(2, 4).sealed(goodbye(cause=Cause.CRASHED))
    match.receive(3, encode(Relay(2, encode(said))), 0.2)
    lost_to_one(match)
    match.receive(3, encode(Holdings(0, ((2, 0, Cause.CRASHED),))), 0.2)
    assert told(match) == [PlayerGone(2, "peer_crashed", 0, "normal", None, Source.GOODBYE, 3)]


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize(
    "forged",
    [
        goodbye(),
        seals_of(1, 3).sealed(goodbye()),
        msgspec.structs.replace(goodbye(), seals=(b"", b"", b"")),
        msgspec.structs.replace(seals_of(2, 3).sealed(goodbye("failed")), reason="normal"),
        msgspec.structs.replace(seals_of(2, 3).sealed(goodbye()), cause=Cause.CRASHED),
        msgspec.structs.replace(seals_of(2, 3).sealed(goodbye()), frames=7),
        msgspec.structs.replace(
            seals_of(2, 3).sealed(goodbye()), seals=seals_of(2, 3).sealed(goodbye()).seals[::-1]
        ),
    ],
    ids=["bare", "mine", "empty", "reason", "cause", "frames", "for another"],
)
def test_nobody_can_say_goodbye_for_another(forged: Goodbye, *, gone: bool) -> None:
    match = greeted_match(3)
    if gone:
        match.closed(2, 0.05)
    match.receive(1, encode(Relay(2, encode(forged))), 0.1)
    (error,) = told(match)
    assert isinstance(error, ProtocolErrorSeen)
    assert (error.player, error.problem) == (1, "goodbye that is not its sender's")
    if not gone:
        match.closed(2, 0.2)
    lost_to_one(match)
    assert told(match) == [PlayerGone(2, "peer_crashed", 0)]  # as it was seen here


def test_who_says_that_another_is_gone_is_named_as_whoever_says_so() -> None:
    match = greeted_match(3)
    lost_to_one(match)
    assert told(match) == [PlayerGone(2, "peer_lost", 0, None, None, Source.PEER, 1)]


@given(st.binary(min_size=1, max_size=64), st.integers(0, 7))
def test_every_player_has_a_key_of_their_own_and_none_is_the_secret(secret: bytes, player: int) -> None:
    seals = Seals(secret, players=8)
    keys = {seals.key_for(other) for other in range(8)}
    assert len(keys) == 8
    assert secret not in keys
    sealed = seals.sealed(goodbye())
    for other in range(8):
        theirs = Seals(b"theirs", players=8)
        theirs.keep(3, seals.key_for(other))
        assert theirs.is_theirs(3, sealed, local=player) == (other == player)


def test_who_gave_no_key_has_said_nothing() -> None:
    assert not Seals(b"ours", players=2).is_theirs(1, seals_of(1, 2).sealed(goodbye()), local=0)


def test_a_proof_is_what_the_protocol_says_under_the_key_of_the_greeting() -> None:
    ours = Seals(b"ours", players=3)
    digest = blake2b(b"resume 0 12 " + b"binding", key=ours.key_for(2), digest_size=16).digest()
    assert ours.proof_for(2, 12, b"binding") == digest


def test_the_seal_on_what_others_pass_on_is_what_the_protocol_says_of_both_processes() -> None:
    ours = Seals(b"ours", players=3, incarnation=4)
    digest = blake2b(b"forward 4 7 " + b"inputs", key=ours.key_for(2), digest_size=8).digest()
    assert ours.forward_seal(b"inputs", 2, 7) == digest


@pytest.mark.parametrize("key", [None, b""])
def test_who_gave_no_key_is_not_at_the_other_end_of_a_new_link(key: bytes | None) -> None:
    seals = Seals(b"ours", players=2)
    if key is not None:
        seals.keep(1, key)
    unkeyed = blake2b(b"resume 0 1 binding", digest_size=16).digest()
    assert not seals.proves(1, Resume(1, unkeyed, 0), b"binding")


@pytest.mark.parametrize("key", [None, b""])
def test_of_who_gave_no_key_nothing_that_a_third_player_passes_on_is_true(key: bytes | None) -> None:
    seals = Seals(b"ours", players=3)
    if key is not None:
        seals.keep(1, key)
    unkeyed = blake2b(b"forward 0 0 " + b"inputs", digest_size=FORWARD_SEAL_BYTES).digest()
    assert not seals.is_forwarded(b"inputs", 1, 0, unkeyed)
