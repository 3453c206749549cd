from __future__ import annotations

import pytest

from gym_p2p.core.match.terms import Term, file_names, label_of, term_differences

GAME, RELEASE = Term.GAME.value, Term.RELEASE.value


def test_equal_terms_have_no_differences() -> None:
    terms = {GAME: {"environment": "Rally"}, RELEASE: "1"}
    assert term_differences(terms, dict(terms)) == ()


def test_a_mapping_is_compared_topic_by_topic_and_anything_else_as_a_whole() -> None:
    ours = {GAME: {"environment": "Rally", "points": "3"}, RELEASE: "1"}
    theirs = {GAME: {"environment": "Rally", "points": "5"}, RELEASE: "2"}
    assert term_differences(ours, theirs) == (("points", "3", "5"), (label_of(Term.RELEASE), "1", "2"))


def test_what_one_side_alone_has_differs_from_nothing() -> None:
    ours, theirs = {GAME: {"a": "1"}}, {GAME: {"b": "2"}, RELEASE: "1"}
    assert term_differences(ours, theirs) == (
        ("a", "1", "(nothing)"),
        ("b", "(nothing)", "2"),
        (label_of(Term.RELEASE), "(nothing)", "1"),
    )


def test_only_the_fields_that_bind_are_compared() -> None:
    ours, theirs = {GAME: {"a": "1"}, RELEASE: "1"}, {GAME: {"a": "2"}, "news": "x"}
    assert term_differences(ours, theirs, only={Term.GAME}) == (("a", "1", "2"),)


@pytest.mark.parametrize("game", [None, 3, "chess", ["a"]])
def test_a_game_that_is_no_mapping_differs_as_a_whole(game: object) -> None:
    ((what, ours, theirs),) = term_differences({GAME: {"a": "1"}}, {GAME: game})
    assert (what, ours, theirs) == ("game", "{'a': '1'}", str(game))


def test_of_files_with_other_contents_the_names_on_both_sides_are_told_and_not_compared() -> None:
    ours, theirs = {Term.STAND_IN: "1", GAME: {"rom": "a"}}, {Term.STAND_IN: "2", GAME: {"rom": "b"}}
    names = {"stand_in": "left.onnx"}, {"stand_in": "right.onnx", "rom": "pong.bin"}
    assert term_differences(ours, theirs, files=names) == (
        ("stand_in", "1, of file 'left.onnx'", "2, of file 'right.onnx'"),
        ("rom", "a", "b, of file 'pong.bin'"),
    )
    assert term_differences(ours, dict(ours), files=names) == ()


@pytest.mark.parametrize("names", [None, 3, "x", [], {"stand_in": 3}, {"stand_in": ["x"]}, {3: "x"}])
def test_names_of_files_that_are_none_are_as_if_they_were_not_there(names: object) -> None:
    assert term_differences({"stand_in": "1"}, {"stand_in": "2"}, files=(None, names)) == (
        ("stand_in", "1", "2"),
    )
    assert file_names({"about": {"files": names}}) == names
    assert file_names({"about": names}) is None


@pytest.mark.parametrize("path", ["/home/ann/right.onnx", "C:\\models\\right.onnx"])
def test_no_path_of_another_machine_is_told(path: str) -> None:
    ((_, _, theirs),) = term_differences({"stand_in": "1"}, {"stand_in": "2"}, files=({}, {"stand_in": path}))
    assert theirs == "2, of file 'right.onnx'"


def test_every_difference_can_be_printed_whatever_came() -> None:
    rows = term_differences({}, {"\ud800": "\udfff", GAME: {"\ud800": "x"}})
    for row in rows:
        assert [text.encode() for text in row]


def test_what_a_peer_says_is_escaped_and_cut() -> None:
    theirs = {GAME: {"a\x1b[2J": "\x1b]0;owned\x07" + "x" * 10_000}}
    ((what, ours, other),) = term_differences({GAME: {}}, theirs)
    assert (what, ours) == ("a\\x1b[2J", "(nothing)")
    assert other.startswith("\\x1b]0;owned\\x07xxx")
    assert other.isprintable()
    assert len(other) == 2_000
