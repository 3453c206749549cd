"""Players who are killed or interrupted: what the others see, what is left on disk, what is left running."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import jsonschema
import psutil
import pytest

from gym_p2p import P2PEnv, PeerLost
from gym_p2p.core.record.journal import fold
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.exports import KINDS, schema
from gym_p2p.exports.recovery import recover_all
from gym_p2p.game.replay.partial import UNFINISHED
from gym_p2p.game.replay.reader import read_replay
from tests.lone_player import LonePlayer, lone_player
from tests.players import Lobby, act, auto_peers, fork_servers, network_processes, play_episode, together
from tests.toys import BLEND
from tests.waiting import PATIENCE_S, in_time, until

TIMEOUT_S = 1.0
"""After which the silent are lost in these tests; the default is 2."""
WELL_BEFORE_S = 10.0
"""Half of what a step waits for an input, if nothing tells it that none will come."""

ENDLESS: dict[str, Any] = {"length": 100_000}


@pytest.fixture(autouse=True)
def _none_of_another_match() -> None:
    until(lambda: network_processes() == [])


def _env(lobby: Lobby, seat: str, **changes: Any) -> P2PEnv:
    options = lobby.options(disconnect_timeout_s=TIMEOUT_S, checkpoint_interval_s=0.2, fps=100, **changes)
    return P2PEnv(gymnasium.make(BLEND, **ENDLESS), seat=seat, **options)


def _documents(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for match in sorted(folder.glob("*T*Z-*")):
        for kind in KINDS:
            for path in match.glob(f"*.{kind}.json"):
                document = json.loads(path.read_text())
                jsonschema.validate(document, schema(kind))
                yield path, document


def _play_until_it_ends(env: P2PEnv) -> tuple[dict[str, Any], float]:
    """Step on; return what the end says and how long the last step took."""
    for frame in range(100_000):
        began = time.monotonic()
        _, _, _, truncated, info = env.step(act(env.action_space, frame))
        if truncated:
            told: dict[str, Any] = info["p2p"]
            return told, time.monotonic() - began
    raise AssertionError("it did not end")


@pytest.mark.parametrize(
    ("network", "whom", "source"),
    [
        ("thread", "user", "service"),
        ("process", "user", "goodbye"),  # their network process says what became of them
        ("process", "both", "service"),
        ("process", "network", "service"),
    ],
)
def test_the_survivor_of_a_killed_player_learns_it_in_time_and_has_all_exports(
    network: str, whom: str, source: str, lobby: Lobby, tmp_path: Path
) -> None:
    theirs = tmp_path / "killed"
    options = lobby.options(
        disconnect_timeout_s=TIMEOUT_S, checkpoint_interval_s=0.2, exports=str(theirs), network=network
    )
    env = _env(lobby, "b")
    with lone_player("a", options, **ENDLESS) as player:
        assert together(env.reset)[0] is not None
        results = together(lambda: _play_until_it_ends(env), lambda: _kill(player, whom, theirs))
    assert isinstance(results[0], tuple), results
    told, waited_s = results[0]
    assert told == {"reason": "peer_crashed", "player": "a"}
    with in_time():
        assert waited_s < WELL_BEFORE_S
    env.close()
    mine = dict(_documents(lobby.exports))
    assert len(mine) == 3
    document = next(doc for path, doc in mine.items() if "multiplayer" in path.name)
    status = document["sessionStatus"]
    assert status["isPartial"] is True
    assert (status["terminationReason"], status["disconnectedPlayerId"]) == ("peer_crashed", "a")
    (departure,) = document["departures"]
    assert (departure["playerId"], departure["reason"], departure["source"]) == ("a", "peer_crashed", source)
    assert departure["statedReason"] == ("crashed" if source == "goodbye" else None)
    if (network, whom) == ("process", "user"):  # their network process has it done at once
        until(lambda: len(dict(_documents(theirs))) == 3 and not list(theirs.rglob("*.part")))
        (recording,) = theirs.rglob("*.p2preplay")
        assert read_replay(recording).reason == UNFINISHED
        until(lambda: not list(theirs.rglob("*.journal.jsonl")))
        until(lambda: _upload_state(theirs) == "stored")  # and the service has it
    elif whom != "network":  # what was killed there was not what writes
        (made,) = recover_all(theirs)
        assert made.problem is None
    checkpoint = dict(_documents(theirs))
    assert len(checkpoint) == 3
    for path, document in checkpoint.items():
        if "multiplayer" in path.name:
            assert document["sessionStatus"]["isPartial"] is True
            assert len(document["validation"]["allActions"]) > 20


def _upload_state(directory: Path) -> str | None:
    (path,) = directory.glob("*/*.session.json")
    upload: dict[str, str] | None = json.loads(path.read_bytes())["upload"]
    return None if upload is None else upload["state"]


def _has_checkpointed(directory: Path) -> bool:
    journals = list(directory.glob("*/*.journal.jsonl"))
    return any((_folded(path).frame_now or 0) > 20 for path in journals)


def _folded(journal: Path) -> MatchRecord:
    with journal.open("rb") as lines:
        return fold(lines)


def _kill(player: LonePlayer, whom: str, exports: Path) -> None:
    player.wait_until_it_says("frame 60")
    until(lambda: _has_checkpointed(exports))
    network, servers = player.network_processes(), fork_servers(player.process.pid)
    assert len(network) == len(servers) == (0 if not network else 1)
    if whom in {"network", "both"}:
        network[0].kill()
    if whom in {"user", "both"}:
        player.process.kill()
    elif whom == "network":
        player.wait_until_it_says('over {"reason": "network_failed", "player": null}')
    player.process.wait(PATIENCE_S)
    assert psutil.wait_procs([*network, *servers], timeout=PATIENCE_S)[1] == []


def test_a_killed_network_process_is_noticed_although_somebody_looked_at_the_latency(lobby: Lobby) -> None:
    with auto_peers([lambda: _env(lobby, "b")]):
        env = _env(lobby, "a", network="process")
        env.reset()
        env.step(act(env.action_space, 0))
        network_processes()[0].kill()
        time.sleep(0.2)
        env.p2p.latency()  # takes in all that was told, the end as well
        began = time.monotonic()
        assert _play_until_it_ends(env)[0] == {"reason": "network_failed", "player": None}
        with in_time():
            assert time.monotonic() - began < WELL_BEFORE_S
        env.close()


def test_a_network_process_killed_between_episodes_is_noticed_by_the_next_reset(lobby: Lobby) -> None:
    with auto_peers([lambda: _env(lobby, "b")]):
        env = _env(lobby, "a", network="process")
        env.reset()
        network_processes()[0].kill()
        time.sleep(0.2)
        env.p2p.latency()
        with pytest.raises(Exception, match="network process ended by itself"):
            env.reset()
        env.close()


def test_a_match_outlives_the_server_that_forked_its_network_process_and_the_next_has_another(
    lobby: Lobby, tmp_path: Path
) -> None:
    options = lobby.options(exports=str(tmp_path / "theirs"), network="process", fps=100)
    other = Lobby(lobby.url, lobby.exports)
    with auto_peers([lambda: _env(lobby, "b", exports=None), lambda: _env(other, "b", exports=None)]):
        env = P2PEnv(gymnasium.make(BLEND, **ENDLESS), seat="a", **options)
        env.reset()
        (network,) = network_processes()
        server = network.parent()
        assert server is not None
        server.kill()
        for frame in range(60):
            assert "p2p" not in env.step(act(env.action_space, frame))[4]
        assert network.is_running()
        following = _env(other, "a", network="process", exports=None)
        following.reset()
        (its_network,) = [process for process in network_processes() if process != network]
        assert its_network.ppid() not in {server.pid, 1}
        for one in (env, following):
            one.close()
        assert psutil.wait_procs([network, its_network], timeout=PATIENCE_S)[1] == []
    assert len(dict(_documents(tmp_path / "theirs"))) == 3


def test_three_players_of_whom_one_is_killed_name_the_same_one(lobby: Lobby, tmp_path: Path) -> None:
    options = lobby.options(exports=str(tmp_path / "killed"))

    def play(seat: int) -> Any:
        # The first to learn it leaves at once: the other one must not take them for the lost one.
        own = lobby.options(fps=100, disconnect_timeout_s=TIMEOUT_S + seat)
        env = P2PEnv(gymnasium.make(BLEND, kind="three", **ENDLESS), seat=seat, **own)
        env.reset()
        told = _play_until_it_ends(env)[0]
        env.close()
        return told

    def kill() -> None:
        with lone_player(0, options, kind="three", **ENDLESS) as player:
            player.wait_until_it_says("frame 60")

    results = together(lambda: play(1), lambda: play(2), kill)
    assert results[:2] == [{"reason": "peer_crashed", "player": 0}] * 2, results


@pytest.mark.parametrize("said", [["began"], ["began", "over"], ["began", "over", "began"]])
def test_those_who_are_left_by_a_player_killed_around_a_barrier_see_the_same(
    said: list[str], lobby: Lobby, tmp_path: Path
) -> None:
    short: dict[str, Any] = {"kind": "three", "length": 20}
    options = lobby.options(exports=str(tmp_path / "killed"), disconnect_timeout_s=TIMEOUT_S)

    def play(seat: int) -> list[Any]:
        own = lobby.options(fps=100, disconnect_timeout_s=TIMEOUT_S)
        env = P2PEnv(gymnasium.make(BLEND, **short), seat=seat, **own)
        seen: list[Any] = []
        try:
            while not seen or "p2p" not in seen[-1]:
                time.sleep(0.05 * seat)  # not in step
                seen.append(play_episode(env).info)
        except PeerLost as error:
            seen.append(error.peer)
        env.close()
        return [*seen, env.export_multiplayer_metrics()["validation"]["allActions"]]

    def kill() -> None:
        with lone_player(0, options, episodes=3, stops=len(said), **short) as player:
            for text in said:
                player.wait_until_it_says(text)
            for process in player.network_processes():
                process.kill()

    first, second, _ = together(lambda: play(1), lambda: play(2), kill)
    assert isinstance(first, list), first
    assert first == second
    assert len(first) == said.count("over") + 2


@pytest.mark.parametrize(("network", "apart_s"), [("thread", 0.1), ("process", 0.3)])
def test_an_interrupt_at_any_moment_leaves_whole_exports_and_nothing_that_runs(
    network: str, apart_s: float, lobby: Lobby, tmp_path: Path
) -> None:
    theirs = tmp_path / "interrupted"
    began = 0
    for moment in range(6):  # three on the way to the match, three in it
        room = Lobby(lobby.url, lobby.exports)
        options = room.options(exports=str(theirs), network=network)
        with (
            auto_peers([partial(_env, room, "b", exports=None)]),
            lone_player("a", options, **ENDLESS) as player,
        ):
            player.wait_until_it_says("ready" if moment < 3 else "began")
            time.sleep(moment % 3 * apart_s)
            family = player.family()
            os.kill(player.process.pid, signal.SIGINT)
            output, errors = player.process.communicate(timeout=PATIENCE_S)
            assert player.process.returncode in {-signal.SIGINT, 130}, errors
            assert "KeyboardInterrupt" in errors
            began += moment >= 3 or "began" in output
            assert psutil.wait_procs(family, timeout=PATIENCE_S)[1] == []
    documents = dict(_documents(theirs))
    assert began >= 3
    assert len(documents) >= 3 * began
    assert len(documents) % 3 == 0
    for path, document in documents.items():
        if "multiplayer" in path.name:
            assert document["sessionStatus"]["terminationReason"] == "interrupted"
            assert document["sessionStatus"]["isPartial"] is True


def test_a_wrapper_that_is_dropped_without_close_says_goodbye_and_writes_its_exports(lobby: Lobby) -> None:
    a, b = _env(lobby, "a"), _env(lobby, "b", exports=None)
    together(a.reset, b.reset)
    del a
    assert _play_until_it_ends(b)[0] == {"reason": "peer_left", "player": "a"}
    until(lambda: len(dict(_documents(lobby.exports))) == 3)
    b.close()
