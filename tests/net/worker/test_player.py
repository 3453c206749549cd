"""What a player's network half makes of what happens in its match."""

from __future__ import annotations

from gym_p2p.config import P2PConfig
from gym_p2p.core.match.events import Pinged
from gym_p2p.core.match.ways import WayChanged, WayKind, Why
from gym_p2p.net.worker.messages import PlayerPlan, Polled, StampedEvent
from gym_p2p.net.worker.player import PlayerWorker
from gym_p2p.processes.clocks import WallClock

HOUR_S = 3600.0


def test_a_round_trip_over_others_has_the_time_of_the_match_however_the_machines_clock_is_set() -> None:
    plan = PlayerPlan(
        config=P2PConfig(), subject_id="ann", seats=("left", "right"), take=None, description={"must": {}}
    )
    told: list[StampedEvent] = []
    worker = PlayerWorker(plan, told.append)
    steady_s = 5.0
    worker._clock = WallClock(lambda: 1_000.0, lambda: steady_s)
    worker._relayed[1] = WayChanged(1, WayKind.SERVICE, None, Why.LOST)
    for _ in range(2):
        steady_s += HOUR_S
        worker._on_event(Pinged(1, 30.0, None))
    polls = [(at_ms, event.poll) for at_ms, event in told if isinstance(event, Polled)]
    assert [poll.timestamp_ms for _, poll in polls] == [4_600_000, 8_200_000]
    assert all(poll.timestamp_ms == at_ms and poll.rtt_ms == 30.0 for at_ms, poll in polls)
