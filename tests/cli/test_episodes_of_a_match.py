"""How many episodes a command plays: those of its match, also of who has come back to it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gym_p2p.cli.play import Part, _SeatedPlayer


class _Env:
    """A match that goes on for long, in whose episode ``first`` a player's process begins."""

    def __init__(self, first: int) -> None:
        self.began = 0
        progress = SimpleNamespace(player_id="left", frames_total=0, episode=0)
        self.p2p = SimpleNamespace(ending=None, recorder=None, progress=progress)
        self._first = first

    def reset(self, *, seed: int | None) -> tuple[None, dict[str, Any]]:  # noqa: ARG002 - as an environment's
        self.began += 1
        assert self.began < 20, "it plays for ever"
        self.p2p.progress.episode = self._first + self.began - 1
        return None, {}


@pytest.mark.parametrize(("first", "played"), [(1, 5), (3, 3), (5, 1), (7, 1)])
def test_who_comes_back_leaves_after_as_many_episodes_of_the_match_as_who_stayed(
    first: int, played: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    env: Any = _Env(first)
    monkeypatch.setattr(_SeatedPlayer, "_episode", lambda _self, _seat: None)
    part = Part(env="a game", env_args={}, seat="left", episodes=5, options={})
    player = _SeatedPlayer(env, part, lambda _status: None)
    seat: Any = None
    assert player._play(seat) == "done"
    assert env.began == played
