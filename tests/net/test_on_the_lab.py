"""What the whole stack measures, and how evenly it plays, on paths whose behaviour is known.

The players and the forwarder share a machine with few cores, so times have a little room (``ROOM_MS``) beyond
what a match between two machines would be held to.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Literal

import pytest

from tests.lab import Lab, Ping, echo, start_ping
from tests.lab.fixtures import MakeLab
from tests.net.lab_match import LabMatch
from tests.waiting import in_time

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("lab_possible")]

ROOM_MS = 6.0
FRAME_MS = 1000 / 60


def _true_round_trips(lab: Lab, seconds: float) -> tuple[float, float, Ping]:
    """Ping for so long beside the match; return from when until when, and what a UDP datagram takes."""
    start = time.time()
    truth = start_ping(lab, "a", "b", count=int(seconds * 100), interval_ms=10).result()[0]
    return start, start + seconds, truth


def _is_right(reported_ms: float, truth: Ping, *, noise_ms: float = 0.0) -> bool:
    assert truth.median_ms is not None
    return abs(reported_ms - truth.median_ms) <= 1 + 0.02 * truth.median_ms + ROOM_MS + noise_ms


@pytest.mark.quiet
def test_reported_round_trips_follow_a_path_that_changes(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab()
    with echo(lab, "b"):
        match = LabMatch(lab, tmp_path).play(fps=60, input_delay=4, poll_interval_ms=200)
        match.wait_until_playing()
        spans = []
        for rtt_ms in (0, 20, 50, 100, 200):
            lab.condition(one_way_ms=rtt_ms / 2)
            time.sleep(0.5)
            spans.append(_true_round_trips(lab, 3.5))
    match.stop()
    for player in match.players.values():
        reported = [player.median_rtt_ms(start, end) for start, end, _ in spans]
        truths = [truth for _, _, truth in spans]
        with in_time():
            assert all(map(_is_right, reported, truths)), (reported, [truth.median_ms for truth in truths])
    assert match.no_desync()


@pytest.mark.quiet
def test_reported_round_trips_are_right_under_jitter_and_loss(make_lab: MakeLab, tmp_path: Path) -> None:
    # In an order-keeping path a datagram's delay depends on its neighbours', which a lone ping has not.
    lab = make_lab(one_way_ms=25, jitter_ms=5, loss=0.02, in_order=False)
    with echo(lab, "b"):
        match = LabMatch(lab, tmp_path).play(fps=60, input_delay=5, poll_interval_ms=50).wait_until_playing()
        start, end, truth = _true_round_trips(lab, 8)
    match.stop()
    assert lab.counters().ways["a", "b"].lost > 0
    assert lab.counters().ways["a", "b"].reordered > 0
    for player in match.players.values():
        # The error of a median of a hundred exponentials of mean 5 ms, both ways: 0.8 ms.
        with in_time():
            assert _is_right(player.median_rtt_ms(start, end), truth, noise_ms=1.6)
    assert match.no_desync()


@pytest.mark.alone
@pytest.mark.parametrize("network", ["process", "thread"])
def test_a_thread_that_computes_without_pause_does_not_lengthen_the_round_trips(
    make_lab: MakeLab, tmp_path: Path, network: Literal["process", "thread"]
) -> None:
    lab = make_lab(one_way_ms=25)
    with echo(lab, "b"):
        match = LabMatch(lab, tmp_path)
        # One of them alone: two would leave no core to anybody else on a machine with two.
        match.play(fps=60, input_delay=4, network=network, poll_interval_ms=200, busy_ms={"a": 15})
        match.wait_until_playing()
        time.sleep(0.5)
        start, end, truth = _true_round_trips(lab, 6)
    match.stop()
    for player in match.players.values():
        with in_time():
            assert _is_right(player.median_rtt_ms(start, end), truth)
    assert len([at for at in match["a"].summary["frames"] if start < at < end]) >= 0.5 * 60 * 6


@pytest.mark.quiet
def test_sixty_frames_a_second_over_a_shaky_path(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab(one_way_ms=25, jitter_ms=2, loss=0.02)
    match = LabMatch(lab, tmp_path).play(fps=60, input_delay=4, frames=600, network="thread").end()
    assert lab.counters().ways["a", "b"].lost > 5
    assert match.no_desync()
    for player in match.players.values():
        steps, frames, (sent,) = player.step_times_ms(), player.summary["frames"], player.lines("sent")
        seconds = frames[-1] - frames[0]
        assert len(frames) == 600
        with in_time():
            assert statistics.median(steps) == pytest.approx(FRAME_MS, abs=3)
            assert sum(step <= FRAME_MS + 4 for step in steps) >= 0.7 * len(steps)
        assert sent["messages"] / seconds <= 75  # an input a frame, the pings, and a few repeats
        assert sent["payload_bytes"] / seconds <= 2400
        assert 0.6 * seconds <= len(player.rtts_ms()) <= seconds + 2  # about one fresh sample a second


@pytest.mark.quiet
def test_lockstep_goes_at_the_pace_of_the_one_way_delay(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab(one_way_ms=25)
    match = LabMatch(lab, tmp_path).play(frames=240).end()
    assert match.no_desync()
    for player in match.players.values():
        steps = player.step_times_ms()
        assert statistics.mean(steps) >= 24
        with in_time():
            assert statistics.mean(steps) <= 26.5 + 4 * ROOM_MS


@pytest.mark.quiet
def test_three_players_measure_three_different_paths(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab(["a", "b", "c"])
    rtts_ms = {("a", "b"): 10, ("a", "c"): 40, ("b", "c"): 80}
    for pair, rtt_ms in rtts_ms.items():
        lab.condition(between=pair, one_way_ms=rtt_ms / 2)
    seats = {"a": "agent_0", "b": "agent_1", "c": "agent_2"}
    match = LabMatch(lab, tmp_path)
    match.play(
        env="mpe2.simple_spread_v3",
        seats=list(seats.values()),
        frames=140,
        fps=30,
        input_delay=3,
        poll_interval_ms=200,
    ).end()
    assert match.no_desync()
    for (one, other), rtt_ms in rtts_ms.items():
        for here, there in ((one, other), (other, one)):
            links = match[here].document("session")["latencyByPeer"]
            with in_time():
                assert links[seats[there]]["medianMs"] == pytest.approx(
                    rtt_ms, abs=1 + 0.02 * rtt_ms + 2 * ROOM_MS
                )
    assert match["a"].document("session")["latency"]["medianMs"] > 35  # the worst link
