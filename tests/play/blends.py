"""Players of a small game who have begun an episode together, and what documents say of its end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import gymnasium
import jsonschema

from gym_p2p import P2PEnv
from gym_p2p.exports import KINDS, schema
from tests.players import Episode, Lobby, Wrapped, play_episode, together
from tests.toys import BLEND

WELL_BEFORE_S = 10.0
"""Half of what a reset or a step would wait for the others."""


def blends(lobby: Lobby, *, kind: str = "dict", seats: Sequence[Any] = ("a", "b"), **changes: Any) -> Any:
    """Return one wrapper a seat, which play together."""
    return [P2PEnv(gymnasium.make(BLEND, kind=kind), seat=seat, **lobby.options(**changes)) for seat in seats]


def begun(envs: Sequence[Wrapped], frames: int = 5) -> None:
    """Play the first frames of an episode with everybody."""
    played = together(*(partial(play_episode, env, frames=frames) for env in envs))
    assert all(isinstance(episode, Episode) for episode in played), played


def assert_partial(env: P2PEnv, reason: str, gone: Any) -> None:
    """Every document is valid, and says how the match ended."""
    for kind in KINDS:
        jsonschema.validate(env.p2p.document(kind), schema(kind))
    status = env.export_multiplayer_metrics()["sessionStatus"]
    assert (status["isPartial"], status["terminationReason"]) == (True, reason)
    assert status["disconnectedPlayerId"] == gone
