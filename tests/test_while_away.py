"""A player is killed, and others act for them until they are back: the match does not stand still."""

from __future__ import annotations

import json
import signal
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import jsonschema
import pytest

from gym_p2p import P2PEnv
from gym_p2p.core.sync.patience import PAUSE_AFTER_S
from gym_p2p.exports import schema
from gym_p2p.human.standing import standing_in_match
from tests.lone_player import lone_player
from tests.players import Lobby, act, together
from tests.toys import BLEND, Blend
from tests.waiting import PATIENCE_S, in_time

LENGTH = 100_000
"""Frames: more than anybody plays here; it ends when the player is back."""


def flaky_stand_in(seat: Any, observation: Any, frame: int) -> int:
    """Act for seat a by what is seen, and fail now and then."""
    assert seat == "a"
    if frame % 40 == 7:
        raise RuntimeError("out of order")
    return 1 + int(observation[0] * 1000) % 4


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def _document(folder: Path, player: str, kind: str) -> dict[str, Any]:
    (path,) = folder.glob(f"*T*Z-*/{player}.{kind}.json")
    document: dict[str, Any] = json.loads(path.read_text())
    jsonschema.validate(document, schema(kind))
    return document


def _play_until_they_are_back(env: P2PEnv, went_on: threading.Event) -> dict[str, Any]:
    """Play a hundred frames more then; return what was seen meanwhile.

    Args:
        env: theirs.
        went_on: set once some frames were played while somebody was away.
    """
    seen: dict[str, Any] = {"away": set(), "frames": 0, "page": set()}
    env.reset()
    more = 100
    for frame in range(LENGTH):
        _, _, _, truncated, info = env.step(act(env.action_space, frame, salt=7))
        assert not truncated, info
        away = env.p2p.progress.away
        seen["away"] |= {str(one).split(":")[0] for one in away}
        seen["frames"] += bool(away)
        if (told := standing_in_match(env.p2p, "b"))["away"] is not None:
            seen["page"].add((told["away"]["who"], told["away"]["by"]))
        if seen["frames"] > 50:
            went_on.set()
        assert env.p2p.recorder is not None
        more -= bool(env.p2p.recorder.record.rejoins)
        if not more:
            break
    seen["agreed"] = env.p2p.progress.checksums_agreed
    env.close()
    return seen


@pytest.mark.parametrize(("sync", "while_away"), [("lockstep", "default_action"), ("rollback", "stand_in")])
def test_the_match_goes_on_while_a_killed_player_is_away(
    sync: str, while_away: str, lobby: Lobby, tmp_path: Path
) -> None:
    stand_in = "tests.test_while_away:flaky_stand_in" if while_away == "stand_in" else None
    common: dict[str, Any] = {
        "rejoin_timeout_s": 60.0,
        "while_away": while_away,
        "stand_in": stand_in,
        "room_timeout_s": 60.0,
        "sync": sync,
        "checkpoint_interval_s": 0.2,
    }
    options = lobby.options(exports=str(tmp_path / "theirs"), network="process", **common)
    env = P2PEnv(gymnasium.make(BLEND, length=LENGTH), seat="b", **lobby.options(fps=100, **common))

    went_on = threading.Event()

    def die_and_come_back() -> dict[str, Any]:
        with lone_player("a", options, length=LENGTH) as player:
            player.wait_until_it_says("frame 60")
            player.process.send_signal(signal.SIGKILL)
            player.process.wait(PATIENCE_S)
        assert went_on.wait(PATIENCE_S)
        with lone_player("a", options, length=LENGTH) as player:
            began: dict[str, Any] = json.loads(player.wait_until_it_says("began"))
            player.wait_until_it_says("over")
            assert player.process.wait(PATIENCE_S) == 0, player.errors()
        return began

    limit_s = 3 * PATIENCE_S  # a process starts twice
    play = partial(_play_until_they_are_back, env, went_on)
    seen, began = together(play, die_and_come_back, timeout_s=limit_s)
    assert isinstance(seen, dict), (seen, began)
    assert isinstance(began, dict), (seen, began)
    assert seen["away"] == {"'a' is away"}
    assert seen["page"] == {("a", while_away)}  # what a person would be told
    assert seen["frames"] > 10
    assert seen["agreed"] > 3
    ours, theirs = _document(lobby.exports, "b", "session"), _document(tmp_path / "theirs", "a", "session")
    (back,), (own,) = ours["rejoins"], theirs["rejoins"]
    for key in ("playerId", "episode", "episodeLeft", "frameLeft", "frameReturned", "framesCaughtUp"):
        assert back[key] == own[key], key
    assert 60 <= back["frameLeft"] < back["frameReturned"] == back["framesCaughtUp"]
    acted = back["frameReturned"] - back["frameLeft"]
    stood = [pause["durationMs"] for pause in ours["pauses"] if pause["reason"] == "away"]
    stood_ms = sum(stood)
    assert all(one_ms >= 1e3 * PAUSE_AFTER_S for one_ms in stood)  # frames that others take are no pauses
    with in_time():
        assert stood_ms <= back["awayMs"] - 5 * acted  # a frame takes 10 ms: of those the match did not stand
    for document in (ours, theirs):
        (episode,) = document["episodes"]
        runs = episode["actors"]["a"]
        assert episode["actors"].keys() == {"a"}
        assert runs[0][0] == back["frameLeft"]
        assert sum(count for _, count, _ in runs) == acted
        who = {actor for _, _, actor in runs}
        assert who == ({"default"} if stand_in is None else {"default", "stand_in"})
    mine, his = (
        _document(folder, player, "multiplayer")["validation"]
        for folder, player in ((lobby.exports, "b"), (tmp_path / "theirs", "a"))
    )
    both = min(len(mine["allActions"]), len(his["allActions"]))
    assert both > back["frameReturned"]
    assert mine["allActions"][:both] == his["allActions"][:both]
    hashes = min(len(mine["allHashes"]), len(his["allHashes"]))
    assert hashes > 3
    assert mine["allHashes"][:hashes] == his["allHashes"][:hashes]


def _play_until_it_ends(env: P2PEnv, went_on: threading.Event) -> tuple[Any, float]:
    """Play on; return why the match ended, and when."""
    env.reset()
    for frame in range(LENGTH):
        _, _, _, truncated, info = env.step(act(env.action_space, frame, salt=7))
        if frame > 300 and env.p2p.progress.away:
            went_on.set()
        if truncated:
            break
    ended_at = time.monotonic()
    env.close()
    return info["p2p"], ended_at


def test_who_closes_while_they_play_again_what_was_played_is_missed_at_once(
    lobby: Lobby, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common: dict[str, Any] = {
        "rejoin_timeout_s": 30.0,
        "while_away": "default_action",
        "room_timeout_s": 60.0,
        "sync": "lockstep",
    }
    options: dict[str, Any] = dict(
        lobby.options(exports=str(tmp_path / "theirs"), network="process", **common)
    )
    env = P2PEnv(gymnasium.make(BLEND, length=LENGTH), seat="b", **lobby.options(fps=100, **common))
    went_on = threading.Event()

    def die_and_change_their_mind() -> float:
        with lone_player("a", options, length=LENGTH) as player:
            player.wait_until_it_says("frame 60")
            player.process.send_signal(signal.SIGKILL)
            player.process.wait(PATIENCE_S)
        assert went_on.wait(PATIENCE_S)
        again = P2PEnv(gymnasium.make(BLEND, length=LENGTH), seat="a", **{**options, "fps": 100})
        played, step = again.unwrapped, Blend.step

        def breaks_off(self: Blend, action: Any) -> Any:
            if self is played:
                raise KeyboardInterrupt
            return step(self, action)

        monkeypatch.setattr(Blend, "step", breaks_off)
        with pytest.raises(KeyboardInterrupt):
            again.reset()
        monkeypatch.setattr(Blend, "step", step)
        closed_at = time.monotonic()
        again.close()
        return closed_at

    play = partial(_play_until_it_ends, env, went_on)
    ended, closed_at = together(play, die_and_change_their_mind, timeout_s=3 * PATIENCE_S)
    assert isinstance(closed_at, float), (ended, closed_at)
    assert isinstance(ended, tuple), ended
    told, ended_at = ended
    assert told == {"reason": "peer_left", "player": "a"}
    assert env.p2p.ending is not None
    assert env.p2p.ending.stated_reason == "interrupted"
    with in_time():
        assert ended_at - closed_at < 10.0
    assert not list((tmp_path / "state").rglob("*.json")), "nobody comes back"
