"""When a match does what it does: after a blackout, on slow paths, at the beginning of an episode."""

from __future__ import annotations

import pytest

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.commands import GiveInput
from gym_p2p.core.match.events import EpisodeBegan, Interrupted
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.messages import PROTOCOL_VERSION, Hello, Inputs, Ping, decode, encode
from gym_p2p.net.links.memory import Path
from tests.core.tables import Table


@pytest.mark.parametrize("blackout_s", [1.2 + step * 0.013 for step in range(6)])
def test_after_a_blackout_the_next_frame_comes_after_little_more_than_the_one_way_delay(
    blackout_s: float,
) -> None:
    table = Table(2, path=Path(one_way_ms=25), frames=10_000)
    table.connect()
    table.run(2.0, until=lambda: False)
    table.network.sever(1)
    table.run(blackout_s, until=lambda: False)
    table.network._severed.clear()
    restored, played = table.clock.time(), [len(seat.played) for seat in table.seats]
    assert table.run(
        1.0, until=lambda: all(len(s.played) > n for s, n in zip(table.seats, played, strict=True))
    )
    assert table.clock.time() - restored <= 0.06


def test_a_blackout_is_not_filled_with_messages() -> None:
    table = Table(2, path=Path(one_way_ms=25), frames=10_000, sync=SyncConfig(disconnect_timeout_s=60))
    table.connect()
    table.run(2.0, until=lambda: False)
    table.network.sever(1)
    before = table.network.lost
    table.run(10.0, until=lambda: False)
    assert 0 < table.network.lost - before < 10 * 2 * 60  # of two players at less than a game's rate


def test_a_path_slower_than_the_notice_is_no_interruption() -> None:
    table = Table(2, path=Path(one_way_ms=700), frames=20)
    table.connect()
    assert table.run(120)
    assert not [event for seat in table.seats for event in seat.events_of(Interrupted)]


@pytest.mark.slow
def test_pings_do_not_fall_together_with_something_that_is_done_once_a_second() -> None:
    match = Match(
        local=0, players=2, description={"must": {}}, match_seed=1, sync=SyncConfig(), secret=b"ours"
    )
    match.opened(1, 0.0)
    match.receive(1, encode(Hello(PROTOCOL_VERSION, JsonObject({"must": {}}), b"", 0, 0)), 0.0)
    pinged: list[float] = []
    for tick in range(30 * 60):
        now = tick / 60
        match.receive(1, encode(Inputs(0, 0, (tick, tick), 0, (), 0)), now)
        match.command(GiveInput(tick, b"x"), now)
        match.handle_timeout(now)
        while (output := match.poll()) is not None:
            if isinstance(output, Transmit) and isinstance(decode(output.data), Ping):
                pinged.append(now)
    assert len(pinged) >= 15
    together = [when for when in pinged[1:] if abs(when - round(when)) < 0.03]
    assert len(together) <= len(pinged) / 5


@pytest.mark.parametrize("later_s", [0.0, 0.01, 0.3])
def test_players_begin_an_episode_together_whoever_was_the_last_to_be_ready(later_s: float) -> None:
    table = Table(2, path=Path(one_way_ms=25), episodes=0)
    table.connect()
    table.run(1.0, until=lambda: False)
    table.seats[0].begin()
    table.run(later_s, until=lambda: False)
    table.seats[1].begin()
    assert table.run(1.0, until=lambda: any(seat.events_of(EpisodeBegan) for seat in table.seats))
    first = table.clock.time()
    assert table.run(1.0, until=lambda: all(seat.events_of(EpisodeBegan) for seat in table.seats))
    last = table.clock.time()
    assert last - first < 0.002
    assert last <= 1.0 + later_s + 0.027  # and no later than the slower of them hears of the other
