"""What a spectator learns of a match's terms, and whether an environment is the players'.

Knows which of the players' terms bind who only watches. Refuses to know how they arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.core.match.terms import Term, file_names, term_differences
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import HandshakeRefused
from gym_p2p.game.env.game import Game
from gym_p2p.play.handshake import game_terms

__all__ = ["WatchedTerms"]

_BINDING = frozenset({Term.GAME, Term.RELEASE})
"""The rest is what players agree on among themselves."""


@attrs.frozen(kw_only=True)
class WatchedTerms:
    """The terms of a match that is watched.

    Attributes:
        agreed: what the players agreed on, by field.
        files: the names of files whose contents they compared, as they were received.
        checked_every: frames between two that they compare; ``None`` if that is not known.
        isolates_random: whether their games have global random generators of their own.
    """

    agreed: Mapping[str, Any]
    files: Any = None
    checked_every: int | None
    isolates_random: bool

    @classmethod
    def received(cls, description: Mapping[str, Any]) -> WatchedTerms:
        """Read what the player sent who shows the match; what makes no sense is as if it were not there."""
        agreed, every = description.get("must"), description.get("checked_every")
        return cls(
            agreed=agreed if isinstance(agreed, Mapping) else {},
            files=file_names(description),
            checked_every=every if isinstance(every, int) and every > 0 else None,
            isolates_random=description.get("isolates_random") is True,
        )

    def check(self, game: Game, *, source: SeatId | None) -> None:
        """Refuse a game that is not the players'.

        Raises:
            HandshakeRefused: with what differs.
        """
        files = (game.files, self.files)
        differences = term_differences(game_terms(game), self.agreed, only=_BINDING, files=files)
        if differences:
            raise HandshakeRefused("the players" if source is None else source, differences)
