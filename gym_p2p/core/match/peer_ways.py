"""The ways to one player, as far as the two have agreed.

Knows what was tried, heard and told; refuses to know when another way is taken
(:mod:`gym_p2p.core.match.rerouting`). Times are monotonic seconds.
"""

from __future__ import annotations

import math

import attrs

from gym_p2p.core.match.gap_repairs import GapRepairs
from gym_p2p.core.match.pings import Pings
from gym_p2p.core.match.ways import DIRECT, Way, Why
from gym_p2p.core.wire.past import Recall

__all__ = ["Ways"]


@attrs.define(eq=False)
class Ways:
    """The ways to one player.

    Attributes:
        now: the one that messages take.
        change: how often the two have changed it; the higher number counts.
        link_open: whether there is a direct link.
        had_direct: whether messages ever went directly.
        beside: our pings over the direct link while messages take another way.
        tried_at: when the present way was begun with.
        heard_at: when something came over it, while it is not the direct one.
        direct_heard_at: when something came directly, while messages take another way.
        interrupted_at: when nothing had arrived for too long, or a way out of that was looked for in vain.
        carries_since: when both had agreed on the present way, or it carried again after a silence.
        numbered: control messages that went over this way since the change, where it leads over others.
        taken: and that came.
        newest: the number of the newest game message that came over others.
        why: the present way was chosen.
        seen: of the way before: its loss and round trip in ms.
        told: what was emitted last.
        lost_told: whether the loss of the direct path was.
        behind: how many of our control messages the player says to hold, and since when that is too few.
        gaps: the repairs of gaps in what comes over this way.
        suspect: whether the direct path is pinged often, for it may be bad.
        by_service: whether what is taken in just now came by the service.
        early_by_service: whether the newest inputs of an episode that has not begun here did.
        not_bad_before: a path that is bad stays in use until then: there was no other.
        owed_since: when we left, who stay until the player has said to hold all we said; ``None`` where
            nothing is waited for.
        asked: what was played that the player asks for over this way, and has to wait for.
    """

    now: Way = DIRECT
    change: int = 0
    link_open: bool = False
    had_direct: bool = False
    beside: Pings | None = None
    tried_at: float = 0.0
    heard_at: float = 0.0
    direct_heard_at: float = -math.inf
    interrupted_at: float = 0.0
    carries_since: float = 0.0
    numbered: int = 0
    taken: int = 0
    newest: int = 0
    why: Why = Why.LOST
    seen: tuple[float | None, float | None] = (None, None)
    told: Way = DIRECT
    lost_told: bool = False
    behind: tuple[int, float] | None = None
    gaps: GapRepairs = attrs.field(factory=GapRepairs)
    suspect: bool = False
    by_service: bool = False
    early_by_service: bool = False
    not_bad_before: float = 0.0
    owed_since: float | None = None
    asked: Recall | None = None

    @property
    def why_direct(self) -> Why:
        """Why messages go directly from now on."""
        return Why.GOOD_AGAIN if self.had_direct else Why.CARRIES

    def why_followed(self, way: Way, *, interrupted: bool) -> Why:
        """Return why the player took a way, as far as it can be seen from here.

        Args:
            way: the one.
            interrupted: whether nothing had arrived of them for too long.
        """
        if way is DIRECT:
            return self.why_direct
        if not self.link_open and not self.had_direct:
            return Why.NO_DIRECT_PATH
        return Why.LOST if interrupted else Why.OTHER_PLAYER
