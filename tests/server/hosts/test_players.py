"""Real players, with their environments, over real channels: one match on every kind of host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium

from gym_p2p import P2PEnv
from tests.players import Episode, Lobby, assert_all_played_the_same, play_episode, together
from tests.server.hosts.conftest import Running
from tests.toys import BLEND


def test_two_players_meet_on_a_host_and_play_the_same(host: Running, tmp_path: Path) -> None:
    lobby = Lobby(host.url, tmp_path, f"players-{host.kind}")

    def player(seat: int) -> Episode:
        env = P2PEnv(gymnasium.make(BLEND, kind="tuple", length=30), seat=seat, **lobby.options())
        try:
            return play_episode(env, salt=seat)
        finally:
            env.close()

    played = together(lambda: player(0), lambda: player(1))
    assert all(isinstance(one, Episode) for one in played), played
    documents: list[dict[str, Any]] = [
        json.loads(path.read_text()) for path in sorted(tmp_path.rglob("*.multiplayer.json"))
    ]
    assert len(documents) == 2
    assert_all_played_the_same(documents)
