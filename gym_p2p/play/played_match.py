"""What one player plays every episode of a match with, once the players have met and agreed.

The same for a match on the network and for one on virtual time. Knows the game, the terms and the record;
refuses to know how time passes, how events arrive, and what is shown to whom.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.commands import Command
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.sync.time_sync import AutoDelay
from gym_p2p.game.env.game import Game
from gym_p2p.game.inputs import SeatInputs
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.stand_ins import StandIn
from gym_p2p.play.state_exchange import AtOnce, StateExchange, Workplace
from gym_p2p.play.sync_mode import SyncChoice

__all__ = ["EpisodeSink", "PlayedMatch"]


class EpisodeSink(Protocol):
    """Takes an episode as it becomes final; a :class:`~gym_p2p.game.replay.writer.ReplayWriter` is one."""

    def begin_episode(self, seed: int, options: Mapping[str, Any] | None, first_outcome: Outcome) -> None:
        """An episode begins, with what ``reset`` gave."""

    def frame(self, by_seat: Sequence[bytes], outcome: Outcome) -> None:
        """The next frame is final: every seat's encoded action, and what came of them."""

    def checksum(self, frame: int, digest: str) -> None:
        """The digest of a compared frame, which may be an earlier one."""

    def end_episode(self, *, completed: bool) -> None:
        """The environment has ended it. May come more than once."""


@attrs.define(eq=False, kw_only=True)
class PlayedMatch:
    """One player's part in a match whose players have met.

    Attributes:
        game: the local copy.
        holders: for every seat of the game, in its order, the index of its player.
        local: the local player's index.
        config: how frames are kept together, as configured.
        choice: the same, as agreed.
        stand_in: plays for players who are gone, where the match goes on without them.
        away_stand_in: plays for players who are away; ``None`` gives their default actions.
        acts_for: the players who are away and whose inputs this player gives now, by index.
        record: of the match.
        sinks: take what is final: recordings.
        shows: whether somebody sees what is played: the environment draws it then, if it does.
        workplace: where states are compared at a desync.
        command: takes what goes to the network half.
        now_ms: the Unix time in milliseconds.
        monotonic_s: seconds on a clock that never goes back.
        inputs: of the players, as bytes.
        own: the local player's seats, by index.
        states: the exchange of states at a desync.
        auto_delay: follows the measured path, over all episodes; ``None`` where the input delay is fixed.
    """

    game: Game
    holders: Sequence[int]
    local: int
    config: SyncConfig
    choice: SyncChoice
    record: MatchRecord
    command: Callable[[Command], None]
    now_ms: Callable[[], int]
    monotonic_s: Callable[[], float]
    stand_in: StandIn | None = None
    away_stand_in: StandIn | None = None
    acts_for: AbstractSet[int] = frozenset()
    sinks: Sequence[EpisodeSink] = ()
    shows: bool = False
    workplace: Workplace = attrs.field(factory=AtOnce)
    inputs: SeatInputs = attrs.field(init=False)
    own: tuple[int, ...] = attrs.field(init=False)
    states: StateExchange = attrs.field(init=False)
    auto_delay: AutoDelay | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        """Derive the rest."""
        self.inputs = SeatInputs(self.game, self.holders, self.local)
        self.own = tuple(seat for seat, holder in enumerate(self.holders) if holder == self.local)
        self.states = StateExchange(self.record, self.command, self.workplace)
        if self.config.input_delay == "auto" and self.config.fps is not None:
            self.auto_delay = AutoDelay(fps=self.config.fps, most=self.config.prediction_window)

    @property
    def waits_for_all(self) -> bool:
        """Whether nothing is guessed, and all players act in every frame: each waits for the others."""
        return self.choice.window == 0 and not self.game.takes_turns

    @property
    def input_delay(self) -> int:
        """The input delay with which the next episode begins, in frames."""
        if self.auto_delay is not None:
            return self.auto_delay.frames
        assert isinstance(self.config.input_delay, int)  # noqa: S101 - "auto" comes with a delay that follows
        return self.config.input_delay
