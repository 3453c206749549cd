"""The browser framework's tables of frames, and the lines of its match log, of one match."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import attrs
import msgspec

from gym_p2p.study.problems import Problems
from gym_p2p.study.reading.accounts import Account, Names
from gym_p2p.study.reading.documents import Document, read_document
from gym_p2p.study.reading.files import Found, Unreadable
from gym_p2p.study.reading.framework_frames import EpisodeFrames, FrameFile, read_frames
from gym_p2p.study.reading.framework_games import LoggedMatch, read_line
from gym_p2p.study.reading.recordings import Played, RecordedEpisode, difference

__all__ = ["FrameworkFiles", "read_framework_files"]


@attrs.frozen(eq=False)
class FrameworkFiles:
    """What is there of one match; mostly nothing.

    Attributes:
        match: the match.
        files: the tables, by whose page wrote them: a subject.
        logged: its line in a match log.
    """

    match: str
    files: dict[str, list[FrameFile]]
    logged: LoggedMatch | None

    @property
    def scene(self) -> str | None:
        """Where they met."""
        return None if self.logged is None else self.logged.scene_id

    @property
    def made_ms(self) -> float | None:
        """When the match was made, by the server's clock."""
        return None if self.logged is None else self.logged.timestamp * 1000

    @property
    def logged_subjects(self) -> list[str]:
        """Who was brought together."""
        return [] if self.logged is None else self.logged.subjects

    def told(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Yield who sat where: the player, who is called by the seat, and what is known of them."""
        for files in self.files.values():
            for file in files:
                for seat, subject in file.subjects.items():
                    yield seat, {"subject": subject, "seats": [seat]}, "frames"

    def in_place_of(self, accounts: Sequence[Account], names: Names) -> list[Account]:
        """Return whose actions count: a page's tables, which have every frame, before its document."""
        found = []
        for subject, files in self.files.items():
            player = next(
                (seat for f in files for seat, who in f.subjects.items() if who == subject), subject
            )
            found.append(Account(player, "frames", {"multiplayer": self._document(player, files)}, names))
        own = {account.player for account in found}
        return [*found, *(account for account in accounts if account.player not in own)]

    def _document(self, player: str, files: Sequence[FrameFile]) -> Document:
        rows = [
            {"episode": number, "frame": frame, "playerId": seat, "action": action}
            for file in files
            for number, episode in file.episodes.items()
            for seat, actions in episode.actions.items()
            for frame, action in zip(episode.frames, actions, strict=True)
        ]
        rows.sort(key=lambda row: (row["episode"], row["frame"]))
        whole = {
            "schemaVersion": 1,
            "gameId": self.match,
            "playerId": player,
            "sessionStatus": {},
            "validation": {"allActions": rows},
        }
        return read_document(msgspec.json.encode(whole), files[0].name, Problems(self.match))

    def played(self, problems: Problems) -> Played | None:
        """Return what was earned, by whichever page has most of an episode; say where two do not agree."""
        found: dict[int, RecordedEpisode] = {}
        seats: list[str] | None = None
        for name, number, episode in sorted(self._episodes(), key=lambda one: -len(one[2].frames)):
            seats = episode.seats if seats is None else seats
            if episode.played is None or episode.seats != seats:
                continue
            there = found.setdefault(number, episode.played)
            what = None if there is episode.played else difference(there, episode.played)
            if what is not None:
                problems.add("disagreement", f"the frames differ in episode {number}, {what}", path=name)
        return Played(seats, found) if seats is not None and found else None

    def _episodes(self) -> Iterator[tuple[str, int, EpisodeFrames]]:
        for files in self.files.values():
            for file in files:
                for number, episode in file.episodes.items():
                    yield file.name, number, episode


def read_framework_files(files: Sequence[Found], match: str, problems: Problems) -> FrameworkFiles:
    """Return what is there of one match."""
    found: dict[str, list[FrameFile]] = {}
    logged: LoggedMatch | None = None
    for file in files:
        try:
            if file.kind == "frames":
                stem = PurePosixPath(file.name).stem
                writer = stem.rpartition("_ep")[0] or stem
                table = read_frames(file, problems)
                found.setdefault(writer, []).append(table)
            elif file.kind == "match log":
                logged = read_line(file.line)
        except Unreadable as error:
            problems.add(error.kind, error.problem, path=file.name)
    return FrameworkFiles(match, found, logged)
