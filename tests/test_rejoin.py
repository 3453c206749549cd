"""Players whose processes are killed and who are started again: the match goes on, and all have all of it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import gymnasium
import jsonschema
import pytest

from gym_p2p import P2PEnv
from gym_p2p.exports import schema
from tests.lone_player import lone_player
from tests.players import Lobby, act, together
from tests.toys import BLEND

LENGTH = 200


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def _document(folder: Path, player: Any) -> dict[str, Any]:
    (path,) = folder.glob(f"*T*Z-*/{player}.multiplayer.json")
    document: dict[str, Any] = json.loads(path.read_text())
    jsonschema.validate(document, schema("multiplayer"))
    return document


def _played(document: dict[str, Any]) -> list[Any]:
    return [document["validation"]["allActions"], document["validation"]["allHashes"]]


def _play(env: P2PEnv, episodes: int, seen: list[Any]) -> None:
    for _ in range(episodes):
        env.reset()
        for frame in range(10_000):
            _, _, terminated, truncated, info = env.step(act(env.action_space, frame, salt=7))
            paused = env.p2p.progress.paused
            if paused is not None and str(paused) not in seen:
                seen.append(str(paused))
            if terminated or truncated:
                seen.append(info.get("p2p"))
                break
    env.close()


@pytest.mark.parametrize("sync", ["lockstep", "rollback"])
@pytest.mark.parametrize("whom", ["user", "both"])
def test_a_killed_player_who_is_started_again_plays_on(
    sync: str, whom: str, lobby: Lobby, tmp_path: Path
) -> None:
    told: list[Any] = []
    common: dict[str, Any] = {"rejoin_timeout_s": 30.0, "sync": sync, "checkpoint_interval_s": 0.2}
    options = lobby.options(exports=str(tmp_path / "theirs"), network="process", **common)
    pauses: list[Any] = []
    env = P2PEnv(
        gymnasium.make(BLEND, length=LENGTH),
        seat="b",
        **lobby.options(fps=100, on_pause=lambda paused: pauses.append(paused and paused.why), **common),
    )

    def die_and_come_back() -> str:
        with lone_player("a", options, episodes=2, length=LENGTH) as player:
            player.wait_until_it_says("frame 60")
            network = player.network_processes()
            player.process.send_signal(signal.SIGKILL)
            for process in network if whom == "both" else ():
                process.kill()
            player.process.wait(20)
        with lone_player("a", options, episodes=2, length=LENGTH) as player:
            began = player.wait_until_it_says("began")
            player.wait_until_it_says("over null")
            player.wait_until_it_says("over null")
            assert player.process.wait(30) == 0, player.errors()
        return began

    results = together(lambda: _play(env, 2, told), die_and_come_back)
    assert isinstance(results[1], str), results
    rejoined = json.loads(results[1])["rejoined"]
    assert rejoined["episode"] == 1
    assert rejoined["frame"] >= 50
    assert [one for one in told if not isinstance(one, str)] == [None, None], results
    assert "away" in pauses
    assert pauses[-1] is None
    mine, theirs = _document(lobby.exports, "b"), _document(tmp_path / "theirs", "a")
    assert _played(mine) == _played(theirs)
    assert len(mine["validation"]["allActions"]) >= 2 * LENGTH
    (ours,), (own,) = mine["rejoins"], theirs["rejoins"]
    for key in ("playerId", "episode", "frameLeft", "frameReturned", "framesCaughtUp"):
        assert ours[key] == own[key]
    assert (own["playerId"], own["framesCaughtUp"]) == ("a", rejoined["caught_up"])
    assert ours["awayMs"] > own["catchUpMs"] > 0
    assert ours["catchUpMs"] is own["awayMs"] is None
    assert [one["reason"] for one in mine["departures"]] in ([], ["peer_left"])
