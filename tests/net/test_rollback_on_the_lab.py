"""Rollback over real channels and a path that delays, jitters and loses: nobody notices in the record."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from gym_p2p.game.checksum import OutcomeChecksum
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.seats import make_game
from tests.lab import Lab
from tests.lab.fixtures import MakeLab
from tests.net.lab_match import LabMatch, LabPlayer
from tests.players import assert_all_played_the_same
from tests.waiting import in_time

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("lab_possible"), pytest.mark.timeout(120)]

SHAKY: dict[str, Any] = {"one_way_ms": 50, "jitter_ms": 5, "loss": 0.02, "in_order": False}
"""100 ms of round trip: three frames at 60 a second have to be guessed, and more after a loss."""

PONG: dict[str, Any] = {
    "env": "pettingzoo.atari.pong_v3",
    "env_args": {"obs_type": "ram"},
    "seats": ("first_0", "second_0"),
}

SPREAD: dict[str, Any] = {
    "env": "mpe2.simple_spread_v3",
    "env_args": {"N": 2, "max_cycles": 20_000},
    "seats": ("agent_0", "agent_1"),
}

THREE: dict[str, Any] = {
    "env": "mpe2.simple_spread_v3",
    "env_args": {"max_cycles": 20_000},
    "seats": ("agent_0", "agent_1", "agent_2"),
}

FRAMES = 600


def _assert_oracle(player: LabPlayer, game: dict[str, Any]) -> None:
    """Check a player's checksums against one plain environment, played with the confirmed actions."""
    validation = player.document("multiplayer")["validation"]
    seed = re.search(r"seed=(\d+)", player.lines("EpisodeBegan")[0]["told"])
    assert seed is not None
    oracle = make_game(load_environment(game["env"], game["env_args"]))
    oracle.reset(int(seed[1]))
    told = {row["frame"]: row["hash"] for row in validation["allHashes"]}
    played: dict[int, dict[Any, Any]] = {}
    for row in json.loads(json.dumps(validation["allActions"])):
        played.setdefault(row["frame"], {})[row["playerId"]] = row["action"]
    checksum = OutcomeChecksum(len(oracle.seats))
    compared = 0
    for frame, by_seat in played.items():
        actions = [oracle.codec(seat).from_json(by_seat[seat]) for seat in oracle.seats]
        outcome = oracle.step(actions)
        encoded = [oracle.codec(s).encode(a) for s, a in zip(oracle.seats, actions, strict=True)]
        checksum.update(frame, encoded, outcome)
        if frame in told:
            digest = checksum.digest(outcome)
            assert told[frame].startswith(digest), f"frame {frame}"
            compared += 1
    oracle.close()
    assert compared == len(told) > 30


def play_over_a_long_shaky_path(lab: Lab, folder: Path, game: dict[str, Any], *, frames: int) -> LabMatch:
    """Play a match on guesses, and hold against the oracle what both have of it."""
    match = LabMatch(lab, folder).play(
        **game, frames=frames, fps=60, sync="rollback", checksum_interval=10, shifts=(0, 3)
    )
    match.end(within_s=60 + frames / 20)
    assert lab.counters().ways["a", "b"].lost > 0
    assert lab.counters().ways["a", "b"].reordered > 0
    assert match.no_desync()
    documents = [player.document("multiplayer") for player in match.players.values()]
    assert_all_played_the_same(documents)
    validation = documents[0]["validation"]
    assert len(validation["allActions"]) == 2 * frames
    assert len({row["hash"] for row in validation["allHashes"]}) >= frames // 10 - 1
    for player in match.players.values():
        session = player.document("session")
        assert session["sync"]["chosen"]["mode"] == "rollback"
        assert session["sync"]["chosen"]["comparesStates"]
        assert session["rollbacks"]["count"] > frames // 20
        assert session["rollbacks"]["mispredictions"] > 0
        ((path,),) = session["connectionPaths"].values()
        assert path == session["connection"]
        assert (path["gameTransport"], path["gameTransportCounts"]["returns"]) == ("dtls", 0)
        _assert_oracle(player, game)
    return match


@pytest.mark.alone
@pytest.mark.parametrize("game", [PONG, SPREAD], ids=["pong", "simple_spread"])
def test_sixty_frames_a_second_over_a_long_shaky_path_are_the_same_for_both(
    make_lab: MakeLab, tmp_path: Path, game: dict[str, Any]
) -> None:
    match = play_over_a_long_shaky_path(make_lab(**SHAKY), tmp_path, game, frames=FRAMES)
    for player in match.players.values():
        steps = player.step_times_ms()
        with in_time():
            assert sum(steps) / len(steps) <= 1000 / 60 * 1.15


@pytest.mark.quiet
def test_two_play_on_alike_when_the_third_is_killed(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab(["a", "b", "c"], **SHAKY)
    match = LabMatch(lab, tmp_path).play(
        **THREE,
        shifts=(0, 2, 4),
        frames=420,
        fps=60,
        sync="rollback",
        network="thread",
        checksum_interval=10,
        disconnect_timeout_s=1.0,
        on_peer_loss="default_action",
    )
    match.wait_until_playing()
    time.sleep(2.5)
    match["c"].kill()
    survivors = [match["a"], match["b"]]
    for player in survivors:
        player.end()
        assert player.summary["status"]["desyncs"] == 0
        assert [line["player"] for line in player.lines("PlayerGone")][:1] == [2]
    documents = [player.document("multiplayer") for player in survivors]
    assert_all_played_the_same(documents)
    rows = [row for row in documents[0]["validation"]["allActions"] if row["playerId"] == "agent_2"]
    assert len(rows) == 420
    played = [row["action"] for row in rows]
    changes = [at for at in range(1, 420) if played[at] != played[at - 1]]
    assert 60 < changes[-1] < 360, "they played, and then the default action to the end"
    assert played[-1] == 0
    assert len({row["frame"] for row in documents[0]["validation"]["allHashes"]}) >= 40
    _assert_oracle(survivors[0], THREE)
