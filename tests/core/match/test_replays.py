"""Game messages that come again, however late: nothing that was said twice changes what is played.

DTLS drops what comes twice within what it remembers. Here nothing does, and the promise holds all the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.core.match.events import EpisodeBegan, PlayerGone, ProtocolErrorSeen
from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.links.memory import Path
from tests.core.match.test_match import expected
from tests.core.tables import Table, plain_action


def replay(table: Table, seed: int, *, each: int) -> Callable[[], int]:
    """Let game messages be followed by earlier ones of the same link; return what counts those.

    Every 5 ms at most: a ping is answered each time, and the answers would be followed by pings again.
    """
    chance, replayed = random.Random(seed), 0

    def recording(on_message: Any) -> Any:
        seen: list[bytes | str] = []
        due = 0.0

        def receive(channel: Channel, data: bytes | str) -> None:
            nonlocal replayed, due
            on_message(channel, data)
            if channel is not Channel.GAME:
                return
            seen.append(data)
            if table.clock.time() < due:
                return
            due = table.clock.time() + 0.005
            again = [seen[0], *chance.choices(seen, k=each)]
            for one in again:
                on_message(channel, one)
            replayed += len(again)

        return receive

    for seat in table.seats:
        for other in range(table.players):
            if other != seat.index:
                link = table.network.link(seat.index, other)
                link.on_message = recording(link.on_message)
    return lambda: replayed


@pytest.mark.slow
@settings(deadline=None)
@given(
    players=st.integers(2, 3),
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.3),
    reorder=st.floats(0, 0.3),
    each=st.integers(1, 4),
)
def test_what_comes_again_at_any_time_changes_nothing_of_what_is_played(
    players: int, seed: int, loss: float, reorder: float, each: int
) -> None:
    path = Path(one_way_ms=30, jitter_ms=10, loss=loss, reorder=reorder, duplicate=0.3)
    table = Table(players, seed=seed, path=path, frames=30, delays={0: 2})
    table.connect()
    replayed = replay(table, seed, each=each)
    assert table.run(120)
    assert replayed() > 30 * each
    for seat in table.seats:
        assert [advance.inputs for advance in seat.played] == expected(players, 30, {0: 2})
        assert not [e for e in seat.events if isinstance(e, ProtocolErrorSeen | PlayerGone)]
    assert not table.desyncs()


def test_inputs_of_an_episode_before_are_nothing_to_the_next_ones() -> None:
    table = Table(2, path=Path(one_way_ms=20, loss=0.1), frames=25, episodes=3)
    table.connect()
    replayed = replay(table, 5, each=3)
    assert table.run(120, until=lambda: all(len(seat.played) == 75 for seat in table.seats))
    assert replayed() > 300
    for seat in table.seats:
        assert [advance.inputs for advance in seat.played] == expected(2, 25, {}) * 3
        assert len(seat.events_of(EpisodeBegan)) == 3
        assert not [e for e in seat.events if isinstance(e, ProtocolErrorSeen | PlayerGone)]


def test_with_guesses_the_confirmed_frames_are_the_same_and_nobody_falls_silent() -> None:
    path = Path(one_way_ms=50, jitter_ms=5, loss=0.3)
    table = Table(2, seed=9, path=path, frames=120, window=8, tick_s=1 / 60)
    table.connect()
    replayed = replay(table, 9, each=2)
    assert table.run(120)
    assert replayed() > 300
    for seat in table.seats:
        confirmed = [tuple(plain_action(p, frame) for p in range(2)) for frame in range(120)]
        assert [joint for joint, _ in seat.confirmed] == confirmed
        assert not [e for e in seat.events if isinstance(e, ProtocolErrorSeen | PlayerGone)]
