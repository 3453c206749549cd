"""A host's server beside our service, ``async_handlers`` either way: each keeps its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import socketio

from gym_p2p import ProbeManager
from gym_p2p.config import ServiceConfig
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.server import mount
from gym_p2p.server.handlers.dispatcher import Dispatcher
from tests.server.host import by_header, hosting, page, run
from tests.waiting import PATIENCE_S, eventually


class Host:
    """A framework's handlers, and what they have been told."""

    def __init__(self, sio: socketio.AsyncServer, *, refuses: bool = False) -> None:
        self.seen: list[str] = []
        self._refuses = refuses
        sio.on("connect", self._connect)
        sio.on("disconnect", self._disconnect)
        sio.on("chat", self._chat)

    async def _connect(self, _sid: str, _environ: Any) -> bool | None:
        self.seen.append("connect")
        return False if self._refuses else None

    def _disconnect(self, _sid: str) -> None:
        self.seen.append("disconnect")

    def _chat(self, _sid: str, text: str) -> str:
        return text.upper()


def test_a_host_probes_its_own_users_and_keeps_its_own_events(tmp_path: Path) -> None:
    async def story() -> None:
        async with hosting(tmp_path) as place:
            host, service = Host(place.sio), place.mount()
            clients = [SignalingClient(), SignalingClient()]
            managers = []
            for name, client in zip(("ann", "bob"), clients, strict=True):
                await client.connect(place.url, name, timeout_s=PATIENCE_S)
                managers.append(ProbeManager(client, name))
            outcome = await service.probe("ann", "bob")
            assert outcome.rtt_ms is not None
            async with socketio.AsyncSimpleClient() as guest:
                await guest.connect(place.url)
                assert await guest.call("chat", "hello") == "HELLO"
            for manager, client in zip(managers, clients, strict=True):
                await manager.close()
                await client.close()
            await eventually(lambda: host.seen.count("disconnect") == 3)
            assert host.seen.count("connect") == 3
            assert service.connection_count == 0
            await service.stop()
        assert host.seen.count("disconnect") == 3

    run(story)


def test_whom_the_host_refuses_leaves_nothing_with_us(tmp_path: Path) -> None:
    async def story() -> None:
        async with hosting(tmp_path) as place:
            host, service = Host(place.sio, refuses=True), place.mount()
            client = socketio.AsyncClient(reconnection=False)
            with pytest.raises(socketio.exceptions.ConnectionError):
                await client.connect(place.url, wait_timeout=PATIENCE_S)
            assert host.seen == ["connect"]
            assert service.connection_count == 0
            await service.stop()

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
