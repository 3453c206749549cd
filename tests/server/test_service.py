from __future__ import annotations

import contextlib
import json
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from gym_p2p.config import ServiceConfig
from gym_p2p.errors import ConfigurationError
from gym_p2p.server import Service, serve_in_thread
from tests.server.clients import health, settle
from tests.server.raw import OFFER, RawClient, candidate, description, match_two
from tests.waiting import PATIENCE_S, lasting_port, until


def test_two_clients_of_one_room_are_matched_and_signal_each_other(service: Service) -> None:
    ann, bob, anns, bobs = match_two(service.url)
    with ann, bob:
        assert anns["match_id"] == bobs["match_id"]
        assert anns["seed"] == bobs["seed"]
        assert anns["token"] != bobs["token"]
        settle(service, rooms=1, matches=1, connections=2)
        signal = {
            "game_id": anns["match_id"],
            "target_player_id": "second",
            "type": "offer",
            "payload": OFFER,
        }
        assert ann.call("webrtc_signal", signal) == {"ok": True}
        assert bob.event("webrtc_signal") == {
            "type": "offer",
            "from_player_id": "first",
            "game_id": anns["match_id"],
            "payload": OFFER,
        }
    settle(service, rooms=0, matches=0, connections=0)


def test_an_unmodified_browsers_events_are_understood(service: Service) -> None:
    with RawClient(service.url) as ann, RawClient(service.url) as bob:
        for client, name in ((ann, "ann"), (bob, "bob")):
            assert client.call("register_subject", {"subject_id": name, "mugGlobals": {"a": [1]}})["ok"]
            assert client.call("join_room", {"room": "browsers", "seats": [0, 1]})["ok"]
        match_id = ann.event("match_found")["match_id"]
        for payload in (candidate(), {"candidate": ""}, None):
            ann.emit(
                "webrtc_signal",
                {"game_id": match_id, "target_player_id": 1, "type": "ice-candidate", "payload": payload},
            )
        relayed = [bob.event("webrtc_signal")["payload"] for _ in range(3)]
        assert relayed[0] == candidate()
        assert relayed[1]["candidate"] == ""
        assert relayed[2] is None


def test_one_clients_signals_keep_their_order(service: Service) -> None:
    ann, bob, anns, _ = match_two(service.url)
    with ann, bob:
        for number in range(64):
            ann.emit(
                "webrtc_signal",
                {
                    "game_id": anns["match_id"],
                    "target_player_id": "second",
                    "type": "ice-candidate",
                    "payload": candidate(number),
                },
            )
        arrived = [bob.event("webrtc_signal")["payload"] for _ in range(64)]
    assert arrived == [candidate(number) for number in range(64)]


def test_a_client_is_acknowledged_before_it_hears_of_its_match(service: Service) -> None:
    with RawClient(service.url, subject="ann") as ann, RawClient(service.url, subject="bob") as bob:
        join = {"room": "acknowledged", "seats": [0, 1]}
        assert ann.call("join_room", join)["seats_free"] == [1]
        assert bob.call("join_room", join)["seats_free"] == []
        assert bob._events == []
        assert bob.event("match_found")["player_id"] == 1


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (None, "bad_request"),
        ([], "bad_request"),
        ({"subject_id": {}}, "bad_request"),
        ({"subject_id": 5}, "bad_request"),
        ({"subject_id": "../../etc"}, "bad_request"),
        ({"subject_id": "x" * 10_000}, "bad_request"),
    ],
)
def test_a_malformed_registration_is_refused_with_a_code(
    service: Service, payload: object, code: str
) -> None:
    with RawClient(service.url) as client:
        answer = client.call("register_subject", payload)
        assert answer["ok"] is False
        assert answer["error"]["code"] == code
        assert client.call("register_subject")["error"]["code"] == code
        assert client.call("register_subject", {"subject_id": "fine"})["ok"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "explode"}, "bad_request"),
        ({"payload": None}, "bad_request"),
        ({"payload": {"type": "answer", "sdp": "v=0"}}, "bad_request"),
        ({"payload": {"type": "offer", "sdp": 5}}, "bad_request"),
        ({"payload": {"type": "offer", "sdp": "x" * 16_385}}, "too_large"),
        ({"target_player_id": 1.5}, "bad_request"),
        ({"target_player_id": True}, "bad_request"),
        ({"target_player_id": "first"}, "not_a_member"),
        ({"game_id": "another"}, "no_such_match"),
        ({"type": "ice-candidate", "payload": {"candidate": 1}}, "bad_request"),
        ({"type": "ice-candidate", "payload": {"candidate": "c", "sdpMLineIndex": "0"}}, "bad_request"),
    ],
)
def test_a_malformed_signal_is_refused_and_not_relayed(
    service: Service, changes: dict[str, Any], code: str
) -> None:
    ann, bob, anns, _ = match_two(service.url)
    with ann, bob:
        good = {"game_id": anns["match_id"], "target_player_id": "second", "type": "offer", "payload": OFFER}
        answer = ann.call("webrtc_signal", {**good, **changes})
        assert answer["error"]["code"] == code
        assert "x" * 100 not in json.dumps(answer)
        assert bob.quiet()


def test_a_newer_socket_of_a_subject_replaces_the_older_one(service: Service) -> None:
    ann, bob, anns, _ = match_two(service.url)
    with ann, bob, RawClient(service.url, subject=f"{anns['room']}-ann") as newer:
        assert ann.event("replaced") == {"subject_id": f"{anns['room']}-ann"}
        assert ann.closed_within()
        signal = {"game_id": anns["match_id"], "target_player_id": "first", "type": "offer", "payload": OFFER}
        assert bob.call("webrtc_signal", signal)["ok"]
        assert newer.event("webrtc_signal")["from_player_id"] == "second"


def test_the_others_learn_that_a_player_is_gone_and_the_room_becomes_free(service: Service) -> None:
    ann, bob, anns, _ = match_two(service.url)
    ann.close()
    assert bob.event("peer_left") == {
        "match_id": anns["match_id"],
        "player_id": "first",
        "reason": "cut_off",
        "why": None,
    }
    assert bob.call("leave_room", {"room": anns["room"]}) == {"ok": True}
    settle(service, rooms=0)
    bob.close()


def test_a_socket_that_does_not_say_who_it_is_is_dropped(tmp_path: Path) -> None:
    config = ServiceConfig(port=0, data_dir=str(tmp_path), register_timeout_s=0.5)
    with serve_in_thread(config) as service:
        with RawClient(service.url) as client:
            assert client.closed_within()
        settle(service, connections=0)


HOSTILE_FRAMES = {
    "empty": "",
    "binary": b"\x04binary",
    "no packet type": "x",
    "base64": "b!!!!",
    "a ping of its own": "2probe",
    "a pong with baggage": "3" + "[" * 1000,
    "json under the packet": '4{"a":1}',
    "a foreign digit": "4٢",
}


@pytest.mark.parametrize("frame", HOSTILE_FRAMES.values(), ids=HOSTILE_FRAMES.keys())
def test_a_frame_that_no_client_sends_ends_its_socket_and_leaves_no_ghost(
    service: Service, frame: str | bytes
) -> None:
    ann, bob, _, _ = match_two(service.url)
    with ann, bob:
        ann.send(frame)
        assert ann.closed_within()
        assert bob.event("peer_left")["player_id"] == "first"
        settle(service, connections=1)


HOSTILE_PACKETS = {
    "reserved connect": '42["connect",{},{"subject_id":"r-bob"}]',
    "reserved disconnect": '42["disconnect","forged"]',
    "the violation event": '42["\\u0000violation"]',
    "catch-all": '42["*"]',
    "not a number": '42["register_subject",{"subject_id":NaN}]',
    "infinity": '42["register_subject",Infinity]',
    "beyond a float": '42["register_subject",{"subject_id":1e999}]',
    "lone surrogate": '42["register_subject",{"subject_id":"\\ud800"}]',
    "deep": '42["register_subject",' + "[" * 30_000 + "]" * 30_000 + "]",
    "long number": '42["register_subject",' + "9" * 5_000 + "]",
    "truncated": '42["register_subject",{',
    "object": "42{}",
    "empty list": "42[]",
    "number for a name": "42[1]",
    "list for a name": '42[["a"]]',
    "too many arguments": '42["register_subject",{},{}]',
    "huge acknowledgement id": "42" + "9" * 99 + '["register_subject",{}]',
    "binary event": '451-["x",{"_placeholder":true,"num":0}]',
    "binary acknowledgement": '461-["x"]',
    "unasked acknowledgement": "430[]",
    "connect error": '44{"message":"x"}',
    "another namespace": '42/admin,["x"]',
    "unknown type": "49",
}


@pytest.mark.parametrize("packet", HOSTILE_PACKETS.values(), ids=HOSTILE_PACKETS.keys())
def test_a_hostile_packet_changes_nothing_for_anyone(service: Service, packet: str) -> None:
    ann, bob, anns, _ = match_two(service.url)
    with ann, bob:
        ann.send(packet)
        if packet != "49":  # not even a frame: its sender is cut off
            signal = {
                "game_id": anns["match_id"],
                "target_player_id": "second",
                "type": "offer",
                "payload": OFFER,
            }
            assert ann.call("webrtc_signal", signal) == {"ok": True}
            assert bob.event("webrtc_signal")["from_player_id"] == "first"
            assert bob.quiet()
        assert bob.call("leave_room", {"room": "none"}) == {"ok": True}


def test_a_websocket_on_which_nobody_speaks_is_closed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"ws{service.url.removeprefix('http')}/socket.io/?EIO=4&transport=websocket"
    with contextlib.ExitStack() as stack:
        ann = stack.enter_context(RawClient(service.url, subject="ann"))
        monkeypatch.setattr("gym_p2p.server.guard.frames._GREETING_DEADLINE_S", 0.3)
        silent = stack.enter_context(connect(url, close_timeout=1))
        assert str(silent.recv(PATIENCE_S)).startswith("0")
        with pytest.raises(ConnectionClosed):
            silent.recv(PATIENCE_S)
        assert ann.call("leave_room", {"room": "r"})["ok"]


def test_an_unknown_event_is_refused(service: Service) -> None:
    with RawClient(service.url, subject="ann") as client:
        assert client.call("drop_tables", {})["error"]["code"] == "bad_request"


def test_ten_hostile_packets_end_the_connection(service: Service) -> None:
    with RawClient(service.url, subject="ann") as client:
        for _ in range(9):
            client.send("42{}")
        assert client.call("leave_room", {"room": "r"})["ok"]
        client.send("42{}")
        assert client.closed_within()


def test_an_oversized_frame_ends_its_socket_alone(service: Service) -> None:
    ann, bob, _, _ = match_two(service.url)
    with ann, bob:
        ann.send('42["webrtc_signal",{"x":"' + "x" * 70_000 + '"}]')
        assert ann.closed_within()
        assert bob.event("peer_left")["player_id"] == "first"


def test_going_and_coming_back_on_one_socket_is_no_way_around_its_limits(tmp_path: Path) -> None:
    # Nobody is dropped for not registering again while the test waits.
    config = ServiceConfig(port=0, data_dir=str(tmp_path), register_timeout_s=None)
    with serve_in_thread(config) as service, RawClient(service.url, subject="ann") as client:
        client.send("41")
        client.send("40")
        assert client.closed_within()


def test_a_flood_is_refused_and_then_cut_off_while_others_are_served(service: Service) -> None:
    with RawClient(service.url, subject="ann") as ann, RawClient(service.url, subject="bob") as bob:
        for number in range(1_000, 1_200):  # at once: a burst is one of time
            ann.send(f"42{number}" + json.dumps(["leave_room", {"room": "r"}]))
        answers = [ann.acknowledged(number) for number in range(1_000, 1_200)]
        codes = {answer["error"]["code"] for answer in answers if not answer["ok"]}
        assert sum(answer["ok"] for answer in answers) >= 99  # a burst of 100, less the registration
        assert codes == {"rate_limited"}
        waits = {answer["error"]["retry_after_ms"] for answer in answers if not answer["ok"]}
        assert all(0 < wait_ms <= 34 for wait_ms in waits)  # one thirtieth of a second at most
        assert bob.call("leave_room", {"room": "r"})["ok"]

        def flood() -> None:
            try:
                for _ in range(100_000):
                    ann.emit("leave_room", {"room": "r"})
            except OSError:
                pass  # cut off, as it should be
            except Exception as error:  # noqa: BLE001  # websockets' own word for it
                assert "ConnectionClosed" in type(error).__name__  # noqa: PT017  # the right one of the two ways

        flooding = threading.Thread(target=flood)
        flooding.start()
        settle(service, connections=1)
        assert bob.call("leave_room", {"room": "r"})["ok"]
        flooding.join(PATIENCE_S)
        assert not flooding.is_alive()


def test_pages_of_strange_origins_may_not_connect(service: Service) -> None:
    with pytest.raises(InvalidHandshake):
        RawClient(service.url, origin="https://evil.example")
    with RawClient(service.url, origin="https://lab.example", subject="ann"):
        pass


def test_frames_are_not_compressed_even_where_a_client_would(service: Service) -> None:
    with RawClient(service.url) as client:
        assert client.extensions is None


def test_without_configured_origins_only_the_services_own_pages_may_connect(tmp_path: Path) -> None:
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        with pytest.raises(InvalidHandshake):
            RawClient(service.url, origin="https://evil.example")
        with RawClient(service.url, origin=service.url):
            pass


def test_polling_is_not_spoken(service: Service) -> None:
    polling = f"{service.url}/socket.io/?EIO=4&transport=polling"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(polling, timeout=PATIENCE_S)  # noqa: S310  # ours
    assert caught.value.code == 400
    caught.value.close()


def test_neither_descriptions_nor_secrets_nor_addresses_are_logged(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"), caplog.at_level("DEBUG", logger="gym_p2p"):
        ann, bob, anns, bobs = match_two(service.url)
        with ann, bob:
            signal = {
                "game_id": anns["match_id"],
                "target_player_id": "second",
                "type": "offer",
                "payload": description("a=x:SECRET-SDP"),
            }
            assert ann.call("webrtc_signal", signal)["ok"]
            bob.event("webrtc_signal")
    ours = [r for r in caplog.records if r.name.startswith(("gym_p2p", "uvicorn", "socketio", "engineio"))]
    text = "\n".join(record.getMessage() for record in ours)
    assert "connected" in text
    for secret in ("SECRET-SDP", anns["token"], bobs["token"], "127.0.0.1:"):
        assert secret not in text


def test_a_port_in_use_is_a_clear_error_and_leaves_nothing_running(service: Service, tmp_path: Path) -> None:
    port = int(service.url.rpartition(":")[2])
    before = set(threading.enumerate())  # of which some may still be about to end
    with (
        pytest.raises(ConfigurationError, match=f"port.*{port}.*in use"),
        serve_in_thread(ServiceConfig(port=port, data_dir=str(tmp_path / "other"))),
    ):
        pytest.fail("it started")
    until(lambda: set(threading.enumerate()) <= before)
    assert health(service)["ok"]


def test_a_stopped_service_leaves_no_thread_and_frees_its_port(tmp_path: Path) -> None:
    port = lasting_port()
    before = set(threading.enumerate())  # of which some may still be about to end
    with serve_in_thread(ServiceConfig(port=port, data_dir=str(tmp_path))) as service:
        client = RawClient(service.url, subject="ann")
    assert client.closed_within()
    client.close()
    until(lambda: set(threading.enumerate()) <= before)
    with socket.create_server(("127.0.0.1", port), reuse_port=False):
        pass


def test_a_service_can_be_restarted_on_its_port_at_once(tmp_path: Path) -> None:
    config = ServiceConfig(port=lasting_port(), data_dir=str(tmp_path))
    with serve_in_thread(config) as service:
        client = RawClient(service.url, subject="ann")
    with serve_in_thread(config) as service:
        assert health(service)["connections"] == 0
    client.close()


def test_the_url_of_a_service_that_does_not_run_is_an_error() -> None:
    with pytest.raises(RuntimeError):
        _ = Service().url


@pytest.mark.parametrize("origins", [("*",), ("https://*.example",), ("lab.example",)])
def test_no_configuration_lets_every_origin_in(origins: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError):
        ServiceConfig(cors_origins=origins)


def test_a_client_that_does_not_read_is_dropped_instead_of_filling_the_memory(tmp_path: Path) -> None:
    config = ServiceConfig(port=0, data_dir=str(tmp_path), events_per_s=1e6, event_burst=1_000_000)
    with serve_in_thread(config) as service:
        ann, bob, anns, _ = match_two(service.url)
        signal = {
            "game_id": anns["match_id"],
            "target_player_id": "second",
            "type": "offer",
            "payload": description("a=x:" + "x" * 16_000),
        }
        with ann, bob:
            for _ in range(3_000):  # 48 MB, beyond every buffer on the way
                if not ann.call("webrtc_signal", signal)["ok"]:
                    break
            assert ann.event("peer_left")["player_id"] == "second"
            settle(service, connections=1)
