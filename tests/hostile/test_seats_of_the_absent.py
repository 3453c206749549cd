"""A hostile third player cannot take the seat of one who is away, whatever it knows of them."""

from __future__ import annotations

import pytest

from gym_p2p.core.match.match import Match
from gym_p2p.core.match.return_events import PlayerReturned
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.wire.messages import Resume, encode
from tests.core.match.acting_table import miss, playing_match
from tests.core.match.pairs import hello, outputs_of, seals_of

HONEST, HOSTILE, ABSENT = 0, 1, 2
BINDING = b"of the link between the hostile and the honest player"


def missed() -> Match:
    """Return the honest player's match, from which the third player is away."""
    match = playing_match(3)
    miss(match, ABSENT)
    outputs_of(match)
    return match


def known_to_the_hostile() -> dict[str, Seals]:
    """Return seals by every key that the hostile player has, as if they were the absent player's."""
    theirs = Seals(b"made up", players=3, incarnation=1)
    own = seals_of(HOSTILE, 3)
    own.incarnation = 1
    given_by_absent = seals_of(ABSENT, 3).key_for(HOSTILE)
    with_that = Seals(given_by_absent, players=3, incarnation=1)
    return {"a secret made up": theirs, "their own secret": own, "the key that they were given": with_that}


@pytest.mark.parametrize("by", sorted(known_to_the_hostile()))
def test_no_key_of_a_third_player_proves_that_they_are_the_one_who_is_away(by: str) -> None:
    match = missed()
    proof = known_to_the_hostile()[by].proof_for(HONEST, 101, BINDING)
    assert not match.recognises(ABSENT, 101, BINDING, encode(Resume(101, proof, 1)))


def test_the_very_key_that_a_third_player_was_given_proves_nothing_to_another_one() -> None:
    """The proof that the absent player would show the hostile one is passed on as it is."""
    match = missed()
    absent = seals_of(ABSENT, 3)
    absent.incarnation = 1
    passed_on = absent.proof_for(HOSTILE, 101, BINDING)
    assert not match.recognises(ABSENT, 101, BINDING, encode(Resume(101, passed_on, 1)))


def test_what_the_absent_player_shows_on_one_link_counts_on_no_other() -> None:
    match = missed()
    absent = seals_of(ABSENT, 3)
    absent.incarnation = 1
    proof = absent.proof_for(HONEST, 101, b"of the absent player's own link")
    assert not match.recognises(ABSENT, 101, BINDING, encode(Resume(101, proof, 1)))
    assert match.recognises(ABSENT, 101, b"of the absent player's own link", encode(Resume(101, proof, 1)))


def test_a_greeting_in_the_name_of_who_is_away_gives_nobody_their_seat() -> None:
    match = missed()
    match.receive(ABSENT, encode(hello(b"k" * 16, 4_000, 20_000)), 3.3)
    match.handle_timeout(3.4)
    assert not [one for one in outputs_of(match) if isinstance(one, PlayerReturned)]
