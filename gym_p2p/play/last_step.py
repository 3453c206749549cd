"""A reset directly after an episode's last step: it may be a vector environment's, inside its own step.

Gymnasium's ``AutoresetMode.SAME_STEP`` steps, sees the end, and resets before it returns anything. Were that
reset to raise, the outcome of the step would be lost, and with it those of all others of the vector.
Whoever resets cannot be told apart from a loop of one's own, so that it is the same for all: where no episode
follows, the last outcome is given once more with the reason in every info, and the next call raises.
"""

from __future__ import annotations

import attrs

from gym_p2p.errors import P2PError

__all__ = ["LastStep"]


@attrs.define
class LastStep:
    """What the newest step leaves to the next call.

    Attributes:
        ended: whether it ended the episode, and neither ``reset`` nor ``step`` was called since.
        put_off: what the next call raises, where a reset after it found that no episode follows.
    """

    ended: bool = False
    put_off: P2PError | None = None

    def take_ended(self) -> bool:
        """Return whether a reset follows the step directly; the next one does not."""
        ended, self.ended = self.ended, False
        return ended

    def take_put_off(self) -> P2PError | None:
        """Return what was put off; it is raised once."""
        error, self.put_off = self.put_off, None
        return error
