"""One episode as this player plays it: inputs out, frames in, the game's steps, checksums.

Runs on the user's thread. Knows the line, the game and the record; refuses to know how a match comes about
and what follows from its end: that is :mod:`gym_p2p.session`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.core.events import (
    EpisodeBegan,
    GiveChecksum,
    GiveInput,
    InputsArrived,
    PlayerFinished,
    PlayerGone,
)
from gym_p2p.core.metrics import MatchRecord
from gym_p2p.core.pacing import Pacer
from gym_p2p.core.sync import Advance, Lockstep, Over
from gym_p2p.errors import ProtocolError
from gym_p2p.game.base import Game
from gym_p2p.game.checksum import OutcomeChecksum
from gym_p2p.game.inputs import SeatInputs
from gym_p2p.game.outcome import Outcome, Seat
from gym_p2p.line import Line
from gym_p2p.net.participant import Failed, Stopped
from gym_p2p.recording import Recorder, now_ms

__all__ = ["Ending", "Episode"]


@attrs.frozen
class Ending:
    """The episode ended, not by the environment.

    Attributes:
        reason: ``peer_lost``, ``peer_left``, ``peer_reset``, ``desync``, ``input_timeout``,
            ``protocol_error`` or ``network_failed``.
        player: whose doing it was; ``None`` if nobody's.
    """

    reason: str
    player: Seat | None = None


class Episode:
    """A running episode: begins when made, with the delayed frames' inputs and the game's reset.

    Args:
        line: to the network half, where this episode has begun.
        recorder: of the match.
        game: the local copy.
        inputs: of the match's players.
        sync: how frames are kept together.
        began: what the players agreed on.

    Attributes:
        seed: the agreed one.
        outcome: what the newest frame gave, at first what ``reset`` gave.
    """

    def __init__(
        self,
        *,
        line: Line,
        recorder: Recorder,
        game: Game,
        inputs: SeatInputs,
        sync: SyncConfig,
        began: EpisodeBegan,
    ) -> None:
        self._line = line
        self._recorder = recorder
        self._game = game
        self._inputs = inputs
        self._config = sync
        self._others = len(line.found.players) - 1
        self._checksum = OutcomeChecksum(len(game.seats))
        self._pacer = Pacer(sync.fps)
        recorder.record.begin_episode(now_ms())
        self._sync = Lockstep(
            local=line.local,
            players=self._others + 1,
            input_delay=sync.input_delay,
            default_input=inputs.default,
        )
        for give in self._sync.begin():
            self._give(give)
        self.seed = began.seed
        self.outcome = game.reset(began.seed, dict(began.options) or None)

    @property
    def frame(self) -> int:
        """The next frame to be played."""
        return self._sync.frame

    def play(self, actions: Mapping[Seat, Any]) -> Outcome | Ending:
        """Play one frame with the local seats' canonical actions, once everybody's inputs are here."""
        give = self._sync.give(self._inputs.encode(actions))
        if give is not None:
            self._give(give)
        arrived = self._await_frame()
        if isinstance(arrived, Ending):
            return arrived
        result = self._advance(arrived)
        wait_s = self._pacer.wait_s(time.monotonic())
        if wait_s > 0:
            time.sleep(wait_s)
        return result

    def receive(self, event: object) -> None:
        """Take in what was told outside of :meth:`play`; what is not about inputs is ignored."""
        if isinstance(event, InputsArrived | PlayerFinished | PlayerGone):
            self._sync.receive(event)

    def _give(self, give: GiveInput) -> None:
        self._line.command(give)
        self._record.inputs_sent(self._others)

    @property
    def _record(self) -> MatchRecord:
        return self._recorder.record

    def _await_frame(self) -> Advance | Ending:
        """Wait until the frame can be played; say why not if it never can."""
        sync, line = self._sync, self._line
        deadline = time.monotonic() + self._config.input_timeout_s
        while True:
            if self._recorder.desyncs and self._config.on_desync == "truncate":
                return Ending("desync", self._recorder.desynced_with)
            match sync.poll():
                case Advance() as advance:
                    return advance
                case Over(_, reason, player):
                    return Ending(reason, line.player_id(player))
            if deadline <= time.monotonic():
                return Ending("input_timeout")
            match line.next():
                case InputsArrived() | PlayerFinished() | PlayerGone() as event:
                    sync.receive(event)
                case Failed() | Stopped():
                    return Ending("network_failed")

    def _advance(self, advance: Advance) -> Outcome | Ending:
        record = self._record
        try:
            by_seat = self._inputs.by_seat(advance.inputs)
            actions = self._inputs.decode(by_seat)
        except ProtocolError as error:
            record.protocol_error(error.problem)
            return Ending("protocol_error")
        outcome = self.outcome = self._game.step(actions)
        record.frame(by_seat)
        self._checksum.update(advance.frame, by_seat, outcome)
        if outcome.ended or (advance.frame + 1) % self._config.checked_every == 0:
            digest = self._checksum.digest(outcome)
            record.checksum(advance.frame, digest)
            self._line.command(GiveChecksum(advance.frame, bytes.fromhex(digest)))
        if outcome.ended:
            record.end_episode(now_ms())
        return outcome
