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
from tests.waiting import PATIENCE_S, in_time

LENGTH = 120


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


@pytest.mark.parametrize(("sync", "whom"), [("lockstep", "user"), ("rollback", "both")])
def test_a_killed_player_who_is_started_again_plays_on(
    sync: str, whom: str, lobby: Lobby, tmp_path: Path
) -> None:
    told: list[Any] = []
    common: dict[str, Any] = {
        "rejoin_timeout_s": 60.0,
        "room_timeout_s": 60.0,
        "sync": sync,
        "checkpoint_interval_s": 0.2,
    }
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
            player.process.wait(PATIENCE_S)
        with lone_player("a", options, episodes=2, length=LENGTH) as player:
            began = player.wait_until_it_says("began")
            player.wait_until_it_says("over null")
            player.wait_until_it_says("over null")
            assert player.process.wait(PATIENCE_S) == 0, player.errors()
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
    assert own["catchUpMs"] > 0
    assert ours["awayMs"] > 0
    if whom == "both":  # else their network half may be heard of for a while yet
        with in_time():  # on a machine that stands still their end is noticed late
            assert ours["awayMs"] > own["catchUpMs"]
    assert ours["catchUpMs"] is own["awayMs"] is None
    assert [one["reason"] for one in mine["departures"]] in ([], ["peer_left"])


def test_of_three_players_one_is_killed_and_all_three_play_on(lobby: Lobby, tmp_path: Path) -> None:
    short: dict[str, Any] = {"kind": "three", "length": LENGTH}
    common: dict[str, Any] = {"rejoin_timeout_s": 60.0, "room_timeout_s": 60.0, "checkpoint_interval_s": 0.2}
    options = lobby.options(exports=str(tmp_path / "theirs"), network="process", **common)

    def play(seat: int) -> list[Any]:
        env = P2PEnv(gymnasium.make(BLEND, **short), seat=seat, **lobby.options(fps=100, **common))
        seen: list[Any] = []
        _play(env, 1, seen)
        return [one for one in seen if not isinstance(one, str)]

    def die_and_come_back() -> None:
        with lone_player(0, options, **short) as player:
            player.wait_until_it_says("frame 60")
            for process in [*player.network_processes(), player.process]:
                process.kill()
            player.process.wait(PATIENCE_S)
        with lone_player(0, options, **short) as player:
            player.wait_until_it_says('began {"rejoined"')
            player.wait_until_it_says("over null")
            assert player.process.wait(PATIENCE_S) == 0, player.errors()

    results = together(lambda: play(1), lambda: play(2), die_and_come_back)
    assert results == [[None], [None], None], results
    documents = [_document(lobby.exports, 1), _document(lobby.exports, 2), _document(tmp_path / "theirs", 0)]
    assert _played(documents[0]) == _played(documents[1]) == _played(documents[2])
    assert [len(document["rejoins"]) for document in documents] == [1, 1, 1]


@pytest.mark.slow
def test_a_killed_player_whom_no_datagram_reaches_comes_back_by_the_service(
    lobby: Lobby, tmp_path: Path
) -> None:
    common: dict[str, Any] = {
        "rejoin_timeout_s": 60.0,
        "room_timeout_s": 60.0,
        "emulation": {"loss": 1.0},
        "checkpoint_interval_s": 0.2,
    }
    options = lobby.options(exports=str(tmp_path / "theirs"), network="process", **common)
    env = P2PEnv(gymnasium.make(BLEND, length=40), seat="b", **lobby.options(fps=100, **common))
    seen: list[Any] = []

    def die_and_come_back() -> None:
        with lone_player("a", options, length=40) as player:
            player.wait_until_it_says("frame 10")
            for process in [*player.network_processes(), player.process]:
                process.kill()
            player.process.wait(PATIENCE_S)
        with lone_player("a", options, length=40) as player:
            player.wait_until_it_says('began {"rejoined"')
            player.wait_until_it_says("over null")
            assert player.process.wait(PATIENCE_S) == 0, player.errors()

    # They look for a path for three seconds twice, and each starts two processes anew.
    assert together(lambda: _play(env, 1, seen), die_and_come_back, timeout_s=3 * PATIENCE_S) == [None, None]
    mine, theirs = _document(lobby.exports, "b"), _document(tmp_path / "theirs", "a")
    assert _played(mine) == _played(theirs)
    assert [len(document["rejoins"]) for document in (mine, theirs)] == [1, 1]
    ways = [[(way["way"], way["reason"]) for way in document["waysTaken"]] for document in (mine, theirs)]
    assert ways == [[("service", "no_direct_path")] * 2, [("service", "no_direct_path")]]
    assert theirs["connection"]["relayedBy"] == "service"
