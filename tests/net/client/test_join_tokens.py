"""The signalling client at a service that asks for join tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from gym_p2p.config import ServiceConfig
from gym_p2p.errors import ServiceRefused
from gym_p2p.net.client.events import LineChanged
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.server import Service, serve_in_thread
from gym_p2p.server.guard.guards import Admission
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner
from tests.waiting import PATIENCE_S, eventually, lasting_port

SECRET = "j" * 32


def token(subject: str, *, lifetime_s: float = 60.0) -> str:
    expires_at = time.time() + lifetime_s
    claims = JoinClaims(experiment="default", subject_id=subject, expires_at=expires_at, token_id="t")  # noqa: S106  # no secret
    return TokenSigner(SECRET.encode(), JoinClaims).issue(claims)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    config = ServiceConfig(port=0, data_dir=str(tmp_path_factory.mktemp("data")), join_secret=SECRET)
    with serve_in_thread(config) as running:
        yield running


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(2 * PATIENCE_S):
            await main

    asyncio.run(bounded())


def test_the_token_says_who_the_client_is(service: Service) -> None:
    async def main() -> None:
        client = SignalingClient()
        await client.connect(service.url, "somebody", timeout_s=PATIENCE_S, token=token("ann"))
        assert client.subject_id == "ann"
        await client.close()

    run(main())


def test_the_token_may_come_from_the_environment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYM_P2P_TOKEN", token("bob"))

    async def main() -> None:
        client = SignalingClient()
        await client.connect(service.url, "somebody", timeout_s=PATIENCE_S)
        assert client.subject_id == "bob"
        await client.close()

    run(main())


@pytest.mark.parametrize("shown", [None, "rubbish"])
def test_without_a_valid_token_the_service_refuses_and_says_so(service: Service, shown: str | None) -> None:
    async def main() -> None:
        client = SignalingClient()
        with pytest.raises(ServiceRefused, match="join token") as caught:
            await client.connect(service.url, "ann", timeout_s=PATIENCE_S, token=shown)
        assert caught.value.code == "unauthenticated"

    run(main())


def test_a_second_client_is_refused_and_a_broken_line_comes_back_to_its_seat(service: Service) -> None:
    async def main() -> None:
        heard: list[bool] = []
        ann = SignalingClient()
        ann.events.listen(LineChanged, lambda line: heard.append(line.up))
        await ann.connect(service.url, "x", timeout_s=PATIENCE_S, token=token("carl"))
        await ann.join_room("resume", ["first", "second"], ["second"])
        other = SignalingClient()
        with pytest.raises(ServiceRefused) as caught:
            await other.connect(service.url, "x", timeout_s=PATIENCE_S, token=token("carl"))
        assert caught.value.code == "duplicate_session"
        assert heard == []
        # As when the network is gone: the client hears nothing, and the service has not noticed.
        assert ann._line._sio is not None
        ann._line._sio.handlers.clear()
        ann._line._on_break()
        bob = SignalingClient()
        await bob.connect(service.url, "x", timeout_s=PATIENCE_S, token=token("dora"))
        await eventually(lambda: heard == [False, True])
        await bob.join_room("resume", ["first", "second"])
        assert (await ann.wait_for_match(PATIENCE_S)).player_id == "second"
        await asyncio.gather(ann.close(), bob.close())

    run(main())


def test_a_client_whose_token_has_expired_gives_up_when_its_line_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ServiceConfig(port=lasting_port(), data_dir=str(tmp_path), join_secret=SECRET)

    async def main() -> None:
        ann = SignalingClient()
        with serve_in_thread(config) as service:
            await ann.connect(service.url, "x", timeout_s=PATIENCE_S, token=token("ann", lifetime_s=60))
            await ann.join_room("r", ["first", "second"])
        defaults = Admission.__init__.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "now", lambda: time.time() + 61)
        with serve_in_thread(config):
            with pytest.raises(ServiceRefused) as caught:
                await ann.wait_for_match(PATIENCE_S)
            assert caught.value.code == "unauthenticated"
        await ann.close()

    run(main())


def test_a_client_that_joins_too_often_waits_and_joins(service: Service) -> None:
    async def main() -> None:
        client = SignalingClient()
        await client.connect(service.url, "x", timeout_s=PATIENCE_S, token=token("eager"))
        began = time.monotonic()
        for number in range(4):
            await client.join_room(f"eager{number}", ["first", "second"])
            await client.leave()
        assert 0.5 < time.monotonic() - began < PATIENCE_S
        await client.close()

    run(main())
