"""Who closes in the middle of an episode, whose newest frames are guessed: what becomes of these."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from gym_p2p import P2PEnv
from gym_p2p.core.match.commands import Leave
from gym_p2p.core.match.events import Interrupted, Left
from gym_p2p.core.match.return_events import PlayerAway
from gym_p2p.core.wire.messages import Cause
from gym_p2p.envs.rally import RallyEnv
from gym_p2p.net.worker.bridge import STOP_TIMEOUT_S, Bridge
from gym_p2p.net.worker.messages import StampedEvent, WorkerCommand, WorkerStopped
from gym_p2p.play import closing
from gym_p2p.play.live_match import LiveMatch
from tests.play.by_hand import NetworkByHand, network_by_hand
from tests.waiting import PATIENCE_S, in_time

CUT_OFF = Interrupted(1, 0.5, 10.0, reconnects=True)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[NetworkByHand]:
    with network_by_hand(monkeypatch) as network:
        yield network


@pytest.fixture
def env(network: NetworkByHand) -> Iterator[P2PEnv]:
    """Yield a player who has played five frames, and four more that are guessed."""
    env = P2PEnv(
        RallyEnv(points=1000),
        seat="left",
        room="by-hand",
        sync="rollback",
        fps=60,
        network="process",
        exports=None,
    )
    env.reset()
    for _ in range(5):
        env.step(1)
    network.dark = True
    for _ in range(4):
        env.step(2)
    yield env
    network.dark = False
    env.close()


def frames_of(env: P2PEnv) -> int:
    """Return how many frames the player's document has."""
    return len(env.p2p.document("multiplayer")["validation"]["allActions"]) // 2


@pytest.mark.parametrize("reason", ["normal", "interrupted", "dropped"])
def test_what_was_played_while_a_path_is_repaired_is_awaited(
    env: P2PEnv, network: NetworkByHand, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "FINAL_LIMIT_S", 0.01)
    monkeypatch.setattr(closing, "INTERRUPTED_LIMIT_S", PATIENCE_S)
    network.tell(CUT_OFF)
    later = threading.Timer(0.2, network.brighten)
    later.start()
    env.p2p.close(reason)
    later.join()
    assert frames_of(env) == 9


@pytest.mark.parametrize("told", [None, PlayerAway(1, Cause.CRASHED, 30.0)], ids=["there", "away"])
def test_who_has_stopped_to_play_and_who_is_away_keeps_nobody_from_closing(
    env: P2PEnv, network: NetworkByHand, told: Any
) -> None:
    if told is not None:
        network.tell(told)
    began = time.monotonic()
    env.p2p.close("normal")
    with in_time():
        assert time.monotonic() - began < PATIENCE_S / 2
    assert frames_of(env) <= 5


def test_a_second_interruption_closes_at_once(
    env: P2PEnv, network: NetworkByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.tell(CUT_OFF)

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(env.p2p._newest_episode, "settle", interrupted)
    with pytest.raises(KeyboardInterrupt):
        env.p2p.close("interrupted")
    assert env.p2p.progress.state.value == "closed"


def test_an_interruption_of_the_goodbye_costs_no_other_part_of_the_end(
    env: P2PEnv, network: NetworkByHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.brighten()
    match, done = env.p2p._match, list[str]()
    assert match is not None

    def interrupted(_match: LiveMatch) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LiveMatch, "_await_states", interrupted)
    monkeypatch.setattr(match.played.states, "finish", lambda _limit_s: done.append("states"))
    with pytest.raises(KeyboardInterrupt):
        env.p2p.close("normal")
    assert match.client.ended
    assert done == ["states"]
    assert frames_of(env) == 9


class _Ending(Bridge):
    """A network half that says something while it ends, and an impatient user."""

    def __init__(self) -> None:
        super().__init__()
        self.said = iter([(0, Left())])
        self.commands: list[WorkerCommand] = []
        self.cleaned_up = False

    def command(self, command: WorkerCommand) -> None:
        self.commands.append(command)

    def run_after_owner(self, command: Sequence[str]) -> None: ...

    def receive(self, timeout_s: float) -> StampedEvent | None:
        assert timeout_s > 0
        for stamped in self.said:
            return stamped
        raise KeyboardInterrupt

    def _clean_up(self) -> None:
        self.cleaned_up = True


def test_who_interrupts_the_end_of_the_network_half_has_what_it_said_before() -> None:
    bridge, taken = _Ending(), list[StampedEvent]()
    with pytest.raises(KeyboardInterrupt):
        bridge.close(Leave("normal"), taken.append)
    bridge.close(Leave("normal"), taken.append)
    assert taken == [(0, Left())]
    assert bridge.commands == [Leave("normal")]
    assert bridge.cleaned_up


class _Timed(Bridge):
    """A network half that says so much, on a clock that goes on by so much with every look at it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, said: Sequence[Any], *, look_s: float | None) -> None:
        super().__init__()
        self.now = 0.0
        self._said = iter(said)
        self._look_s = look_s
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def command(self, command: WorkerCommand) -> None: ...

    def run_after_owner(self, command: Sequence[str]) -> None: ...

    def receive(self, timeout_s: float) -> StampedEvent | None:
        self.now += timeout_s if self._look_s is None else self._look_s
        event = next(self._said, None)
        self._stopped = isinstance(event, WorkerStopped)
        return None if event is None else (0, event)

    def _clean_up(self) -> None: ...


def test_what_the_network_half_said_while_the_machine_stood_still_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said, taken = [Left(), WorkerStopped()], list[StampedEvent]()
    _Timed(monkeypatch, said, look_s=2 * STOP_TIMEOUT_S).close(Leave("normal"), taken.append)
    assert [event for _, event in taken] == said


@pytest.mark.parametrize("look_s", [None, 0.01, 0.3])
def test_a_network_half_that_does_not_stop_is_abandoned_in_time(
    monkeypatch: pytest.MonkeyPatch, look_s: float | None
) -> None:
    bridge = _Timed(monkeypatch, [Left()] * 1000, look_s=look_s)
    bridge.close(Leave("normal"), lambda _stamped: None)
    assert bridge.now == pytest.approx(STOP_TIMEOUT_S, abs=0.3)
