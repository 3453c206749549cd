"""A player's record of a match that nobody plays: whatever a test says is told of it."""

from __future__ import annotations

from typing import Any

import gymnasium

from gym_p2p.config import ExportConfig, P2PConfig
from gym_p2p.core.api.rooms import MatchFound, MatchPlayer
from gym_p2p.game.env.seats import make_game
from gym_p2p.play.exported import introduction
from gym_p2p.play.recorder import Recorder
from tests.toys import BLEND

__all__ = ["OURS", "made_recorder"]

OURS = introduction(clock_base_ms=1000.0)


def made_recorder(client: str | None = "gym_p2p/0.0.9", **options: Any) -> Recorder:
    """Return the record of a match of players 0 and 1, of which nothing is written down.

    Args:
        client: what the service was told of the other one's version.
        options: of the configuration.
    """
    players = tuple(
        MatchPlayer(player_id=seat, subject_id=f"P{seat}", seats=(seat,), client=client) for seat in (0, 1)
    )
    found = MatchFound(
        match_id="m",
        room="r",
        player_id=0,
        seats_taken=(0,),
        players=players,
        seed=1,
        ice_servers=(),
        relay_only=False,
        token="t",  # noqa: S106 - nothing is uploaded
    )
    config = P2PConfig(exports=ExportConfig(directory=None, upload=False), **options)
    game = make_game(gymnasium.make(BLEND, kind="tuple"))
    return Recorder(found=found, game=game, config=config, about=OURS, clock_ms=lambda: 5000, exports=False)
