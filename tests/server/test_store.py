from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.files.names import path_component
from gym_p2p.server.store import DocumentError, ForeignDocumentError, Store
from tests.server.documents import claims, document


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("first_0", "first_0"),
        (1, "1"),
        ("1", "%31"),
        (-1, "-1"),
        ("-1", "%2D1"),
        ("", "%"),
        ("%", "%25"),
        (".", "%2E"),
        ("..", "%2E."),
        ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
        ("a/b", "a%2Fb"),
        ("a\x00b", "a%00b"),
        ("é", "%C3%A9"),
        ("match-1.x", "match-1.x"),
    ],
)
def test_an_id_becomes_a_harmless_file_name(name: SeatId, file: str) -> None:
    assert path_component(name) == file


@given(st.lists(st.text() | st.integers(), unique_by=lambda v: (type(v), v), min_size=2))
def test_distinct_ids_have_distinct_names_that_stay_in_their_directory(names: list[SeatId]) -> None:
    files = [path_component(name) for name in names]
    assert len(set(files)) == len(names)
    for file in files:
        assert file
        assert "/" not in file
        assert not file.startswith(".")
        assert len(file.encode()) <= 160


def test_long_ids_that_differ_at_their_end_have_distinct_names() -> None:
    assert path_component("é" * 500 + "a") != path_component("é" * 500 + "b")


def test_a_document_is_stored_byte_for_byte_and_a_repeated_one_replaces_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for _ in range(2):
        store.put(claims("a"), "session", document("a"))
    assert store.path(claims("a"), "a", "session").read_bytes() == document("a")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.session.json"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"gameId": "m"}', b'{"gameId": "m", "playerId": "a", "x": NaN}', b"\xff{}"],
)
def test_what_is_no_document_is_refused_and_not_stored(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(DocumentError):
        Store(tmp_path).put(claims("a"), "session", body)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("changes", [{"playerId": "b"}, {"gameId": "other"}])
def test_a_document_of_another_player_or_match_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ForeignDocumentError):
        Store(tmp_path).put(claims("a"), "session", document("a", **changes))


def test_a_number_is_not_its_text(tmp_path: Path) -> None:
    with pytest.raises(ForeignDocumentError):
        Store(tmp_path).put(claims(1), "session", document("1"))


def test_documents_stay_in_the_folder_of_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store(Path("data"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert store.aggregate_path(claims("a")).is_relative_to(tmp_path / "data")
