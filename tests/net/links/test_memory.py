from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.links.memory import MemoryLink, MemoryNetwork, Path, VirtualClock
from gym_p2p.net.links.transport import LinkState

Received = list[tuple[float, bytes | str]]


def ends(path: Path, seed: int = 1) -> tuple[VirtualClock, MemoryNetwork, MemoryLink, MemoryLink, Received]:
    clock = VirtualClock()
    network = MemoryNetwork(clock, seed=seed, path=path)
    here, there = network.link(0, 1), network.link(1, 0)
    received: Received = []
    there.on_message = lambda _channel, data: received.append((clock.time(), data))
    return clock, network, here, there, received


def test_calls_come_in_the_order_of_their_times_and_can_be_taken_back() -> None:
    clock, called = VirtualClock(), list[str]()
    clock.call_at(2.0, lambda: called.append("second"))
    clock.call_at(1.0, lambda: called.append("first"))
    clock.call_at(1.5, lambda: called.append("never")).cancel()
    assert not clock.run_until(3.0)
    assert (called, clock.time()) == (["first", "second"], 3.0)


def test_time_stops_where_what_is_waited_for_came_true() -> None:
    clock, called = VirtualClock(), list[int]()
    for second in range(10):
        clock.call_at(second, partial(called.append, second))
    assert clock.run_until(20.0, done=lambda: 3 in called)
    assert (called, clock.time()) == ([0, 1, 2, 3], 3.0)


@given(st.integers(0, 2**32), st.floats(0, 0.5), st.floats(0, 0.5))
def test_control_messages_arrive_whole_and_in_order_whatever_the_path(
    seed: int, loss: float, reorder: float
) -> None:
    path = Path(one_way_ms=20, jitter_ms=10, loss=loss, reorder=reorder, duplicate=0.3)
    clock, _, here, _, received = ends(path, seed)
    for number in range(20):
        here.send(Channel.CTRL, bytes([number]))
    clock.run_until(60.0)
    assert [data for _, data in received] == [bytes([number]) for number in range(20)]


def test_game_messages_are_late_lost_doubled_and_out_of_order_and_the_same_for_a_seed() -> None:
    def run(seed: int) -> tuple[int, Received]:
        path = Path(one_way_ms=20, jitter_ms=10, loss=0.3, reorder=0.2, duplicate=0.2)
        clock, network, here, _, received = ends(path, seed)
        for number in range(200):
            here.send(Channel.GAME, bytes([number]))
        clock.run_until(60.0)
        return network.lost, received

    lost, received = run(1)
    numbers = [data for _, data in received]
    assert lost > 30
    assert len(set(numbers)) == 200 - lost < len(numbers)
    assert numbers != sorted(numbers)
    assert min(when for when, _ in received) >= 0.02
    assert (lost, received) == run(1)
    assert received != run(2)[1]


def test_a_closed_link_carries_nothing_and_the_far_end_learns_of_it() -> None:
    clock, _, here, there, received = ends(Path(one_way_ms=20))
    states: list[LinkState] = []
    there.on_state = states.append
    here.shut()
    here.shut()
    assert not here.send(Channel.GAME, b"x")
    assert there.state is LinkState.OPEN
    clock.run_until(1.0)
    assert (there.state, states, received) == (LinkState.CLOSED, [LinkState.CLOSED], [])


@pytest.mark.parametrize("channel", list(Channel))
def test_who_vanished_neither_sends_nor_receives_nor_closes(channel: Channel) -> None:
    clock, network, here, there, received = ends(Path(one_way_ms=20))
    here.send(channel, b"on the way")
    network.sever(1)
    here.send(channel, b"x")
    here.shut()
    clock.run_until(5.0)
    assert (received, there.state) == ([], LinkState.OPEN)
    assert network.lost == 2
