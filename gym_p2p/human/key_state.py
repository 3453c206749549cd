"""Which keys count as held in a frame. Bytes, time and actions are others' to know.

A key that was pressed and released between two frames counts for one. What is held when the page loses the
focus is released: its release may happen elsewhere, unseen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import attrs

from gym_p2p.core.record.human import PageInput
from gym_p2p.human.messages import Change, Keys

__all__ = ["KeyState", "Sample"]


@attrs.frozen
class Sample:
    """What a frame is played with.

    Attributes:
        held: the codes, in the order in which they were pressed.
        seq: of the newest change of keys that is in it; 0 before the first.
    """

    held: tuple[str, ...]
    seq: int


@attrs.define(eq=False)
class KeyState:
    """The keys of one person.

    Args:
        known: the codes of the controls; others are dropped.

    Attributes:
        pressed_by: how many presses of known keys there were, by what they were pressed with.
        dropped: how many of others.
        seq: of the newest change that was told; 0 before the first.
    """

    known: Collection[str]
    pressed_by: Counter[PageInput] = attrs.field(factory=Counter, init=False)
    dropped: int = attrs.field(default=0, init=False)
    seq: int = attrs.field(default=0, init=False)
    _held: tuple[str, ...] = attrs.field(default=(), init=False)
    _pressed: dict[str, None] = attrs.field(factory=dict, init=False)
    """Since the last frame, in the order of the presses."""

    def news(self, message: Keys) -> list[Change]:
        """Return the changes that were not told before, in their order."""
        fresh = {change.seq: change for change in message.changes if change.seq > self.seq}
        return [fresh[seq] for seq in sorted(fresh)]

    def receive(self, message: Keys) -> list[Change]:
        """Take in what a page says of its keys; return what is news of it: nothing, if it was overtaken."""
        news = self.news(message)
        if not news:
            return news
        self.seq = news[-1].seq
        for change in news:
            if change.code is None:
                continue
            if change.code in self.known:
                self.pressed_by[change.by or "keys"] += 1
                self._pressed.pop(change.code, None)
                self._pressed[change.code] = None
            else:
                self.dropped += 1
        self._held = tuple(dict.fromkeys(code for code in message.held if code in self.known))
        return news

    def release(self) -> None:
        """Let go of everything, also of what was pressed and not yet played."""
        self._held = ()
        self._pressed.clear()

    def restart(self) -> None:
        """Begin with a page that counts from 1 again."""
        self.release()
        self.seq = 0

    @property
    def events(self) -> int:
        """How many presses of known keys there were."""
        return self.pressed_by.total()

    @property
    def pressed(self) -> bool:
        """Whether a key was pressed since the last frame."""
        return bool(self._pressed)

    @property
    def now(self) -> tuple[str, ...]:
        """The codes that a frame would be played with, in the order of :attr:`Sample.held`."""
        return (*(code for code in self._pressed if code not in self._held), *self._held)

    def sample(self) -> Sample:
        """Return what this frame is played with; the next one begins."""
        sample = Sample(self.now, self.seq)
        self._pressed.clear()
        return sample
