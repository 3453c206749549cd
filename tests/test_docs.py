from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gym_p2p
import gym_p2p.server
from gym_p2p.cli.commands import make_parser
from gym_p2p.core.spectating.messages import FEED_VERSION
from gym_p2p.core.wire.messages import PROTOCOL_VERSION

ROOT = Path(__file__).parents[1]
PAGES = sorted(ROOT.glob("docs/**/*.md"))
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *PAGES]


def documented() -> set[str]:
    pages = "\n".join(page.read_text() for page in ROOT.glob("docs/api/*.md"))
    return set(re.findall(r"auto(?:class|function|exception):: ([\w.]+)", pages))


def test_every_public_name_is_in_the_reference() -> None:
    public = {f"gym_p2p.{name}" for name in gym_p2p.__all__ if not name.startswith("__")}
    public |= {f"gym_p2p.server.{name}" for name in gym_p2p.server.__all__}
    assert public <= documented()


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists() or "_generated/" in target, target


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_row_of_a_table_is_below_its_head(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for table in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        head, *rows = table.splitlines()
        assert len(rows) > 1, head
        assert re.fullmatch(r"[|: -]+", rows[0]), head


def test_the_protocol_has_the_versions_of_both_wires() -> None:
    text = (ROOT / "docs/protocol.md").read_text()
    told = re.search(r"version of the match's wire is \*\*(\d+)\*\*, that of the feed's \*\*(\d+)\*\*", text)
    assert told is not None
    assert [int(one) for one in told.groups()] == [PROTOCOL_VERSION, FEED_VERSION]


def test_every_folder_is_in_the_picture_of_the_architecture() -> None:
    picture = (ROOT / "docs/architecture.md").read_text().split("```")[1]
    package = ROOT / "gym_p2p"
    folders = [path.parent.name for path in package.rglob("__init__.py") if path.parent != package]
    assert len(folders) > 40
    assert [name for name in folders if not re.search(rf"\b{name}/", picture)] == []


def test_the_programs_in_the_tutorial_run(tmp_path: Path) -> None:
    """All that is marked ``python`` (what needs a service and other players is marked ``py``)."""
    programs = re.findall(r"```python\n(.*?)```", (ROOT / "docs/tutorial.md").read_text(), re.DOTALL)
    assert len(programs) >= 2
    for program in programs:
        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=60)


def commands() -> dict[str, argparse.ArgumentParser]:
    """Every command by its words (``"matchmaking replay"``), with its parser."""

    def below(parser: argparse.ArgumentParser, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        yield " ".join(words), parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for word, child in action.choices.items():
                    yield from below(child, (*words, word))

    return dict(below(make_parser(), ()))


def test_commands_named_in_the_docs_exist() -> None:
    named = {c for page in TEXTS for c in re.findall(r"\bgym-p2p ([a-z]+)\b", page.read_text())}
    assert {"demo", "serve", "join"} <= named
    assert named <= set(commands())


def test_options_named_in_the_docs_exist() -> None:
    known, seen = commands(), 0
    for page in TEXTS:
        for line in re.findall(r"^\s*(?:\S+=\S+ )?gym-p2p ([^#\n]*)", page.read_text(), re.MULTILINE):
            words = line.split()
            name = next((n for n in (" ".join(words[:2]), words[0]) if n in known), "")
            text = known[name].format_help()
            for option in (word for word in words if word.startswith("--")):
                seen += 1
                assert option in text, (page.name, line)
    assert seen > 10
