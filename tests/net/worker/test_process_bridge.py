"""The user's end of the line to the network process."""

from __future__ import annotations

import os
import socket

import pytest

from gym_p2p.config import P2PConfig
from gym_p2p.core.match.events import InputsArrived
from gym_p2p.net.worker import process_bridge
from gym_p2p.net.worker.messages import PlayerPlan, StampedEvent
from gym_p2p.net.worker.pipe import pack
from gym_p2p.net.worker.process_bridge import ProcessBridge


class _Process:
    """What stands for the process at the other end."""

    def has_ended(self, timeout_s: float = 0.0) -> bool:
        return timeout_s > 0

    def close(self) -> None: ...


def test_who_waits_for_an_event_looks_for_it_and_offers_the_processor_to_who_makes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = socket.socketpair()
    event: StampedEvent = (1, InputsArrived(1, 0, (b"a",), 0))
    monkeypatch.setattr(process_bridge, "take_process", lambda: (ours, _Process()))
    monkeypatch.setattr(os, "sched_yield", lambda: theirs.send(pack(event)))
    config = P2PConfig(server_url="http://127.0.0.1:8765", room="alone")
    plan = PlayerPlan(
        config=config, subject_id="ann", seats=("left", "right"), take=("left",), description={}
    )
    with theirs:
        bridge = ProcessBridge(plan)
        assert bridge.receive(0.0) is None
        assert bridge.receive(1.0) == event
        ours.close()
