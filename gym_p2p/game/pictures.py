"""Which frames of an episode are drawn: those that are shown, once, and no others.

Knows the game, its snapshots, and when it draws; refuses to know when a frame is shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from gym_p2p.game.env.game import Game
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.state.snapshot import Snapshot, Snapshots

__all__ = ["Pictures"]

# An environment draws within its step, so that to draw a frame is to play it with the light on.
#
# In lockstep every frame that is played is shown: it is played in the light at once. Where frames are
# guessed, that a frame is shown is known only after it was played (a guessed end is held back until it is
# final, and the confirmed view is behind). So it is played in the dark; the state before it is kept; and when
# it is shown, it is played once more from there in the light, and the game goes back to where it was. What
# drawing does to the environment's state is gone with that, and does not tell the players' states apart.


class Pictures:
    """The pictures of one episode.

    Args:
        game: whose environment draws, or is asked for pictures.
        snapshots: where frames are guessed; ``None`` in lockstep.
    """

    def __init__(self, game: Game, snapshots: Snapshots | None) -> None:
        self._game = game
        self._snapshots = snapshots
        self._before: dict[int, tuple[Snapshot, Sequence[Any]]] = {}
        self._drawn = -1
        self._seen = True

    def reset(self, seed: int, options: dict[str, Any] | None) -> Outcome:
        """Reset the game, and draw it."""
        if self._snapshots is None or not self._game.screen.draws:
            with self._game.shown():
                return self._game.reset(seed, options)
        outcome = self._game.reset(seed, options)
        with self._return_after(self._snapshots), self._game.shown():
            self._game.reset(seed, options)
        return outcome

    def step(self, frame: int, actions: Sequence[Any], saved: Snapshot | None) -> Outcome:
        """Play a frame; draw it if that it is shown is sure.

        Args:
            frame: its number.
            actions: every seat's.
            saved: the state before it, if that was saved.
        """
        if self._snapshots is None:
            if not self._seen:
                return self._game.step(actions)
            with self._game.shown():
                return self._game.step(actions)
        kept = self._snapshots.save() if saved is None else Snapshot(saved.content, saved.progress)
        self._before[frame] = kept, actions
        return self._game.step(actions)

    @contextlib.contextmanager
    def unseen(self) -> Iterator[None]:
        """Draw nothing that is played within this block; where frames are guessed, it may be shown later."""
        self._seen = False
        try:
            yield
        finally:
            self._seen = True

    def show(self, frame: int) -> None:
        """Draw a frame that is shown now, unless it was drawn when it was played, or before."""
        for earlier in [number for number in self._before if number < frame]:
            del self._before[earlier]
        if self._snapshots is None or frame <= self._drawn or not self._game.screen.draws:
            return
        self._drawn = frame
        kept = self._before.get(frame)
        if kept is None:
            return
        before, actions = kept
        with self._return_after(self._snapshots):
            self._snapshots.load(before)
            with self._game.shown():
                self._game.step(actions)

    def render(self, frame: int) -> Any:
        """Return the environment's picture of a frame, which is shown; -1 is what ``reset`` gave."""
        after = self._before.get(frame + 1)
        if self._snapshots is None or after is None:
            return self._game.render()
        with self._return_after(self._snapshots):
            self._snapshots.load(after[0])
            return self._game.render()

    @contextlib.contextmanager
    def _return_after(self, snapshots: Snapshots) -> Iterator[None]:
        """Go back at the end to where the game is now."""
        now = snapshots.save()
        try:
            yield
        finally:
            snapshots.load(now)
            snapshots.free(now)
