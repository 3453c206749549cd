from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.errors import ConfigurationError
from gym_p2p.exports import KINDS, document_path, schema, write_document
from tests.waiting import PATIENCE_S, until


def test_a_document_lies_under_its_game_and_player() -> None:
    assert document_path("out/game-1", "alice", "session") == Path("out/game-1/alice.session.json")
    assert document_path("out/game-1", 0, "multiplayer") == Path("out/game-1/0.multiplayer.json")


ids = st.one_of(
    st.integers(),
    st.text(),
    st.text(alphabet="./\\~%\0 1-A", max_size=6),
    st.sampled_from(
        ["..", ".", "../../etc/passwd", "a/b", "", "\ud800", "con", ".spool", "x" * 5000, "é" * 500]
    ),
)


@given(ids, ids)
def test_no_id_leaves_its_folder_and_different_ids_never_meet(one: str | int, other: str | int) -> None:
    path = document_path("out/g", one, "session")
    assert path.parts[0] == "out"
    assert len(path.parts) == 3
    assert ".." not in path.parts
    assert not any(part.startswith(".") for part in path.parts)
    assert all(len(os.fsencode(part)) <= 200 for part in path.parts)
    assert "\0" not in str(path)
    same = document_path("out/g", one, "session") == document_path("out/g", other, "session")
    assert same == (one == other and type(one) is type(other))


def test_an_id_of_a_number_and_its_text_are_two_files() -> None:
    assert document_path("out/g", 1, "session") != document_path("out/g", "1", "session")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="session, validation, multiplayer"):
        document_path("out/g", 0, "../evil")
    with pytest.raises(ConfigurationError):
        schema("nothing")


def test_written_documents_are_read_back_and_leave_no_temporary_file(tmp_path: Path) -> None:
    documents: dict[str, dict[str, Any]] = {kind: {"kind": kind} for kind in KINDS}
    paths = {kind: document_path(tmp_path / "g", 0, kind) for kind in documents}
    for kind, path in paths.items():
        write_document(path, documents[kind])
    assert {kind: json.loads(path.read_text()) for kind, path in paths.items()} == documents
    assert sorted(path.name for path in (tmp_path / "g").iterdir()) == sorted(p.name for p in paths.values())


def test_what_cannot_be_written_leaves_the_old_document(tmp_path: Path) -> None:
    path = document_path(tmp_path / "g", 0, "session")
    write_document(path, {"version": 1})
    with pytest.raises(TypeError):
        write_document(path, {"version": 2, "wrong": object()})
    assert json.loads(path.read_text()) == {"version": 1}
    assert list(path.parent.iterdir()) == [path]


def test_a_writer_killed_at_any_moment_leaves_a_whole_document(tmp_path: Path) -> None:
    path = document_path(tmp_path / "g", 0, "multiplayer")
    program = (
        "import sys\nfrom pathlib import Path\nfrom gym_p2p.exports import write_document\n"
        "number = int(sys.argv[2])\n"
        "while True:\n"
        "    number += 1\n"
        "    write_document(Path(sys.argv[1]), {'number': number, 'rows': [number] * 50_000})\n"
    )
    seen = set()
    for round_number in range(6):
        start = 1000 * (round_number + 1)
        writer = subprocess.Popen([sys.executable, "-c", program, str(path), str(start)])
        try:
            until(lambda start=start: path.exists() and json.loads(path.read_bytes())["number"] > start)  # type: ignore[misc]  # bound now
            time.sleep(0.003 * round_number)
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.wait(PATIENCE_S)
        document = json.loads(path.read_bytes())
        assert document["rows"] == [document["number"]] * 50_000
        seen.add(document["number"])
    assert len(seen) == 6
