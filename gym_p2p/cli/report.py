"""``gym-p2p report``: what was played below a path, as one page of HTML."""

from __future__ import annotations

import argparse
from pathlib import Path

from gym_p2p.cli.tables import output_console
from gym_p2p.config.extras import install_extra
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.errors import UsageError
from gym_p2p.files.problems import telling_the_disk
from gym_p2p.files.whole import write_bytes
from gym_p2p.processes.progress import doing
from gym_p2p.study.problems import plural
from gym_p2p.study.study import load

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

DESCRIPTION = (
    "Make one page of HTML of what was played: how it ended, latency, rollbacks, returns, desyncs, problems, "
    "and a paragraph for a methods section. It holds everything itself, and fetches nothing."
)
EPILOG = """\
examples:
  gym-p2p report p2p-exports                              every match of a folder of exports
  gym-p2p report p2p-server-data -o study.html            of a service's store
  gym-p2p report p2p-exports --match match-51ab           one match, with its timeline

In Python, gym_p2p.load("p2p-exports") gives the same as tables.
"""


EXIT_CODES = {0: "done: the report is written", 1: "it could not be written"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "path", metavar="PATH", help="a folder of exports, a service's store, a match's folder, or a document"
    )
    parser.add_argument("--match", metavar="ID", help="only this match; the begin of its id will do")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="report.html", help="where to (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the report."""
    folder = Path(arguments.output).absolute().parent
    if not folder.is_dir():
        raise UsageError(
            f"{arguments.output} cannot be written: {folder} is no folder; make it, or name another"
        )
    with doing(f"loading {arguments.path}") as say:
        try:  # before anything is read, which may take minutes
            from gym_p2p.study.report.report import find_match, report_html  # noqa: PLC0415 - an optional extra
        except ModuleNotFoundError as error:
            raise UsageError(f"the report needs {error.name}: {install_extra('data')}") from error
        study = load(arguments.path, progress=say)
        if not len(study.matches):
            raise UsageError(f"there is no match in {arguments.path}: {_found_nothing(len(study.problems))}")
        match = None if arguments.match is None else find_match(study, arguments.match)
        page = report_html(study, match, progress=say)
        with telling_the_disk(arguments.output):
            write_bytes(Path(arguments.output).absolute(), [page.encode()])
    console = output_console(soft_wrap=True)
    matches, problems = (
        [one for one in table["match"].to_pylist() if match in (None, one)]
        for table in (study.matches, study.problems)
    )
    found = plural(len(problems), "problem")
    told = f"{arguments.output}: {plural(len(matches), 'match', 'matches')}, {found} found"
    console.print(printable(told, 4000), markup=False, highlight=False)
    return 0


def _found_nothing(problems: int) -> str:
    if not problems:
        return "it is empty"
    return f"none of {problems:,} files could be read as one's (gym_p2p.load(...).problems says why)"
