"""What a match of many keeps is true at any time, and a message costs no more for the number of players."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path as FilePath
from types import FrameType
from typing import Any

import pytest

import gym_p2p.core.match
from gym_p2p.config import SyncConfig
from gym_p2p.core.match.deadlines import Deadlines
from gym_p2p.core.match.match import Match
from gym_p2p.core.match.peer import PeerState
from gym_p2p.net.links.memory import Path
from tests.core.examples import rarely
from tests.core.match.test_confirmed import naive
from tests.core.tables import Table, held_action, rollback_table

CORE = str(FilePath(gym_p2p.core.match.__file__).parents[1])
MOST_GROWTH = 1.2
"""Of what a message costs among eight players, against two."""

LOSSY = Path(one_way_ms=40, jitter_ms=5, loss=0.05, reorder=0.05, duplicate=0.02)


def _look(match: Match) -> None:
    """Compare what is kept with what follows from everybody's counts and times."""
    exchange, peers = match._exchange, match._peers
    counts = {index: peer.remote_inputs.count for index, peer in peers.items()}
    counts[match._local] = exchange.given
    assert list(exchange.held()) == [counts[player] for player in sorted(counts)]
    playing = {index: peer.received for index, peer in peers.items() if peer.state is PeerState.PLAYING}
    finals = {index: peer.final for index, peer in peers.items() if peer.final is not None}
    assert exchange.confirmed == naive({match._local: list(exchange.held()), **playing}, finals)
    kept, deadlines = match.next_timeout(), match._deadlines
    repeated_at = deadlines._repeated_at
    exact = deadlines._look()
    deadlines._repeated_at = repeated_at  # as it would be had nobody looked
    if kept is None or match._leaving.over:
        assert match._leaving.over or exact is None
    else:
        assert exact is None or kept <= exact, "something is due before anybody looks"


def _watch(table: Table) -> list[int]:
    """Look at every match after whatever happens to it; return how often that was, in a list of one."""
    looks = [0]

    def watched(match: Match, verb: Callable[..., None]) -> Callable[..., None]:
        def carry_out(*given: Any) -> None:
            verb(*given)
            looks[0] += 1
            _look(match)

        return carry_out

    for seat in table.seats:
        for name in ("opened", "closed", "receive", "command", "handle_timeout"):
            setattr(seat.match, name, watched(seat.match, getattr(seat.match, name)))
    return looks


@pytest.mark.parametrize("players", [2, 3, *rarely(5)])
@pytest.mark.parametrize("window", [0, 8])
@pytest.mark.parametrize("goes", ["nobody", "leaves", "vanishes"])
def test_what_is_kept_is_what_a_look_at_everybody_gives(players: int, window: int, goes: str) -> None:
    table = Table(
        players,
        path=LOSSY,
        frames=60,
        episodes=1,
        action=held_action,
        tick_s=1 / 60,
        window=window,
        continue_without_leavers=True,
        sync=SyncConfig(checksum_interval=10, on_peer_loss="default_action"),
    )
    looks = _watch(table)
    table.connect()
    last = table.seats[-1]
    table.run(1.0, until=lambda: last.session is not None and last.session.frame >= 20)
    if goes == "leaves":
        last.leave()
    elif goes == "vanishes":
        last.vanish()
    assert table.run(60)
    assert looks[0] > 60 * players
    assert not table.desyncs()


def test_everybody_is_looked_at_less_than_once_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    seldom = SyncConfig(checksum_interval=300)
    table = Table(2, path=Path(one_way_ms=25), frames=10_000, tick_s=1 / 60, window=8, sync=seldom)
    table.connect()
    table.run(3.0, until=lambda: False)
    looks, look = [0], Deadlines._look

    def counted(deadlines: Deadlines) -> float | None:
        looks[0] += 1
        return look(deadlines)

    monkeypatch.setattr(Deadlines, "_look", counted)
    before = sum(len(seat.played) for seat in table.seats)
    table.run(2.0, until=lambda: False)
    played = sum(len(seat.played) for seat in table.seats) - before
    assert played > 200
    assert 0 < looks[0] < 0.75 * played


def _calls(players: int, window: int) -> tuple[float, float]:
    """Return how many calls a received message takes in the core, all in all and to take it in."""
    table = rollback_table(players, window=window, frames=400)
    table.run(2.0, until=lambda: False)
    found: Counter[str] = Counter()
    depth = [0]
    receive = Match.receive.__code__, Match.next_timeout.__code__

    def count(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event in {"call", "c_call"} and code.co_filename.startswith(CORE):
            found["all"] += 1
            found["to take it in"] += depth[0] > 0
        if code in receive:
            depth[0] += (event == "call") - (event == "return")

    delivered = table.network.delivered
    sys.setprofile(count)
    try:
        table.run(2.0, until=lambda: False)
    finally:
        sys.setprofile(None)
    delivered = table.network.delivered - delivered
    assert delivered > 2.0 / (1 / 60) * players * (players - 1) / (8 if not window else 2)
    return found["all"] / delivered, found["to take it in"] / delivered


@pytest.mark.slow
@pytest.mark.parametrize("window", [0, 8], ids=["lockstep", "rollback"])
def test_among_eight_a_message_takes_hardly_more_calls_than_between_two(window: int) -> None:
    two, eight = _calls(2, window), _calls(8, window)
    assert eight[0] <= MOST_GROWTH * two[0]
    assert eight[1] <= MOST_GROWTH * two[1]
