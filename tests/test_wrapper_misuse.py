"""What a caller cannot do with a wrapper is refused clearly, and ``close()`` can be done in every state."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from gym_p2p import ConfigurationError, InvalidAction, MatchOver, P2PEnv, UsageError
from tests.players import Lobby, auto_peers, left_running, play_episode, together
from tests.toys import BLEND
from tests.waiting import PATIENCE_S, until

WELL_BEFORE_S = 10.0
"""Half of what a connect or a step would wait for the others."""


def _env(lobby: Lobby, seat: Any = "a", *, kind: str = "dict", length: int = 50, **changes: Any) -> P2PEnv:
    return P2PEnv(gymnasium.make(BLEND, kind=kind, length=length), seat=seat, **lobby.options(**changes))


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    until(lambda: not left_running())
    yield
    until(lambda: not left_running())


def test_an_action_outside_the_space_consumes_no_frame(lobby: Lobby) -> None:
    with auto_peers([partial(_env, lobby, "b")]):
        env = _env(lobby, "a")
        env.reset()
        for wrong in (5, -1, 1.5, "x", None, np.zeros(2)):
            with pytest.raises(InvalidAction, match="seat 'a'"):
                env.step(wrong)
        assert env.p2p.progress.frame == 0
        env.step(4)
        assert env.p2p.progress.frame == 1
        env.close()


def test_an_unknown_option_suggests_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'input_delay'"):
        P2PEnv(gymnasium.make(BLEND), seat="a", input_dely=2)  # type: ignore[call-arg]  # what is tested


def test_an_unknown_seat_is_told_which_there_are() -> None:
    with pytest.raises(UsageError, match=r"'z'.*'a', 'b'"):
        P2PEnv(gymnasium.make(BLEND), seat="z")


def test_seeds_and_options_that_cannot_travel_are_refused_before_anything_connects(lobby: Lobby) -> None:
    env = _env(lobby)
    with pytest.raises(ConfigurationError, match="seed"):
        env.reset(seed=-1)
    with pytest.raises(ConfigurationError, match="options"):
        env.reset(options={"x": object()})
    assert left_running() == []
    env.close()


@pytest.mark.parametrize(
    ("option", "beside"),
    [("exports", {}), ("exports_fallback", {}), ("exports_fallback", {"exports": None}), ("record", {})],
)
def test_a_folder_that_cannot_be_written_is_named_before_anything_connects(
    lobby: Lobby, tmp_path: Path, option: str, beside: dict[str, Any]
) -> None:
    (tmp_path / "file").touch()
    changes = {option: str(tmp_path / "file"), **beside}
    env = _env(lobby, **changes)
    with pytest.raises(ConfigurationError, match=f"{option}.*cannot write to"):
        env.reset()
    assert left_running() == []
    env.close()


# Two threads, and close() in every state.


def _waiting_in_its_room(lobby: Lobby, env: P2PEnv) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def reset() -> None:
        try:
            env.reset()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    thread = threading.Thread(target=reset, daemon=True)
    until(lambda: lobby.count("connections") == 0)  # who played before has left
    thread.start()
    until(lambda: lobby.count("connections") == 1)
    return thread, errors


def test_a_second_call_during_a_connect_is_refused_and_the_connect_goes_on(lobby: Lobby) -> None:
    env = _env(lobby)
    thread, errors = _waiting_in_its_room(lobby, env)
    for call in (env.reset, partial(env.step, 0)):
        with pytest.raises(UsageError, match="another thread"):
            call()
    with auto_peers([partial(_env, lobby, "b")]):
        thread.join(PATIENCE_S)
        assert errors == []
        env.step(0)
        env.close()


@pytest.mark.parametrize("network", ["thread", "process"])
def test_close_during_a_connect_ends_both_quickly(network: str, lobby: Lobby) -> None:
    env = _env(lobby, network=network)
    thread, errors = _waiting_in_its_room(lobby, env)
    env.close()
    thread.join(WELL_BEFORE_S)
    assert not thread.is_alive()
    assert isinstance(errors[0], MatchOver)
    until(lambda: not left_running())


def test_close_ends_a_step_that_waits_in_another_thread(lobby: Lobby) -> None:
    a, b = _env(lobby, "a"), _env(lobby, "b")
    together(a.reset, b.reset)
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.extend(together(partial(a.step, 0))))
    thread.start()
    time.sleep(0.2)
    a.close()
    thread.join(WELL_BEFORE_S)
    assert isinstance(results[0], MatchOver)
    b.close()


def test_close_is_possible_in_every_state_and_twice(lobby: Lobby) -> None:
    new = _env(lobby)
    a, b = _env(lobby, "a"), _env(lobby, "b")
    together(partial(play_episode, a), partial(play_episode, b))  # between two episodes
    over, leaver = _env(lobby, "a", room="over"), _env(lobby, "b", room="over")
    together(over.reset, leaver.reset)
    leaver.close()
    over.step(0)
    for env in (new, a, b, over, leaver):
        env.close()
        assert env.p2p.state.value == "closed"
        env.close()
        with pytest.raises(MatchOver):
            env.reset()
