"""What is known of one match, from all its files, before it becomes rows."""

from __future__ import annotations

import attrs

from gym_p2p.study.match.actions import ActionRows
from gym_p2p.study.match.participants import Participant
from gym_p2p.study.problems import Problems
from gym_p2p.study.reading.accounts import Account
from gym_p2p.study.reading.recordings import Played, Recording

__all__ = ["MatchFacts"]


@attrs.frozen(eq=False, kw_only=True)
class MatchFacts:
    """One match.

    Attributes:
        match: its id.
        folder: where its files are, relative to what was loaded.
        accounts: what the players' documents say, in the order of the players' texts.
        recording: the longest one; ``None`` without any.
        played: what was earned, by the recording or the browser framework's tables of frames.
        rows: the actions of all frames.
        participants: everybody who is known to have played.
        problems: takes what does not agree.
    """

    match: str
    folder: str
    accounts: list[Account]
    recording: Recording | None
    played: Played | None
    rows: ActionRows
    participants: list[Participant]
    problems: Problems

    @property
    def seat_players(self) -> dict[str, str]:
        """Who sat on each seat."""
        return {seat: one.player for one in self.participants for seat in one.seats or ()}
