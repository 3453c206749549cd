"""Rollback over the network in memory: real matches and sessions, held against one plain run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gym_p2p.config import SyncConfig
from gym_p2p.core.sync.prediction import predict_default
from gym_p2p.net.links.memory import Path
from tests.core.tables import TICK_S, Player, held_action, next_state, rollback_table


def oracle(players: int, frames: int, delays: dict[int, int]) -> list[tuple[tuple[bytes, ...], int]]:
    """One plain run: every frame's joint inputs by the rule of the input delay, and the state after it."""
    run, state = [], 0
    for frame in range(frames):
        given = [(player, frame - delays.get(player, 0)) for player in range(players)]
        inputs = tuple([held_action(p, at) if at >= 0 else b"d" for p, at in given])
        state = next_state(state, inputs)
        run.append((inputs, state))
    return run


def assert_consistent(seat: Player) -> None:
    """What was confirmed is what was last played of each frame."""
    assert [advance.inputs for advance in seat.played] == [inputs for inputs, _ in seat.confirmed]


@pytest.mark.slow
@given(
    players=st.integers(2, 4),
    seed=st.integers(0, 2**32),
    one_way_ms=st.floats(0, 250),
    jitter_ms=st.floats(0, 40),
    loss=st.floats(0, 0.3),
    reorder=st.floats(0, 0.3),
    duplicate=st.floats(0, 0.3),
    delay=st.integers(0, 4),
    window=st.integers(1, 10),
    save_every=st.integers(1, 5),
    keep_every=st.none() | st.integers(1, 7),
)
@example(2, 1, 50, 5, 0.02, 0, 0, 0, 8, 1, None)
@example(3, 1, 60, 20, 0.3, 0.3, 0.3, 0, 8, 4, 5)
@example(4, 1, 250, 0, 0.1, 0, 0, 2, 3, 1, None)
def test_what_every_player_confirms_is_the_plain_run_over_any_network(
    players: int,
    seed: int,
    one_way_ms: float,
    jitter_ms: float,
    loss: float,
    reorder: float,
    duplicate: float,
    delay: int,
    window: int,
    save_every: int,
    keep_every: int | None,
) -> None:
    path = Path(one_way_ms=one_way_ms, jitter_ms=jitter_ms, loss=loss, reorder=reorder, duplicate=duplicate)
    delays = {0: delay, 1: delay // 2}
    table = rollback_table(
        players,
        window=window,
        seed=seed,
        path=path,
        frames=30,
        delays=delays,
        save_every=save_every,
        keep_every=keep_every,
    )
    assert table.run(120)
    for seat in table.seats:
        assert seat.confirmed == oracle(players, 30, delays)
        assert_consistent(seat)
        assert all(event.depth <= window + max(delays.values()) for event in seat.rollbacks)
    assert len({state for _, state in table.seats[0].confirmed}) == 30
    if one_way_ms > 50 and delay == 0:
        assert all(seat.rollbacks and seat.simulated_again for seat in table.seats)


@pytest.mark.parametrize("keep_every", [None, 5])
def test_what_is_not_saved_while_it_is_played_again_changes_nothing(keep_every: int | None) -> None:
    path = Path(one_way_ms=60, jitter_ms=30, loss=0.2)
    saves = []
    for every in (1, 3, 5):
        table = rollback_table(2, path=path, frames=80, save_again_every=every, keep_every=keep_every)
        assert table.run(60)
        for seat in table.seats:
            assert seat.confirmed == oracle(2, 80, {})
            assert_consistent(seat)
            assert all(0 <= event.frame - event.loaded < every for event in seat.rollbacks)
        saves.append(table.seats[0].saves)
    assert saves[0] > 1.3 * saves[1] > 1.3 * saves[2]


def stalls_demanded(lag: int, delays: tuple[int, int], window: int, frames: int) -> tuple[int, int]:
    """Theory: how many ticks each of two players must stall, who start together and guess ``window`` frames.

    At tick t a player knows what the other had given by tick t - lag: the frames of its delay at first, then
    one more for every frame that it had played.
    """
    lag = max(1, lag)  # what is given in a tick is of use in the next one
    played: list[list[int]] = [[], []]  # by tick: how many frames each has given inputs for
    at, stalled = [0, 0], [0, 0]
    for tick in range(frames * (lag + 2)):
        for me, other in ((0, 1), (1, 0)):
            given = played[other][tick - lag] if tick >= lag else 0
            if at[me] < frames and at[me] - window < delays[other] + given:
                at[me] += 1
            elif at[me] < frames:
                stalled[me] += 1
        for me in (0, 1):
            played[me].append(min(frames, at[me] + 1))
    return stalled[0], stalled[1]


@pytest.mark.slow
@pytest.mark.parametrize("delays", [(d, d) for d in range(7)] + [(0, 3), (6, 0)])
def test_at_the_start_nobody_stalls_longer_than_theory_demands(delays: tuple[int, int]) -> None:
    for lag in range(13):
        one_way_ms = max(0.0, (lag - 0.5) * 1000 * TICK_S)
        table = rollback_table(2, one_way_ms=one_way_ms, frames=25, delays=dict(enumerate(delays)))
        assert table.run(20)
        demanded = stalls_demanded(lag, delays, 8, 25)
        for seat, most in zip(table.seats, demanded, strict=True):
            assert seat.stalled_ticks <= most + 1
            assert seat.confirmed == oracle(2, 25, dict(enumerate(delays)))
        if lag <= 8 + min(delays):
            assert sum(demanded) == 0


def test_beyond_the_window_play_stalls_and_stays_right() -> None:
    table = rollback_table(2, window=3, one_way_ms=150, frames=40)
    assert table.run(30)
    for seat in table.seats:
        assert seat.stalls
        assert seat.stalled_ticks > 20
        assert seat.confirmed == oracle(2, 40, {})


def test_a_perfect_guess_never_rolls_back() -> None:
    table = rollback_table(2, one_way_ms=80, frames=100, action=lambda _player, _frame: b"d")
    assert table.run(30)
    assert [seat.simulated_again for seat in table.seats] == [0, 0]
    assert table.seats[0].saves > 50


def test_at_most_one_rollback_a_tick() -> None:
    table = rollback_table(3, path=Path(one_way_ms=40, jitter_ms=30, loss=0.2), frames=100)
    assert table.run(30)
    for seat in table.seats:
        assert 10 < len(seat.rollbacks) <= seat.ticks + 10  # at the end there are ticks without a frame
        currents = [event.current for event in seat.rollbacks if event.current < 100]
        assert len(set(currents)) == len(currents)


@pytest.mark.slow
def test_the_predictor_decides_how_often_is_rolled_back() -> None:
    def rollbacks(**options: Any) -> int:
        table = rollback_table(2, one_way_ms=50, frames=200, **options)
        assert table.run(30)
        assert table.seats[0].confirmed == oracle(2, 200, {})
        return len(table.seats[0].rollbacks)

    assert 20 < rollbacks() < rollbacks(predictor=predict_default)


def test_the_delay_can_be_changed_in_a_running_match() -> None:
    table = rollback_table(2, path=Path(one_way_ms=40, jitter_ms=10, loss=0.1), frames=150)
    changer, other = table.seats
    for frame, delay in ((40, 4), (80, 1)):
        table.run(10, until=lambda frame=frame: len(changer.played) >= frame)  # type: ignore[misc]  # bound now
        changer.set_delay(delay)
    assert table.run(30)
    assert changer.confirmed == other.confirmed
    assert len(changer.confirmed) == 150
    inputs = [joint[0] for joint, _ in changer.confirmed]
    assert inputs[:40] == [held_action(0, frame) for frame in range(40)]
    assert inputs[-60:] == [held_action(0, frame - 1) for frame in range(90, 150)]


@pytest.mark.slow
@pytest.mark.parametrize(("one_way_ms", "players"), [(1, 2), (50, 2), (30, 3)])
def test_a_paced_match_sends_one_game_message_a_frame_to_each_peer(one_way_ms: float, players: int) -> None:
    table = rollback_table(players, one_way_ms=one_way_ms, frames=10_000)
    table.run(1.0, until=lambda: False)
    before = [(seat.driver.game_messages_sent, seat.driver.game_bytes_sent) for seat in table.seats]
    table.run(5.0, until=lambda: False)
    for seat, (messages, size_bytes) in zip(table.seats, before, strict=True):
        peers = players - 1
        assert 299 * peers <= seat.driver.game_messages_sent - messages <= 312 * peers  # and pings
        assert (seat.driver.game_bytes_sent - size_bytes) / 5 <= 2_400 * peers


@pytest.mark.slow
@pytest.mark.parametrize("size_bytes", [0, 1, 40, 512])
def test_inputs_of_any_size_are_played(size_bytes: int) -> None:
    def action(player: int, frame: int) -> bytes:
        return bytes([player + frame // 4 % 50]) * size_bytes

    table = rollback_table(3, one_way_ms=40, frames=40, action=action)
    assert table.run(30)
    assert [seat.confirmed for seat in table.seats[1:]] == [table.seats[0].confirmed] * 2
    assert bool(table.seats[0].rollbacks)  # without bytes too: the first guess is the default input


def test_checksums_of_confirmed_frames_agree_and_a_desync_is_found_with_rollback_too() -> None:
    table = rollback_table(2, one_way_ms=40, frames=80, sync=SyncConfig(checksum_interval=10))
    table.run(10, until=lambda: len(table.seats[0].confirmed) >= 35)
    assert [event.frame for event in table.agreed(0)][:2] == [9, 19]
    assert not table.desyncs()
    cheat = table.seats[1]
    cheat.state ^= 1
    cheat.saved = {frame: state ^ 1 for frame, state in cheat.saved.items()}
    assert table.run(10)
    table.run(1.0, until=lambda: False)
    assert {event.player for event in table.desyncs()} == {0, 1}
    assert len(table.agreed(0)) < 8


def ends_after(path: Path, seed: int = 1) -> float:
    """Return how long after the last frame was played everybody knew that it is everybody's."""
    table = rollback_table(3, path=path, frames=50, seed=seed)
    assert table.run(10, until=lambda: all(len(seat.played) == 50 for seat in table.seats))
    played = table.clock.time()
    assert table.run(10)
    return table.clock.time() - played


def test_when_play_ends_everybody_soon_knows_that_the_last_frame_is_everybodys() -> None:
    # One way for the inputs, a little waiting for something to send them with, one way for the news.
    assert ends_after(Path(one_way_ms=40)) <= 0.04 + 0.03 + 0.04 + 2 * TICK_S


@pytest.mark.slow
def test_news_that_are_lost_when_play_ends_are_asked_for() -> None:
    assert max(ends_after(Path(one_way_ms=40, loss=0.3), seed) for seed in range(15)) > 0.15


def test_no_frame_is_final_that_somebody_else_cannot_play_yet() -> None:
    table = rollback_table(3, one_way_ms=20, frames=10_000)
    table.run(1.0, until=lambda: False)
    knows, deaf, unheard = table.seats
    table.deaf.add((deaf.index, unheard.index))
    table.run(0.1, until=lambda: False)
    here, there = (seat.match._peers[unheard.index].remote_inputs.count for seat in (knows, deaf))
    assert here > there == len(knows.confirmed)
    table.deaf.clear()
    table.run(0.2, until=lambda: False)
    assert len(knows.confirmed) > there
