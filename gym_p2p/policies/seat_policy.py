"""One policy at one seat: called once a frame, whatever is behind it; its actions are the seat's own.

A policy that raises, or gives what is no action of its seat, is named in the error; one that wants what an
action mask forbids does the default action where that is legal, else the first one that is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from gym_p2p.core.record.policy import PolicyFacts, PolicyRecord
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import InvalidAction, P2PError, UsageError
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.load import own_words
from gym_p2p.game.spaces.masks import Mask, legal_or_nearest, mask_of
from gym_p2p.policies.reactions import ReactionLimits, Reactions, same_action

__all__ = ["Actor", "SeatPolicy", "action_of"]

_log = logging.getLogger(__name__)


class Actor(Protocol):
    """What decides: a function, a model, chance."""

    def reset(self) -> None:
        """Forget the episode."""

    def act(self, observation: Any, mask: Mask | None, frame: int, /) -> Any:
        """Return what it wants to do."""


class SeatPolicy:
    """A policy at a seat.

    A frame that does not come after the one before begins an episode, and what was remembered of the last one
    is forgotten: also after a player began anew, or a match was cut short.

    Args:
        actor: what decides.
        game: what is played.
        seat: the seat.
        facts: what the documents say of it.
        limits: how fast it may react.

    Attributes:
        record: what it did, for the documents.
    """

    def __init__(
        self, actor: Actor, *, game: Game, seat: SeatId, facts: PolicyFacts, limits: ReactionLimits
    ) -> None:
        self._actor = actor
        self._seat = seat
        self._codec = game.codec(seat)
        self._default = game.default_action(seat)
        self._reactions = Reactions(limits, fps=facts.fps or 1.0, nothing=self._default)
        self._last = -1
        self.record = PolicyRecord(facts=facts)

    def __call__(self, observation: Any, frame: int) -> Any:
        """Return the action of a frame, as any policy does that is told no info."""
        return self.act(observation, {}, frame)

    def act(self, observation: Any, info: Mapping[Any, Any], frame: int) -> Any:
        """Return the action of a frame, canonical.

        Args:
            observation: what the seat sees.
            info: what the environment says beside it: a mask of actions, say.
            frame: of the episode.

        Raises:
            UsageError: the policy raised an error; or it gave what is no action of the seat, as an
                :class:`~gym_p2p.errors.InvalidAction`.
        """
        if frame <= self._last:
            self.reset()
        self._last = frame
        mask = mask_of(self._codec.space, observation, info)
        action = self._reactions.act(self._wanted(observation, mask, frame), frame)
        legal = legal_or_nearest(self._codec.space, mask, action, self._default)
        record = self.record
        record.decisions += 1
        record.changes, record.held_back = self._reactions.changes, self._reactions.held_back
        if legal is not action and not same_action(legal, action):
            self._note_illegal(action, legal)
        return legal

    def reset(self) -> None:
        """Begin an episode."""
        self._last = -1
        self._reactions.reset()
        self._actor.reset()

    def _wanted(self, observation: Any, mask: Mask | None, frame: int) -> Any:
        name = self.record.facts.policy
        try:
            wanted = self._actor.act(observation, mask, frame)
        except (P2PError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            raise UsageError(
                f"policy {name} of seat {self._seat!r} raised, at frame {frame}: {own_words(error)}"
            ) from error
        try:
            return self._codec.check(wanted)
        except InvalidAction as error:
            problem = str(error).partition(": ")[2]
            raise InvalidAction(
                self._seat, f"policy {name} gave no action of it, at frame {frame}: {problem}"
            ) from error

    def _note_illegal(self, action: Any, legal: Any) -> None:
        self.record.illegal += 1
        if self.record.illegal == 1:
            _log.warning(
                "policy %s of seat %r wanted %s, which the action mask forbids, and does %s; later ones are "
                "counted in the documents",
                *(self.record.facts.policy, self._seat, action, legal),
            )


def action_of(policy: Any, observation: Any, info: Mapping[Any, Any], frame: int) -> Any:
    """Return what a policy does: ours are told the info, too, in which PettingZoo allows a mask."""
    if isinstance(policy, SeatPolicy):
        return policy.act(observation, info, frame)
    return policy(observation, frame)
