"""The pseudonyms of a data directory's subjects: the key, the table and the file behind them.

``<data>/.subjects.jsonl`` holds who is who, a line ``{"subject": …, "pseudonym": …}`` for each one who came,
readable by its owner alone like the key beside it: what begins with a dot there is for the operator.
``gym-p2p exports subjects`` reads it. What a pseudonym is, is
:mod:`gym_p2p.core.presence.pseudonyms`'s to know.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from gym_p2p.config.public_ids import public_id_problem
from gym_p2p.config.service import PseudonymChoice
from gym_p2p.core.presence.pseudonyms import Assigned, Pseudonyms, keyed_pseudonym
from gym_p2p.errors import ConfigurationError
from gym_p2p.files.lines import append_line, read_lines
from gym_p2p.files.problems import disk_problem
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.tokens import load_secret

__all__ = ["SUBJECTS", "SubjectsFile", "open_pseudonyms", "read_subjects", "read_table"]

_LOG = client_log(__name__)

SUBJECTS = ".subjects.jsonl"
KEY = ".pseudonym-secret"
"""Apart from the tokens' secret, which may be changed so that no old token counts."""


class _Line(msgspec.Struct):
    subject: str
    pseudonym: str


def open_pseudonyms(choice: PseudonymChoice, directory: Path) -> Pseudonyms | None:
    """Return the pseudonyms of a data directory, with those that were given out before.

    Args:
        choice: as :attr:`~gym_p2p.config.ServiceConfig.pseudonyms`.
        directory: exists and is writable.

    Raises:
        ConfigurationError: the table cannot be read, names somebody twice, or gives somebody another
            pseudonym than they have; or the directory cannot be used.
    """
    if choice is False:
        return None
    try:
        derive = partial(keyed_pseudonym, load_secret(directory, KEY))
        known = read_subjects(directory)
    except OSError as error:
        raise ConfigurationError("pseudonyms", f"cannot use {directory}: {disk_problem(error)}") from error
    if isinstance(choice, str):
        choice = read_table(Path(choice))
    if isinstance(choice, Mapping):
        return Pseudonyms(derive, known=_with_table(known, choice))
    return Pseudonyms(derive, choose=_careful(choice) if callable(choice) else lambda _s: None, known=known)


def read_subjects(directory: Path) -> dict[str, str]:
    """Return the pseudonyms that were given out in a data directory, by subject; a torn line counts as none.

    Raises:
        OSError: the file is there and cannot be read.
    """
    known: dict[str, str] = {}
    for said in read_lines(directory / SUBJECTS, _Line):
        known.setdefault(said.subject, said.pseudonym)
    return known


def read_table(path: Path) -> dict[str, str]:
    """Return a researcher's table: a JSON object, or CSV with a subject and a pseudonym in each line.

    A CSV's first line may be ``subject,pseudonym``; further columns are not read.

    Raises:
        ConfigurationError: it cannot be read, or is no such table.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problem = disk_problem(error) if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigurationError("pseudonyms", f"cannot read {path}: {problem}") from error
    if path.suffix.lower() == ".json":
        return _json_table(path, text)
    table: dict[str, str] = {}
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and cells[:2] == ["subject", "pseudonym"]):
            continue
        if len(cells) < 2:
            raise ConfigurationError("pseudonyms", f"{path}, line {number}: wanted subject,pseudonym")
        if cells[0] in table:
            raise ConfigurationError("pseudonyms", f"{path}, line {number}: {cells[0]!r} is there twice")
        table[cells[0]] = cells[1]
    return table


def _json_table(path: Path, text: str) -> dict[str, str]:
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        pairs = None
    if not text.lstrip().startswith("{") or not pairs or not all(isinstance(p, str) for _, p in pairs):
        raise ConfigurationError(
            "pseudonyms", f"{path}: wanted a JSON object with a pseudonym, a text, for each subject"
        )
    table: dict[str, str] = dict(pairs)
    if len(table) != len(pairs):
        raise ConfigurationError("pseudonyms", f"{path}: a subject is there twice")
    return table


def _with_table(known: Mapping[str, str], table: Mapping[str, str]) -> dict[str, str]:
    """Return what was given out together with a table that has to agree with it."""
    everybody = {**known, **table}
    owner: dict[str, str] = {}
    for subject, pseudonym in everybody.items():
        for name in (subject, pseudonym):
            problem = public_id_problem(name)
            if problem is not None:
                raise ConfigurationError("pseudonyms", problem)
        before = known.get(subject, pseudonym)
        if before != pseudonym:
            raise ConfigurationError(
                "pseudonyms",
                f"{subject!r} is {before!r} in this data directory and {pseudonym!r} in the table: nobody "
                "changes their pseudonym within a study; use another data directory, or the one they have",
            )
        if pseudonym in owner:
            both = f"{owner[pseudonym]!r} and {subject!r}"
            raise ConfigurationError("pseudonyms", f"{both} would both be {pseudonym!r}")
        if pseudonym in everybody:
            raise ConfigurationError(
                "pseudonyms", f"{pseudonym!r} is the id of a subject, and so no pseudonym"
            )
        owner[pseudonym] = subject
    return everybody


def _careful(choose: Callable[[str], object]) -> Callable[[str], object]:
    """Return a host's function as one that does not raise; for whom it would, it has chosen none."""

    def chosen(subject_id: str) -> object:
        try:
            return choose(subject_id)
        except Exception:  # noqa: BLE001  # a host's bug must not keep a participant out
            _LOG.exception("choosing a pseudonym")
            return None

    return chosen


class SubjectsFile:
    """The file of a data directory that says who is who; made at the first one, in a folder that exists.

    A disk that is full or gone is logged and keeps nobody out: a keyed pseudonym comes out the same again.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory.absolute() / SUBJECTS

    def keep(self, assigned: Assigned) -> None:
        """Write down whose a pseudonym is."""
        if assigned.problem is not None:  # neither name: a log has other readers
            _LOG.error("a pseudonym that was chosen could not be had (%s); another is used", assigned.problem)
        try:
            append_line(self._path, msgspec.json.encode(_Line(assigned.subject_id, assigned.pseudonym)))
        except OSError as error:
            _LOG.error("pseudonyms are not written to %s: %s", self._path, disk_problem(error))
