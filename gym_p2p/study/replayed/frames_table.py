"""The table of frames, which can be called for what playing the recordings again adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from gym_p2p.study.tables.table import Table

if TYPE_CHECKING:
    from gym_p2p.study.study import Study

__all__ = ["FramesTable"]


class FramesTable(Table):
    """The frames. Called, it returns them with what playing the recordings again adds."""

    def __init__(self, arrow: pa.Table, study: Study) -> None:
        super().__init__("frames", arrow)
        self._study = study

    def __call__(self, *, observations: bool = False, match: str | None = None, trust: bool = False) -> Table:
        """Return the frames, all or those of a match.

        Args:
            observations: play each recording again in a fresh environment, compare all that was recorded of
                it on the way, and add what every seat saw (``observation``); rewards and ends are then those
                that came out again, and null from where something differs on. What was found is kept beside
                the recordings. Matches that cannot be played again are said in :attr:`Table.arrow`'s
                metadata (``gym_p2p.problems``, JSON), and keep what was recorded.
            match: only this one.
            trust: make whatever a recording names as its environment; else only what installed packages
                offer, as with ``gym-p2p replay``.

        Raises:
            UsageError: there is no such match.
        """
        from gym_p2p.study.replayed.frames import replayed_frames  # noqa: PLC0415 - the environments' libraries

        return replayed_frames(self._study, observations=observations, match=match, trust=trust)
