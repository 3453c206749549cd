from __future__ import annotations

from gym_p2p.core.matchmaking import history
from gym_p2p.core.matchmaking.history import Partners


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
    for number in range(history._PARTNERS + 3):
        partners.played(["ann", f"p{number}"])
    assert partners_of(partners, "ann") == [f"p{number}" for number in range(3, history._PARTNERS + 3)]


def test_those_are_forgotten_whose_last_match_is_longest_ago() -> None:
    partners = Partners()
    partners.played(["old", "older"])
    partners.played(["old", "new"])
    for number in range(0, history._SUBJECTS - 2, 2):
        partners.played([f"p{number}", f"p{number + 1}"])
    assert partners_of(partners, "older") is None
    assert partners_of(partners, "old") is not None
    assert len(partners._of) == history._SUBJECTS
