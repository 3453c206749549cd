"""Players who cannot reach each other: the service or a third player passes messages on until they can."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab
from tests.lab.fixtures import MakeLab
from tests.net.lab_match import LabMatch, LabPlayer
from tests.waiting import in_time, until

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("lab_possible")]

SPREAD: dict[str, Any] = {
    "env": "mpe2.simple_spread_v3",
    "env_args": {"max_cycles": 1000},
    "seats": ("agent_0", "agent_1", "agent_2"),
}
MODES = [
    pytest.param({"sync": "lockstep", "fps": 60}, id="lockstep"),
    pytest.param({"sync": "rollback", "fps": 60}, id="rollback"),
]


def block_udp(lab: Lab, host: str, other: str) -> None:
    """Let no datagram through between two hosts; TCP, and all to others, goes on."""
    address = lab.address(other)
    lab.filter(
        host,
        "add table ip blocked\n"
        "add chain ip blocked o { type filter hook output priority 0; }\n"
        "add chain ip blocked i { type filter hook input priority 0; }\n"
        f"add rule ip blocked o ip daddr {address} udp dport 1-65535 drop\n"
        f"add rule ip blocked i ip saddr {address} udp dport 1-65535 drop\n",
    )


def unblock_udp(lab: Lab, host: str) -> None:
    lab.filter(host, "delete table ip blocked\n")


def ways_of(player: LabPlayer) -> list[str]:
    return [way["way"] for way in player.document("session")["waysTaken"]]


@pytest.mark.quiet
@pytest.mark.parametrize("mode", MODES)
def test_two_between_whom_no_datagram_passes_play_by_the_service(
    make_lab: MakeLab, tmp_path: Path, mode: dict[str, Any]
) -> None:
    lab = make_lab(one_way_ms=10)
    block_udp(lab, "a", "b")
    match = LabMatch(lab, tmp_path).play(**mode, frames=240).wait_until_playing().end()
    assert match.no_desync()
    for player in match.players.values():
        assert player.summary["status"]["frames_total"] == 240
        session = player.document("session")
        assert (session["connection"]["type"], session["connection"]["relayedBy"]) == ("relay", "service")
        assert session["quality"]["p2pFallbackTriggered"] is True
        assert session["inputs"]["sentViaSocketIO"] == session["inputs"]["receivedViaSocketIO"] == 240
        assert session["inputs"]["sentViaP2P"] == session["inputs"]["receivedViaP2P"] == 0
        (way,) = session["waysTaken"]
        assert (way["way"], way["reason"]) == ("service", "no_direct_path")


@pytest.mark.quiet
def test_the_direct_path_is_taken_once_datagrams_pass(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab(one_way_ms=10)
    block_udp(lab, "a", "b")
    match = LabMatch(lab, tmp_path).play(sync="rollback", fps=60, poll_interval_ms=200)
    match.wait_until_playing()
    time.sleep(1)
    unblock_udp(lab, "a")
    until(lambda: all(player.lines("WayChanged")[1:] for player in match.players.values()), 50)
    time.sleep(1)  # the path is seen at the next poll
    match.stop()
    assert match.no_desync()
    for player in match.players.values():
        assert ways_of(player) == ["service", "direct"]
        paths = next(iter(player.document("session")["connectionPaths"].values()))
        assert [path["type"] for path in paths] == ["relay", "direct"]
        inputs = player.document("session")["inputs"]
        assert min(inputs["sentViaSocketIO"], inputs["receivedViaSocketIO"]) > 0


@pytest.mark.quiet
@pytest.mark.parametrize("mode", MODES)
def test_a_pair_of_three_that_is_cut_for_good_is_mended_through_the_third(
    make_lab: MakeLab, tmp_path: Path, mode: dict[str, Any]
) -> None:
    lab = make_lab(("a", "b", "c"), one_way_ms=10)
    match = LabMatch(lab, tmp_path).play(**mode, frames=300, **SPREAD).wait_until_playing()
    time.sleep(1.5)
    block_udp(lab, "a", "b")
    match.end()
    assert match.no_desync()
    for host, player in match.players.items():
        assert player.summary["status"]["frames_total"] == 300
        session = player.document("session")
        assert session["quality"]["p2pFallbackTriggered"] is False
        if host == "c":
            assert session["waysTaken"] == []
            pairs = {(one["fromPlayerId"], one["toPlayerId"]) for one in session["passedOn"]}
            assert pairs == {("agent_0", "agent_1"), ("agent_1", "agent_0")}
            continue
        (way,) = session["waysTaken"]
        assert (way["way"], way["viaPlayerId"]) == ("player", "agent_2")
        # A busy machine may stand still long enough for the others to be noticed, too.
        (attempt,) = [one for one in session["reconnection"]["attempts"] if one["over"] == "player"]
        assert attempt["outcome"] == "success"
        with in_time():
            assert attempt["duration"] < 3_000
