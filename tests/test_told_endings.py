"""How a player went, as both ends tell it: real processes, one for each way to go."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import gymnasium
import psutil
import pytest

from gym_p2p import P2PEnv
from tests.core.examples import rarely
from tests.lone_player import LonePlayer, lone_player
from tests.players import Lobby, act, together
from tests.toys import BLEND
from tests.waiting import PATIENCE_S, until

ENDLESS: dict[str, Any] = {"length": 100_000}
SILENCE_S = 2.0
INPUT_S = 2.5


@attrs.frozen
class Way:
    """How the first player goes, and what comes of it.

    Attributes:
        ends: what they do by themselves, of ``lone_player``'s ways.
        act: what happens to them.
        reason: of the other's end.
        source: who says so to the other.
        stated: the reason that they state themselves.
        own: the reason for the end in their own documents; ``None`` where they write none.
    """

    reason: str
    source: str
    stated: str | None
    own: str | None
    ends: str | None = None
    act: Callable[[LonePlayer], None] = lambda _player: None


def _signal(number: signal.Signals, *, player: bool, network: bool) -> Callable[[LonePlayer], None]:
    def send(lone: LonePlayer) -> None:
        lone.wait_until_it_says("frame 60")
        processes = lone.network_processes() if network else []
        if player:
            processes.append(psutil.Process(lone.process.pid))
        for process in processes:
            process.send_signal(number)

    return send


WAYS: dict[str, Way] = {
    "a polite close": Way("peer_left", "goodbye", "normal", "normal", ends="close"),
    "an exception": Way("peer_left", "goodbye", "failed", "failed", ends="raise"),
    "an exception and a close": Way("peer_left", "goodbye", "failed", "failed", ends="raise and clean up"),
    "never closed": Way("peer_left", "goodbye", "dropped", "dropped", ends="exit"),
    "a Ctrl-C": Way(
        "peer_left",
        "goodbye",
        "interrupted",
        "interrupted",
        act=_signal(signal.SIGINT, player=True, network=False),
    ),
    "connected and away": Way("peer_unresponsive", "observation", None, None, ends="go away"),
    "their program stopped": Way(
        "peer_unresponsive",
        "observation",
        None,
        "excluded",
        act=_signal(signal.SIGSTOP, player=True, network=False),
    ),
    "all of theirs stopped": Way(
        "peer_lost", "observation", None, "excluded", act=_signal(signal.SIGSTOP, player=True, network=True)
    ),
}


def _documents(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in folder.rglob("*.multiplayer.json")]


AT_EVERY_SAVE = ("an exception", "connected and away", "all of theirs stopped")


@pytest.mark.parametrize(
    "name", [*AT_EVERY_SAVE, *rarely(*(name for name in WAYS if name not in AT_EVERY_SAVE))]
)
def test_both_ends_tell_how_a_player_went_and_who_says_so(name: str, lobby: Lobby, tmp_path: Path) -> None:
    way = WAYS[name]
    theirs = tmp_path / "theirs"
    options = lobby.options(exports=str(theirs), network="process")
    env = P2PEnv(
        gymnasium.make(BLEND, **ENDLESS),
        seat="b",
        **lobby.options(fps=100, disconnect_timeout_s=SILENCE_S, input_timeout_s=INPUT_S),
    )

    def play() -> None:
        env.reset()
        frame, over = 0, False
        while not over:
            over = env.step(act(env.action_space, frame))[3]
            frame += 1

    with lone_player("a", options, ends=way.ends, **ENDLESS) as player:
        results = together(play, lambda: way.act(player))
        assert results == [None, None], results
        ending = env.p2p.ending
        assert ending is not None
        assert (ending.reason, ending.player) == (way.reason, "a")
        assert (ending.source, ending.stated_reason) == (way.source, way.stated)
        if way.own == "excluded":  # they wake up, and are told
            for process in [*player.network_processes(), psutil.Process(player.process.pid)]:
                process.resume()
            assert json.loads(player.wait_until_it_says("over")) == {"reason": "excluded", "player": "b"}
        if way.own is not None:
            player.process.communicate(timeout=PATIENCE_S)
    env.close()
    (ours,) = _documents(lobby.exports)
    status = ours["sessionStatus"]
    assert (status["terminationReason"], status["disconnectedPlayerId"]) == (way.reason, "a")
    (departure,) = ours["departures"]
    assert (departure["reason"], departure["source"]) == (way.reason, way.source)
    assert (departure["statedReason"], departure["sourcePlayerId"]) == (way.stated, None)
    waited_for = {pause["reason"]: pause["playerIds"] for pause in ours["pauses"]}
    if way.reason in {"peer_unresponsive", "peer_lost"}:
        assert waited_for["input" if way.reason == "peer_unresponsive" else "silent"] == ["a"]
    if way.own is not None:
        (mine,) = _documents(theirs)
        assert mine["sessionStatus"]["terminationReason"] == way.own
        if way.own == "excluded":
            (departure,) = mine["departures"]
            assert (departure["playerId"], departure["reason"]) == ("b", "excluded")
            assert (departure["source"], departure["statedReason"]) == ("peer", way.reason)


def test_a_live_view_is_told_for_whom_the_match_stands_and_for_how_long_at_most(lobby: Lobby) -> None:
    seen: list[Any] = []
    env = P2PEnv(gymnasium.make(BLEND, **ENDLESS), seat="b", **lobby.options(fps=100, input_timeout_s=3.0))

    def play() -> None:
        env.reset()
        for frame in range(10_000):
            if env.step(act(env.action_space, frame))[3]:
                return

    def stands() -> bool:
        paused = env.p2p.progress.paused
        if paused is not None and paused.why == "input":
            seen.append(paused)
        return bool(seen)

    with lone_player("a", lobby.options(), ends="go away", **ENDLESS):
        assert together(play, lambda: until(stands)) == [None, None]
    (paused,) = seen
    assert (paused.players, paused.why, paused.limit_s) == (("a",), "input", 3.0)
    assert str(paused) == "waiting for 'a' to play, up to 3 s"
    assert env.p2p.progress.paused is None
    env.close()


def test_who_breaks_off_a_wait_stands_no_longer_whatever_they_do_then(lobby: Lobby) -> None:
    heard: list[Any] = []

    def interrupt(paused: Any) -> None:
        heard.append(paused)
        if paused is not None:
            raise KeyboardInterrupt

    env = P2PEnv(gymnasium.make(BLEND, **ENDLESS), seat="b", **lobby.options(fps=100, on_pause=interrupt))

    def play() -> None:
        env.reset()
        for frame in range(10_000):
            env.step(act(env.action_space, frame))

    with lone_player("a", lobby.options(), ends="go away", **ENDLESS):
        (broken_off,) = together(play)
        assert isinstance(broken_off, KeyboardInterrupt), broken_off
        assert [paused if paused is None else paused.players for paused in heard] == [("a",), None]
        assert env.p2p.progress.paused is None
        env.close()
    (pause,) = env.export_multiplayer_metrics()["pauses"]
    assert (pause["reason"], pause["playerIds"]) == ("input", ["a"])
