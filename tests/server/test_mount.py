"""What a host can ask of ``mount``: names and parts; and what is left on it when that is refused."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
import socketio

from gym_p2p import UsageError
from gym_p2p.config import MatchmakingConfig, ServiceConfig
from gym_p2p.server import mount
from tests.server.host import hosting, page, run
from tests.waiting import eventually


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


def test_outside_an_event_loop_it_says_where_to_call_it_and_leaves_the_server_alone(tmp_path: Path) -> None:
    sio = socketio.AsyncServer(async_mode="asgi")
    with pytest.raises(UsageError, match="call it from a coroutine"):
        mount(sio, ServiceConfig(data_dir=str(tmp_path / "data")))
    assert sio.handlers == {}
    assert not (tmp_path / "data").exists()
