"""What travels of a player who has met nobody yet: to a worker process, or into a copy.

Knows what a session is made of; refuses to know how it is played.
"""

from __future__ import annotations

import copy
from typing import Any, Self

import attrs

from gym_p2p.config import P2PConfig
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import UsageError
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.recipe import Recipe
from gym_p2p.net.worker.backends import prepare_network
from gym_p2p.play.progress import SessionState
from gym_p2p.play.reentrancy import close_when_dropped
from gym_p2p.play.session import Session

__all__ = ["Copied"]


@attrs.frozen(eq=False)
class _MadeOf:
    """What a session is made of."""

    game: Game
    seats: tuple[SeatId, ...] | None
    config: P2PConfig
    environment: Recipe | None


class Copied:
    """Travels to a worker process, or is copied, as long as it has not met anybody.

    A copy is a player of its own who wants the same seat: the session is made anew. Policies and other
    objects among the options are shared by copies in this process, never copied.
    """

    p2p: Session

    def __getstate__(self) -> dict[str, Any]:
        state = self._made_of()
        self.p2p.newcomer.elsewhere = True
        return state

    def _made_of(self) -> dict[str, Any]:
        session = self.p2p
        if session.state is not SessionState.NEW or session.recorder is not None:
            raise UsageError(
                f"a {type(self).__name__} that has connected, or is closed, cannot be copied or pickled: its "
                "match cannot be in two places; copy it before its first reset(), or make another one"
            )
        made_of = _MadeOf(session.game, session.seats, session.config, session.environment)
        return {**vars(self), "p2p": made_of}

    def __setstate__(self, state: dict[str, Any]) -> None:
        made_of: _MadeOf = state["p2p"]
        vars(self).update(state)
        prepare_network(made_of.config.network)
        self.p2p = Session(made_of.game, seats=made_of.seats, config=made_of.config)
        self.p2p.environment = made_of.environment
        close_when_dropped(self, self.p2p.close)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        again = type(self).__new__(type(self))
        memo[id(self)] = again
        state = self._made_of()
        for shared in (self.p2p.config, state.get("_saved_kwargs")):
            memo[id(shared)] = shared
        again.__setstate__(copy.deepcopy(state, memo))
        return again

    def __copy__(self) -> Self:
        return copy.deepcopy(self)  # two players cannot step one environment
