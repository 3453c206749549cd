"""One of many players of a match, in a worker: the product as a user has it, with next to nothing to play.

The network is a thread of the same process, so that its processor time is all that the player takes.
"""

from __future__ import annotations

import time
from typing import Any

from gym_p2p.bench.anchors import see_loopback
from gym_p2p.bench.figures import times_between
from gym_p2p.bench.scale import FPS, HELD_FRAMES
from gym_p2p.bench.still import StillEnv, still_seats
from gym_p2p.wrapper import P2PEnv

__all__ = ["MeshStation"]


class MeshStation:
    """A player who opens, plays and closes one match on request.

    Args:
        players: how many there are.
        index: which of them this is.
    """

    def __init__(self, players: int, index: int) -> None:
        see_loopback()
        self._seats = still_seats(players)
        self._index = index
        self._env: P2PEnv | None = None

    def close(self) -> None:
        """Leave the match. Idempotent."""
        if self._env is not None:
            self._env.close()
            self._env = None

    def open(self, url: str, room: str, sync: str) -> None:
        """Begin a match, at its own pace."""
        self._env = P2PEnv(
            StillEnv(self._seats),
            seat=self._seats[self._index],
            server_url=url,
            room=room,
            network="thread",
            sync=sync,  # type: ignore[arg-type]  # one of the modes
            fps=FPS,
            exports=None,
            upload=False,
        )
        self._env.reset()

    def play(self, frames: int) -> dict[str, Any]:
        """Play frames, changing the action now and then.

        Returns the processor time a frame, of the whole process, in us, the times from one frame's end to the
        next one's, in ms, and the share of these that are on time.
        """
        assert self._env is not None  # noqa: S101 - the bench opens before it plays
        shift = self._index * HELD_FRAMES // len(self._seats)
        ended = []
        cpu_s = time.process_time()
        for frame in range(frames):
            self._env.step((frame + shift) // HELD_FRAMES % 2)
            ended.append(time.perf_counter())
        cpu_us = (time.process_time() - cpu_s) * 1e6 / frames
        between, on_time = times_between(ended, FPS)
        return {"cpu_us": cpu_us, "interval": between, "on_time": on_time}
