"""Who is gone whose seats were all over before: the others play on without them, all alike, to the end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.events import EXCLUDED, InputsArrived, PlayerGone
from gym_p2p.core.sync.outputs import Advance, Over, SyncOutput
from gym_p2p.core.sync.session import SyncSession
from gym_p2p.net.links.memory import Path
from tests.core.examples import examples
from tests.core.tables import TICK_S, Player, Table, plain_action

WINDOW = 8
FRAMES = 60
SYNC = SyncConfig(reconnect_timeout_s=0, checksum_interval=10)


class Mortal(Player):
    """The last player's seats are over from some frame on, as everybody finds out by final frames."""

    over_from = 20

    def _confirm(self, start: int, inputs: tuple[tuple[bytes, ...], ...]) -> None:
        super()._confirm(start, inputs)
        assert self.session is not None
        for frame in range(start + 1, start + len(inputs) + 1):
            if frame >= self.over_from:
                self.session.endings.seats_over(len(inputs[0]) - 1, frame)


class LongLived(Mortal):
    over_from = 40


def table_of(players: int, **options: Any) -> Table:
    """A match of paced players, the last of whom is :class:`Mortal`."""
    path = Path(one_way_ms=30, jitter_ms=options.pop("jitter_ms", 5), loss=options.pop("loss", 0.1))
    options = {"frames": FRAMES, "sync": SYNC, "tick_s": TICK_S, "seated": Mortal, **options}
    table = Table(players, path=path, **options)
    table.connect()
    return table


def play_up_to(table: Table, frame: int) -> None:
    """Play until everybody has so many final frames."""
    assert table.run(20, until=lambda: all(len(seat.confirmed) >= frame for seat in table.seats))


def assert_played_to_the_end(survivors: list[Player], leaver: Player) -> None:
    first, *others = survivors
    assert first.over is None
    assert len(first.confirmed) == FRAMES
    for other in others:
        assert (other.over, other.confirmed) == (None, first.confirmed)
    inputs = [joint[leaver.index] for joint, _ in first.confirmed]
    by_default = next(frame for frame in range(FRAMES) if inputs[frame] == b"d")
    assert inputs[:by_default] == [plain_action(leaver.index, frame) for frame in range(by_default)]
    assert set(inputs[by_default:]) == {b"d"}


@pytest.mark.parametrize("window", [0, WINDOW])
@pytest.mark.parametrize("players", [2, 3, 4])
@pytest.mark.parametrize("leaves", [Player.leave, Player.vanish])
def test_the_others_play_to_the_end_without_a_player_whose_seats_were_over(
    players: int, window: int, leaves: Any
) -> None:
    table = table_of(players, window=window)
    *survivors, leaver = table.seats
    play_up_to(table, 20)
    leaves(leaver)
    assert table.run(20, until=lambda: all(len(seat.confirmed) == FRAMES for seat in survivors))
    assert_played_to_the_end(survivors, leaver)


@pytest.mark.parametrize("window", [0, WINDOW])
def test_who_is_gone_before_their_seats_are_over_ends_the_episode(window: int) -> None:
    table = table_of(3, window=window, seated=LongLived)
    *survivors, leaver = table.seats
    play_up_to(table, 20)
    leaver.leave()
    assert table.run(20, until=lambda: all(seat.over for seat in survivors))
    first, second = survivors
    assert first.over == second.over
    assert first.over is not None
    assert first.over.reason == "peer_left"
    assert first.confirmed == second.confirmed


@given(
    leaves=st.sampled_from([Player.leave, Player.vanish]),
    players=st.integers(2, 4),
    window=st.sampled_from([0, 3, WINDOW]),
    leaves_after=st.integers(10, 30),
    loss=st.floats(0, 0.4),
    seed=st.integers(0, 1000),
)
@settings(max_examples=examples(30), deadline=None)
def test_whenever_they_are_gone_those_who_are_left_all_go_on_or_all_end_in_one_state(
    leaves: Any, players: int, window: int, leaves_after: int, loss: float, seed: int
) -> None:
    table = table_of(players, window=window, loss=loss, jitter_ms=20, seed=seed)
    *survivors, leaver = table.seats
    assert table.run(30, until=lambda: len(leaver.played) >= leaves_after)
    leaves(leaver)
    assert table.run(30, until=lambda: all(one.over or len(one.confirmed) == FRAMES for one in survivors))
    first, *others = survivors
    for other in others:
        assert (other.over, other.confirmed) == (first.over, first.confirmed)
    assert (first.over is None) == (len(first.confirmed) == FRAMES)
    if first.over is not None:
        assert first.over.frame < 20, "their seats were over by then"


def ticked(session: SyncSession) -> list[SyncOutput]:
    session.add_local_input(b"a")
    return list(iter(session.poll, None))


@pytest.mark.parametrize("window", [0, 4])
def test_the_others_who_count_us_as_gone_end_it_also_where_their_seats_were_over(window: int) -> None:
    session = SyncSession(local=0, default_inputs=[b"-", b"-"], window=window)
    session.receive(InputsArrived(1, 0, (b"x",), 1))
    ticked(session)
    session.endings.seats_over(1, 1)
    session.receive(PlayerGone(1, EXCLUDED, 1))
    assert ticked(session)[-1] == Over(1, EXCLUDED, 1)


def test_what_was_played_ahead_of_the_goodbye_stays_and_is_played_again_with_the_default_input() -> None:
    session = SyncSession(local=0, default_inputs=[b"-", b"-"], window=4)
    session.receive(InputsArrived(1, 0, (b"x",), 1))
    for _ in range(3):
        ticked(session)
    session.endings.seats_over(1, 1)
    session.receive(PlayerGone(1, "peer_left", 1))
    played = [output for output in ticked(session) if isinstance(output, Advance)]
    assert played == [
        Advance(1, (b"a", b"-"), again=True, absent=(1,)),
        Advance(2, (b"a", b"-"), again=True, absent=(1,)),
        Advance(3, (b"a", b"-"), absent=(1,)),
    ]
    assert session.over is None
    session.receive(PlayerGone(1, "peer_left", 1, "normal"))
    ticked(session)
    assert (session.frame, session.over, session.has_news) == (5, None, False)
