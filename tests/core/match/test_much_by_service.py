"""What has to arrive does, also where more is to be passed on than the service passes on."""

from __future__ import annotations

import pytest

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.commands import BeginEpisode, GiveState
from gym_p2p.core.match.events import EpisodeBegan, Interrupted, PlayerGone, ProtocolErrorSeen
from gym_p2p.core.wire.forwarded import ForwardedControl
from gym_p2p.core.wire.messages import decode
from tests.core.match.test_rerouting import BegunByService
from tests.core.tables import held_action

PLENTY_S = 60.0


def by_service_alone(players: int, *, frames: int, frames_per_s: int) -> BegunByService:
    """Players without any direct path, of each of whom the service passes on what a real one does."""
    table = BegunByService(
        players,
        frames=frames,
        window=8,
        action=held_action,
        tick_s=1 / frames_per_s,
        sync=SyncConfig(checksum_interval=10, reconnect_timeout_s=20),
    )
    table.limit_service()
    for here in range(players):
        for there in range(players):
            if here != there:
                table.begin_by_service(here, there, 0.5)
    return table


def assert_all_are_there(table: BegunByService) -> None:
    for seat in table.seats:
        assert not seat.events_of(PlayerGone)
        assert not seat.events_of(ProtocolErrorSeen)


def seconds_until_the_next_episode(table: BegunByService) -> float:
    at = table.clock.time()
    for seat in table.seats:
        seat.driver.command(BeginEpisode())
    assert table.run(PLENTY_S, until=lambda: all(len(s.events_of(EpisodeBegan)) == 2 for s in table.seats))
    return table.clock.time() - at


def test_inputs_beyond_what_the_service_passes_on_hold_up_no_barrier() -> None:
    table = by_service_alone(4, frames=400, frames_per_s=100)
    assert table.run(PLENTY_S)
    assert table.refused > 200
    assert seconds_until_the_next_episode(table) < 0.5
    assert_all_are_there(table)


def test_control_messages_beyond_what_the_service_passes_on_are_sent_again() -> None:
    table = by_service_alone(2, frames=60, frames_per_s=60)
    assert table.run(PLENTY_S)
    log = table.seats[0].match._peers[1].control
    table.seats[0].driver.command(GiveState(1, 1, 9, bytes(400_000)))
    assert table.refused > 50
    assert table.run(PLENTY_S, until=lambda: log.delivered == log.sent)
    assert table.refused < 10_000, "it is sent again no faster than it can get through"
    assert seconds_until_the_next_episode(table) < 0.5
    assert not table.seats[0].events_of(PlayerGone)


@pytest.mark.parametrize("lost", range(3))
def test_each_control_message_that_is_dropped_on_the_way_to_the_service_is_sent_again(lost: int) -> None:
    table = by_service_alone(2, frames=60, frames_per_s=60)
    assert table.run(PLENTY_S)
    dropped: list[bytes] = []

    def loses(data: bytes) -> bool:
        drops = len(dropped) <= lost and isinstance(decode(data), ForwardedControl)
        if drops:
            dropped.append(data)
        return drops

    table.loses = loses
    seconds_until_the_next_episode(table)
    assert len(dropped) == lost + 1
    assert_all_are_there(table)


@pytest.mark.parametrize("size", [200_000, 400_000, 1_000_000])
def test_a_long_state_that_is_handed_over_by_the_service_leaves_room_for_the_game(size: int) -> None:
    table = by_service_alone(2, frames=1_200, frames_per_s=60)
    table.run(3.0)
    log = table.seats[0].match._peers[1].control
    table.seats[0].driver.command(GiveState(1, 1, 9, bytes(size)))
    assert table.run(PLENTY_S), "all frames are played"
    for seat in table.seats:
        assert not seat.events_of(PlayerGone)
        assert not seat.events_of(Interrupted)
    assert table.run(PLENTY_S, until=lambda: log.delivered == log.sent)


def test_two_gaps_that_follow_each_other_are_mended_soon() -> None:
    table = by_service_alone(2, frames=60, frames_per_s=60)
    assert table.run(PLENTY_S)
    seen: list[bytes] = []

    def loses(data: bytes) -> bool:
        if isinstance(decode(data), ForwardedControl):
            seen.append(data)
            return len(seen) in {3, 6}
        return False

    table.loses = loses
    assert seconds_until_the_next_episode(table) < 1.0
    assert_all_are_there(table)
