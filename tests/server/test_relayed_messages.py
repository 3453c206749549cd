"""Messages that the service passes on, over real sockets: they take nothing from the other events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gym_p2p.config import ServiceConfig
from gym_p2p.core.api.relaying import MESSAGES_BURST
from gym_p2p.server import Service, serve_in_thread
from tests.server.clients import metrics
from tests.server.raw import match_two


def test_messages_are_passed_on_in_order_and_count_among_no_other_events(service: Service) -> None:
    ann, bob, anns, _ = match_two(service.url)
    message = {"game_id": anns["match_id"], "target_player_id": "second", "data": "eA=="}
    with ann, bob:
        for number in range(MESSAGES_BURST):
            ann.emit("relay_message", {**message, "data": f"{number:04}"})
        assert [bob.event("relay_message")["data"] for _ in range(MESSAGES_BURST)] == [
            f"{number:04}" for number in range(MESSAGES_BURST)
        ]
        signal = {"game_id": anns["match_id"], "target_player_id": "second", "type": "ice-candidate"}
        assert ann.call("webrtc_signal", {**signal, "payload": None}) == {"ok": True}
    assert metrics(service)["gym_p2p_relayed_signals_total", "relay_message"] >= MESSAGES_BURST


def test_what_is_beyond_is_refused_politely_and_nobody_is_closed_for_it(service: Service) -> None:
    ann, bob, anns, _ = match_two(service.url)
    message = {"game_id": anns["match_id"], "target_player_id": "second", "data": "eA=="}
    with ann, bob:
        answer: dict[str, Any] = {"ok": True}
        for _ in range(8):  # more than the budget grants, and less than a websocket may send
            for _ in range(100):
                ann.emit("relay_message", message)
            if not (answer := ann.call("relay_message", message))["ok"]:
                break
        told = answer["error"]
        assert told["code"] == "rate_limited"
        assert told["retry_after_ms"] > 0
        assert ann.call("match_latency", {"game_id": anns["match_id"], "player_id": "second", "rtt_ms": 1})[
            "ok"
        ]


def test_a_service_may_pass_nothing_on(tmp_path: Path) -> None:
    config = ServiceConfig(port=0, data_dir=str(tmp_path), relay_messages=False)
    with serve_in_thread(config) as service:
        ann, bob, anns, _ = match_two(service.url)
        with ann, bob:
            assert anns["relays"] is False
            message = {"game_id": anns["match_id"], "target_player_id": "second", "data": "eA=="}
            assert ann.call("relay_message", message)["error"]["code"] == "unavailable"
