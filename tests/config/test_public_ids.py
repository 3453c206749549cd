"""Names of people, rooms and queues: taken, or refused for a reason that names the character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.config import config_from_options
from gym_p2p.config.public_ids import PUBLIC_ID, is_public_id, public_id_problem
from gym_p2p.errors import ConfigurationError


@pytest.mark.parametrize("name", ["ann", "A-1", "a.b_c:d@e+f", "x" * 128, "..."])
def test_what_is_made_of_the_alphabet_is_a_name(name: str) -> None:
    assert is_public_id(name)
    assert public_id_problem(name) is None


@pytest.mark.parametrize(
    ("name", "culprit", "instead"),
    [
        ("Zoë", "'ë'", "'Zoe'"),
        ("Zoe\u0308", "'\u0308'", "'Zoe'"),  # the same, decomposed
        ("Bücher Ecke", "'ü'", "'Bucher-Ecke'"),
        ("lab 7", "' '", "'lab-7'"),
        ("ａｎｎ", "'ａ'", "'ann'"),  # noqa: RUF001 - full width is what is tested
        ("Аня", "'А'", None),  # noqa: RUF001 - Cyrillic is what is tested
        ("明日香", "'明'", None),
        ("דנה", "'ד'", None),
        ("ann🎮", "'🎮'", None),
        ("ann\u202egnp", r"'\u202e'", None),
        ("ann\x1b[2J", r"'\x1b'", None),
        ("ann\n", r"'\n'", "'ann'"),
        ("a\ud800", r"'\ud800'", None),
        ("a/b", "'/'", None),
    ],
)
def test_another_character_is_named_and_a_near_name_proposed(
    name: str, culprit: str, instead: str | None
) -> None:
    problem = public_id_problem(name)
    assert problem is not None
    assert PUBLIC_ID in problem
    assert f"and {culprit} in " in problem
    assert ("would do" in problem) == (instead is not None)
    if instead is not None:
        assert problem.endswith(f"{instead} would do")


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 129, 7, None, b"ann"])
def test_what_has_the_wrong_form_is_refused(name: object) -> None:
    problem = public_id_problem(name)
    assert problem is not None
    assert PUBLIC_ID in problem


@given(st.one_of(st.text(), st.text("ab.", max_size=3), st.text(st.characters(codec=None), max_size=300)))
def test_a_reason_can_be_printed_anywhere_and_is_short(name: str) -> None:
    problem = public_id_problem(name)
    assert (problem is None) == is_public_id(name)
    if problem is not None:
        assert problem.isprintable()
        assert problem.encode()
        assert len(problem) < 1000


@pytest.mark.parametrize("option", ["room", "queue", "subject_id"])
@pytest.mark.parametrize("name", ["Zoë", "a b", "", "..", 3])
def test_an_option_that_is_no_name_is_refused_before_anything_connects(option: str, name: object) -> None:
    with pytest.raises(ConfigurationError) as refused:
        config_from_options({option: name})
    assert refused.value.option == option
