"""A rollback that begins before what is final: final frames are played again, and stay what they were."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from gymnasium import spaces

from gym_p2p.core.match.events import InputsArrived, PlayerGone
from gym_p2p.core.sync.session import SyncSession
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.inputs import SeatInputs
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.rollout import Correction, FinalFrame, Rollout
from gym_p2p.game.state.snapshot import snapshots_named
from tests.toys import Blend

PLAYERS = 3
SEED = 3
GONE_AFTER = 20
LATE = 3
"""Player 1's inputs arrive so many frames late."""


class _Blends(Blend):
    def __init__(self) -> None:
        super().__init__("dict", 100_000)
        self.action_space = spaces.MultiDiscrete([7] * PLAYERS)


def _looking(_seat: Any, observation: Any, frame: int) -> int:
    return int(observation[0] * 1e6 + frame) % 7


def _acts(player: int, frame: int) -> int:
    return (frame // (2 + player) + player) % 7


class _Player:
    """Seat 0; player 2 is gone after 20 frames, and a stand-in takes their place.

    Args:
        save_every: frames between two saved states.
        told_late: so many frames after an input of player 1 it is known that everybody has it.
    """

    def __init__(self, *, save_every: int, told_late: int = 0) -> None:
        self.game = make_game(_Blends())
        inputs = SeatInputs(self.game, range(PLAYERS), 0)
        self.inputs, self._told_late = inputs, told_late
        self.session = SyncSession(
            local=0,
            default_inputs=[inputs.default_of(player) for player in range(PLAYERS)],
            window=8,
            save_every=save_every,
            continue_without_leavers=True,
        )
        self.rollout = Rollout(
            game=self.game,
            session=self.session,
            inputs=inputs,
            snapshots=snapshots_named(self.game, "layers"),
            checked_every=10,
            stand_in=_looking,
        )
        self.rollout.begin(SEED, None)
        self.final: list[FinalFrame] = []
        self.corrections: list[Correction] = []
        self.rollbacks_before_final = 0

    def play(self, frames: int) -> None:
        for frame in range(frames):
            if frame < GONE_AFTER:
                self._hear(2, frame)
            if frame == GONE_AFTER:
                self.session.receive(PlayerGone(2, "peer_lost", GONE_AFTER))
            if frame >= LATE:
                self._hear(1, frame - LATE)
            self.session.add_local_input(self.inputs.encode({0: _acts(0, frame)}))
            final_before = self.rollout.final_count
            tick = self.rollout.tick()
            self.rollbacks_before_final += any(one.loaded < final_before for one in tick.rolled_back)
            self.final += tick.final
            self.corrections += tick.corrections

    def _hear(self, player: int, frame: int) -> None:
        data = self.game.codec(player).encode(_acts(player, frame))
        held_by_all = 0 if player == 2 else max(0, frame + 1 - self._told_late)
        self.session.receive(InputsArrived(player, frame, (data,), held_by_all))


def _oracle(frames: int) -> list[tuple[tuple[int, ...], Outcome]]:
    game = make_game(_Blends())
    outcome = game.reset(SEED)
    played: list[tuple[tuple[int, ...], Outcome]] = []
    for frame in range(frames):
        third = _acts(2, frame) if frame < GONE_AFTER else _looking(2, outcome.observations[2], frame)
        actions = (_acts(0, frame), _acts(1, frame), third)
        outcome = game.step(actions)
        played.append((actions, outcome))
    return played


@pytest.mark.parametrize("save_every", [1, 2, 4, 7])
def test_a_stand_in_sees_the_frame_that_is_played_also_where_it_is_final(save_every: int) -> None:
    player = _Player(save_every=save_every)
    player.play(120)
    assert (player.rollbacks_before_final > 0) == (save_every > 1)
    assert len(player.final) >= 100
    for final, (actions, outcome) in zip(player.final, _oracle(120), strict=False):
        encoded = [player.game.codec(seat).encode(action) for seat, action in enumerate(actions)]
        assert list(final.inputs) == encoded
        assert final.outcome.rewards == outcome.rewards


def test_only_frames_that_were_played_wrongly_are_told_as_corrected() -> None:
    player = _Player(save_every=4, told_late=5)
    player.play(120)
    assert player.corrections
    for one in player.corrections:
        assert one.before is not None
        assert one.after is not None
        assert one.before.rewards != one.after.rewards


def test_what_is_final_is_let_go_of() -> None:
    player = _Player(save_every=4)
    gc.collect()
    before = _outcomes()
    player.play(300)
    assert player.rollbacks_before_final > 10
    player.final.clear()
    player.corrections.clear()
    gc.collect()
    assert _outcomes() - before <= 20


def _outcomes() -> int:
    return sum(type(one) is Outcome for one in gc.get_objects())
