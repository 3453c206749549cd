"""What a run has left, read from its folder: the scene's note, the players' own accounts, their documents.

Shares no code with what wrote the documents: JSON by the standard library, files by their names as the
documentation has them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

__all__ = ["Account", "Evidence", "Left", "read"]

_ASKED_AGAIN = 9
"""Frames of an episode that a player in rollback may have been asked for of whose inputs no other knew: the
prediction window, and the one that waits."""

KINDS = ("session", "validation", "multiplayer")


@attrs.frozen
class Account:
    """What a player's own program noted.

    Attributes:
        episodes: of each episode, in order, what it was asked for: (frame, action, digest of what was seen).
        asked_times: when, on the monotonic clock.
        steps: by seed and frame, the newest step that its environment took.
        step_times: of every step, first plays and repetitions alike, on the monotonic clock.
    """

    episodes: list[list[tuple[int, int, str]]]
    asked_times: list[float]
    steps: Mapping[tuple[int, int], Mapping[str, Any]]
    step_times: list[float]

    @property
    def frames(self) -> int:
        """For how many frames it was asked for an action; for some twice, where it came back."""
        return sum(len({frame for frame, _, _ in asked}) for asked in self.episodes)


@attrs.frozen
class Left:
    """What a player has left behind.

    Attributes:
        host: who.
        facts: what the scene noted of them.
        account: their own.
        documents: by kind, those of the match, from wherever they were found.
        doubled: kinds of which there was more than one that differ.
        unreadable: files that are no JSON.
        unfinished: files that nobody finished.
        handed_in: whether the service has the match's document of theirs.
    """

    host: str
    facts: Mapping[str, Any]
    account: Account
    documents: Mapping[str, Mapping[str, Any]]
    doubled: list[str]
    unreadable: list[str]
    unfinished: list[str]
    handed_in: bool


@attrs.frozen
class Evidence:
    """All of it."""

    scene: Mapping[str, Any]
    players: Mapping[str, Left]

    def unix_ms(self, monotonic: float) -> float:
        """Return a moment of the scene as documents have it."""
        clock = self.scene["clock"]
        return float((monotonic - clock["monotonic"] + clock["unix"]) * 1e3)


def read(folder: Path) -> Evidence:
    """Read the folder of a run."""
    scene = json.loads((folder / "scene.json").read_text())
    players = {host: _left(folder / host, host, facts) for host, facts in scene["players"].items()}
    return Evidence(scene, players)


def _left(folder: Path, host: str, facts: Mapping[str, Any]) -> Left:
    documents: dict[str, dict[str, Any]] = {}
    doubled, unreadable = [], []
    for path in _documents(folder):
        kind = path.name.removesuffix(".gz").removesuffix(".json").rsplit(".", 1)[-1]
        try:
            document = json.loads(
                gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            )
        except (OSError, ValueError) as error:
            unreadable.append(f"{path.name}: {error}")
            continue
        if kind in documents and _without_upload(documents[kind]) != _without_upload(document):
            doubled.append(kind)
        documents[kind] = document
    parts = [path.name for path in folder.rglob("*") if _is_unfinished(path)]
    handed_in = any((folder.parent / "service").glob(f"*/{facts['seat']}.multiplayer.json*"))
    return Left(host, facts, _account(folder), documents, doubled, unreadable, parts, handed_in)


def _is_unfinished(path: Path) -> bool:
    """Whether a file should not be there any more: from a folder that is read-only nobody can take it."""
    unfinished = path.name.endswith((".part", ".journal.jsonl", ".tmp"))
    return unfinished and bool(path.parent.stat().st_mode & 0o222)


def _documents(folder: Path) -> Iterator[Path]:
    """Yield a player's documents: in the folder they named, or in the one that stands in for it.

    What waits to be handed in (``.spool``) are copies for that.
    """
    for path in sorted(folder.rglob("*.json*")):
        if ".spool" not in path.parts and path.name.endswith(
            tuple(f".{kind}.json{end}" for kind in KINDS for end in ("", ".gz"))
        ):
            yield path


def _without_upload(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in {"upload", "exportTimestamp"}}


def _account(folder: Path) -> Account:
    steps: dict[tuple[int, int], Mapping[str, Any]] = {}
    times = []
    for line in _lines(folder / "account.steps.jsonl"):
        steps[line["seed"], line["frame"]] = line
        times.append(line["at"])
    episodes: list[list[tuple[int, int, str]]] = []
    pid, asked_times = None, []
    for line in _lines(folder / "account.asked.jsonl"):
        # Who comes back in another process may be asked for the episode's first frame once more.
        goes_on = line["pid"] != pid and pid is not None and len(episodes[-1]) <= _ASKED_AGAIN
        if not episodes or (line["frame"] == 0 and not goes_on):
            episodes.append([])
        pid = line["pid"]
        asked_times.append(line["at"])
        episodes[-1].append((line["frame"], line["action"], line["seen"]))
    return Account(episodes, asked_times, steps, times)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield whole lines: of a process that was killed the last one may be broken off."""
    if not path.exists():
        return
    for text in path.read_text().splitlines(keepends=True):
        if text.endswith("\n"):
            yield json.loads(text)
