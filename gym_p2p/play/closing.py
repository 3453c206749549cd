"""How long who closes in the middle of an episode waits for what they have played to become final.

Knows reasons and times; refuses to know frames, and how they become final.
"""

from __future__ import annotations

from gym_p2p.config import SyncConfig
from gym_p2p.play.episode import LiveEpisode

__all__ = ["FINAL_LIMIT_S", "INTERRUPTED_LIMIT_S", "await_final"]

FINAL_LIMIT_S = 0.5
"""For inputs of the others, which are on the way, unless these have stopped to play."""

INTERRUPTED_LIMIT_S = 3.0
"""Beyond that, while a path is repaired, after a Ctrl-C, and where a program ends without closing: a way
round, or a new connection, takes less."""


def await_final(episode: LiveEpisode, reason: str, sync: SyncConfig) -> None:
    """Wait, where somebody ends who has played so far, for as long as it may take.

    Otherwise what they played last may be what went wrong. Another Ctrl-C ends it at once.
    """
    if reason not in {"normal", "interrupted", "dropped"}:
        return
    repaired_s = sync.reconnect_timeout_s
    if reason != "normal":
        repaired_s = min(repaired_s, INTERRUPTED_LIMIT_S)
    episode.await_final(FINAL_LIMIT_S, repaired_s=FINAL_LIMIT_S + repaired_s)
