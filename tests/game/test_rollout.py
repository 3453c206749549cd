"""What an episode's frames come to when guesses are corrected, without a network."""

from __future__ import annotations

from typing import Any

import pytest
from gymnasium import spaces

from gym_p2p.core.match.events import InputsArrived
from gym_p2p.core.sync.session import SyncSession
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.inputs import SeatInputs
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.rollout import Rollout
from gym_p2p.game.state.fields import fields_checksum
from gym_p2p.game.state.snapshot import Snapshots, snapshots_named
from tests.toys import Blend


class _Duel(Blend):
    """Ends as soon as both seats give a 6."""

    def __init__(self) -> None:
        super().__init__("dict", 1000)
        self.action_space = spaces.MultiDiscrete([7, 7])
        self.interrupted = False

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if self.interrupted:
            raise KeyboardInterrupt
        observation, reward, _, truncated, info = super().step(action)
        return observation, reward, bool(action[0] == action[1] == 6), truncated, info


class _Player:
    """Seat 0, whose steps show every frame; what was shown is kept as corrected."""

    def __init__(self, *, compare_states: bool = False) -> None:
        self.game = make_game(_Duel())
        self.snapshots = snapshots_named(self.game, "layers")
        self.inputs = SeatInputs(self.game, (0, 1), 0)
        self.session = SyncSession(
            local=0,
            default_inputs=[self.inputs.default_of(player) for player in (0, 1)],
            window=8,
            keep_every=10,
        )
        self.rollout = Rollout(
            game=self.game,
            session=self.session,
            inputs=self.inputs,
            snapshots=self.snapshots,
            checked_every=10,
            compare_states=compare_states,
        )
        self.rollout.begin(3, None)
        self.table: dict[int, Outcome | None] = {}
        self.heard = 0

    def step(self, action: int) -> None:
        frame = self.session.frame
        self.session.add_local_input(self.inputs.encode({0: action}))
        self.tick()
        self.table[frame] = self.rollout.outcome

    def hear(self, *actions: int) -> None:
        data = tuple(self.game.codec(1).encode(action) for action in actions)
        self.session.receive(InputsArrived(1, self.heard, data, self.heard + len(data)))
        self.heard += len(data)

    def seems_over(self) -> bool:
        return self.rollout.outcome.ended

    def tick(self) -> None:
        for one in self.rollout.tick().corrections:
            assert one.before is not one.after
            assert self.table[one.frame] is one.before
            self.table[one.frame] = one.after


def test_frames_behind_an_end_that_is_taken_back_are_told_again() -> None:
    player = _Player()
    for action in (1, 2, 6, 6, 6):
        player.step(action)
    player.hear(5, 6)  # so that frames 2 to 4 are played on a guessed 6
    player.step(6)
    assert player.rollout.final_count == 2
    assert player.seems_over()
    assert [frame for frame, outcome in player.table.items() if outcome is None] == [3, 4]
    player.hear(1, 1, 1, 1)
    player.step(1)
    assert not player.seems_over()
    oracle = make_game(_Duel())
    oracle.reset(3)
    for frame, joint in enumerate([(1, 5), (2, 6), (6, 1), (6, 1), (6, 1)]):
        shown, wanted = player.table[frame], oracle.step(joint)
        assert shown is not None
        assert (shown.rewards, shown.ended) == (wanted.rewards, False)


def test_a_frame_that_was_held_back_by_an_end_counts_as_new_once_the_end_is_taken_back() -> None:
    player = _Player()
    player.step(1)
    player.step(6)
    player.session.add_local_input(player.inputs.encode({0: 3}))
    player.hear(6)  # so that frame 1 is played on a guessed 6
    assert not player.rollout.tick().advanced
    assert player.seems_over()
    player.hear(5)
    tick = player.rollout.tick()
    assert tick.advanced, "frame 2 is played for the first time"
    assert tick.played_again == 1
    assert not player.seems_over()


def test_once_a_tick_was_broken_off_nothing_is_played_or_final_any_more() -> None:
    player = _Player()
    player.step(1)
    player.step(2)
    player.game.env.unwrapped.interrupted = True
    player.session.add_local_input(player.inputs.encode({0: 3}))
    with pytest.raises(KeyboardInterrupt):
        player.rollout.tick()
    player.game.env.unwrapped.interrupted = False
    player.hear(4, 5, 6)
    assert player.rollout.broken
    player.session.add_local_input(player.inputs.encode({0: 3}))
    tick = player.rollout.tick()
    assert (tick.advanced, tick.final, player.rollout.final_count) == (False, [], 0)


def _compared() -> tuple[_Player, dict[int, str | None]]:
    """Play 25 frames, of which every tenth is compared; return the states' fields as digests, by frame."""
    player = _Player(compare_states=True)
    checked: list[int] = []
    states: dict[int, str | None] = {}
    for frame in range(25):
        player.session.add_local_input(player.inputs.encode({0: 1}))
        player.hear(2)
        checked += [one.frame for one in player.rollout.tick().checked]
        states[frame] = fields_checksum(player.snapshots.fields_now() or {})
    assert checked == [9, 19]
    assert len(set(states.values())) == 25, "every state is another one"
    return player, states


def test_a_compared_state_stays_what_it_was_while_the_game_goes_on() -> None:
    player, states = _compared()
    for frame in (9, 19):
        assert fields_checksum(player.rollout.fields(frame) or {}) == states[frame]
    assert player.rollout.fields(0) is None, "which was not compared"


def test_of_the_compared_states_the_newest_eight_are_kept() -> None:
    player = _Player(compare_states=True)
    for _ in range(105):
        player.session.add_local_input(player.inputs.encode({0: 1}))
        player.hear(2)
        player.rollout.tick()
    kept = [frame for frame in range(105) if player.rollout.fields(frame) is not None]
    assert kept == list(range(29, 100, 10))


def test_paths_are_made_when_a_difference_is_told_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(Snapshots, "fields", lambda *_: made.append("fields"))
    player = _Player(compare_states=True)
    for _ in range(25):
        player.session.add_local_input(player.inputs.encode({0: 1}))
        player.hear(2)
        player.rollout.tick()
    assert player.rollout.final_count == 25
    assert not made
    player.rollout.fields(9)
    assert made == ["fields"]
