"""Who closes in the middle of an episode, whose newest frames are guessed: what becomes of these."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gym_p2p import P2PEnv
from gym_p2p.core.match.events import Interrupted
from gym_p2p.core.match.return_events import PlayerAway
from gym_p2p.core.wire.messages import Cause
from gym_p2p.envs.rally import RallyEnv
from gym_p2p.play import closing
from tests.play.by_hand import NetworkByHand, network_by_hand
from tests.waiting import PATIENCE_S

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
