"""Who plays two seats in one thread is told so before they wait, and nobody else is."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from gym_p2p import ConnectFailed, P2PEnv, P2PParallelEnv, UsageError
from gym_p2p.config import P2PConfig
from gym_p2p.play import neighbours
from gym_p2p.play.neighbours import Newcomer
from gym_p2p.processes.threads import OwnThread
from tests.game.environments import LastOneStanding
from tests.players import Lobby, auto_peers, together
from tests.toys import BLEND


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watchdogs of the tests are threads of their own; a program that has none is meant here."""
    ours = set(threading.enumerate()) - {threading.current_thread()}
    monkeypatch.setattr(threading, "enumerate", lambda: set(_enumerate()) - ours)


_enumerate = threading.enumerate


def _env(lobby: Lobby, seat: Any, **changes: Any) -> P2PEnv:
    return P2PEnv(gymnasium.make(BLEND, kind="dict"), seat=seat, **lobby.options(**changes))


PROGRAM = """
import gymnasium
from gym_p2p import P2PEnv, UsageError
import gym_p2p.envs

pair = [P2PEnv(gymnasium.make("gym_p2p/Rally-v0"), seat=seat, server_url="http://127.0.0.1:9", exports=None)
        for seat in ("left", "right")]
for env in pair:
    try:
        env.reset()
    except UsageError as error:
        print(error)
"""


def test_a_program_that_resets_two_seats_in_one_thread_is_told_at_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    first, second = done.stdout.splitlines()
    assert "room 'default' (seat 'right')" in first
    assert "a thread or process of their own" in first
    assert "(seat 'left')" in second


def test_what_a_thread_is_decides_and_not_its_name() -> None:
    places = [P2PConfig(server_url="http://127.0.0.1:9")] * 2
    first, second = (Newcomer.of(config, (seat,)) for config, seat in zip(places, "ab", strict=True))
    over = threading.Event()
    threads = [kind(target=over.wait, name="gym_p2p player") for kind in (OwnThread, threading.Thread)]
    try:
        threads[0].start()
        with pytest.raises(UsageError, match=r"seat 'b'"), first.calling():
            pytest.fail("a thread of ours plays nobody")
        threads[1].start()
        with first.calling():  # this one may play the other seat, whatever it is called
            pass
    finally:
        over.set()
        for thread in threads:
            thread.join()
        second.gone()


def test_agents_of_two_wrappers_are_told_too(lobby: Lobby) -> None:
    envs = [
        P2PParallelEnv(LastOneStanding(), agents=list(agents), **lobby.options()) for agents in ("ab", "c")
    ]
    with pytest.raises(UsageError, match=r"seat 'c'"):
        envs[0].reset()
    for env in envs:
        env.close()


def test_whoever_is_closed_dropped_or_elsewhere_is_no_neighbour(lobby: Lobby) -> None:
    _env(lobby, "b").close()
    dropped: Any = _env(lobby, "b")
    dropped.itself = dropped
    del dropped  # only the garbage collector knows
    elsewhere = [_env(lobby, "b", room="another"), _env(lobby, "a")]
    made: list[P2PEnv] = []
    other_thread = threading.Thread(target=lambda: made.append(_env(lobby, "b")))
    other_thread.start()
    other_thread.join()
    env = _env(lobby, "a")
    with auto_peers([partial(_env, lobby, "b")]):
        env.reset()
        env.close()
    for other in elsewhere + made:
        other.close()


def test_two_threads_may_play_what_one_has_made(lobby: Lobby) -> None:
    envs = [_env(lobby, seat) for seat in "ab"]
    assert [type(result) for result in together(*(env.reset for env in envs))] == [tuple, tuple]
    together(*(env.close for env in envs))


def test_where_another_thread_could_call_it_is_said_in_the_log_while_the_player_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(neighbours, "_WARN_AFTER_S", 0.0)
    caplog.set_level(logging.WARNING)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    config = P2PConfig(room="warned")
    here, other = Newcomer.of(config, ("a",)), Newcomer.of(config, ("b",))
    with (
        pytest.raises(ConnectFailed, match=r"room 'x': .*seen: nobody.*a thread or process of their own"),
        here.calling(),
    ):
        raise ConnectFailed("room 'x'", waited_s=3.0, seen="nobody", advice="Start them.")
    with here.calling():
        here.waits()
        here.waits()
    stop.set()
    thread.join()
    assert caplog.text.count("a thread or process of their own") == 1
    with other.calling():  # the first one has met others
        other.waits()
    assert caplog.text.count("a thread or process of their own") == 1


APART = """
import multiprocessing
import sys

import gymnasium
from gym_p2p import P2PEnv
import gym_p2p.envs


def play(env):
    env.reset()
    env.step(0)
    env.close()


if __name__ == "__main__":
    options = {"server_url": sys.argv[1], "network": "thread", "exports": None}
    left, right = (
        P2PEnv(gymnasium.make("gym_p2p/Rally-v0"), seat=seat, **options)
        for seat in ("left", "right")
    )
    other = multiprocessing.get_context("fork").Process(target=play, args=(right,))
    other.start()
    play(left)
    other.join(30)
    print(left.p2p.progress.frames_total, other.exitcode)
"""


def test_a_process_of_its_own_may_play_what_this_one_has_made(lobby: Lobby, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(APART)
    command = [sys.executable, "program.py", lobby.url]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["1", "0"], done.stderr


def test_what_was_sent_to_a_worker_may_be_played_there() -> None:
    here, sent = (P2PEnv(gymnasium.make(BLEND), seat=seat, room="sent") for seat in "ab")
    pickle.dumps(sent)
    with here.p2p.newcomer.calling():
        pass
    for env in (here, sent):
        env.close()


@pytest.mark.parametrize(
    ("config", "seats"),
    [
        (P2PConfig(queue="lab"), [("a",), ("b",)]),  # others may wait in it
        (P2PConfig(), [None, None]),  # either could be the other's earlier attempt
        (P2PConfig(), [("a",), None]),
        (P2PConfig(), [("a",), ("a",)]),
        (P2PConfig(), [("a", "b"), ("b", "c")]),
    ],
)
def test_what_is_only_likely_is_not_refused(config: P2PConfig, seats: list[Any]) -> None:
    here, other = (Newcomer.of(config, wanted) for wanted in seats)
    with here.calling():
        here.waits()
    other.gone()


def test_a_forked_process_does_not_mind_what_its_parent_has_made() -> None:
    config = P2PConfig(room="forked")
    other = Newcomer.of(config, ("b",))
    other.process -= 1
    with Newcomer.of(config, ("a",)).calling():
        pass
    other.gone()


def test_who_has_met_others_waits_for_nobody_new(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(neighbours, "_WARN_AFTER_S", 0.0)
    here = Newcomer.of(P2PConfig(room="met"), ("a",))
    with here.calling():
        pass
    late = Newcomer.of(P2PConfig(room="met"), ("b",))
    here.waits()  # for an input
    assert not caplog.records
    late.gone()
