"""The files behind a service's pseudonyms: the key, the table, and who is who."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from gym_p2p.config import ServiceConfig
from gym_p2p.config.service import PseudonymChoice
from gym_p2p.core.presence.pseudonyms import Assigned, Pseudonyms
from gym_p2p.errors import ConfigurationError
from gym_p2p.server.subjects import SUBJECTS, SubjectsFile, open_pseudonyms, read_subjects, read_table


def opened(directory: Path, *, choice: PseudonymChoice = True) -> Pseudonyms:
    config = ServiceConfig(pseudonyms=choice, data_dir=directory)
    pseudonyms = open_pseudonyms(config.pseudonyms, directory)
    assert pseudonyms is not None
    return pseudonyms


def kept(directory: Path, pseudonyms: Pseudonyms) -> None:
    while (assigned := pseudonyms.poll()) is not None:
        SubjectsFile(directory).keep(assigned)


def test_without_pseudonyms_nothing_is_made(tmp_path: Path) -> None:
    assert open_pseudonyms(ServiceConfig().pseudonyms, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_participant_has_the_same_pseudonym_after_a_restart(tmp_path: Path) -> None:
    first = opened(tmp_path)
    pseudonym = first.of("ann")
    kept(tmp_path, first)
    assert read_subjects(tmp_path) == {"ann": pseudonym}
    assert opened(tmp_path).of("ann") == pseudonym
    (tmp_path / SUBJECTS).unlink()
    assert opened(tmp_path).of("ann") == pseudonym


def test_what_says_who_is_who_is_for_its_owner_alone(tmp_path: Path) -> None:
    pseudonyms = opened(tmp_path)
    pseudonyms.of("ann")
    kept(tmp_path, pseudonyms)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_another_data_directory_gives_other_pseudonyms(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    assert opened(tmp_path / "one").of("ann") != opened(tmp_path / "other").of("ann")


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    file = SubjectsFile(tmp_path)
    file.keep(Assigned("ann", "A01"))
    with (tmp_path / SUBJECTS).open("ab") as raw:
        raw.write(b'{"subject": "bo')
    file.keep(Assigned("eve", "A03"))
    assert read_subjects(tmp_path) == {"ann": "A01", "eve": "A03"}


def test_a_disk_that_takes_nothing_keeps_nobody_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    SubjectsFile(tmp_path / "gone").keep(Assigned("ann", "A01"))
    assert "pseudonyms are not written" in caplog.text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "subject,pseudonym\nann,A01\nbob,A02,left-handed\n\n"),
        ("t.csv", "ann, A01\r\nbob , A02\r\n"),
        ("t.csv", '\ufeffsubject,pseudonym\n"ann","A01"\nbob,A02\n'),
        ("t.json", '{"ann": "A01", "bob": "A02"}'),
    ],
)
def test_a_table_may_be_csv_as_spreadsheets_write_it_or_json(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert read_table(path) == {"ann": "A01", "bob": "A02"}
    pseudonyms = opened(tmp_path, choice=str(path))
    assert pseudonyms.of("ann") == "A01"
    assert pseudonyms.of("eve").startswith("p-")  # whom the table has not is not shown either


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", "ann\n", "line 1: wanted subject,pseudonym"),
        ("t.csv", "ann,A01\nann,A02\n", "line 2: 'ann' is there twice"),
        ("t.csv", "ann,A01\nbob,A01\n", "'ann' and 'bob' would both be 'A01'"),
        ("t.csv", "ann,bob\nbob,A02\n", "'bob' is the id of a subject"),
        ("t.csv", "ann,ann\n", "'ann' is the id of a subject"),
        ("t.csv", "ann,A 01\n", "wanted 1 to 128 characters"),
        ("t.csv", "ann smith,A01\n", "wanted 1 to 128 characters"),
        ("t.csv", "ann,\n", "wanted 1 to 128 characters"),
        ("t.json", '{"ann": "A01", "ann": "A02"}', "twice"),
        ("t.json", '{"ann": 1}', "wanted a JSON object"),
        ("t.json", '["ann"]', "wanted a JSON object"),
        ("t.json", "{", "wanted a JSON object"),
    ],
)
def test_a_table_with_which_somebody_would_be_mistaken_is_refused(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        opened(tmp_path, choice=str(path))
    assert refused.value.option == "pseudonyms"
    assert said in str(refused.value)


def test_a_table_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read .*none\.csv"):
        opened(tmp_path, choice=str(tmp_path / "none.csv"))


def test_a_table_that_would_rename_who_has_played_is_refused(tmp_path: Path) -> None:
    SubjectsFile(tmp_path).keep(Assigned("ann", "A01"))
    assert opened(tmp_path, choice={"ann": "A01", "bob": "A02"}).of("bob") == "A02"
    with pytest.raises(ConfigurationError, match="nobody changes their pseudonym"):
        opened(tmp_path, choice={"ann": "B01"})
    with pytest.raises(ConfigurationError, match="would both be"):
        opened(tmp_path, choice={"bob": "A01"})


def test_a_function_that_raises_or_has_none_leaves_a_keyed_pseudonym(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    choices = {"ann": "A01", "bob": None}
    pseudonyms = opened(tmp_path, choice=choices.__getitem__)
    assert pseudonyms.of("ann") == "A01"
    keyed = opened(tmp_path)
    assert pseudonyms.of("bob") == keyed.of("bob")
    assert pseudonyms.of("eve") == keyed.of("eve")
    assert "choosing a pseudonym" in caplog.text


@pytest.mark.parametrize("wrong", [None, 5, "", ["ann"]])
def test_what_is_no_choice_of_pseudonyms_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="pseudonyms: wanted true, false, the path of a table"):
        ServiceConfig(pseudonyms=wrong)


def test_a_table_is_in_no_repr(tmp_path: Path) -> None:
    assert "ann" not in repr(ServiceConfig(pseudonyms={"ann": "A01"}))
    assert json.dumps(read_subjects(tmp_path)) == "{}"
