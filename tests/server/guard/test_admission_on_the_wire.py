"""Join tokens, resume tokens, TURN credentials and metrics, as a client of the service meets them."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gym_p2p.config import IceServer, ServiceConfig
from gym_p2p.server import Service, serve_in_thread
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner
from tests.server.clients import metrics, settle
from tests.server.raw import OFFER, RawClient, before_its_end, candidate, match_two
from tests.waiting import PATIENCE_S, until

SECRET = "j" * 32
TURN_SECRET = "t" * 32


def token(subject: str, *, lifetime_s: float = 60.0) -> str:
    expires_at = time.time() + lifetime_s
    claims = JoinClaims(experiment="pilot", subject_id=subject, expires_at=expires_at, token_id="t")  # noqa: S106  # no secret
    return TokenSigner(SECRET.encode(), JoinClaims).issue(claims)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that asks for join tokens, on the Internet as far as candidates go."""
    config = ServiceConfig(
        port=0,
        data_dir=str(tmp_path_factory.mktemp("guarded")),
        join_secret=SECRET,
        experiment="pilot",
        turn_secret=TURN_SECRET,
        register_timeout_s=None,
        ice_servers=(IceServer(urls="stun:stun.example"), IceServer(urls="turn:turn.example")),
    )
    with serve_in_thread(config) as running:
        yield running


def entered(service: Service, subject: str, **auth: Any) -> tuple[RawClient, dict[str, Any]]:
    """Connect with a token and register under a name that is not read."""
    client = RawClient(service.url, auth={"token": token(subject), **auth})
    assert client.refusal is None
    answer = client.call("register_subject", {"subject_id": "somebody/else"})
    assert answer["ok"], answer
    return client, answer


def test_the_token_says_who_it_is_whatever_the_body_claims(guarded: Service) -> None:
    client, answer = entered(guarded, "ann")
    with client:
        assert answer["subject_id"] == "ann"
        assert len(answer["resume_token"]) >= 20


def test_a_second_socket_is_refused_and_the_first_one_does_not_notice(guarded: Service) -> None:
    first, _ = entered(guarded, "bob")
    with first, RawClient(guarded.url, auth={"token": token("bob")}) as second:
        assert second.refusal["data"]["code"] == "duplicate_session"
        assert second.closed_within()
        assert first.quiet(0.1)
        assert first.call("leave_room", {"room": "r"})["ok"]


def test_a_second_socket_with_the_resume_token_takes_the_first_ones_place(guarded: Service) -> None:
    first, answer = entered(guarded, "carl")
    with first:
        second, again = entered(guarded, "carl", resume_token=answer["resume_token"])
        with second:
            assert first.event("replaced") == {"subject_id": "carl"}
            assert first.closed_within()
            assert again["resume_token"] != answer["resume_token"]
            assert second.call("leave_room", {"room": "r"})["ok"]


def test_who_was_refused_cannot_try_again_on_the_same_websocket(guarded: Service) -> None:
    with RawClient(guarded.url) as client:
        assert client.refusal["data"]["code"] == "unauthenticated"
        client.send('40{"token":"' + token("dora") + '"}')
        assert client.closed_within()


def test_turn_credentials_are_each_ones_own_and_last_for_a_probe_or_a_match(guarded: Service) -> None:
    ann, _ = entered(guarded, "ella")
    bob, _ = entered(guarded, "fred")
    with ann, bob:
        assert bob.call("probe_wait", {"waiting": True})["ok"]
        assert ann.call("probe_request", {"target_subject_id": "fred"})["ok"]
        prepared = [client.event("probe_prepare") for client in (ann, bob)]
        for client in (ann, bob):
            assert client.call("join_room", {"room": "turn", "seats": [0, 1]})["ok"]
        found = [client.event("match_found") for client in (ann, bob)]
    names = [prepare["turn_username"] for prepare in prepared]
    assert len(set(names)) == 2
    assert all(prepare["turn_credential"] for prepare in prepared)
    for message, lifetime_s in ((prepared[0], 120), (found[0], 600)):
        stun, turn = message["ice_servers"]
        assert "username" not in stun
        expiry, _, tag = turn["username"].partition(":")
        assert time.time() + lifetime_s - 10 < int(expiry) <= time.time() + lifetime_s
        assert tag == names[0].partition(":")[2]
        assert "ella" not in turn["username"]
    assert TURN_SECRET not in repr(prepared + found)


def test_private_candidates_are_dropped_where_tokens_are_asked_for(guarded: Service) -> None:
    ann, _ = entered(guarded, "gina")
    bob, _ = entered(guarded, "hans")
    with ann, bob:
        for client in (ann, bob):
            assert client.call("join_room", {"room": "private", "seats": [0, 1]})["ok"]
        match_id = ann.event("match_found")["match_id"]
        signal = {"game_id": match_id, "target_player_id": 1, "type": "ice-candidate"}
        dropped = {**signal, "payload": candidate(address="192.168.1.7")}
        assert ann.call("webrtc_signal", dropped) == {"ok": True, "dropped": 1}
        assert ann.call("webrtc_signal", {**signal, "payload": candidate(address="93.184.216.34")})["ok"]
        assert bob.event("webrtc_signal")["payload"] == candidate(address="93.184.216.34")


def test_the_metrics_count_what_happened_and_name_nobody(tmp_path: Path) -> None:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        ann, bob, anns, _ = match_two(service.url)
        with ann, bob:
            signal = {
                "game_id": anns["match_id"],
                "target_player_id": "second",
                "type": "offer",
                "payload": OFFER,
            }
            assert ann.call("webrtc_signal", signal)["ok"]
            assert ann.call(
                "webrtc_signal",
                {**signal, "type": "ice-candidate", "payload": candidate(address="169.254.169.254")},
            )["ok"]
            assert not ann.call("webrtc_signal", {**signal, "game_id": "another"})["ok"]
            ann.send("42{}")
            assert bob.event("webrtc_signal")
            until(lambda: metrics(service).get(("gym_p2p_event_loop_lag_seconds_count", ""), 0) >= 2)
            assert bob.call("probe_wait", {"waiting": True})["ok"]
            assert ann.call("probe_request", {"target_subject_id": f"{anns['room']}-bob"})["ok"]
            probe_id = ann.event("probe_prepare")["probe_session_id"]
            seen = metrics(service)
            assert seen["gym_p2p_probes_in_flight", ""] == 1
            failed = {"probe_session_id": probe_id, "rtt_ms": None, "success": False}
            assert before_its_end(ann.call("probe_result", failed))["ok"]
            assert ann.event("probe_cancel")["reason"] == "failed"
            # It is counted after both were told.
            until(lambda: ("gym_p2p_probes_total", "failed") in metrics(service))
            seen = metrics(service)
            with urllib.request.urlopen(f"{service.url}/metrics", timeout=PATIENCE_S) as answer:  # noqa: S310  # our own service
                text = answer.read().decode()
    assert seen["gym_p2p_connections", ""] == 2
    assert seen["gym_p2p_matches_running", ""] == 1
    assert seen["gym_p2p_matched_players_total", ""] == 2
    assert seen["gym_p2p_time_to_match_seconds_count", ""] == 2
    assert seen["gym_p2p_relayed_signals_total", "webrtc_signal"] == 1
    assert seen["gym_p2p_dropped_candidates_total", "metadata"] == 1
    assert seen["gym_p2p_refusals_total", "no_such_match"] == 1
    assert seen["gym_p2p_refusals_total", "violation"] == 1
    assert seen["gym_p2p_probes_total", "failed"] == 1
    assert seen["gym_p2p_event_loop_lag_seconds_count", ""] >= 2
    assert anns["room"] not in text
    assert anns["match_id"] not in text


def test_who_was_dropped_again_is_held_back_by_the_token_and_others_at_the_address_are_not(
    tmp_path: Path,
) -> None:
    config = ServiceConfig(port=0, data_dir=str(tmp_path), join_secret=SECRET, experiment="pilot")
    with serve_in_thread(config) as service:
        for _ in range(2):  # a faulty client, and its next try
            with entered(service, "mallory")[0] as client:
                client.send("")
                assert client.closed_within()
            settle(service, connections=0)
        with RawClient(service.url, auth={"token": token("mallory")}) as again:
            assert again.refusal["data"]["code"] == "rate_limited"
            assert 0 < again.refusal["data"]["retry_after_ms"] <= 5000
        for number in range(20):  # of the same address, which is not slow
            with entered(service, f"player{number}")[0]:
                pass
