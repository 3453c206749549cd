"""The table of bad inputs, one test a row, over raw frames.

What every single one of these does is tried in this folder's other tests; here each row is walked through
from end to end, beside a bystander who must not notice.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gym_p2p.config import ServiceConfig
from gym_p2p.core.presence.connects import Connects
from gym_p2p.server import Service, serve_in_thread
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner
from tests.server.clients import Match, Pair, code, health, metrics, settle, stored
from tests.server.raw import RawClient, before_its_end, candidate, description, match_two
from tests.waiting import PATIENCE_S, in_time, lasting_port

SECRET = "j" * 32
QUICK_S = 0.5
"""For a bystander's answer; ten times the 50 ms that are asked for."""


@pytest.fixture
def bystander(service: Service) -> Iterator[Callable[[], None]]:
    """Somebody who uses the service all the while; call it to see that they are still served, and quickly."""
    with RawClient(service.url, subject=f"bystander{time.monotonic_ns()}") as client:

        def served() -> None:
            # Of this process, the service: what others on the machine do meanwhile is none of it.
            began = time.process_time()
            assert client.call("leave_room", {"room": "none"}) == {"ok": True}
            assert time.process_time() - began < QUICK_S
            assert client.quiet(0.02)

        yield served
        served()


def join_token(
    subject: str = "ann", *, secret: str = SECRET, experiment: str = "pilot", age_s: float = 0
) -> str:
    expires_at = time.time() + 60 - age_s
    claims = JoinClaims(experiment=experiment, subject_id=subject, expires_at=expires_at, token_id="t")  # noqa: S106  # no secret
    return TokenSigner(secret.encode(), JoinClaims).issue(claims)


def test_row_connect_without_with_a_malformed_expired_or_forged_token(tmp_path: Path) -> None:
    config = ServiceConfig(port=0, data_dir=str(tmp_path), join_secret=SECRET, experiment="pilot")
    good = join_token()
    shown: list[object] = [
        None,
        {},
        {"token": None},
        {"token": {"subject_id": "ann"}},
        {"token": "rubbish"},
        {"token": good[:-4]},
        {"token": f"{good}A"},
        {"token": join_token(age_s=61)},
        {"token": join_token(secret="x" * 32)},
        {"token": join_token(experiment="main study")},
        {"subject_id": "ann"},
    ]
    with serve_in_thread(config) as service, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(service.url, auth=auth)) for auth in shown]
        for client, auth in zip(clients, shown, strict=True):
            assert client.refusal["data"]["code"] == "unauthenticated", auth
            assert client.closed_within()
        assert health(service)["connections"] == 0
        assert metrics(service)["gym_p2p_refusals_total", "unauthenticated"] == len(shown)
        with RawClient(service.url, auth={"token": good}) as client:
            assert client.refusal is None
            assert client.call("register_subject", {})["subject_id"] == "ann"


def test_row_subject_id_empty_long_a_path_nul_a_lone_surrogate_an_object(
    service: Service, bystander: Callable[[], None]
) -> None:
    bad: list[Any] = ["", "x" * 10_240, "../../etc", "a/b", "a\x00b", "..", "é", "a b", {}, [], 5, True, None]
    with RawClient(service.url) as client:
        for subject in bad:
            assert code(client.call("register_subject", {"subject_id": subject})) == "bad_request", subject
        client.send(r'42["register_subject",{"subject_id":"\ud800"}]')  # no JSON text: it is dropped
        assert code(client.call("join_room", {"room": "r", "seats": [0, 1]})) == "unauthenticated"
        bystander()


def test_row_reserved_unknown_malformed_binary_oversized_frames(
    service: Service, bystander: Callable[[], None]
) -> None:
    dropped = [
        '42["connect",{},{"subject_id":"victim"}]',
        '42["disconnect","forged"]',
        "42{}",
        '42["register_subject",{',
        '42["register_subject",{"subject_id":NaN}]',
        '42["register_subject",' + "[" * 30_000 + "]" * 30_000 + "]",
        '451-["x",{"_placeholder":true,"num":0}]',
    ]
    closed: list[str | bytes] = ["", b"\x04binary", "2", "49", '42["x","' + "x" * 70_000 + '"]']
    before = metrics(service).get(("gym_p2p_refusals_total", "violation"), 0)
    with RawClient(service.url, subject="hostile") as client:
        for frame in dropped:
            client.send(frame)
        assert code(client.call("drop_tables", {})) == "bad_request"
        assert client.call("leave_room", {"room": "r"})["ok"]  # still who they were
        assert metrics(service)["gym_p2p_refusals_total", "violation"] == before + len(dropped) + 1
        for frame in dropped[:2]:
            client.send(frame)
        assert client.closed_within()  # the tenth within ten seconds
    for ending in closed:
        with RawClient(service.url, subject="closing") as client:
            client.send(ending)
            assert client.closed_within(), ending
            bystander()


def test_row_probe_ready_twice_and_from_a_stranger(service: Service, bystander: Callable[[], None]) -> None:
    with Pair(service, start=False) as pair:
        ready = {"probe_session_id": pair.probe_id}
        for _ in range(2):
            assert before_its_end(pair.ann.call("probe_ready", ready)) == {"ok": True}
        assert code(pair.eve.call("probe_ready", ready)) == "no_such_probe"
        assert pair.bob.quiet(0.1)  # not started
        assert before_its_end(pair.bob.call("probe_ready", ready)) == {"ok": True}
        for client in (pair.ann, pair.bob):
            assert client.event("probe_start") == ready
        assert before_its_end(pair.ann.call("probe_ready", ready)) == {"ok": True}
        assert pair.ann.quiet(0.1)
        bystander()


def test_row_probe_signal_to_the_wrong_one_or_at_the_wrong_time(
    service: Service, bystander: Callable[[], None]
) -> None:
    with Pair(service, start=False) as pair:
        assert code(before_its_end(pair.ann.call("probe_signal", pair.signal()))) == "wrong_state"
        for client in (pair.ann, pair.bob):
            assert before_its_end(client.call("probe_ready", {"probe_session_id": pair.probe_id}))["ok"]
        for client in (pair.ann, pair.bob):
            assert client.event("probe_start")
        for target in (pair.names[0], pair.names[2], "A" * 20, pair.probe_id, "nobody", ""):
            assert (
                code(pair.ann.call("probe_signal", pair.signal(target_subject_id=target))) == "not_a_member"
            )
        assert code(pair.eve.call("probe_signal", pair.signal())) == "no_such_probe"
        assert pair.bob.quiet(0.1)
        for client in (pair.ann, pair.bob):
            assert before_its_end(client.call("probe_result", pair.result(20))) == {"ok": True}
        for client in (pair.ann, pair.bob):
            assert client.event("probe_verdict")
        assert code(pair.ann.call("probe_signal", pair.signal())) == "stale"
        assert pair.eve.quiet(0.05)
        bystander()


BAD_DESCRIPTIONS = {
    "17 KB": (description("a=x:" + "x" * 17_000), "too_large"),
    "65 candidates in video": (
        description("m=video 9 x 1", *[f"a={candidate(n)['candidate']}" for n in range(65)]),
        "bad_request",
    ),
    "m=video": (description("m=video 9 UDP/TLS/RTP/SAVPF 96"), "bad_request"),
    "m=audio": (description("m=audio 9 UDP/TLS/RTP/SAVPF 111"), "bad_request"),
    "without m=application": ({"type": "offer", "sdp": "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\n"}, "bad_request"),
    "bare CR": (description("a=x:1\ra=candidate:1 1 udp 1 127.0.0.1 22 typ host"), "bad_request"),
    "U+2028": (description("a=x:1\u2028a=candidate:1 1 udp 1 127.0.0.1 22 typ host"), "bad_request"),
    "NUL": (description("a=x:\x00"), "bad_request"),
    "an empty line": (description("", "a=mid:0"), "bad_request"),
    "nothing": ({"type": "offer", "sdp": ""}, "bad_request"),
}


@pytest.mark.parametrize("game", [False, True], ids=["probe", "match"])
def test_row_sdp_too_long_of_video_of_no_channel_with_crlf_tricks_and_65_candidates(
    service: Service, bystander: Callable[[], None], monkeypatch: pytest.MonkeyPatch, *, game: bool
) -> None:
    monkeypatch.setattr("gym_p2p.core.service.rooms.MATCH_CONNECTIONS", 1)  # as many as of a probe
    with contextlib.ExitStack() as stack:
        if game:
            ann, bob, anns, _ = match_two(service.url)
            stack.enter_context(ann)
            stack.enter_context(bob)
            event, signal = "webrtc_signal", {"game_id": anns["match_id"], "target_player_id": "second"}
        else:
            pair = stack.enter_context(Pair(service))
            ann, bob, event, signal = pair.ann, pair.bob, "probe_signal", pair.signal()

        def send(kind: str, payload: object) -> Any:
            return ann.call(event, {**signal, "type": kind, "payload": payload})

        for name, (payload, expected) in BAD_DESCRIPTIONS.items():
            assert code(send("offer", payload)) == expected, name
        assert bob.quiet(0.1)
        knocking = description(*(f"a={candidate(n, port=n)['candidate']}" for n in (22, 53)), "a=x:1")
        assert send("offer", knocking) == {"ok": True, "dropped": 2}
        assert bob.event(event)["payload"] == description("a=x:1")
        crowd = [f"a={candidate(n)['candidate']}" for n in range(400)]  # 30 KB of them
        assert send("offer", description(*crowd)) == {"ok": True, "dropped": 336}
        assert bob.event(event)["payload"]["sdp"].count("a=candidate:") == 64
        for number in range(1, 3):
            assert send("offer", description(f"a=x:{number}x"))["ok"]
        assert code(send("offer", description("a=x:one too many"))) == "too_large"
        assert send("offer", description("a=x:2x"))["ok"]  # repeated until answered
        metadata = candidate(address="169.254.169.254")
        assert send("ice-candidate", metadata) == {"ok": True, "dropped": 1}
        assert code(send("ice-candidate", {"candidate": "candidate:1\r\na=x"})) == "bad_request"
        answers = [send("ice-candidate", candidate(number)) for number in range(64)]
        assert [code(answer) for answer in answers if not answer["ok"]] == ["too_large"]
        bystander()


@pytest.mark.parametrize(
    "rtt", ["-1", "1e9", '"12"', "true", "null", "NaN"], ids=["-1", "1e9", "text", "true", "null", "NaN"]
)
def test_row_rtt_ms_that_is_none(service: Service, rtt: str) -> None:
    with Pair(service) as pair:
        result = f'{{"probe_session_id":"{pair.probe_id}","rtt_ms":{rtt},"success":true}}'
        if rtt == "NaN":  # not even JSON: dropped as a frame, and no report at all
            pair.ann.send(f'42["probe_result",{result}]')
        else:
            assert code(pair.ann.call("probe_result", json.loads(result))) == "bad_request"
            # Too late: the failed one is kept.
            assert before_its_end(pair.ann.call("probe_result", pair.result(1)))["ok"]
        assert before_its_end(pair.bob.call("probe_result", pair.result(30)))["ok"]
        verdict = pair.bob.event("probe_verdict")
        assert (verdict["rtt_ms"], verdict["marks"]) == (30.0, ["one_sided"])


def test_row_a_second_probe_result_and_results_that_disagree(
    service: Service, bystander: Callable[[], None]
) -> None:
    with Pair(service) as pair:
        assert before_its_end(pair.ann.call("probe_result", pair.result(20)))["ok"]
        assert before_its_end(pair.ann.call("probe_result", pair.result(1)))["ok"]
        assert before_its_end(pair.bob.call("probe_result", pair.result(90)))["ok"]
        assert pair.ann.event("probe_cancel")["reason"] == "again"
        again = pair.ann.event("probe_prepare")["probe_session_id"]
        for client in (pair.ann, pair.bob):
            assert before_its_end(client.call("probe_ready", {"probe_session_id": again}))["ok"]
        for client, rtt_ms in ((pair.ann, 20), (pair.bob, 90)):
            assert before_its_end(
                client.call("probe_result", {**pair.result(rtt_ms), "probe_session_id": again})
            )["ok"]
        verdict = pair.ann.event("probe_verdict")
        assert (verdict["rtt_ms"], verdict["marks"]) == (90.0, ["disagreed"])
        bystander()


def test_row_both_silent_one_leaves_mid_probe_late_packets(
    service: Service, bystander: Callable[[], None]
) -> None:
    with Pair(service, start=False) as silent, Pair(service) as pair:
        pair.bob.close()
        assert pair.ann.event("probe_cancel")["reason"] == "left"
        assert pair.eve.call("probe_wait", {"waiting": True})["ok"]
        assert pair.ann.call("probe_request", {"target_subject_id": pair.names[2]})["ok"]  # free again
        before = metrics(service).get(("gym_p2p_refusals_total", "stale"), 0)
        for event, payload in (
            ("probe_result", pair.result(5)),
            ("probe_signal", pair.signal()),
            ("probe_ready", {"probe_session_id": pair.probe_id}),
        ):
            assert code(pair.ann.call(event, payload)) == "stale"
        assert metrics(service)["gym_p2p_refusals_total", "stale"] == before + 3
        for client in (silent.ann, silent.bob):
            assert client.event("probe_cancel")["reason"] == "not_ready"
        bystander()


def answer_times_s(client: RawClient, *, until: Callable[[], bool], at_most: int = 200) -> list[float]:
    """Ask for something again and again, within the limits; return how long each answer took."""
    times_s: list[float] = []
    while not until() and len(times_s) < at_most:
        began = time.monotonic()
        assert client.call("leave_room", {"room": "none"}) == {"ok": True}
        times_s.append(time.monotonic() - began)
        time.sleep(0.05)
    return times_s


def assert_quick(times_s: list[float]) -> None:
    assert len(times_s) >= 5
    with in_time():
        assert statistics.median(times_s) < 0.05
        assert max(times_s) < QUICK_S


@pytest.mark.alone
def test_row_a_thousand_events_a_second_from_one_socket(tmp_path: Path) -> None:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        with RawClient(service.url, subject="flood") as flood, RawClient(service.url, subject="bob") as bob:
            sent = 0

            def pour() -> None:
                nonlocal sent
                began = time.monotonic()
                with contextlib.suppress(ConnectionClosed, OSError):
                    while time.monotonic() < began + 15:
                        flood.emit("leave_room", {"room": "r"})
                        sent += 1
                        time.sleep(max(0.0, began + sent / 1_000 - time.monotonic()))

            pouring = threading.Thread(target=pour)
            began = time.monotonic()
            pouring.start()
            times_s = answer_times_s(bob, until=lambda: not pouring.is_alive())
            pouring.join(PATIENCE_S)
            with in_time():
                assert time.monotonic() - began < 10  # three strikes
            assert sent > 500
            assert_quick(times_s)
        refused = metrics(service)["gym_p2p_refusals_total", "rate_limited"]
        assert refused > 200


UPGRADE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.mark.alone
def test_row_five_hundred_connects_in_a_second(tmp_path: Path) -> None:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        address = ("127.0.0.1", int(service.url.rpartition(":")[2]))
        with RawClient(service.url, subject="bob") as bob, contextlib.ExitStack() as stack:
            statuses: list[bytes] = []

            def storm() -> None:
                sockets = []
                for _ in range(500):
                    sockets.append(stack.enter_context(socket.create_connection(address, timeout=10)))
                    sockets[-1].sendall(UPGRADE)
                statuses.extend(one.recv(12)[9:12] for one in sockets)

            storming = threading.Thread(target=storm)
            storming.start()
            times_s = answer_times_s(bob, until=lambda: not storming.is_alive())
            storming.join(PATIENCE_S)
            times_s += answer_times_s(bob, until=lambda: False, at_most=5)
            assert len(statuses) == 500
            assert statuses.count(b"101") >= 250
            assert statuses.count(b"429") >= 100
            assert set(statuses) == {b"101", b"429"}
            with in_time():
                assert statistics.median(times_s) < QUICK_S
            refused = metrics(service)["gym_p2p_refusals_total", "too_many_connects"]
            assert refused == statuses.count(b"429")
        with RawClient(service.url, subject="ann") as ann:  # who comes later comes in
            assert ann.call("leave_room", {"room": "r"})["ok"]


@pytest.mark.alone
def test_row_a_reader_that_stops_reading(tmp_path: Path) -> None:
    config = ServiceConfig(port=0, data_dir=str(tmp_path), events_per_s=1e6, event_burst=1_000_000)
    with serve_in_thread(config) as service, RawClient(service.url, subject="eve") as eve:
        ann, bob, anns, _ = match_two(service.url)
        signal = {
            "game_id": anns["match_id"],
            "target_player_id": "second",
            "type": "offer",
            "payload": description("a=x:" + "x" * 16_000),
        }
        with ann, bob:
            times_s: list[float] = []
            for _ in range(3_000):  # 48 MB, beyond every buffer on the way
                if not ann.call("webrtc_signal", signal)["ok"]:
                    break
                began = time.monotonic()
                assert eve.call("leave_room", {"room": "none"})["ok"]
                times_s.append(time.monotonic() - began)
            assert ann.event("peer_left") == {
                "match_id": anns["match_id"],
                "player_id": "second",
                "reason": "disconnected",
                "why": None,
            }
            settle(service, connections=2)
            assert_quick(times_s)


def test_row_an_upload_too_big_a_bomb_no_json_anothers_a_repeated_one_and_a_path_for_a_name(
    service: Service, data_dir: Path
) -> None:
    ann, bob, anns, bobs = match_two(service.url)
    with ann, bob:
        match = Match(service.url, anns["match_id"], {"first": anns["token"], "second": bobs["token"]})
        assert match.put(b" " * (64 * 1024 + 1))[0] == 413
        assert match.put(gzip.compress(b" " * 10_000_000), encoding="gzip")[0] == 413
        assert match.put(b"{")[0] == 400
        assert match.put(match.document(), token=match.tokens["second"])[0] == 403
        assert match.put(match.document("second"))[0] == 403
        assert match.put(match.document(), player="../../../etc/passwd")[0] == 403
        assert stored(data_dir, match) == []
        for _ in range(2):
            assert match.put(match.document())[0] == 200
        assert stored(data_dir, match) == ["first.multiplayer.json"]
        assert {path.name for path in data_dir.parent.iterdir()} == {"data"}


def test_row_a_restart_mid_probe(tmp_path: Path) -> None:
    config = ServiceConfig(port=lasting_port(), data_dir=str(tmp_path))
    with serve_in_thread(config) as service:
        pair = Pair(service)
    with pair:
        assert pair.ann.closed_within()
    with (
        serve_in_thread(config) as service,
        RawClient(service.url, subject=pair.names[0]) as ann,
        RawClient(service.url, subject=pair.names[1]) as bob,
    ):
        assert code(ann.call("probe_result", pair.result(20))) == "no_such_probe"
        assert bob.call("probe_wait", {"waiting": True})["ok"]
        assert ann.call("probe_request", {"target_subject_id": pair.names[1]})["ok"]
        assert bob.event("probe_prepare")["peer_subject_id"] == pair.names[0]


@pytest.mark.parametrize("jump_s", [86_400, -86_400])
def test_row_the_wall_clock_jumps(service: Service, monkeypatch: pytest.MonkeyPatch, jump_s: int) -> None:
    real = time.time
    began = time.monotonic()
    with Pair(service, start=False) as pair:
        monkeypatch.setattr(time, "time", lambda: real() + jump_s)
        assert before_its_end(pair.ann.call("probe_ready", {"probe_session_id": pair.probe_id}))["ok"]
        assert pair.ann.quiet(0.5)
        assert pair.ann.event("probe_cancel")["reason"] == "not_ready"
        assert 2.9 < time.monotonic() - began < PATIENCE_S


def test_row_joins_beyond_one_a_second_are_told_when_to_come_again(service: Service) -> None:
    with RawClient(service.url, subject="eager") as client:
        for number in range(5):  # at once: a machine that stood still meanwhile would have time for them
            room = {"room": f"eager{number}", "seats": [0, 1]}
            client.send(f"42{1_000 + number}" + json.dumps(["join_room", room]))
        answers = [client.acknowledged(1_000 + number) for number in range(5)]
        limited = [answer["error"] for answer in answers if not answer["ok"]][-1]
        assert limited["code"] == "rate_limited"
        assert 0 < limited["retry_after_ms"] <= 1000
        time.sleep(limited["retry_after_ms"] / 1000)
        assert code(client.call("join_room", {"room": "eager9", "seats": [0, 1]})) == "wrong_state"


def test_row_more_than_twelve_probes_in_ten_minutes(service: Service) -> None:
    with RawClient(service.url, subject="curious") as ann, RawClient(service.url, subject="patient") as bob:
        for _ in range(12):
            assert bob.call("probe_wait", {"waiting": True})["ok"]
            assert ann.call("probe_request", {"target_subject_id": "patient"})["ok"]
            probe_id = ann.event("probe_prepare")["probe_session_id"]
            assert ann.call("probe_result", {"probe_session_id": probe_id, "rtt_ms": None, "success": False})
            assert bob.event("probe_cancel")
        answer = ann.call("probe_request", {"target_subject_id": "patient"})
        assert code(answer) == "rate_limited"
        assert 500_000 < answer["error"]["retry_after_ms"] <= 600_000
        with RawClient(service.url, subject="curious") as back:  # coming back is no way around it
            assert code(back.call("probe_request", {"target_subject_id": "patient"})) == "rate_limited"
        assert bob.call("leave_room", {"room": "none"}) == {"ok": True}


# Not of the table: what costs much to decode is bounded before anybody decodes it.

DROP = Connects.drop
"""What the module's own service goes without, which still runs when a whole file is run in one process."""

NESTED = "[" * 900 + "]" * 900
COSTLY = {
    "nested": '42["leave_room",{"room":' + ",".join([NESTED] * 33)[:60_000] + "}]",
    "long lists": '42["join_room",{"room":"r","seats":[' + ",".join('"a"' for _ in range(14_000)) + "]}]",
    "many keys": '42["leave_room",{' + ",".join(f'"k{n}":0' for n in range(6_000)) + "}]",
}


@pytest.mark.alone
@pytest.mark.parametrize("frame", COSTLY.values(), ids=COSTLY)
def test_who_sends_much_that_is_costly_is_dropped_and_slowed_and_others_are_answered(
    frame: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connects, "drop", DROP)
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        with RawClient(service.url, subject="bob") as bob:
            turned_away = 0

            def pour() -> None:
                nonlocal turned_away
                for _ in range(60):
                    try:
                        with RawClient(service.url, subject="flood") as flood:
                            for _ in range(200):
                                flood.send(frame)
                    except InvalidStatus as error:
                        turned_away += error.response.status_code == 429
                        time.sleep(0.02)
                    except (ConnectionClosed, OSError, AssertionError):
                        continue

            pouring = threading.Thread(target=pour)
            pouring.start()
            times_s = answer_times_s(bob, until=lambda: not pouring.is_alive())
            pouring.join(PATIENCE_S)
            assert_quick(times_s)
        assert turned_away >= 3
        assert metrics(service)["gym_p2p_refusals_total", "dropped"] >= 3
