"""Paths that break between real players: both play on where they were, or end with the same reason."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab
from tests.lab.fixtures import MakeLab
from tests.net.lab_match import LabMatch
from tests.waiting import in_time

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("lab_possible")]

SPREAD = ("agent_0", "agent_1", "agent_2")
LOCKSTEP: dict[str, Any] = {"sync": "lockstep", "fps": 60, "relay": "none"}
ROLLBACK: dict[str, Any] = {"sync": "rollback", "fps": 60, "relay": "none"}


def sever(lab: Lab, host: str) -> None:
    """Let nothing through any more at the ports that a host uses now, as when a translator forgets."""
    ports = lab.udp_ports(host)
    assert ports
    rules = "".join(
        f"add rule ip cut c udp sport {port} drop\nadd rule ip cut d udp dport {port} drop\n"
        for port in ports
    )
    table = (
        "add table ip cut\n"
        "add chain ip cut c { type filter hook output priority 0; }\n"
        "add chain ip cut d { type filter hook input priority 0; }\n"
    )
    lab.filter(host, table + rules)


@pytest.mark.quiet
@pytest.mark.parametrize("mode", [LOCKSTEP, ROLLBACK], ids=["lockstep", "rollback"])
def test_two_play_on_over_a_new_connection_when_the_old_one_is_gone_for_good(
    make_lab: MakeLab, tmp_path: Path, mode: dict[str, Any]
) -> None:
    lab = make_lab(one_way_ms=15)
    match = LabMatch(lab, tmp_path).play(**mode, frames=300).wait_until_playing()
    time.sleep(1.5)
    sever(lab, "a")
    match.end()
    assert match.no_desync()
    for player in match.players.values():
        assert player.summary["status"]["frames_total"] == 300
        assert player.lines("Resumed")
        document = player.document("session")
        with in_time():  # who stands still for long is noticed, too, and has attempts that fail
            assert len(player.lines("Resumed")) == len(document["reconnection"]["attempts"]) == 1
        (back,) = player.lines("Resumed")
        with in_time():
            assert back["silent_s"] < 8
        (broken,), (attempt,) = (document["reconnection"][part] for part in ("disconnections", "attempts"))
        assert (broken["iceState"], broken["dcState"]) == ("completed", "interrupted")
        assert (attempt["outcome"], attempt["over"]) == ("success", "new_connection")
        assert attempt["localCandidateType"] == attempt["remoteCandidateType"] == "host"
        assert {broken["otherPeer"], attempt["otherPeer"]} <= {"left", "right"}
        assert document["reconnection"]["totalPauseDurationMs"] == pytest.approx(
            back["silent_s"] * 1e3, abs=1
        )
        (pause,) = [pause for pause in document["pauses"] if pause["reason"] == "silent"]
        assert (pause["playerIds"], pause["limitMs"]) == ([broken["otherPeer"]], 10_000)
        with in_time():
            assert pause["durationMs"] == pytest.approx(back["silent_s"] * 1e3, abs=300)


@pytest.mark.quiet
@pytest.mark.parametrize(  # the other pairs of both: core/match/test_reconnecting.py
    ("hosts", "mode"),
    [
        pytest.param(("a", "b"), LOCKSTEP, id="2-lockstep"),
        pytest.param(("a", "b", "c"), ROLLBACK, id="3-rollback", marks=pytest.mark.slow),
    ],
)
def test_a_path_of_two_that_is_cut_for_six_seconds_costs_no_frame(
    make_lab: MakeLab, tmp_path: Path, hosts: tuple[str, ...], mode: dict[str, Any]
) -> None:
    lab = make_lab(hosts, one_way_ms=15)
    game: dict[str, Any] = {"env": "mpe2.simple_spread_v3", "env_args": {"max_cycles": 1000}, "seats": SPREAD}
    match = LabMatch(lab, tmp_path).play(**mode, frames=240, **(game if len(hosts) == 3 else {}))
    match.wait_until_playing()
    time.sleep(1.5)
    lab.condition(between=("a", "b"), blackout=True)
    start = time.time()
    time.sleep(6)
    lab.condition(between=("a", "b"), blackout=False)
    end = time.time()
    match.end()
    assert match.no_desync()
    for host, player in match.players.items():
        assert player.summary["status"]["frames_total"] == 240
        assert len(player.lines("Resumed")) >= (host != "c")
        with in_time():
            assert not [at for at in player.summary["frames"] if start + 0.5 < at < end]
            # Who stands still for long is noticed, too.
            assert len(player.lines("Interrupted")) == len(player.lines("Resumed")) == (host != "c")
        outcomes = [one["outcome"] for one in player.document("session")["reconnection"]["attempts"]]
        assert outcomes[-1:] == ["success"] * (host != "c")
        with in_time():  # of who stands still one comes to nothing
            assert len(outcomes) == (host != "c")


@pytest.mark.quiet
def test_a_path_that_stays_cut_ends_the_match_for_both_at_the_time(make_lab: MakeLab, tmp_path: Path) -> None:
    match = LabMatch(make_lab(one_way_ms=15), tmp_path).play(**ROLLBACK, reconnect_timeout_s=4.0)
    match.wait_until_playing()
    time.sleep(1)
    match.lab.condition(blackout=True)
    start = time.time()
    match.end()
    for player in match.players.values():
        gone = player.wait_for("PlayerGone", 0)
        assert gone["reason"] == "peer_lost"
        with in_time():
            assert gone["at"] - start == pytest.approx(4.0, abs=0.8)
        assert player.summary["ending"] == "peer_lost"
        (attempt,) = player.document("session")["reconnection"]["attempts"]
        assert (attempt["outcome"], attempt["over"]) == ("timeout", None)
        assert attempt["attempts"] >= 1
        with in_time():
            assert attempt["duration"] == pytest.approx(4000, abs=500)
