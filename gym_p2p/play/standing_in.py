"""Players who are away are stood in for: what this player gives in their name, and who acted in which frame.

For every frame that is played here the keeper's user half chooses an input of each player who is away: by the
default actions of their seats, or by the stand-in, which sees what they would see here now (where frames are
guessed: on guesses, as every player acts). It takes effect as late as one of theirs would. The network half
gives it to all as theirs (:mod:`gym_p2p.core.match.keeping`), and back to this half, too.

Runs on the user's thread. Knows seats and inputs; refuses to know who is away, and when others take over.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.acted import ActedFrames
from gym_p2p.core.match.commands import GiveFor
from gym_p2p.core.match.events import EpisodeBegan, InputsArrived
from gym_p2p.core.record.episode import Actor
from gym_p2p.core.wire.acting import ActedBy
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.stand_ins import legal_default, stand_in_action
from gym_p2p.play.match_client import MatchClient
from gym_p2p.play.played_match import PlayedMatch

__all__ = ["StandingIn", "StoodInFor", "stood_in_for"]

_log = logging.getLogger(__name__)

_ACTORS: dict[int, Actor] = {ActedBy.DEFAULT: "default", ActedBy.STAND_IN: "stand_in"}


class StandingIn:
    """The inputs of one episode that others than their player gave, or that this player gives for them."""

    def __init__(self, match: PlayedMatch, began: EpisodeBegan) -> None:
        self._match = match
        self._episode = began.episode
        self._delays = began.delays or (0,) * match.inputs.players
        self._known: defaultdict[int, int] = defaultdict(int)
        """Of each player up to which frame the inputs are known here."""
        self._given: defaultdict[int, int] = defaultdict(int)
        """Up to which frame they were given here, since they are to be given."""
        self._acted: dict[int, ActedFrames] = {}
        self._failed: set[int] = set()
        """For whom the stand-in has failed, as the log says."""

    def learn(self, event: InputsArrived) -> None:
        """Take note of whose inputs have come, and who chose them."""
        self._known[event.player] = max(self._known[event.player], event.start + len(event.inputs))
        self._note(event.player, event.start, event.actors)

    def take_up(
        self, start: Sequence[int], inputs: Sequence[Sequence[bytes]], actors: Sequence[bytes]
    ) -> None:
        """Take note of all players' inputs, from a frame of each on, of an episode that was played before.

        Args:
            start: those frames.
            inputs: from there on.
            actors: who chose each (:class:`~gym_p2p.core.wire.acting.ActedBy`); empty: the player.
        """
        for player, (first, known, acted) in enumerate(zip(start, inputs, actors, strict=True)):
            self._known[player] = first + len(known)
            self._note(player, first, acted)

    def begin(self, player: int) -> None:
        """Take note that a player's inputs are to be given here from now on, perhaps once more.

        What was given before and is not known has not counted: it was on its way when they came back, or
        somebody else was to give it.
        """
        self._given[player] = 0

    def _note(self, player: int, start: int, actors: bytes) -> None:
        if actors:
            self._acted.setdefault(player, ActedFrames()).add(start, actors)

    def acted(self, frame: int) -> Iterator[tuple[int, Actor]]:
        """Yield the players for whom others acted in a frame, and who did."""
        for player, frames in self._acted.items():
            actor = frames.at(frame)
            if actor:
                yield player, _ACTORS[actor]

    def act(self, frame: int, seen: Outcome) -> None:
        """Give what is lacking of the players who are away, up to what they would have given by this frame.

        Args:
            frame: the one to be played.
            seen: the outcome before it.
        """
        for player in sorted(self._match.acts_for):
            last = frame + self._delays[player]
            for upcoming in range(max(self._known[player], self._given[player]), last + 1):
                data, actor = self._input_of(player, frame, seen, newest=upcoming == last)
                self._match.command(GiveFor(player, self._episode, upcoming, data, actor))
            self._given[player] = max(self._given[player], last + 1)

    def _input_of(self, player: int, frame: int, seen: Outcome, *, newest: bool) -> tuple[bytes, ActedBy]:
        """Return an input, and who chose it: for frames that have gone by nobody was asked."""
        match, stand_in = self._match, self._match.away_stand_in
        if not newest:
            return match.inputs.default_of(player), ActedBy.DEFAULT
        if stand_in is None:
            return self._default_of(player, seen), ActedBy.DEFAULT
        try:
            data = match.inputs.input_of(
                player, lambda seat: stand_in_action(stand_in, match.game, seat, seen, frame)
            )
        except Exception:  # noqa: BLE001 - the user's bug must not end a match that goes on for the others
            if player not in self._failed:
                self._failed.add(player)
                _log.exception("stand_in failed at frame %d; the default action is played then", frame)
            return self._default_of(player, seen), ActedBy.DEFAULT
        return data, ActedBy.STAND_IN

    def _default_of(self, player: int, seen: Outcome) -> bytes:
        """Return the default actions of a player's seats, or such as their action masks allow."""
        game = self._match.game
        return self._match.inputs.input_of(player, lambda seat: legal_default(game, seat, seen))


@attrs.frozen
class StoodInFor:
    """A player is away, and others act for them.

    Attributes:
        player: they.
        by: ``default_action`` or ``stand_in``.
        since: since when, on ``time.monotonic``'s clock.
        limit_s: how long they are waited for at most.
    """

    player: SeatId
    by: str
    since: float
    limit_s: float

    def __str__(self) -> str:
        plays = "stand_in plays" if self.by == "stand_in" else "default actions are played"
        return f"{self.player!r} is away: {plays}, {self.left_s:.0f} s left"

    @property
    def left_s(self) -> float:
        """For how long they are waited for still."""
        return max(0.0, self.since + self.limit_s - time.monotonic())


def stood_in_for(client: MatchClient, config: SyncConfig) -> tuple[StoodInFor, ...]:
    """Return who is away, where others act for them."""
    if config.while_away == "pause":
        return ()
    return tuple(
        [
            StoodInFor(client.player_id(player), config.while_away, silence.since, silence.limit_s)
            for player, silence in sorted(client.silent.copy().items())
            if silence.away
        ]
    )
