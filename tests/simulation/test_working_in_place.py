"""What a user does to what they were shown changes nothing of the match, whenever it is compared."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p import simulate
from gym_p2p.envs.rally import RallyEnv, RallyParallelEnv
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.rollout import Correction

FRAMES = 60


class _Shared(gymnasium.Env[Any, Any]):
    """Gives all seats one array, which it writes into at every step, and an info with a list."""

    action_space = spaces.MultiDiscrete([3, 3])
    observation_space = spaces.Box(0, 1000, (2,), np.float64)

    def __init__(self) -> None:
        self.seen = np.zeros(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:  # noqa: ARG002 of the interface
        super().reset(seed=seed)
        self.seen[:] = 0
        return self.seen, {"trace": []}

    def step(self, action: Any) -> Any:
        self.seen += action
        return self.seen, 0.0, False, False, {"trace": [float(self.seen[0])]}

    def get_state(self) -> Any:
        return self.seen.copy()

    def set_state(self, state: Any) -> None:
        self.seen = state.copy()


def _spoils(observation: Any, frame: int) -> int:
    """A policy that works in place, as one that scales what it sees."""
    observation[:] = 7
    return frame // 7 % 3


def _looks(observation: Any, frame: int) -> int:
    return (frame // 5 + int(np.sum(observation))) % 3


GAMES = {
    "agents": lambda: RallyEnv(points=99, max_frames=999),
    "parallel": lambda: RallyParallelEnv(points=99, max_frames=999),
    "one array for all": _Shared,
}


def _played(game: str, sync: Any, policy: Any) -> Any:
    first, second = (0, 1) if game == "one array for all" else ("left", "right")
    return simulate(
        GAMES[game],
        {first: policy, second: _looks},
        frames=FRAMES,
        seed=1,
        one_way_ms=50,
        sync=sync,
        checksum_interval=10,
    )


@pytest.mark.parametrize("sync", ["lockstep", "rollback"])
@pytest.mark.parametrize("game", GAMES)
def test_who_writes_into_what_they_see_plays_the_same_match(game: str, sync: str) -> None:
    spoilt = _played(game, sync, _spoils)
    plain = _played(game, sync, lambda _seen, frame: frame // 7 % 3)
    for seat, player in spoilt.players.items():
        assert player.ending == "frames"
        assert player.exports["validation"]["desyncEvents"] == []
        assert [frame.checksum for frame in player.confirmed] == [
            frame.checksum for frame in plain.players[seat].confirmed
        ]
    if sync == "rollback":
        assert any(player.counters.rollbacks for player in spoilt.players.values())


def _spoiling_stand_in(_seat: Any, observation: Any, frame: int) -> int:
    observation[:] = 7
    return frame // 7 % 3


@pytest.mark.parametrize("sync", ["lockstep", "rollback"])
@pytest.mark.parametrize("game", GAMES)
def test_a_stand_in_may_write_into_what_they_see(game: str, sync: Any) -> None:
    seats: Any = (0, 1) if game == "one array for all" else ("left", "right")
    spoilt, plain = (
        simulate(
            GAMES[game],
            dict.fromkeys(seats, _looks),
            frames=3 * FRAMES,
            seed=1,
            one_way_ms=20,
            sync=sync,
            leave={seats[1]: 20},
            on_peer_loss="stand_in",
            stand_in=stand_in,
        )
        for stand_in in (_spoiling_stand_in, lambda _seat, _seen, frame: frame // 7 % 3)
    )
    (one, other) = (match.players[seats[0]].confirmed for match in (spoilt, plain))
    assert len(one) == len(other) > 2 * FRAMES
    assert len({frame.actions[seats[1]] for frame in one[FRAMES:]}) == 3, "the stand-in plays"
    assert [frame.checksum for frame in one] == [frame.checksum for frame in other]


def test_who_writes_into_a_correction_changes_no_other() -> None:
    seen = np.zeros(2)
    outcome = Outcome((seen, seen), (0.0, 0.0), (False,) * 2, (False,) * 2, ({"a": [1]}, {}), ended=False)
    given = Correction(3, None, outcome).handed_out()
    assert given.before is None
    assert given.after is not None
    given.after.observations[0][:] = 5
    given.after.infos[0]["a"].append(2)
    assert list(seen) == [0, 0]
    assert list(given.after.observations[1]) == [0, 0]
    assert outcome.infos[0] == {"a": [1]}
