from __future__ import annotations

from typing import Any, cast

from gym_p2p.core.api.requests import MatchLatency
from gym_p2p.core.api.rooms import MatchFound, MatchPlayer
from gym_p2p.core.latency.series import Poll
from gym_p2p.core.latency.webrtc_stats import PollStatus
from gym_p2p.net.worker.player import _LatencyReports


class Line:
    """Takes what is sent to the service."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, request: Any) -> None:
        self.sent.append(request)


def reports(line: Line) -> _LatencyReports:
    found = MatchFound(
        match_id="m",
        room="r",
        player_id="a",
        seats_taken=("a",),
        players=tuple(
            MatchPlayer(player_id=name, subject_id=name, seats=(name,), client=None) for name in ("a", "b")
        ),
        seed=0,
        ice_servers=(),
        relay_only=False,
        token="t",  # noqa: S106 - not a secret
    )
    return _LatencyReports(cast("Any", line), found)


def fresh(second: int, rtt_ms: float) -> Poll:
    return Poll(1000 * second, rtt_ms, PollStatus.FRESH)


def test_the_first_report_comes_after_ten_seconds_and_then_one_a_minute_each_of_what_is_new() -> None:
    line = Line()
    latency = reports(line)
    for second in range(75):
        latency.polled(1, fresh(second, 10.0 if second <= 10 else 30.0))
    assert line.sent == [MatchLatency("m", "b", 10.0), MatchLatency("m", "b", 30.0)]


def test_a_link_without_an_answer_is_not_reported() -> None:
    line = Line()
    latency = reports(line)
    for second in range(75):
        latency.polled(1, Poll(1000 * second, None, PollStatus.UNANSWERED))
    assert line.sent == []
