"""How the whole stack connects, and what it does on bad paths: translators, dead servers, blackouts."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import SERVICE, Lab, Nat, namespaces, read_line
from tests.lab.fixtures import MakeLab
from tests.net.lab_match import ROOT, LabMatch, LabPlayer
from tests.waiting import in_time

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("lab_possible")]

NOWHERE = "10.77.0.99"


def _waits_s(match: LabMatch, *, rounds: int) -> list[float]:
    """Connect so often; return how long each player waited from the match being found to open channels."""
    waits = []
    for _ in range(rounds):
        match.play(frames=3).end()
        waits += [player.wait_for("LinkOpened", 0)["waited_s"] for player in match.players.values()]
    return waits


def _first_frame_s(player: LabPlayer, after: float) -> float:
    return float(min(at for at in player.summary["frames"] if at > after) - after)


@pytest.mark.quiet
def test_connecting_takes_five_round_trips(make_lab: MakeLab, tmp_path: Path) -> None:
    waits = _waits_s(LabMatch(make_lab(one_way_ms=25), tmp_path), rounds=3)
    with in_time():
        assert 0.2 <= statistics.median(waits) <= 1.0


def test_connecting_through_loss_is_never_long(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab(one_way_ms=25, loss=0.05)
    waits = _waits_s(LabMatch(lab, tmp_path), rounds=3)
    assert lab.counters().total("lost") > 0
    with in_time():
        assert max(waits) <= 6


@pytest.mark.parametrize("scheme", ["stun", "turn"])
def test_an_ice_server_that_does_not_answer_delays_nobody(
    make_lab: MakeLab, tmp_path: Path, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for what in ("USERNAME", "CREDENTIAL"):
        monkeypatch.setenv(f"GYM_P2P_TURN_{what}", "lab")
    match = LabMatch(make_lab(one_way_ms=25), tmp_path, "--ice-server", f"{scheme}:{NOWHERE}:3478")
    waits = _waits_s(match, rounds=2)
    with in_time():
        assert min(waits) <= 2.0  # aiortc waits 5 s for such a server


def test_a_machine_with_nothing_but_loopback_plays(tmp_path: Path) -> None:
    name = namespaces.fresh_names(["bare"])["bare"]
    namespaces.ip(f"netns add {name}")
    try:
        namespaces.ip("link set lo up", namespace=name)
        command = [sys.executable, "-m", "gym_p2p", "demo", "--frames", "60", "--json"]
        done = subprocess.run(
            ["ip", "netns", "exec", name, *command, "--exports", str(tmp_path)],
            capture_output=True,
            timeout=60,
            check=False,
            cwd=ROOT,
        )
    finally:
        namespaces.remove([name])
    assert done.returncode == 0, done.stderr.decode()
    players = json.loads(done.stdout)["players"]
    assert [player["status"]["frames_total"] for player in players] == [60, 60]
    assert all(player["status"]["checksums_agreed"] > 0 for player in players)


@pytest.mark.parametrize("kind", [Nat.PORT_RESTRICTED, Nat.SYMMETRIC])
def test_a_player_behind_a_translator_reaches_one_who_is_not(
    make_lab: MakeLab, tmp_path: Path, kind: Nat
) -> None:
    lab = make_lab(nats={"a": kind}, one_way_ms=10)
    match = LabMatch(lab, tmp_path).play(frames=90, fps=60).end()
    assert match.no_desync()
    connection = match["b"].document("session")["connection"]
    assert connection["type"] == "direct"
    assert connection["connectionDetails"]["remoteCandidateType"] == "prflx"


@pytest.fixture
def two_translators(make_lab: MakeLab) -> Lab:
    return make_lab(nats={"a": Nat.PORT_RESTRICTED, "b": Nat.PORT_RESTRICTED}, one_way_ms=10)


@pytest.fixture
def stun_server(two_translators: Lab) -> Iterator[str]:
    address = f"{two_translators.address(SERVICE)}:3478"
    command = [sys.executable, "-m", "tests.net.stun_server", address]
    process = two_translators.run(SERVICE, command, stdout=subprocess.PIPE, cwd=ROOT)
    assert read_line(process, timeout_s=20).strip() == "ready"
    yield f"stun:{address}"
    process.kill()


def test_two_players_behind_translators_meet_with_a_stun_server(
    two_translators: Lab, stun_server: str, tmp_path: Path
) -> None:
    match = LabMatch(two_translators, tmp_path, "--ice-server", stun_server).play(frames=90, fps=60).end()
    assert match.no_desync()
    for player in match.players.values():
        assert player.document("session")["connection"]["type"] == "direct"


def test_two_players_behind_translators_are_told_what_is_missing_without_one(
    two_translators: Lab, tmp_path: Path
) -> None:
    match = LabMatch(two_translators, tmp_path).play(frames=90, connect_timeout_s=3.0, relay="none").end()
    for player in match.players.values():
        (error,) = player.lines("error")
        assert error["kind"] == "ConnectFailed"
        assert "STUN or TURN server (ice_servers)" in error["text"]


def _black_out(match: LabMatch, seconds: float) -> tuple[float, float]:
    """Let two seconds of play pass, then nothing through for so long; return from when until when."""
    match.wait_until_playing()
    time.sleep(2)
    match.lab.condition(blackout=True)
    start = time.time()
    time.sleep(seconds)
    match.lab.condition(blackout=False)
    return start, time.time()


@pytest.mark.quiet
def test_a_match_goes_on_at_once_after_a_short_blackout(make_lab: MakeLab, tmp_path: Path) -> None:
    match = LabMatch(make_lab(one_way_ms=25), tmp_path).play(fps=60, input_delay=4, relay="none")
    start, end = _black_out(match, 1.2)
    time.sleep(2)
    match.stop()
    assert match.no_desync()
    for player in match.players.values():
        with in_time():
            assert not [at for at in player.summary["frames"] if start + 0.3 < at < end]
            assert _first_frame_s(player, end) <= 0.6
        reconnection = player.document("multiplayer")["reconnection"]
        # A busy machine may stand still long enough to be noticed, too; this is about the blackout.
        ways_back = list(zip(reconnection["disconnections"], reconnection["attempts"], strict=True))
        assert {attempt["outcome"] for _, attempt in ways_back} == {"success"}
        ((noticed_s, paused_ms),) = [
            (broken["timestamp"] / 1e3 - start, attempt["duration"])
            for broken, attempt in ways_back
            if start <= broken["timestamp"] / 1e3 <= end
        ]
        with in_time():
            assert noticed_s == pytest.approx(0.6, abs=0.3)
            assert paused_ms == pytest.approx(1500, abs=500)
        assert reconnection["totalPauseDurationMs"] == pytest.approx(
            sum(attempt["duration"] for _, attempt in ways_back)
        )


@pytest.mark.quiet
def test_a_long_blackout_is_an_outage_in_the_statistics(make_lab: MakeLab, tmp_path: Path) -> None:
    match = LabMatch(make_lab(one_way_ms=25), tmp_path).play(fps=60, disconnect_timeout_s=30.0, relay="none")
    start, end = _black_out(match, 5)
    time.sleep(2.5)
    match.stop()
    assert match.no_desync()
    for player in match.players.values():
        with in_time():
            assert _first_frame_s(player, end) <= 0.8
        latency = player.document("session")["latency"]
        (outage,) = latency["outages"]
        with in_time():
            assert start <= outage["startMs"] / 1e3 <= start + 2.5
            assert end <= outage["endMs"] / 1e3 <= end + 2.5
        assert latency["missed"] >= 3


@pytest.mark.quiet
def test_a_peer_who_stays_silent_is_lost_at_the_configured_time(make_lab: MakeLab, tmp_path: Path) -> None:
    match = LabMatch(make_lab(one_way_ms=25), tmp_path).play(
        fps=60, disconnect_timeout_s=2.0, reconnect_timeout_s=0
    )
    start, _ = _black_out(match, 4)
    match.end()
    for player, other in (("a", "right"), ("b", "left")):
        gone = match[player].wait_for("PlayerGone", 0)
        assert gone["reason"] == "peer_lost"
        with in_time():
            assert gone["at"] - start == pytest.approx(2.5, abs=0.8)
        assert match[player].summary["ending"] == "peer_lost"
        status = match[player].document("multiplayer")["sessionStatus"]
        assert (status["terminationReason"], status["disconnectedPlayerId"]) == ("peer_lost", other)


@pytest.mark.quiet
def test_a_round_trip_of_more_than_half_a_second_is_no_reason_to_hang_up(
    make_lab: MakeLab, tmp_path: Path
) -> None:
    # aioice's own check would close such a connection after six tries, some 30 s: it must not even run.
    match = LabMatch(make_lab(one_way_ms=350), tmp_path).play(
        fps=60, input_delay=4, network="thread", relay="none"
    )
    match.wait_until_playing()
    time.sleep(7)
    match.stop()
    for player in match.players.values():
        assert not [task for task in player.wait_for("sent", 0)["tasks"] if "consent" in task]
        assert statistics.median(player.rtts_ms()) >= 698
        with in_time():
            assert statistics.median(player.rtts_ms()) <= 1000
        # A busy machine may stand still long enough to be noticed; nobody hung up.
        seen = player.document("session")["reconnection"]["disconnections"]
        assert all(disconnection["dcState"] == "interrupted" for disconnection in seen)
