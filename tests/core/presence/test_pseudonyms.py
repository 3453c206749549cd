"""Who gets which pseudonym, for how long, and whom one means by it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.config.public_ids import is_public_id
from gym_p2p.core.presence import pseudonyms as module
from gym_p2p.core.presence.pseudonyms import Assigned, Pseudonyms, keyed_pseudonym

_IDS = st.from_regex(r"[A-Za-z0-9._:@+-]{1,12}", fullmatch=True).filter(is_public_id)


def keyed(key: bytes = b"k" * 32, **more: object) -> Pseudonyms:
    return Pseudonyms(partial(keyed_pseudonym, key), **more)  # type: ignore[arg-type]  # as they come


def colliding(alphabet: int) -> Callable[[str, int], str]:
    """Derive from so few pseudonyms that many subjects want the same."""
    return lambda subject, attempt: f"p-{(len(subject) + attempt) % alphabet}"


def given_out(pseudonyms: Pseudonyms) -> list[Assigned]:
    out = []
    while (assigned := pseudonyms.poll()) is not None:
        out.append(assigned)
    return out


def test_a_subject_has_one_pseudonym_which_is_told_once_and_shows_nothing_of_it() -> None:
    pseudonyms = keyed()
    pseudonym = pseudonyms.of("ann@lab.example")
    assert pseudonyms.of("ann@lab.example") == pseudonym
    assert given_out(pseudonyms) == [Assigned("ann@lab.example", pseudonym)]
    assert is_public_id(pseudonym)
    assert pseudonym.startswith("p-")
    assert pseudonyms.subject(pseudonym) == "ann@lab.example"
    assert pseudonyms.subject("ann@lab.example") is None


def test_with_the_same_key_a_subject_that_comes_back_has_its_pseudonym_again() -> None:
    assert keyed().of("ann") == keyed().of("ann") != keyed(b"other" * 8).of("ann")


def test_what_was_given_out_before_counts_more_than_key_and_choice() -> None:
    pseudonyms = keyed(known={"ann": "A01"}, choose=lambda _subject: "B01")
    assert pseudonyms.of("ann") == "A01"
    assert given_out(pseudonyms) == []
    assert pseudonyms.of("bob") == "B01"


@given(st.lists(_IDS, unique=True, max_size=30))
def test_no_two_subjects_have_one_pseudonym_however_often_keys_collide(subjects: list[str]) -> None:
    pseudonyms = Pseudonyms(colliding(64))
    got = [pseudonyms.of(subject) for subject in subjects]
    assert len(set(got)) == len(subjects)
    assert [pseudonyms.of(subject) for subject in subjects] == got
    # Kept in a file and read again, everybody still has theirs, in whatever order they come.
    again = Pseudonyms(colliding(64), known={one.subject_id: one.pseudonym for one in given_out(pseudonyms)})
    assert [again.of(subject) for subject in reversed(subjects)] == got[::-1]


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ("A01", "another subject's"),
        ("bob", "the id of a subject"),
        ("ann", "the id of a subject"),
        ("", "nobody's id"),
        ("A 01", "nobody's id"),
        (5, "nobody's id"),
    ],
)
def test_a_choice_that_cannot_be_had_gives_way_to_a_keyed_one(chosen: object, problem: str) -> None:
    pseudonyms = keyed(known={"ann": "A01"}, choose=lambda _subject: chosen)
    pseudonym = pseudonyms.of("bob")
    assert pseudonym == keyed().of("bob")
    (assigned,) = given_out(pseudonyms)
    assert assigned.problem is not None
    assert problem in assigned.problem


def test_nobody_becomes_another_by_taking_their_pseudonym_for_a_name() -> None:
    pseudonyms = keyed()
    ann = pseudonyms.of("ann")
    thief = pseudonyms.of(ann)
    assert thief != ann
    assert pseudonyms.addressed(ann) == ann  # and whoever calls somebody by it means ann, still
    assert pseudonyms.subject(ann) == "ann"
    assert pseudonyms.subject(thief) == ann


def test_whom_one_addresses_may_be_called_by_either_name_and_is_given_none_by_that() -> None:
    pseudonyms = keyed()
    assert pseudonyms.addressed("ann") == keyed().of("ann")  # who has yet to come
    assert given_out(pseudonyms) == []
    ann = pseudonyms.of("ann")
    assert pseudonyms.addressed("ann") == pseudonyms.addressed(ann) == ann


def test_beyond_the_most_that_are_kept_pseudonyms_are_computed_and_stay_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_KEPT", 2)
    pseudonyms = keyed()
    ann, bob, eve = (pseudonyms.of(subject) for subject in ("ann", "bob", "eve"))
    assert len(given_out(pseudonyms)) == 2
    assert pseudonyms.of("eve") == eve == keyed().of("eve")
    assert pseudonyms.subject(eve) is None
    assert (pseudonyms.of("ann"), pseudonyms.of("bob")) == (ann, bob)
