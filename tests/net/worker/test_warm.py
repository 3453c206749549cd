"""Network processes that are at hand before a match: one server for a program, and what else there can be."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gymnasium
import psutil
import pytest
from mpe2 import simple_spread_v3

from gym_p2p import P2PEnv, P2PParallelEnv, Spectator
from gym_p2p.envs.rally import RallyEnv
from gym_p2p.net.worker import warm
from gym_p2p.net.worker.backends import prepare_network
from gym_p2p.net.worker.warm import (
    Borrowed,
    Forked,
    StartedAhead,
    WarmProcesses,
    prepare_process,
    take_process,
)
from gym_p2p.processes.forked import ForkLine
from tests.players import Lobby, act, auto_peers, fork_servers, left_running, network_processes, together
from tests.toys import BLEND
from tests.waiting import PATIENCE_S, until


@pytest.fixture(params=[Forked, StartedAhead])
def processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[WarmProcesses]:
    """This process's, of either kind, with nothing at hand yet, whatever tests ran here before."""
    warm._here.close()
    until(lambda: fork_servers() == [])
    kept, warm._here._made = warm._here._made, None
    monkeypatch.setattr(warm, "can_fork", lambda: request.param is Forked)
    made = warm._here.get()
    assert type(made) is request.param
    yield made
    warm._here.close()
    warm._here._made = kept


def _env(lobby: Lobby, seat: str, **changes: Any) -> P2PEnv:
    options = lobby.options(fps=100, exports=None, **changes)
    return P2PEnv(gymnasium.make(BLEND, length=100_000), seat=seat, **options)


def _play(env: P2PEnv, frames: int = 10) -> int:
    env.reset()
    for frame in range(frames):
        assert "p2p" not in env.step(act(env.action_space, frame))[4]
    env.close()
    return frames


def test_matches_are_played_in_either_way_and_leave_nothing_but_what_is_at_hand(
    processes: WarmProcesses, lobby: Lobby
) -> None:
    for number in range(3):
        room = Lobby(lobby.url, lobby.exports)
        with auto_peers([partial(_env, room, "b")]):
            assert _play(_env(room, "a", network="process")) == 10
        until(lambda: left_running() == [])
        assert isinstance(processes, StartedAhead) or len(fork_servers()) == 1, number


def test_what_is_at_hand_is_made_once_for_all_that_prepare(processes: WarmProcesses) -> None:
    before = psutil.Process().children()  # of which some may still be about to end
    for _ in range(3):
        prepare_process()
    together(*[processes.prepare] * 4)
    assert len([child for child in psutil.Process().children() if child not in before]) == 1
    line, process = take_process()
    line.close()
    assert process.has_ended(PATIENCE_S)  # nobody plans anything
    process.close()


def _at_hand(processes: WarmProcesses) -> object:
    """Return what was begun."""
    if isinstance(processes, Forked):
        return processes._server
    assert isinstance(processes, StartedAhead)
    return processes._spare


def test_a_player_whose_network_is_a_thread_has_no_process_made(processes: WarmProcesses) -> None:
    prepare_network("thread")
    assert _at_hand(processes) is None


@pytest.mark.parametrize("network", ["process", "thread"])
@pytest.mark.parametrize(
    "make",
    [
        partial(P2PEnv, RallyEnv(), seat="left", room="lab"),
        partial(P2PParallelEnv, simple_spread_v3.parallel_env(N=2), agents=["agent_0"], room="lab"),
        partial(Spectator, RallyEnv(), room="lab"),
    ],
)
def test_it_is_begun_when_the_first_of_those_is_made_who_will_want_it(
    processes: WarmProcesses, make: Callable[..., Any], network: str
) -> None:
    made = make(network=network)
    assert (_at_hand(processes) is not None) == (network == "process")
    made.close()


def test_it_is_begun_in_a_worker_that_a_wrapper_is_sent_to(processes: WarmProcesses) -> None:
    env = P2PEnv(RallyEnv(), seat="left", room="lab", network="process")
    sent = pickle.dumps(env)
    processes.close()
    again = pickle.loads(sent)  # noqa: S301 - what is tested
    assert _at_hand(processes) is not None
    for one in (env, again):
        one.close()


def test_what_dies_before_it_is_wanted_is_replaced(processes: WarmProcesses) -> None:
    prepare_process()
    if isinstance(processes, Forked):
        server = processes._server
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: not server.is_there())
    else:
        assert isinstance(processes, StartedAhead)
        assert processes._spare is not None
        processes._spare[1].kill()
        assert processes._spare[1].has_ended(PATIENCE_S)
    line, process = take_process()
    assert not process.has_ended(0.2)
    line.close()
    assert process.has_ended(PATIENCE_S)
    process.close()


def test_a_server_that_dies_as_it_is_asked_is_replaced() -> None:
    made = Forked()
    made.prepare()
    assert made._server is not None
    made._server._requests.shutdown(socket.SHUT_RDWR)  # as its end does, before anybody knows of that
    line, process = made.take()
    assert not process.has_ended(0.2)
    line.close()
    assert process.has_ended(PATIENCE_S)
    assert process.ending() == "exit code 0"
    process.close()
    made.close()


def test_processes_are_borrowed_from_another_program_and_made_here_once_that_has_none() -> None:
    lender = Forked()
    lent = lender.lend()
    assert lent is not None
    borrower = Borrowed(ForkLine(lent))
    borrower.prepare()
    try:
        for made_here in (False, True):
            line, process = borrower.take()
            assert not process.has_ended(0.2)
            line.close()
            assert process.has_ended(PATIENCE_S)
            assert process.ending() == "exit code 0"
            process.close()
            assert (borrower._server is not None) == made_here
            lender.close()
            until(lambda: lender._server is None)
    finally:
        borrower.close()
        lender.close()


def test_what_read_other_certificates_is_replaced(
    processes: WarmProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = psutil.Process().children()

    def at_hand() -> list[psutil.Process]:
        processes.prepare()
        return [child for child in psutil.Process().children() if child not in before]

    first = at_hand()
    assert len(first) == 1
    assert at_hand() == first
    monkeypatch.setenv("SSL_CERT_FILE", "/another/file")
    until(lambda: len(at_hand()) == 1 and at_hand() != first)  # and the first has ended


def _forked(call: Any, *arguments: Any) -> Any:
    """Call this in a fork; return what it returns."""
    context = multiprocessing.get_context("fork")
    reads, writes = context.Pipe(duplex=False)
    child = context.Process(target=lambda: writes.send(call(*arguments)))
    child.start()
    try:
        assert reads.poll(PATIENCE_S), "the fork hangs"
        return reads.recv()
    finally:
        child.join(PATIENCE_S)
        child.kill()


def _server() -> int:
    """Return the process id of this process's server."""
    made = warm._here.get()
    assert isinstance(made, Forked)
    assert made._server is not None
    return made._server.pid


def _parents_and_server(lobby: Lobby) -> tuple[list[int], int]:
    env = _env(lobby, "a", network="process")
    env.reset()
    parents = [process.ppid() for process in network_processes()]
    _play_on(env)
    return parents, _server()


@pytest.mark.parametrize("held", [False, True])
def test_a_fork_of_the_program_has_a_server_of_its_own(*, held: bool, lobby: Lobby) -> None:
    prepare_process()
    ours = _server()
    release = threading.Event()

    def hold() -> None:  # as a thread that makes a wrapper at the very moment of the fork
        with warm._here._lock:
            release.wait(PATIENCE_S)

    thread = threading.Thread(target=hold)
    if held:
        thread.start()
    with auto_peers([partial(_env, lobby, "b")]):
        parents, theirs = _forked(_parents_and_server, lobby)
    release.set()
    if held:
        thread.join(PATIENCE_S)
    assert parents == [theirs]
    assert theirs != ours == _server()


def test_players_in_threads_share_one_server(lobby: Lobby) -> None:
    rooms = [Lobby(lobby.url, lobby.exports) for _ in range(2)]
    envs = [_env(room, seat, network="process") for room in rooms for seat in "ab"]

    def play(env: P2PEnv) -> int:
        env.reset()
        for process in network_processes():
            with contextlib.suppress(psutil.NoSuchProcess):  # another one's, who has left
                seen.append(process.ppid())
        return _play_on(env)

    seen: list[int] = []
    assert together(*(partial(play, env) for env in envs)) == [10] * 4
    assert set(seen) == {_server()}
    until(lambda: left_running() == [])


def _play_on(env: P2PEnv) -> int:
    for frame in range(10):
        env.step(act(env.action_space, frame))
    env.close()
    return 10


def test_a_network_process_works_where_its_player_does_by_then(
    lobby: Lobby, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    prepare_process()
    monkeypatch.chdir(tmp_path)
    with auto_peers([partial(_env, lobby, "b")]):
        env = _env(lobby, "a", network="process")
        env.reset()
        (process,) = network_processes()
        assert process.cwd() == str(tmp_path)
        env.close()
