"""A match over a real TURN server whose credentials end: a path that breaks then is rebuilt with others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from gym_p2p import P2PEnv
from gym_p2p.config import IceServer, ServiceConfig
from gym_p2p.net.worker import ice_servers
from gym_p2p.server import serve_in_thread
from tests.net.coturn import SECRET, coturn
from tests.net.peers import loopback_only
from tests.players import Lobby, act, assert_all_played_the_same, together
from tests.toys import BLEND
from tests.waiting import lasting_port

LIFETIME_S = 5.0
"""Of credentials: so long they are good for new allocations, enough to begin a match on a busy machine."""

FPS = 50.0
LENGTH = 340
BREAKS_AT = 300
"""A frame that is played no sooner than 6 s after the match was made."""


@pytest.fixture(autouse=True)
def _on_loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(ice_servers, "YOUNG_S", 1.0)
    with loopback_only():
        yield


def _play(env: P2PEnv, break_path: Callable[[], None]) -> None:
    env.reset(seed=3)
    began = time.monotonic()  # the credentials are older
    for frame in range(LENGTH):
        if frame == BREAKS_AT:
            assert time.monotonic() > began + LIFETIME_S
            break_path()
        _, _, _, truncated, info = env.step(act(env.action_space, frame, salt=7))
        assert "p2p" not in info or frame == LENGTH - 1, info
        assert not truncated or frame == LENGTH - 1, info


def test_a_path_that_breaks_after_its_credentials_have_ended_is_rebuilt_with_new_ones(tmp_path: Path) -> None:
    port = lasting_port()
    with ExitStack() as relays:
        url = relays.enter_context(coturn(tmp_path, port=port))
        config = ServiceConfig(
            port=0,
            data_dir=str(tmp_path / "data"),
            open=True,
            ice_servers=(IceServer(urls=(url,)),),
            turn_secret=SECRET,
            turn_match_lifetime_s=LIFETIME_S,
            relay_only=True,
        )
        with serve_in_thread(config) as service:
            options: dict[str, Any] = {"fps": FPS, "relay": "none", "reconnect_timeout_s": 15.0}
            lobby = Lobby(service.url, tmp_path / "exports")
            games = [gymnasium.make(BLEND, kind="tuple", length=LENGTH) for _ in range(2)]
            envs = [P2PEnv(game, seat=seat, **lobby.options(**options)) for seat, game in enumerate(games)]

            def break_path() -> None:
                """Let the relay forget all allocations: it is killed, and started again at the same port."""
                relays.close()
                relays.enter_context(coturn(tmp_path, port=port))

            played = together(partial(_play, envs[0], break_path), partial(_play, envs[1], lambda: None))
            assert not [one for one in played if isinstance(one, BaseException)], played
            together(*(env.close for env in envs))
    documents = [env.export_multiplayer_metrics() for env in envs]
    assert_all_played_the_same(documents)
    for document in documents:
        attempts = document["reconnection"]["attempts"]
        assert {attempt["outcome"] for attempt in attempts} == {"success"}
        # What a machine that stands still interrupts goes on over the connection that there is.
        (attempt,) = (attempt for attempt in attempts if attempt["over"] == "new_connection")
        assert attempt["localCandidateType"] == "relay"
