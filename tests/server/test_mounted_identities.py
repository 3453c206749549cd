"""Who somebody is on a host's server: what the host says of them, and what they show."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import socketio

from gym_p2p.config import ServiceConfig
from gym_p2p.server import mount
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner
from tests.server.host import by_header, hosting, page, run
from tests.waiting import PATIENCE_S, eventually


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
