"""Whatever is wrong is said clearly, in time, and leaves nothing running."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from gym_p2p import HandshakeRefused, P2PEnv, P2PError, ServiceRefused, ServiceUnreachable
from gym_p2p.config import ServiceConfig
from gym_p2p.net.worker import join
from gym_p2p.server import serve_in_thread
from tests.players import Lobby, act, auto_peers, left_running, play_episode, together
from tests.toys import BLEND
from tests.waiting import lasting_port, until


def _env(lobby: Lobby, seat: Any = "a", *, kind: str = "dict", length: int = 50, **changes: Any) -> P2PEnv:
    return P2PEnv(gymnasium.make(BLEND, kind=kind, length=length), seat=seat, **lobby.options(**changes))


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    until(lambda: not left_running())
    yield
    until(lambda: not left_running())


# The service.


@pytest.mark.parametrize("network", ["thread", "process"])
def test_without_a_service_the_address_is_named_at_once(network: str, lobby: Lobby) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        env = _env(lobby, server_url=url, network=network)
        with pytest.raises(ServiceUnreachable, match=r"refused.*gym-p2p serve") as error:
            env.reset()
    assert error.value.url == url
    until(lambda: left_running() == [])
    env.close()


@contextmanager
def _web_server() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def _silent_server() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("serve", [_web_server, _silent_server])
def test_a_server_of_another_kind_is_no_service(
    serve: Callable[[], Any], lobby: Lobby, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(join, "SIGN_IN_TIMEOUT_S", 1.0)
    with serve() as url:
        env = _env(lobby, server_url=url)
        with pytest.raises(ServiceUnreachable) as error:
            env.reset()
        assert error.value.url == url
        until(lambda: left_running() == [])
        env.close()


def test_the_match_goes_on_without_the_service_and_its_documents_wait_for_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    config = ServiceConfig(port=lasting_port(), data_dir=str(data))
    with serve_in_thread(config) as service:
        table = Lobby(service.url, tmp_path / "exports")
        envs = [_env(table, seat) for seat in "ab"]
        together(*(partial(play_episode, env) for env in envs))
    played = together(*(partial(play_episode, env) for env in envs))
    assert [len(getattr(episode, "results", ())) for episode in played] == [50, 50]
    together(*(env.close for env in envs))
    for env in envs:
        finished = env.p2p.close()
        assert finished is not None
        assert (finished.uploaded, finished.spooled, len(finished.paths)) == (False, True, 3)
    with serve_in_thread(config):
        envs = [_env(table, seat) for seat in "ab"]
        together(*(partial(play_episode, env) for env in envs))
        until(lambda: len(_stored(data)) >= 2)
        together(*(env.close for env in envs))
    assert sorted(_stored(data)) == sorted(
        (json.loads(path.read_text())["gameId"], json.loads(path.read_text())["playerId"])
        for path in (tmp_path / "exports").glob("*/*.multiplayer.json")
    )


def _stored(data: Path) -> list[tuple[str, str]]:
    """Return match and player of every stored document."""
    documents = [json.loads(path.read_text()) for path in data.rglob("*.json") if path.stat().st_size > 2000]
    return [(d["gameId"], d["playerId"]) for d in documents if "sessionStatus" in d]


def test_a_third_player_finds_a_room_for_two_full(lobby: Lobby) -> None:
    with auto_peers([partial(_env, lobby, "b")]):
        env, third = _env(lobby), _env(lobby)
        env.reset()
        with pytest.raises(ServiceRefused, match="is full") as error:
            third.reset()
        assert error.value.code == "room_full"
        env.step(act(env.action_space, 0))
        env.close()
        third.close()


def test_a_taken_seat_is_said_to_be_taken_and_another_one_can_be_had(lobby: Lobby) -> None:
    until(lambda: lobby.count("rooms") == 0)  # who played before has left
    with auto_peers([partial(_env, lobby, "a")]):
        until(lambda: lobby.count("rooms") == 1)
        env = _env(lobby, "a")
        with pytest.raises(ServiceRefused, match=r"taken.*'a'.*free: \['b'\]"):
            env.reset()
        env.close()
        env = _env(lobby, "b")
        env.reset()
        env.close()


# The other side.


def _assert_both_refuse(ours: P2PEnv, theirs: P2PEnv, what: str, left: str, right: str) -> None:
    errors = together(ours.reset, theirs.reset)
    for error, pair in zip(errors, ((left, right), (right, left)), strict=True):
        assert isinstance(error, HandshakeRefused), error
        assert (what, *pair) in error.differences
        assert f"{what}: ours {pair[0]}, theirs {pair[1]}" in str(error)
    until(lambda: left_running() == [])
    for env in (ours, theirs):
        env.close()


@pytest.mark.parametrize("network", ["thread", "process"])
def test_other_arguments_are_refused_on_both_sides(network: str, lobby: Lobby) -> None:
    ours = _env(lobby, "a", length=50, network=network)
    theirs = _env(lobby, "b", length=60, network=network)
    _assert_both_refuse(ours, theirs, "argument length", "50", "60")


def test_another_environment_is_refused_on_both_sides(lobby: Lobby) -> None:
    ours = _env(lobby, 0, kind="multibinary")
    theirs = P2PEnv(gymnasium.make("CartPole-v1"), seat="player", **lobby.options())

    def reset(own: P2PEnv, other: P2PEnv) -> Any:
        try:
            return own.reset()
        finally:
            other.close()  # whoever came first would go on waiting

    errors = together(partial(reset, ours, theirs), partial(reset, theirs, ours))
    assert all(isinstance(error, P2PError) for error in errors), errors
    assert any("seats" in str(error) for error in errors), errors


def test_another_environment_with_equal_seats_is_refused_on_both_sides(lobby: Lobby) -> None:
    ours, theirs = _env(lobby, 0, kind="multibinary"), _env(lobby, 1, kind="multidiscrete")
    _assert_both_refuse(ours, theirs, "argument kind", "'multibinary'", "'multidiscrete'")


def test_another_version_of_a_package_is_refused_on_both_sides(lobby: Lobby) -> None:
    ours, theirs = _env(lobby, "a"), _env(lobby, "b")
    theirs.p2p.game._description["version of gymnasium"] = "0.1"
    _assert_both_refuse(ours, theirs, "version of gymnasium", gymnasium.__version__, "0.1")


def test_after_a_refusal_the_same_wrapper_can_try_again(lobby: Lobby) -> None:
    ours, theirs = _env(lobby, "a"), _env(lobby, "b", length=60)
    together(ours.reset, theirs.reset)
    theirs.close()
    with auto_peers([partial(_env, lobby, "b")]):
        assert len(play_episode(ours, frames=10).results) == 10
        ours.close()
