from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio
import uvicorn

from gym_p2p.config import ServiceConfig
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.rooms import MatchFound, MatchSignal, PeerLeft, RoomStatus, TurnedAway
from gym_p2p.errors import (
    ConfigurationError,
    ConnectFailed,
    ProtocolError,
    ServiceRefused,
    ServiceUnreachable,
)
from gym_p2p.net.client.events import LineChanged
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.server import Service, serve_in_thread
from tests.waiting import PATIENCE_S, eventually, lasting_port, until

SEATS = ["first", "second"]
OFFER = {"type": "offer", "sdp": "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    config = ServiceConfig(port=0, data_dir=str(tmp_path_factory.mktemp("data")))
    with serve_in_thread(config) as running:
        yield running


@contextlib.asynccontextmanager
async def connected(
    url: str, subject: str, listen: tuple[type, Callable[[Any], None]] | None = None
) -> AsyncIterator[SignalingClient]:
    client = SignalingClient()
    if listen is not None:
        client.events.listen(*listen)
    try:
        await client.connect(url, subject, timeout_s=PATIENCE_S)
        yield client
    finally:
        await client.close()


def listening(heard: list[bool]) -> SignalingClient:
    """A client that notes whether its line is up."""
    client = SignalingClient()
    client.events.listen(LineChanged, lambda line: heard.append(line.up))
    return client


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a test, and see to it that it leaves no task behind."""

    async def bounded() -> None:
        async with asyncio.timeout(2 * PATIENCE_S):
            await main
        await eventually(lambda: asyncio.all_tasks() == {asyncio.current_task()})

    asyncio.run(bounded())


async def meet(ann: SignalingClient, bob: SignalingClient, room: str) -> tuple[MatchFound, MatchFound]:
    for client in (ann, bob):
        await client.join_room(room, SEATS)
    return await ann.wait_for_match(PATIENCE_S), await bob.wait_for_match(5)


def test_two_clients_meet_and_their_signals_keep_their_order(service: Service) -> None:
    async def main() -> None:
        got: list[Any] = []
        async with (
            connected(service.url, "ann") as ann,
            connected(service.url, "bob", (MatchSignal, got.append)) as bob,
        ):
            ack = await ann.join_room("order", SEATS, ["second"])
            assert (ack.seats_taken, ack.seats_free) == (("second",), ("first",))
            await bob.join_room("order", SEATS)
            found = await ann.wait_for_match(PATIENCE_S)
            assert found.player_id == "second"
            assert found.peers[0].subject_id == "bob"
            assert (found.peers[0].client or "").startswith("gym_p2p/")
            assert (await bob.wait_for_match(PATIENCE_S)).seed == found.seed
            texts = [f"candidate:{number} 1 udp 1 192.168.1.7 5000 typ host" for number in range(60)]
            for text in texts:
                ann.send_signal(found.match_id, "first", "ice-candidate", {"candidate": text})
            await eventually(lambda: len(got) == 60)
            assert [signal.payload["candidate"] for signal in got] == texts
            assert {(signal.from_player_id, signal.type) for signal in got} == {("second", "ice-candidate")}

    run(main())


def test_signals_and_departures_wait_for_their_handler(service: Service) -> None:
    async def main() -> None:
        async with connected(service.url, "ann") as ann, connected(service.url, "bob") as bob:
            found, _ = await meet(ann, bob, "patience")
            ann.send_signal(found.match_id, "second", "offer", OFFER)
            await ann.leave()
            await eventually(lambda: all(bob.events._kept[kind] for kind in (MatchSignal, PeerLeft)))
            got: list[Any] = []
            bob.events.listen(MatchSignal, got.append)
            bob.events.listen(PeerLeft, got.append)
            assert got == [
                MatchSignal(type="offer", from_player_id="first", game_id=found.match_id, payload=OFFER),
                PeerLeft(match_id=found.match_id, player_id="first", reason="left"),
            ]

    run(main())


def test_those_who_wait_hear_who_comes_and_goes(service: Service) -> None:
    async def main() -> None:
        heard: list[RoomStatus] = []
        async with connected(service.url, "ann", (RoomStatus, heard.append)) as ann:
            await ann.join_room("waiting", [0, 1, 2])
            async with connected(service.url, "bob") as bob:
                await bob.join_room("waiting", [0, 1, 2])
                await eventually(lambda: len(heard) == 1)
            await eventually(lambda: len(heard) == 2)
        assert [status.seats_free for status in heard] == [(2,), (1, 2)]

    run(main())


def test_waiting_has_a_deadline_and_says_what_was_seen(service: Service) -> None:
    async def main() -> None:
        async with connected(service.url, "ann") as ann:
            await ann.join_room("alone", SEATS)
            with pytest.raises(ConnectFailed, match="second") as caught:
                await ann.wait_for_match(0.2)
            assert caught.value.waited_s == 0.2

    run(main())


def test_a_full_room_and_another_environment_are_refused_with_their_code(service: Service) -> None:
    async def main() -> None:
        async with connected(service.url, "ann") as ann, connected(service.url, "bob") as bob:
            await ann.join_room("refusals", SEATS)
            with pytest.raises(ServiceRefused) as mismatch:
                await bob.join_room("refusals", [0, 1])
            assert mismatch.value.code == "room_mismatch"
            with pytest.raises(ServiceRefused) as taken:
                await bob.join_room("refusals", SEATS, ["first"])
            assert taken.value.code == "seat_taken"
            await bob.join_room("refusals", SEATS)
            async with connected(service.url, "eve") as eve:
                with pytest.raises(ServiceRefused) as full:
                    await eve.join_room("refusals", SEATS)
                assert full.value.code == "room_full"

    run(main())


@pytest.mark.parametrize("url", ["127.0.0.1:8765", "ftp://x", "http://", "http://x:99999", "", "http://[::1"])
def test_what_is_no_address_is_a_usage_error(url: str) -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError):
            await SignalingClient().connect(url, "ann", timeout_s=PATIENCE_S)

    run(main())


@pytest.mark.parametrize("subject", ["", "a/b", "..", "x" * 129])
def test_what_is_no_subject_is_a_usage_error(service: Service, subject: str) -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError):
            await SignalingClient().connect(service.url, subject, timeout_s=PATIENCE_S)

    run(main())


def expect_unreachable(url: str, problem: str, timeout_s: float = PATIENCE_S) -> None:
    async def main() -> None:
        client = SignalingClient()
        began = time.monotonic()
        with pytest.raises(ServiceUnreachable, match=problem) as caught:
            await client.connect(url, "ann", timeout_s=timeout_s)
        assert time.monotonic() - began < timeout_s + PATIENCE_S
        assert caught.value.url == url
        await client.close()

    run(main())


def test_no_service_is_unreachable_at_once() -> None:
    with socket.socket() as held:  # and not listening, so that nobody else can be there
        held.bind(("127.0.0.1", 0))
        expect_unreachable(f"http://127.0.0.1:{held.getsockname()[1]}", "refused")


def test_an_unknown_host_is_unreachable() -> None:
    expect_unreachable("http://no.such.host.invalid:8765", "host name is unknown|no answer")


def test_a_silent_port_is_unreachable_within_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        expect_unreachable(f"http://127.0.0.1:{listener.getsockname()[1]}", r"no answer within 0.3 s\)", 0.3)


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an ASGI application that is not ours."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)


async def plain_web(scope: Any, _receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
    else:
        await send({"type": "websocket.close"})


async def chatty_websocket(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "welcome, stranger"})
    await receive()


@pytest.mark.parametrize("app", [plain_web, chatty_websocket])
def test_something_else_that_answers_is_no_service(app: Any) -> None:
    with serving(app) as url:
        expect_unreachable(url, "no gym_p2p service", PATIENCE_S)


@pytest.mark.parametrize("answer", [None, "hello", {"ok": True}, {"ok": 1}])
def test_another_socket_io_server_is_no_service(answer: object) -> None:
    sio = socketio.AsyncServer(async_mode="asgi")
    sio.on("register_subject", lambda _sid, _data: answer)
    with serving(socketio.ASGIApp(sio)) as url:
        expect_unreachable(url, "no gym_p2p service", PATIENCE_S)


def test_a_socket_io_server_that_never_answers_is_unreachable_within_the_deadline() -> None:
    with serving(socketio.ASGIApp(socketio.AsyncServer(async_mode="asgi"))) as url:
        expect_unreachable(url, "no answer within 3 s, though .* prefix", 3.0)


def test_a_malformed_announcement_fails_the_wait_and_nothing_else() -> None:
    sio = socketio.AsyncServer(async_mode="asgi")

    async def join(sid: str, _data: object) -> dict[str, Any]:
        for event in ("match_found", "room_status", "peer_left", "webrtc_signal"):
            await sio.emit(event, {"match_id": 5}, to=sid)
            await sio.emit(event, to=sid)
        return {"ok": True, "room": "r", "player_id": 0, "seats_taken": [0], "seats_free": [1]}

    sio.on("register_subject", lambda _sid, _data: {"ok": True, "service": "gym_p2p"})
    sio.on("join_room", join)

    async def main(url: str) -> None:
        async with connected(url, "ann") as ann:
            await ann.join_room("r", [0, 1])
            with pytest.raises(ProtocolError):
                await ann.wait_for_match(PATIENCE_S)
            assert ann.connected

    with serving(socketio.ASGIApp(sio)) as url:
        run(main(url))


def test_who_waited_in_vain_hears_who_was_turned_away_meanwhile(service: Service) -> None:
    async def main() -> None:
        heard: list[TurnedAway] = []
        async with (
            connected(service.url, "ann", (TurnedAway, heard.append)) as ann,
            connected(service.url, "bob") as bob,
        ):
            await ann.join_room("unlike", SEATS)
            with pytest.raises(ServiceRefused, match="this environment has"):
                await bob.join_room("unlike", ["other", "seats"])
            await eventually(lambda: len(heard) == 1)
            with pytest.raises(
                ConnectFailed, match=r"turned away .*their environment has \['other', 'seats'\]"
            ):
                await ann.wait_for_match(0.05)

    run(main())


def test_a_callback_that_raises_does_not_cut_the_line(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        async with (
            connected(service.url, "ann") as ann,
            connected(service.url, "bob", (MatchSignal, broken)) as bob,
        ):
            found, _ = await meet(ann, bob, "broken")
            ann.send_signal(found.match_id, "second", "offer", OFFER)
            await eventually(lambda: "ZeroDivisionError" in caplog.text)
            assert bob.connected
            await bob.leave()

    run(main())


def test_a_signal_that_is_not_relayed_is_logged_without_its_contents(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with connected(service.url, "ann") as ann:
            ann.send_signal("no-match", "second", "offer", {"type": "offer", "sdp": "SECRET"})
            await eventually(lambda: "no_such_match" in caplog.text)

    run(main())
    assert "SECRET" not in caplog.text


def test_a_client_closed_while_the_service_is_away_ends_its_wait(tmp_path: Path) -> None:
    config = ServiceConfig(port=lasting_port(), data_dir=str(tmp_path))
    heard: list[bool] = []

    async def main() -> None:
        with serve_in_thread(config) as service:
            url = service.url
            ann = listening(heard)
            await ann.connect(url, "ann", timeout_s=PATIENCE_S)
            await ann.join_room("r", SEATS, ["second"])
            waiting = asyncio.create_task(ann.wait_for_match(20))
        await eventually(lambda: heard == [False])
        assert not ann.connected
        with pytest.raises(ServiceUnreachable):
            await ann.join_room("other", SEATS)
        await ann.leave()
        await ann.close()
        with pytest.raises(ServiceUnreachable):
            await waiting

    run(main())


def test_who_has_time_waits_for_a_service_that_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = ServiceConfig(port=lasting_port(), data_dir=str(tmp_path))
    url = f"http://127.0.0.1:{config.port}"

    async def main() -> None:
        client = SignalingClient()
        connecting = asyncio.create_task(client.connect(url, "ann", patience_s=PATIENCE_S))
        await eventually(lambda: "is tried again" in caplog.text)
        with await asyncio.to_thread(serve_in_thread, config):
            await connecting
            assert client.subject_id == "ann"
            await client.close()

    run(main())


def test_who_has_waited_in_vain_for_a_service_is_told_so() -> None:
    async def main() -> None:
        client = SignalingClient()
        with pytest.raises(ServiceUnreachable):
            await client.connect(f"http://127.0.0.1:{lasting_port()}", "ann", patience_s=0.2)

    run(main())


def test_a_seat_is_taken_again_after_the_services_restart(tmp_path: Path) -> None:
    config = ServiceConfig(port=lasting_port(), data_dir=str(tmp_path))
    heard: list[bool] = []

    async def main() -> None:
        with serve_in_thread(config) as service:
            url = service.url
            ann = listening(heard)
            await ann.connect(url, "ann", timeout_s=PATIENCE_S)
            await ann.join_room("r", SEATS, ["second"])
        with serve_in_thread(config):
            await eventually(lambda: heard == [False, True])
            async with connected(url, "bob") as bob:
                await bob.join_room("r", SEATS)
                assert (await ann.wait_for_match(PATIENCE_S)).player_id == "second"
        await ann.close()

    run(main())


def test_a_match_outlives_the_service_quietly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = ServiceConfig(port=lasting_port(), data_dir=str(tmp_path))
    heard: list[bool] = []

    async def main() -> None:
        with serve_in_thread(config) as service:
            ann, bob = listening(heard), SignalingClient()
            for client, name in ((ann, "ann"), (bob, "bob")):
                await client.connect(service.url, name, timeout_s=PATIENCE_S)
            found, _ = await meet(ann, bob, "r")
        await eventually(lambda: heard == [False])
        for _ in range(300):  # more than is kept
            ann.send_signal(found.match_id, "second", "offer", OFFER)
        assert ann.match == found
        with serve_in_thread(config):
            await eventually(lambda: heard == [False, True])
        await asyncio.gather(ann.close(), bob.close())

    run(main())
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_of_two_clients_with_one_subject_the_older_one_is_cut_off_for_good(service: Service) -> None:
    heard: list[bool] = []

    async def main() -> None:
        async with connected(service.url, "twin", (LineChanged, lambda line: heard.append(line.up))) as older:
            await older.join_room("twins", SEATS)
            async with connected(service.url, "twin") as newer:
                with pytest.raises(ServiceRefused) as caught:
                    await older.wait_for_match(PATIENCE_S)
                assert caught.value.code == "replaced"
                await eventually(lambda: heard == [False])
                await asyncio.sleep(1.5)
                assert newer.connected
                assert not older.connected

    run(main())


@pytest.mark.parametrize("elsewhere", ["queue", "room", "another seat"])
def test_a_newer_client_is_not_held_by_the_place_that_the_older_one_had_in_a_queue(
    service: Service, elsewhere: str
) -> None:
    async def main() -> None:
        name = f"mover-{elsewhere[0]}"
        async with connected(service.url, name) as older:
            await older.join_queue(QueueTicket(queue="before", seats=tuple(SEATS)))
            with pytest.raises(ServiceRefused) as caught:
                await older.join_queue(QueueTicket(queue="after", seats=tuple(SEATS)))
            assert caught.value.code == "wrong_state"
            async with connected(service.url, name) as newer:
                if elsewhere == "room":
                    await newer.join_room("after", SEATS)
                    assert not service.queue_report().queues
                else:
                    queue, take = ("after", None) if elsewhere == "queue" else ("before", "second")
                    await newer.join_queue(QueueTicket(queue=queue, seats=tuple(SEATS), take=take))
                    assert set(service.queue_report().queues) == {queue}
        await eventually(lambda: not service.queue_report().queues)

    run(main())


def test_close_is_idempotent_in_every_state(service: Service) -> None:
    async def main() -> None:
        unused = SignalingClient()
        await unused.close()
        await unused.close()
        with pytest.raises(RuntimeError):
            await unused.connect(service.url, "ann", timeout_s=PATIENCE_S)

        ann = SignalingClient()
        await ann.connect(service.url, "closing", timeout_s=PATIENCE_S)
        await asyncio.gather(ann.close(), ann.close())
        await ann.close()
        assert not ann.connected

    run(main())


def test_a_cancelled_connect_leaves_nothing_behind() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = SignalingClient()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            connecting = asyncio.create_task(client.connect(url, "ann", timeout_s=20))
            await asyncio.sleep(0.1)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting

    run(main())
