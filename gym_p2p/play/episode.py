"""One episode as the wrapper shows it: plays frames in real time, waits where it must, shows the view.

Runs on the user's thread. Knows the line, the playing and the view; refuses to know how a match comes about
and what follows from its end: that is :mod:`gym_p2p.play.session`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.core.sync.pacing import Pacer
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ProtocolError
from gym_p2p.game.outcome import Outcome, fresh
from gym_p2p.game.rollout import Correction, FinalFrame
from gym_p2p.net.worker.messages import Failed, Stopped
from gym_p2p.play.match_client import Line
from gym_p2p.play.recorder import Recorder
from gym_p2p.play.runner import Playing

__all__ = ["Ending", "Episode"]

_LOOK_EVERY_S = 0.002
_CORRECTIONS_KEPT = 4096
"""Of those that nobody fetches, the oldest go: a minute of the worst network."""


@attrs.frozen
class Ending:
    """The episode ended, not by the environment.

    Attributes:
        reason: ``peer_lost``, ``peer_left``, ``peer_reset``, ``desync``, ``input_timeout``,
            ``protocol_error``, ``network_failed``, ``environment_failed`` or ``interrupted``.
        player: whose doing it was; ``None`` if nobody's.
    """

    reason: str
    player: SeatId | None = None


class Episode:
    """A running episode.

    Args:
        line: to the network half, where this episode has begun.
        recorder: of the match.
        playing: what is played.
        own: the local seats, by index.
        sync: how frames are kept together.
        seed: the agreed one.

    Attributes:
        seed: the agreed one.
        outcome: what was shown last, at first what ``reset`` gave.
        frame_shown: the frame that it is of; -1 for ``reset``.
    """

    def __init__(
        self,
        *,
        line: Line,
        recorder: Recorder,
        playing: Playing,
        own: Sequence[int],
        sync: SyncConfig,
        seed: int,
    ) -> None:
        self._line = line
        self._recorder = recorder
        self._playing = playing
        self._own = tuple(own)
        self._config = sync
        self._pacer = Pacer(sync.fps)
        self._unseen: deque[FinalFrame] = deque()
        self._corrections: deque[Correction] = deque(maxlen=_CORRECTIONS_KEPT)
        self._over: Ending | None = None
        line.listener = playing.receive
        self.seed = seed
        self.outcome = playing.rollout.outcome
        self.frame_shown = -1

    @property
    def frame(self) -> int:
        """The next frame to be played."""
        return self._playing.session.frame

    @property
    def input_delay(self) -> int:
        """Frames between giving an action and its effect, at present."""
        return self._playing.session.input_delay

    @property
    def confirmed(self) -> int:
        """How many frames are final."""
        return self._playing.rollout.final_count

    @property
    def broken(self) -> bool:
        """Whether the environment's own exception, or a Ctrl-C in it, has left it within a frame."""
        return self._playing.rollout.broken

    def play(self, actions: Mapping[SeatId, Any]) -> Outcome | Ending:
        """Play one frame with the local seats' canonical actions; return what is to be shown.

        In lockstep that is the frame, once everybody's inputs are here; where inputs are predicted, see
        ``view``. An end is shown once it is final.
        """
        result = self._ended() or self._play(actions)
        wait_s = self._pacer.wait_s(time.monotonic(), stretch=self._playing.session.stretch)
        if wait_s > 0 and not isinstance(result, Ending):
            time.sleep(wait_s)
        return result

    def settle(self) -> None:
        """Record what has become final by what was told outside of :meth:`play`."""
        self._tick()

    def await_final(self, limit_s: float) -> None:
        """Wait until every frame that was played is final, or will not be; records them."""
        deadline = time.monotonic() + limit_s
        playing = self._playing
        while self._over is None and playing.rollout.final_count < playing.session.frame:
            while self._line.next(0) is not None:
                pass
            self._tick()
            if playing.rollout.over or playing.rollout.broken or deadline <= time.monotonic():
                return
            time.sleep(_LOOK_EVERY_S)

    def take_corrections(self) -> list[Correction]:
        """Return what had been shown on wrong guesses since the last call, oldest first."""
        taken = list(self._corrections)
        self._corrections.clear()
        return taken

    def _play(self, actions: Mapping[SeatId, Any]) -> Outcome | Ending:
        while self._line.next(0) is not None:
            pass
        deadline = time.monotonic() + self._config.input_timeout_s
        advanced = False
        while True:
            if self._recorder.desyncs and self._config.on_desync == "truncate":
                return Ending("desync", self._recorder.desynced_with)
            waits = self._playing.awaits_end(self._own)
            if not (waits or advanced or self._playing.rollout.over):
                self._playing.give(actions)
            advanced = self._tick() or advanced
            shown = self._shown(advanced=advanced)
            if shown is not None:
                return shown
            if deadline <= time.monotonic():
                return Ending("input_timeout")
            if isinstance(self._line.next(), Failed | Stopped):
                return Ending("network_failed")

    def _tick(self) -> bool:
        """Play what can be played, take note of an end; return whether the next frame was played."""
        try:
            tick = self._playing.tick()
        except ProtocolError as error:
            self._recorder.record.protocol_error(error.problem)
            self._over = Ending("protocol_error")
            return False
        # A frame that was held back, for it seemed to be the end, was never shown.
        self._corrections.extend([one for one in tick.corrections if one.frame <= self.frame_shown])
        if self._config.view == "confirmed":
            self._unseen.extend(tick.final)
        if tick.over is not None and not self._playing.rollout.over:
            self._over = Ending(tick.over.reason, self._line.player_id(tick.over.player))
        return tick.advanced

    def _ended(self) -> Outcome | Ending | None:
        """Return what is still to be shown of an episode in which nothing is played any more."""
        return self._shown(advanced=False) if self._over is not None or self._playing.rollout.over else None

    def _shown(self, *, advanced: bool) -> Outcome | Ending | None:
        """Return what this step shows; ``None`` if that has to be waited for."""
        rollout = self._playing.rollout
        if self._config.view == "confirmed":
            return self._next_final(may_repeat=advanced)
        if rollout.over or (advanced and not self._playing.awaits_end(self._own)):
            ended_at = rollout.ended_at if rollout.over else None
            self.frame_shown = self._playing.session.frame - 1 if ended_at is None else ended_at
            self.outcome = rollout.outcome
            return self.outcome
        return self._over

    def _next_final(self, *, may_repeat: bool) -> Outcome | Ending | None:
        if self._unseen:
            final = self._unseen.popleft()
            self.frame_shown, self.outcome = final.frame, final.outcome
            return final.outcome
        if self._over is not None:
            return self._over
        if may_repeat and not self._playing.awaits_end(self._own):
            return _again(self.outcome)
        return None


def _again(outcome: Outcome) -> Outcome:
    """Return what a step shows to which no new final frame belongs: the last one, without its rewards."""
    return attrs.evolve(
        outcome,
        observations=fresh(outcome.observations),
        rewards=(0.0,) * len(outcome.rewards),
        infos=fresh(outcome.infos),
    )
