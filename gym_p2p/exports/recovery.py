"""What killed players have left: their journals, and the documents that are made of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from gym_p2p.core.record.documents import KINDS, Kind
from gym_p2p.core.record.index import index_entry, told_index_entry
from gym_p2p.core.record.journal import decode_input, fold
from gym_p2p.errors import ProtocolError
from gym_p2p.exports.account import Account
from gym_p2p.exports.documents import document_path, find_document, read_document, write_document
from gym_p2p.exports.index import append_to_index, is_in_index
from gym_p2p.exports.journal import SUFFIX, claimed_journal, remove_unbegun
from gym_p2p.files.problems import disk_problem

__all__ = ["Recovered", "discard", "journals", "recover", "recover_all"]

_log = logging.getLogger(__name__)


@attrs.frozen
class Recovered:
    """What became of a journal.

    Attributes:
        journal: where it was, or is.
        paths: the documents that are there now, by kind; empty where nothing could be made of it.
        unbegun: whether it was empty, of a player who was killed before they had written anything.
        problem: why it is still there; ``None`` where it is not.
        played: whether it is still being written, so that nothing is to be done.
    """

    journal: Path
    paths: dict[Kind, Path] = attrs.field(factory=dict)
    problem: str | None = None
    played: bool = False
    unbegun: bool = False


def journals(path: Path) -> Iterator[Path]:
    """Yield the journals of a folder of matches, of a match, or the one that this is.

    Raises:
        OSError: the folder cannot be read.
    """
    if path.name.endswith(SUFFIX):
        yield path
        return
    yield from sorted(path.glob(f"*{SUFFIX}"))
    yield from sorted(path.glob(f"*/*{SUFFIX}"))


def recover_all(path: Path, *, give_up: Callable[[], bool] = lambda: False) -> list[Recovered]:
    """Make the documents of every journal that nobody writes any more.

    Args:
        path: a folder of matches, a match's folder, or a journal.
        give_up: called before each.

    Raises:
        OSError: the folder cannot be read.
    """
    done: list[Recovered] = []
    for journal in journals(path):
        if give_up():
            break
        done.append(recover(journal))
    return done


def recover(journal: Path) -> Recovered:
    """Make a killed player's documents of their journal, and remove that.

    Documents that are there already stay: the player was killed while they were written. Never raises for
    a disk or for what a file says.
    """
    try:
        with claimed_journal(journal) as lines:
            if lines is None:
                unbegun = remove_unbegun(journal)
                return Recovered(journal, played=journal.exists(), unbegun=unbegun)
            account = Account(fold(lines), decode_input, lambda: time.time_ns() // 1_000_000)
            paths = _write(account, journal.parent)
            journal.unlink()
    except ProtocolError as error:
        return _failed(journal, str(error))
    except (OSError, MemoryError) as error:
        return _failed(journal, disk_problem(error))
    except Exception as error:  # noqa: BLE001 - whatever no longer fits together in what somebody has changed
        return _failed(journal, f"what it says does not fit together ({error!r})")
    _log.info("%s: documents made of what a killed player left", journal)
    return Recovered(journal, paths)


def discard(journal: Path) -> None:
    """Remove a journal that nobody writes any more: all that it holds is known from elsewhere.

    Raises:
        OSError: it cannot be read, or removed.
    """
    with claimed_journal(journal) as lines:
        if lines is not None:
            journal.unlink(missing_ok=True)


def _write(account: Account, folder: Path) -> dict[Kind, Path]:
    record = account.record
    wanted = {kind: document_path(folder, record.player_id, kind) for kind in KINDS}
    there = {kind: find_document(path) for kind, path in wanted.items()}
    paths = {
        kind: found or write_document(wanted[kind], account.document(kind)) for kind, found in there.items()
    }
    entry = index_entry(record, folder.name)
    if all(there.values()):  # they know the end, and the index may have it already
        entry = told_index_entry(read_document(paths["multiplayer"]), folder.name)
    if not is_in_index(folder.parent, entry):
        append_to_index(folder.parent, entry)
    return paths


def _failed(journal: Path, problem: str) -> Recovered:
    _log.warning("%s: no documents could be made of it: %s", journal, problem)
    return Recovered(journal, problem=problem)
