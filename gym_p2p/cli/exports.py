"""``gym-p2p exports``: what to do with documents that lie on the disk."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path

from gym_p2p.cli.options import count
from gym_p2p.config import DEFAULT_DATA_DIR
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.errors import UsageError
from gym_p2p.exports.handing_in import HandedIn, hand_in
from gym_p2p.exports.recovery import Recovered, journals, recover
from gym_p2p.exports.upload import UploadOutcome
from gym_p2p.files.problems import disk_problem
from gym_p2p.game.replay.partial import FinishedRecording, finish_recording, partial_recordings
from gym_p2p.processes.progress import doing
from gym_p2p.server.guard.tokens import TokenSigner, UploadClaims, read_secret
from gym_p2p.server.matches import fresh_claims
from gym_p2p.server.subjects import SUBJECTS, read_subjects
from gym_p2p.study.codebook.codebook import codebook_markdown

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

DESCRIPTION = (
    "Recover what killed players left, hand in what a service has not taken, explain the tables and names."
)
EPILOG = """\
examples:
  gym-p2p exports recover p2p-exports                     make documents of what was left, end recordings
  gym-p2p exports upload p2p-exports                      hand in everything that still waits
  gym-p2p exports upload p2p-exports/2027-01-15T080000Z-lab-c0ffee00/left.multiplayer.json
  gym-p2p exports codebook                                what each column of the tables means, as Markdown
  gym-p2p exports token --match ID --player left          a new token where a player's has expired
  gym-p2p exports subjects p2p-server-data                who is behind which pseudonym, for the operator

recover and upload may be repeated: what is recovered or handed in is not done again.
"""

_DEADLINE_S = 20.0
"""For one document: the service may just be restarting."""


EXIT_CODES = {
    0: "done: recovered, stored or listed",
    1: "something could not be recovered or stored",
    3: "no service answered",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="what")
    path = "a folder of exports, a match's folder, or {}"
    recovering = commands.add_parser(
        "recover", help="make documents, and end recordings, of players who were killed"
    )
    recovering.add_argument("path", metavar="PATH", type=Path, help=path.format("a file that was left"))
    uploading = commands.add_parser("upload", help="hand in the documents that a service has not taken")
    uploading.add_argument("path", metavar="PATH", type=Path, help=path.format("a document"))
    uploading.add_argument(
        "--token", metavar="TOKEN", help="show this instead of the match's own, which may have expired"
    )
    uploading.add_argument(
        "--server", metavar="URL", help="the service (default: the one that the match was made by)"
    )
    commands.add_parser("codebook", help="print what each column of the tables means")
    giving = commands.add_parser("token", help="print a new upload token for a player whose own has expired")
    giving.add_argument(
        "--data-dir",
        default=DEFAULT_DATA_DIR,
        metavar="DIR",
        dest="path",
        type=Path,
        help="of the service that made the match (default: %(default)s)",
    )
    giving.add_argument(
        "--match", required=True, metavar="ID", help="a document's gameId, or the name of the match's folder"
    )
    giving.add_argument(
        "--player", required=True, metavar="ID", help="the player's id, or their subject in the documents"
    )
    giving.add_argument(
        "--ttl",
        type=count,
        default=7 * 86_400,
        metavar="S",
        help="seconds in which the documents are taken (default: %(default)s, a week)",
    )
    telling = commands.add_parser("subjects", help="print whose pseudonyms a service has given out, as CSV")
    telling.add_argument("path", metavar="DATA_DIR", type=Path, help="the service's data directory")


def run(arguments: argparse.Namespace) -> int:
    """Do what is wanted."""
    if arguments.action == "codebook":
        print(codebook_markdown())
        return 0
    if not arguments.path.exists():
        raise UsageError(f"{arguments.path}: there is no such file or folder")
    if arguments.action == "token":
        return _token(arguments)
    if arguments.action == "subjects":
        return _subjects(arguments.path)
    return _recover(arguments.path) if arguments.action == "recover" else _upload(arguments)


def _token(arguments: argparse.Namespace) -> int:
    try:
        secret = read_secret(arguments.path)
    except OSError as error:
        raise UsageError(
            f"{arguments.path} is no service's data directory: {disk_problem(error)}; name it with --data-dir"
        ) from error
    claims = fresh_claims(
        arguments.path, arguments.match, arguments.player, expires_at=time.time() + arguments.ttl
    )
    print(TokenSigner(secret, UploadClaims).issue(claims))
    return 0


def _subjects(data_dir: Path) -> int:
    try:
        known = read_subjects(data_dir)
    except OSError as error:
        raise UsageError(f"{data_dir / SUBJECTS} cannot be read: {disk_problem(error)}") from error
    if not known:
        raise UsageError(
            f"{data_dir}: nobody has got a pseudonym here; they do with gym-p2p serve --pseudonyms"
        )
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerows([("subject", "pseudonym"), *known.items()])
    return 0


def _recover(path: Path) -> int:
    done: list[Recovered] = []
    recordings: list[FinishedRecording] = []
    with doing(f"looking for what was left in {path}") as say:
        try:
            for journal in journals(path):
                say(f"recovering {journal}")
                done.append(recover(journal))
            for partial in partial_recordings(path):
                say(f"finishing {partial}")
                recordings.append(finish_recording(partial))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {disk_problem(error)}") from error
    for one in done:
        print(_recovered_in_words(one))
    for recording in recordings:
        print(_finished_in_words(recording))
    if not done and not recordings:
        print(f"{path}: no journal and no unfinished recording lies there, so there is nothing to recover")
    problems = [one.problem for one in done] + [one.problem for one in recordings]
    return 1 if any(problem is not None for problem in problems) else 0


def _recovered_in_words(one: Recovered) -> str:
    if one.problem is not None:
        return printable(f"{one.journal}: {one.problem}", 1000)
    if one.played:
        return f"{one.journal}: is being written: its player is alive"
    if one.unbegun:
        return f"{one.journal}: removed: its player was killed before anything was written"
    if not one.paths:
        return f"{one.journal}: somebody else has recovered it"
    return f"{one.journal.parent}: " + ", ".join(sorted(path.name for path in one.paths.values()))


def _finished_in_words(one: FinishedRecording) -> str:
    if one.problem is not None:
        return printable(f"{one.partial}: {one.problem}", 1000)
    if one.played:
        return f"{one.partial}: is being made: its player is alive"
    if one.path is None:
        return f"{one.partial}: somebody else has finished it"
    return f"{one.path}: finished as it was when its player was killed"


def _upload(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    done: list[HandedIn] = []
    try:
        with doing(f"looking for what waits in {arguments.path}") as say:
            for one in hand_in(
                arguments.path,
                token=arguments.token,
                server_url=arguments.server,
                deadline_s=_DEADLINE_S,
                say=lambda text: say(f"{text} ({len(done)} done, {time.monotonic() - began:.0f} s)"),
            ):
                done.append(one)  # noqa: PERF402 - what was done is told when it is interrupted, too
    finally:
        for one in done:
            stored = one.reply.outcome is UploadOutcome.STORED
            print(printable(f"{one.document}: {'stored' if stored else one.reply.detail}", 1000))
    if not done:
        print(
            f"{arguments.path}: nothing waits to be handed in: it was, or was not to be. With --server and "
            "--token, a document is handed in again."
        )
    outcomes = {one.reply.outcome for one in done}
    if UploadOutcome.UNREACHABLE in outcomes:
        return 3
    return 0 if outcomes <= {UploadOutcome.STORED} else 1
