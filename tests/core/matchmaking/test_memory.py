from __future__ import annotations

from gym_p2p.core.matchmaking import memory
from gym_p2p.core.matchmaking.memory import PairMemory, Partners, pair_of


def test_a_pair_has_one_name() -> None:
    assert pair_of("bob", "ann") == pair_of("ann", "bob") == ("ann", "bob")


def test_a_note_is_found_whichever_of_the_two_is_named_first() -> None:
    notes = PairMemory(keep_s=10.0)
    note = notes.touch(pair_of("bob", "ann"), 0.0)
    assert notes.get("ann", "bob") is notes.get("bob", "ann") is note
    assert notes.get("ann", "eve") is None


def test_a_note_is_kept_for_as_long_as_it_is_written_to() -> None:
    notes = PairMemory(keep_s=10.0)
    old = notes.touch(("ann", "bob"), 0.0)
    notes.touch(("ann", "eve"), 1.0)
    assert notes.touch(("ann", "bob"), 9.0) is old
    notes.touch(("bob", "eve"), 11.0)
    assert notes.get("ann", "eve") is None
    assert len(notes) == 2


def partners_of(partners: Partners, subject: str) -> list[str] | None:
    return list(partners.of(subject)) or None


def test_who_has_not_played_has_no_history() -> None:
    assert partners_of(Partners(), "ann") is None


def test_everybody_of_a_match_has_been_everybody_elses_partner() -> None:
    partners = Partners()
    partners.played(["ann", "bob", "eve"])
    assert partners_of(partners, "ann") == ["bob", "eve"]
    assert partners_of(partners, "bob") == ["ann", "eve"]


def test_the_most_recent_partner_is_the_last_and_only_the_newest_are_kept() -> None:
    partners = Partners()
    for number in range(memory._PARTNERS + 3):
        partners.played(["ann", f"p{number}"])
    assert partners_of(partners, "ann") == [f"p{number}" for number in range(3, memory._PARTNERS + 3)]


def test_those_are_forgotten_whose_last_match_is_longest_ago() -> None:
    partners = Partners()
    partners.played(["old", "older"])
    partners.played(["old", "new"])
    for number in range(0, memory._SUBJECTS - 2, 2):
        partners.played([f"p{number}", f"p{number + 1}"])
    assert partners_of(partners, "older") is None
    assert partners_of(partners, "old") is not None
    assert len(partners._of) == memory._SUBJECTS
