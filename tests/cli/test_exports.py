"""``gym-p2p exports``: recovering and handing in, also where there is nothing, and twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gym_p2p import load
from gym_p2p.cli.commands import main
from gym_p2p.core.presence.pseudonyms import Assigned
from gym_p2p.core.record.journal import JournalWriter
from gym_p2p.exports import KINDS, SpoolEntry, document_path, write_document
from gym_p2p.exports.journal import Journal
from gym_p2p.exports.upload import upload
from gym_p2p.server.subjects import SubjectsFile, read_subjects, read_table
from tests.core.record.records import START_MS, decode, new_record, played
from tests.exports.service import TOKEN, Service, away, entries, spool, target
from tests.waiting import PATIENCE_S, until


def left_journal(folder: Path) -> Path:
    """Leave a journal behind, as a killed player does."""
    journal = Journal(
        folder / "0.journal.jsonl", JournalWriter(played(new_record()), decode), lambda: START_MS
    )
    journal.append()
    journal.close()
    return journal.path


@pytest.mark.parametrize("what", ["exports", "match", "journal"])
def test_a_journal_is_recovered_once(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "exports" / "2027-01-15T080000Z-lab-c0ffee00"
    journal = left_journal(folder)
    path = {"exports": tmp_path / "exports", "match": folder, "journal": journal}[what]
    assert main(["exports", "recover", str(path)]) == 0
    told = capsys.readouterr().out
    assert all(f"0.{kind}.json" in told for kind in KINDS)
    document = json.loads(document_path(folder, 0, "multiplayer").read_text())
    assert document["sessionStatus"]["terminationReason"] == "killed"
    assert {path.name for path in folder.iterdir()} == {f"0.{kind}.json" for kind in KINDS}
    again = main(["exports", "recover", str(folder)])
    assert (again, "nothing to recover" in capsys.readouterr().out) == (0, True)


def test_a_journal_that_is_none_is_said_and_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "match"
    whole = left_journal(tmp_path / "other")
    folder.mkdir()
    (folder / "x.journal.jsonl").write_bytes(b"\x00\x1b[2J")
    assert main(["exports", "recover", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "x.journal.jsonl: no journal" in told
    assert (folder / "x.journal.jsonl").exists()
    assert not whole.exists()


@pytest.mark.parametrize("changed", [{"players": [0, 0]}, {"peers": [0]}, {"maxSamples": 2**70}], ids=str)
def test_a_journal_that_does_not_fit_together_is_said_and_holds_up_no_other(
    changed: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, whole = left_journal(tmp_path / "a"), left_journal(tmp_path / "b")
    head, *rest = broken.read_bytes().splitlines(keepends=True)
    broken.write_bytes(b"".join([json.dumps(json.loads(head) | changed).encode(), b"\n", *rest]))
    before = broken.read_bytes()
    assert load(tmp_path / "a").problems.num_rows > 0
    assert main(["exports", "recover", str(tmp_path)]) == 1
    assert f"{broken}: " in capsys.readouterr().out
    assert (broken.read_bytes(), whole.exists()) == (before, False)


def test_a_journal_of_a_player_who_lives_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = JournalWriter(played(new_record()), decode)
    journal = Journal(tmp_path / "match" / "0.journal.jsonl", writer, lambda: START_MS)
    journal.append()
    assert main(["exports", "recover", str(tmp_path)]) == 0
    assert "its player is alive" in capsys.readouterr().out
    assert journal.path.exists()
    journal.close()


@pytest.mark.parametrize("what", ["exports", "match", "document"])
def test_what_waits_is_handed_in_once(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Service.running() as service:
        document = spool(tmp_path, service.url)
        path = {"exports": tmp_path, "match": document.parent, "document": document}[what]
        assert main(["exports", "upload", str(path)]) == 0
        assert f"{document}: stored" in capsys.readouterr().out
        assert main(["exports", "upload", str(path)]) == 0
        assert "nothing waits" in capsys.readouterr().out
        assert service.requests == 1


def test_a_large_document_is_told_by_its_own_name_and_handed_in_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Service.running() as service:
        there = write_document(spool(tmp_path, service.url), {"playerId": 0, "filler": "x" * 2**20})
        assert there.suffix == ".gz"
        command = ["exports", "upload", str(there), "--server", service.url, "--token", "fresh"]
        assert main(command) == 0
        assert capsys.readouterr().out == f"{there}: stored\n"
        assert service.requests == 1


def test_another_document_than_the_wanted_one_still_waits(tmp_path: Path) -> None:
    with Service.running() as service:
        wanted, other = spool(tmp_path, service.url, 0), spool(tmp_path, service.url, 1)
        assert main(["exports", "upload", str(wanted)]) == 0
        assert [document["playerId"] for _, _, document in service.received] == [0]
        assert len(entries(tmp_path)) == 1
        assert main(["exports", "upload", str(other)]) == 0


def test_a_service_that_refuses_or_is_away_is_told_by_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gym_p2p.cli.exports._DEADLINE_S", 0.0)
    with Service.running(413) as service:
        spool(tmp_path / "one", service.url)
        assert main(["exports", "upload", str(tmp_path / "one")]) == 1
        assert "413" in capsys.readouterr().out
        assert main(["exports", "upload", str(tmp_path / "one")]) == 0
    spool(tmp_path / "two", away())
    assert main(["exports", "upload", str(tmp_path / "two")]) == 3
    assert len(entries(tmp_path / "two")) == 1


def test_an_expired_token_is_replaced_by_another_one(tmp_path: Path) -> None:
    with Service.running(401) as service:
        document = spool(tmp_path, service.url)
        assert main(["exports", "upload", str(document)]) == 1
        assert main(["exports", "upload", str(document), "--token", "fresh"]) == 0
        assert service.received[0][1]["Authorization"] == "Bearer fresh"


@pytest.mark.parametrize("wrong", ["token", "server"])
def test_what_is_refused_with_another_token_or_elsewhere_still_waits(wrong: str, tmp_path: Path) -> None:
    with Service.running(*[403] if wrong == "token" else []) as service, Service.running(403) as other:
        document = spool(tmp_path, service.url)
        value = "of another match" if wrong == "token" else other.url
        assert main(["exports", "upload", str(tmp_path), f"--{wrong}", value]) == 1
        assert service.received == other.received == []
        assert main(["exports", "upload", str(document)]) == 0
        assert service.received[0][1]["Authorization"] == f"Bearer {TOKEN}"


def test_what_was_handed_in_before_an_interruption_is_told_and_the_rest_still_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Service.running() as service:
        first, second = (spool(tmp_path, service.url, player) for player in range(2))

        def interrupted(*arguments: Any, **options: Any) -> Any:
            if service.requests:
                raise KeyboardInterrupt
            return upload(*arguments, **options)

        monkeypatch.setattr("gym_p2p.exports.spool.upload", interrupted)
        assert main(["exports", "upload", str(tmp_path)]) == 130
        told = capsys.readouterr()
        assert f"{first}: stored" in told.out
        assert str(second) not in told.out
        assert told.err.endswith("interrupted\n")
        monkeypatch.undo()
        assert main(["exports", "upload", str(tmp_path)]) == 0
        assert capsys.readouterr().out == f"{second}: stored\n"


def test_ctrl_c_while_a_service_is_silent_ends_at_once_and_loses_nothing(tmp_path: Path) -> None:
    with Service.running(delay_s=2 * PATIENCE_S) as service:
        paths = [spool(tmp_path, service.url, player) for player in range(2)]
        command = [sys.executable, "-m", "gym_p2p", "exports", "upload", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            until(lambda: service.requests == 1)
            running.send_signal(signal.SIGINT)
            told, said = running.communicate(timeout=PATIENCE_S)
        assert (running.returncode, told) == (130, "")
        assert "Traceback" not in said
        assert len(entries(tmp_path)) == len(paths)
        service.released.set()
        assert main(["exports", "upload", str(tmp_path)]) == 0
    assert entries(tmp_path) == []


@pytest.mark.parametrize("what", ["waits", "is handed in again"])
def test_the_tables_say_that_a_document_was_handed_in_later(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "2027-01-15T080000Z-lab-c0ffee00"
    left_journal(folder)
    assert main(["exports", "recover", str(tmp_path)]) == 0
    session = document_path(folder, 0, "session")
    kept = json.loads(session.read_text()) | {"upload": {"state": "kept", "problem": "no answer in time"}}
    session.write_text(json.dumps(kept))
    document = document_path(folder, 0, "multiplayer")
    with Service.running() as service:
        if what == "waits":
            SpoolEntry.create(
                *(tmp_path, "m", 0), kind="multiplayer", target=target(service.url), document=document
            ).close()
        more = ["--server", service.url, "--token", TOKEN] if what != "waits" else []
        assert main(["exports", "upload", str(document), *more]) == 0
    (row,) = [row for row in load(tmp_path).players if row["player"] == "0"]
    assert row["upload"] == "stored"


@pytest.mark.parametrize("action", ["recover", "upload"])
def test_a_path_that_is_not_there_is_wrong_usage(
    action: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["exports", action, str(tmp_path / "nowhere")]) == 2
    assert "no such file or folder" in capsys.readouterr().err


def test_the_codebook_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exports", "codebook"]) == 0
    assert "## `frames`" in capsys.readouterr().out


def test_subjects_are_printed_as_the_table_that_a_service_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    SubjectsFile(tmp_path).keep(Assigned("ann", "p-aaaa"))
    SubjectsFile(tmp_path).keep(Assigned("bob", "A02"))
    assert main(["exports", "subjects", str(tmp_path)]) == 0
    table = tmp_path / "table.csv"
    table.write_text(capsys.readouterr().out)
    assert table.read_text() == "subject,pseudonym\nann,p-aaaa\nbob,A02\n"
    assert read_table(table) == read_subjects(tmp_path)


def test_where_no_pseudonyms_were_given_out_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["exports", "subjects", str(tmp_path)]) == 2
    assert "nobody has got a pseudonym here" in capsys.readouterr().err
