"""How fast a policy may react, so that it can be compared with people: counted in frames, without a clock.

A person sees, and acts a while later; and they change what they do a few times a second. What a policy wants
comes into effect ``reaction_ms`` after it saw why, and what is in effect changes ``actions_per_s`` times a
second at most. Both are a match's frames, so that equal observations give equal actions on any machine.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from gym_p2p.errors import ConfigurationError

__all__ = ["LimitedPolicy", "ReactionLimits", "Reactions"]

_MOST_MS = 60_000.0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@attrs.frozen(kw_only=True)
class ReactionLimits:
    """How fast a policy may react.

    Attributes:
        reaction_ms: from an observation to the first action that is chosen by it.
        actions_per_s: the most changes of the action in any second; ``None`` sets no limit. Below 1, it is
            one change in any ``1 / actions_per_s`` seconds.

    Raises:
        ConfigurationError: a number out of its range.
    """

    reaction_ms: float = 0.0
    actions_per_s: float | None = None

    def __attrs_post_init__(self) -> None:
        if not _is_number(self.reaction_ms) or not 0 <= self.reaction_ms <= _MOST_MS:
            raise ConfigurationError(
                "reaction_ms", f"wanted 0 to {_MOST_MS:g} milliseconds, got {self.reaction_ms!r}"
            )
        rate = self.actions_per_s
        if rate is not None and not (_is_number(rate) and 0.01 <= rate < math.inf):
            raise ConfigurationError("actions_per_s", f"wanted a number from 0.01, or None, got {rate!r}")

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return bool(self.reaction_ms) or self.actions_per_s is not None

    def reaction_frames(self, fps: float) -> int:
        """Return how many frames a reaction takes, at least as long as it is to be."""
        return math.ceil(self.reaction_ms * fps / 1e3 - 1e-9)

    def window(self, fps: float) -> tuple[int, int] | None:
        """Return ``(changes, frames)``: in so many frames, at most so many changes; ``None`` for no limit."""
        if self.actions_per_s is None:
            return None
        seconds = max(1.0, 1 / self.actions_per_s)
        return max(1, math.floor(self.actions_per_s)), max(1, math.ceil(seconds * fps - 1e-9))


class Reactions:
    """What of a policy's wishes comes into effect, a frame at a time; of one episode after another.

    Args:
        limits: how fast it may react.
        fps: frames a second.
        nothing: the action that is in effect before the first.

    Attributes:
        changes: how often the action in effect changed.
        held_back: in how many frames a change was wanted and had to wait for the limit of changes.
    """

    def __init__(self, limits: ReactionLimits, *, fps: float, nothing: Any) -> None:
        self._delay = limits.reaction_frames(fps)
        self._window = limits.window(fps)
        self._nothing = nothing
        self.changes = self.held_back = 0
        self.reset()

    def reset(self) -> None:
        """Begin an episode, in which nothing was seen and done yet."""
        self._wishes: deque[tuple[int, Any]] = deque()
        self._wish = self._now = self._nothing
        self._changed_at: deque[int] = deque(maxlen=None if self._window is None else self._window[0])

    def act(self, wanted: Any, frame: int) -> Any:
        """Return the action of a frame.

        Args:
            wanted: what the policy wants, by what it sees in this frame.
            frame: the frame, later than that of the call before.
        """
        self._wishes.append((frame, wanted))
        while self._wishes and self._wishes[0][0] <= frame - self._delay:
            self._wish = self._wishes.popleft()[1]
        if not same_action(self._wish, self._now):
            if self._may_change(frame):
                self._now = self._wish
                self.changes += 1
                if self._window is not None:
                    self._changed_at.append(frame)
            else:
                self.held_back += 1
        return self._now

    def _may_change(self, frame: int) -> bool:
        if self._window is None:
            return True
        most, frames = self._window
        return len(self._changed_at) < most or self._changed_at[0] <= frame - frames


def same_action(one: Any, other: Any) -> bool:
    """Whether two actions of one space are equal, whatever they are made of."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_action(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(same_action, one, other))
    return bool(np.array_equal(one, other))


class LimitedPolicy:
    """A policy that reacts no faster than people do; called as any other one: ``policy(observation, frame)``.

    A frame that does not come after the one before begins an episode, in which nothing was seen yet. What the
    policy remembers of an episode is forgotten then by its own ``reset()``, where it has one.

    Args:
        policy: ``policy(observation, frame) -> action``.
        fps: frames a second, by which times become frames.
        nothing: the action before the first reaction.
        reaction_ms: from an observation to the first action that is chosen by it.
        actions_per_s: the most changes of the action in a second; ``None`` sets no limit.

    Raises:
        ConfigurationError: a number out of its range.
    """

    def __init__(
        self,
        policy: Callable[[Any, int], Any],
        *,
        fps: float,
        nothing: Any,
        reaction_ms: float = 0.0,
        actions_per_s: float | None = None,
    ) -> None:
        if not _is_number(fps) or not 0 < fps < math.inf:
            raise ConfigurationError("fps", f"wanted a number above 0, got {fps!r}")
        limits = ReactionLimits(reaction_ms=reaction_ms, actions_per_s=actions_per_s)
        self._policy = policy
        self._reactions = Reactions(limits, fps=fps, nothing=nothing)
        self._last = -1

    def __call__(self, observation: Any, frame: int) -> Any:
        """Return the action of a frame."""
        if frame <= self._last:
            self.reset()
        self._last = frame
        return self._reactions.act(self._policy(observation, frame), frame)

    def reset(self) -> None:
        """Begin an episode."""
        self._last = -1
        self._reactions.reset()
        forget(self._policy)


def forget(policy: object) -> None:
    """Have a policy forget its episode, where it has a ``reset()`` for that."""
    reset = getattr(policy, "reset", None)
    if callable(reset):
        reset()
