"""What the documents say of a player whose processes stood still: for how long that could have lasted."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.events import Connected
from gym_p2p.net.worker.messages import StoodStill
from gym_p2p.play.recorder import Recorder
from tests.play.recorders import made_recorder

SYNC = SyncConfig(reconnect_timeout_s=10, input_timeout_s=7)


def _recorder(network: Any) -> Recorder:
    return made_recorder(network=network, sync=SYNC)


def _limits(recorder: Recorder) -> list[float]:
    return [one["limitMs"] for one in recorder.document("session")["pauses"]]


def test_who_stood_still_was_waited_for_as_long_as_the_players_agreed() -> None:
    recorder = _recorder("process")
    recorder.fold(5000, Connected((None, {}), 4.0))
    recorder.fold(9000, StoodStill(3.0))
    assert _limits(recorder) == [4000]


def test_nobody_is_waited_for_less_long_than_silence_may_last() -> None:
    recorder = _recorder("process")
    recorder.fold(5000, Connected((None, {}), 0.0))
    recorder.fold(9000, StoodStill(1.5))
    assert _limits(recorder) == [1e3 * SYNC.disconnect_timeout_s]


@pytest.mark.parametrize(("network", "limit_ms"), [("process", 7000), ("thread", 4000)])
def test_whose_own_process_alone_stood_still_was_waited_for_as_who_does_not_play(
    network: str, limit_ms: float
) -> None:
    recorder = _recorder(network)
    recorder.fold(5000, Connected((None, {}), 4.0))
    recorder._stood_still(3.0)
    assert _limits(recorder) == [limit_ms]


def test_where_both_processes_stood_still_it_is_told_once_and_the_silence_counts() -> None:
    recorder = _recorder("process")
    recorder.fold(5000, Connected((None, {}), 4.0))
    recorder._stood_still(3.0)
    recorder.fold(recorder.clock_ms(), StoodStill(3.2))
    recorder._stood_still(3.0)
    assert _limits(recorder) == [4000]
