"""What a host can ask of ``mount``, on an ``AsyncServer`` as it is by default (``async_handlers=True``)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import socketio
import uvicorn

from gym_p2p import ProbeManager, UsageError
from gym_p2p.config import MatchmakingConfig, ServiceConfig
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.server import mount
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner
from gym_p2p.server.handlers.dispatcher import Dispatcher
from tests.waiting import PATIENCE_S, eventually


class _Place:
    """A host that runs: its server, its address, its data directory."""

    def __init__(self, url: str, sio: socketio.AsyncServer, data_dir: Path) -> None:
        self.url, self.sio, self.data_dir = url, sio, data_dir

    def mount(self, **options: Any) -> Any:
        return mount(self.sio, ServiceConfig(data_dir=str(self.data_dir)), **options)


@contextlib.asynccontextmanager
async def hosting(data_dir: Path, **server_options: Any) -> AsyncIterator[_Place]:
    sio = socketio.AsyncServer(async_mode="asgi", **server_options)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(socketio.ASGIApp(sio), log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await eventually(lambda: server.started)
        yield _Place(f"http://127.0.0.1:{listener.getsockname()[1]}", sio, data_dir)
    finally:
        await sio.shutdown()
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def page(url: str, *, namespace: str = "/", auth: Any = None) -> AsyncIterator[socketio.AsyncClient]:
    client = socketio.AsyncClient(reconnection=False)
    client.heard = []
    client.on("*", lambda event, *data: client.heard.append((event, *data)), namespace=namespace)
    await client.connect(url, namespaces=[namespace], auth=auth, wait_timeout=PATIENCE_S)
    try:
        yield client
    finally:
        await client.disconnect()


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * PATIENCE_S):
            await story()

    asyncio.run(bounded())


# ---- names


def test_an_event_that_both_have_is_refused_and_nothing_is_left_on_the_host(tmp_path: Path) -> None:
    async def story() -> None:
        sio = socketio.AsyncServer(async_mode="asgi")
        sio.on("join_room", lambda _sid: None)
        before = {space: dict(table) for space, table in sio.handlers.items()}
        with pytest.raises(UsageError, match=r"join_room.*prefix"):
            mount(sio, ServiceConfig(data_dir=str(tmp_path)))
        assert sio.handlers == before
        service = mount(sio, ServiceConfig(data_dir=str(tmp_path)), prefix="p2p_")
        with pytest.raises(UsageError, match="prefix='peers_'"):
            sio.on("p2p_join_room", lambda _sid: None)
        await service.stop()
        assert sio.handlers == before
        sio.on("p2p_join_room", lambda _sid: None)
        with pytest.raises(UsageError, match="prefix='peers_'"):
            mount(sio, ServiceConfig(data_dir=str(tmp_path)), prefix="p2p_")

    run(story)


@pytest.mark.parametrize("space", ["/", "*"])
def test_a_method_of_a_class_based_namespace_counts_as_an_event_too(tmp_path: Path, space: str) -> None:
    class Lobby(socketio.AsyncNamespace):  # type: ignore[misc]  # the library publishes no types
        async def on_probe_ready(self, _sid: str) -> None: ...

    async def story() -> None:
        sio = socketio.AsyncServer(async_mode="asgi")
        sio.register_namespace(Lobby(space))
        with pytest.raises(UsageError, match="probe_ready"):
            mount(sio, ServiceConfig(data_dir=str(tmp_path)))
        assert sio.handlers == {}
        mount(sio, ServiceConfig(data_dir=str(tmp_path)), parts={"rooms"})

    run(story)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"prefix": "1"}, "prefix"),
        ({"prefix": "p2p "}, "prefix"),
        ({"namespace": "p2p"}, "namespace"),
        ({"namespace": "*"}, "namespace"),
        ({"parts": set()}, "parts"),
        ({"parts": "rooms"}, "parts"),
        ({"parts": {"room"}}, "parts"),
        ({"parts": 3}, "parts"),
        ({"config": {"data_dir": "documents"}}, "config: wanted a ServiceConfig, got dict"),
        ({"on_document": "documents.db"}, "on_document: wanted a function"),
        ({"pre_match": 150}, "pre_match: wanted a function"),
        ({"subject_of": {}}, "subject_of: wanted a function"),
        ({"subject_of": asyncio.sleep}, "subject_of: .* coroutine function"),
        ({"parts": {"queues"}}, "probes"),
        ({"parts": {"spectators", "probes"}}, "rooms"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, options: Any, problem: str) -> None:
    async def story() -> None:
        sio = socketio.AsyncServer(async_mode="asgi")
        with pytest.raises(UsageError, match=problem):
            mount(sio, **{"config": ServiceConfig(data_dir=str(tmp_path)), **options})
        assert sio.handlers == {}

    run(story)


@pytest.mark.parametrize("host", [object(), "http://127.0.0.1", socketio.AsyncClient()])
def test_what_is_no_host_is_refused_by_name(host: Any) -> None:
    with pytest.raises(UsageError, match=r"wanted a socketio\.AsyncServer"):
        mount(host)


def test_a_second_service_in_one_namespace_is_refused_and_in_another_it_is_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with hosting(tmp_path) as place:
            one = place.mount()
            with pytest.raises(UsageError, match="already"):
                place.mount(prefix="other_")
            other = place.mount(namespace="/other")
            async with page(place.url) as here, page(place.url, namespace="/other") as there:
                for client, namespace in ((here, "/"), (there, "/other")):
                    answer = await client.call("register_subject", {"subject_id": "ann"}, namespace=namespace)
                    assert answer["ok"]
                assert one.connection_count == other.connection_count == 1
            await one.stop()
            await other.stop()

    run(story)


# ---- the host's own handlers


def test_a_connect_that_is_registered_later_replaces_nothing_and_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with hosting(tmp_path) as place:
            service = place.mount()
            seen: list[tuple[str, ...]] = []
            with caplog.at_level(logging.WARNING, "gym_p2p.server"):
                place.sio.on("connect", lambda sid, _environ: seen.append(("connect", sid)))
            assert "'connect' handler after mount()" in caplog.text
            place.sio.on("disconnect", lambda sid: seen.append(("disconnect", sid)))
            async with page(place.url) as ann:
                assert (await ann.call("register_subject", {"subject_id": "ann"}))["ok"]
            await eventually(lambda: [kind for kind, _ in seen] == ["connect", "disconnect"])
            await service.stop()
            assert set(place.sio.handlers["/"]) == {"connect", "disconnect"}

    run(story)


def test_an_event_of_ours_that_is_registered_later_is_refused_where_it_stands(tmp_path: Path) -> None:
    async def story() -> None:
        async with hosting(tmp_path) as place:
            service = place.mount()
            with pytest.raises(UsageError, match="join_room"):
                place.sio.on("join_room", lambda _sid: None)
            place.sio.on("chat", lambda _sid, text: text)
            async with page(place.url) as ann:
                assert await ann.call("chat", "hello") == "hello"
            await service.stop()
            assert set(place.sio.handlers["/"]) == {"chat"}

    run(story)


def test_a_class_based_namespace_is_asked_too(tmp_path: Path) -> None:
    class Lobby(socketio.AsyncNamespace):  # type: ignore[misc]  # the library publishes no types
        def __init__(self) -> None:
            super().__init__("/")
            self.seen: list[str] = []

        async def on_connect(self, _sid: str, environ: Any) -> bool:
            self.seen.append("connect")
            return "HTTP_X_BANNED" not in environ

        def on_disconnect(self, _sid: str) -> None:
            self.seen.append("disconnect")

        async def on_chat(self, _sid: str, text: str) -> str:
            return text.upper()

    async def story() -> None:
        async with hosting(tmp_path) as place:
            lobby = Lobby()
            place.sio.register_namespace(lobby)
            service = place.mount()
            async with page(place.url) as ann:
                assert await ann.call("chat", "hello") == "HELLO"
                assert (await ann.call("register_subject", {"subject_id": "ann"}))["ok"]
            await eventually(lambda: lobby.seen == ["connect", "disconnect"])
            banned = socketio.AsyncClient(reconnection=False)
            with pytest.raises(socketio.exceptions.ConnectionError):
                await banned.connect(place.url, headers={"X-Banned": "1"}, wait_timeout=PATIENCE_S)
            assert service.connection_count == 0
            await service.stop()

    run(story)


def takes_less(seen: list[str]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def connect(space: str, _sid: str, environ: Any) -> bool:
        seen.append(f"connect {space}")
        return "HTTP_X_BANNED" not in environ

    return connect, lambda space, _sid: seen.append(f"disconnect {space}")


def takes_all(seen: list[str]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    connect, disconnect = takes_less(seen)
    return (
        lambda space, sid, environ, _auth: connect(space, sid, environ),
        lambda space, sid, _reason: disconnect(space, sid),
    )


@pytest.mark.parametrize("handlers", [takes_less, takes_all])
def test_handlers_for_all_namespaces_are_asked_with_what_they_take(tmp_path: Path, handlers: Any) -> None:
    seen: list[str] = []

    async def story() -> None:
        async with hosting(tmp_path) as place:
            connect, disconnect = handlers(seen)
            place.sio.on("connect", connect, namespace="*")
            place.sio.on("disconnect", disconnect, namespace="*")
            service = place.mount()
            async with page(place.url) as ann:
                assert (await ann.call("register_subject", {"subject_id": "ann"}))["ok"]
            await eventually(lambda: seen == ["connect /", "disconnect /"])
            banned = socketio.AsyncClient(reconnection=False)
            with pytest.raises(socketio.exceptions.ConnectionError):
                await banned.connect(place.url, headers={"X-Banned": "1"}, wait_timeout=PATIENCE_S)
            assert seen == ["connect /", "disconnect /", "connect /"]
            assert service.connection_count == 0
            await service.stop()

    run(story)


def test_who_has_nothing_to_do_with_us_is_left_alone(tmp_path: Path) -> None:
    """The deadline for registering is for our own port: a host's page may never register."""

    async def story() -> None:
        async with hosting(tmp_path) as place:
            service = mount(place.sio, ServiceConfig(data_dir=str(tmp_path), register_timeout_s=0.1))
            async with page(place.url) as ann:
                assert service.machines.presence.next_timeout() is None
                assert (await ann.call("join_room", {"room": "r", "seats": ["a", "b"]}))["error"]["code"] == (
                    "unauthenticated"
                )
            await service.stop()

    run(story)


# ---- the parts


@pytest.mark.parametrize(
    ("parts", "present", "absent"),
    [
        ({"probes"}, "probe_wait", "join_room"),
        ({"rooms"}, "webrtc_signal", "probe_ready"),
        ({"probes", "queues"}, "answer_match", "join_room"),
        ({"rooms", "spectators"}, "watch", "join_queue"),
    ],
)
def test_of_parts_that_a_host_does_not_take_there_are_no_events(
    tmp_path: Path, parts: Any, present: str, absent: str
) -> None:
    async def story() -> None:
        sio = socketio.AsyncServer(async_mode="asgi")
        service = mount(sio, ServiceConfig(data_dir=str(tmp_path)), parts=parts)
        assert present in sio.handlers["/"]
        assert absent not in sio.handlers["/"]
        sio.on(absent, lambda _sid: None)  # is the host's to use
        await service.stop()

    run(story)


def test_queues_that_probe_nobody_need_no_probes(tmp_path: Path) -> None:
    async def story() -> None:
        sio = socketio.AsyncServer(async_mode="asgi")
        config = ServiceConfig(data_dir=str(tmp_path), matchmaking=MatchmakingConfig(probe="never"))
        await mount(sio, config, parts={"queues"}).stop()

    run(story)


# ---- who is who


def by_header(_sid: str, environ: Any) -> str | None:
    who: str | None = environ.get("HTTP_X_USER")
    return who


def test_the_host_says_who_somebody_is_and_they_need_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with hosting(tmp_path) as place:
            service = place.mount(subject_of=by_header)
            clients = [socketio.AsyncClient(reconnection=False) for _ in range(2)]
            for client, who in zip(clients, ("ann", "bob"), strict=True):
                await client.connect(place.url, headers={"X-User": who}, wait_timeout=PATIENCE_S)
                assert service.machines.presence.is_there(who)
            joined = await clients[0].call("join_room", {"room": "r", "seats": ["a", "b"]})
            assert joined["ok"]
            told = await clients[1].call("register_subject", {"subject_id": "ann"})
            assert told["subject_id"] == "bob"
            for client in clients:
                await client.disconnect()
            await service.stop()

    run(story)


def test_where_join_tokens_are_asked_for_it_is_in_our_namespace_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with hosting(tmp_path) as place:
            place.sio.on("chat", lambda _sid, text: text)
            config = ServiceConfig(data_dir=str(tmp_path), join_secret="s" * 32)
            service = mount(place.sio, config, namespace="/p2p")
            async with page(place.url) as ann:
                assert await ann.call("chat", "hello") == "hello"
            with pytest.raises(socketio.exceptions.ConnectionError):
                async with page(place.url, namespace="/p2p"):
                    pass
            claims = JoinClaims(
                experiment="default",
                subject_id="ann",
                expires_at=time.time() + 60,
                token_id="t1",  # noqa: S106  # no secret
            )
            shown = {"token": TokenSigner(b"s" * 32, JoinClaims).issue(claims)}
            async with page(place.url, namespace="/p2p", auth=shown) as ann:
                registered = await ann.call("register_subject", {}, namespace="/p2p")
                assert registered["subject_id"] == "ann"
            await service.stop()

    run(story)


def test_whom_the_host_does_not_know_is_nobody_until_it_does(tmp_path: Path) -> None:
    known: dict[str, str] = {}

    async def story() -> None:
        async with hosting(tmp_path) as place:
            service = place.mount(subject_of=lambda sid, _environ: known.get(sid))
            async with page(place.url) as ann:
                refused = await ann.call("register_subject", {"subject_id": "bob"})
                assert refused["error"]["code"] == "unauthenticated"
                known[ann.get_sid()] = "ann"
                assert (await ann.call("register_subject", {"subject_id": "bob"}))["subject_id"] == "ann"
            await service.stop()

    run(story)


@pytest.mark.parametrize("answer", [17, "", "a/b", "x" * 200, RuntimeError("the database is away")])
def test_a_host_that_cannot_say_who_it_is_keeps_its_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, answer: Any
) -> None:
    def subject_of(_sid: str, _environ: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def story() -> None:
        async with hosting(tmp_path) as place:
            place.sio.on("chat", lambda _sid, text: text)
            service = place.mount(subject_of=subject_of)
            async with page(place.url) as ann:
                assert await ann.call("chat", "hello") == "hello"
            assert "subject_of" in caplog.text
            await service.stop()

    run(story)


def test_a_second_tab_counts_and_the_first_one_stays_the_hosts(tmp_path: Path) -> None:
    async def story() -> None:
        async with hosting(tmp_path) as place:
            place.sio.on("chat", lambda _sid, text: text)
            service = place.mount(subject_of=lambda _sid, _environ: "ann")
            async with page(place.url) as one, page(place.url) as two:
                await eventually(lambda: ("replaced", {"subject_id": "ann"}) in one.heard)
                refused = await one.call("join_room", {"room": "r", "seats": ["a", "b"]})
                assert refused["error"]["code"] == "unauthenticated"
                assert await one.call("chat", "still here") == "still here"
                assert (await two.call("join_room", {"room": "r", "seats": ["a", "b"]}))["ok"]
            await service.stop()

    run(story)


@pytest.mark.parametrize("event", ["connect", "disconnect"])
def test_an_event_that_is_called_like_the_librarys_own_changes_nothing(tmp_path: Path, event: str) -> None:
    """The library lets a client send one, with an environment of its own making."""

    async def story() -> None:
        async with hosting(tmp_path) as place:
            service = place.mount(subject_of=by_header)
            ann = socketio.AsyncClient(reconnection=False)
            await ann.connect(place.url, headers={"X-User": "ann"}, wait_timeout=PATIENCE_S)
            packet = socketio.packet.Packet(
                socketio.packet.EVENT, data=[event, {"HTTP_X_USER": "eve"}, None], namespace="/"
            )
            await ann._send_packet(packet)
            assert (await ann.call("register_subject", {}))["subject_id"] == "ann"
            assert not service.machines.presence.is_there("eve")
            assert service.connection_count == 1
            await ann.disconnect()
            await service.stop()

    run(story)


# ---- order


@pytest.mark.parametrize("async_handlers", [True, False])
def test_a_burst_with_a_goodbye_behind_it_arrives_whole_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, async_handlers: bool
) -> None:
    arrived: list[object] = []
    receive, disconnected = Dispatcher.receive, Dispatcher.disconnected

    def note_event(self: Dispatcher, event: str, payload: Any, socket: str, now: float) -> Any:
        arrived.append(payload["number"])
        return receive(self, event, payload, socket, now)

    def note_end(self: Dispatcher, socket: str, now: float, **how: Any) -> None:
        arrived.append("gone")
        disconnected(self, socket, now, **how)

    monkeypatch.setattr(Dispatcher, "receive", note_event)
    monkeypatch.setattr(Dispatcher, "disconnected", note_end)

    async def story() -> None:
        async with hosting(tmp_path, async_handlers=async_handlers) as place:
            service = place.mount()
            for _ in range(5):
                arrived.clear()
                async with page(place.url) as ann:
                    for number in range(200):
                        await ann.emit("probe_ready", {"number": number})
                    await ann._send_packet(socketio.packet.Packet(socketio.packet.DISCONNECT, namespace="/"))
                    await ann.eio.queue.join()  # the library would close before it has sent everything
                await eventually(lambda: "gone" in arrived)
                assert arrived == [*range(200), "gone"]
            await service.stop()

    run(story)


# ---- stop and start


def test_a_host_goes_on_without_us_and_with_us_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with hosting(tmp_path) as place:
            seen: list[str] = []
            place.sio.on("connect", lambda _sid, _environ: seen.append("connect"))
            before = dict(place.sio.handlers["/"])
            first = place.mount()
            async with page(place.url) as ann:
                assert (await ann.call("register_subject", {"subject_id": "ann"}))["ok"]
                await first.stop()
                await first.stop()
                assert place.sio.handlers["/"] == before
                second = place.mount()  # who is there already can go on
                assert second.connection_count == 1
                assert (await ann.call("register_subject", {"subject_id": "ann"}))["ok"]
                async with page(place.url) as bob:
                    assert (await bob.call("register_subject", {"subject_id": "bob"}))["ok"]
            await second.stop()
            assert seen == ["connect", "connect"]

    run(story)


def test_two_servers_in_one_process_know_nothing_of_each_other(tmp_path: Path) -> None:
    async def story() -> None:
        async with hosting(tmp_path / "one") as one, hosting(tmp_path / "two") as two:
            services = [one.mount(), two.mount(prefix="p2p_", namespace="/p2p")]
            clients = [SignalingClient(), SignalingClient(prefix="p2p_", namespace="/p2p")]
            for place, client in zip((one, two), clients, strict=True):
                await client.connect(place.url, "ann", PATIENCE_S)
            assert [service.connection_count for service in services] == [1, 1]
            for client in clients:
                await client.close()
            for service in services:
                await service.stop()

    run(story)


def test_probes_run_under_a_prefix_in_a_namespace_and_every_outcome_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with hosting(tmp_path) as place:
            service = place.mount(parts={"probes"}, prefix="p2p:", namespace="/lab")
            told: list[Any] = []

            def broken(_outcome: Any) -> None:
                raise RuntimeError("a bug of the host's")

            service.on_probe_outcome(broken)
            service.on_probe_outcome(told.append)
            clients = [SignalingClient(prefix="p2p:", namespace="/lab") for _ in range(2)]
            managers = []
            for client, who in zip(clients, ("ann", "bob"), strict=True):
                await client.connect(place.url, who, PATIENCE_S)
                managers.append(ProbeManager(client, who))
            outcome = await service.probe("ann", "bob")
            assert outcome.rtt_ms is not None
            assert told == [outcome]
            for manager in managers:
                await manager.close()
            for client in clients:
                await client.close()
            await service.stop()

    run(story)


# ---- documents


def test_players_are_told_that_documents_stay_with_them(tmp_path: Path) -> None:
    async def story() -> None:
        async with hosting(tmp_path) as place:
            service = place.mount()
            async with page(place.url) as ann, page(place.url) as bob:
                for client, who in ((ann, "ann"), (bob, "bob")):
                    assert (await client.call("register_subject", {"subject_id": who}))["uploads"] is False
                    await client.call("join_room", {"room": "r", "seats": ["a", "b"]})
                await eventually(lambda: any(event == "match_found" for event, *_ in bob.heard))
                match = next(data for event, data in bob.heard if event == "match_found")
                assert match["uploads"] is False
            await service.stop()

    run(story)
