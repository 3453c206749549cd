"""What ``step`` shows where inputs are guessed: the frame of now with its corrections, or only what is final.

Over real channels on loopback whose messages are delayed. The oracle is a plain environment that is played
with the actions of the exports.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p import P2PEnv
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.outcome import Outcome
from tests.players import Lobby, assert_all_played_the_same, play_oracle, together
from tests.toys import Blend
from tests.waiting import PATIENCE_S, in_time

FPS = 60
ONE_WAY_MS = 30
SEED = 5
OVER_REAL_TIME: dict[str, Any] = {
    "fps": FPS,
    "sync": "rollback",
    "emulation": {"one_way_ms": ONE_WAY_MS},
    "checksum_interval": 10,
}

Result = tuple[Any, float, bool, bool, dict[str, Any]]


class _Pair(Blend):
    """Two seats of seven actions each."""

    def __init__(self, length: int = 10_000) -> None:
        super().__init__("dict", length)
        self.action_space = spaces.MultiDiscrete([7, 7])


class _Duel(_Pair):
    """Ends as soon as both give a 6: an end that guesses bring about, and real inputs take back."""

    def step(self, action: Any) -> Result:
        observation, reward, _, truncated, info = super().step(action)
        return observation, reward, bool(action[0] == action[1] == 6), truncated, info


class _Seen:
    """One player: what their steps gave, frame by frame, as corrected later."""

    def __init__(self, env: P2PEnv, plan: Sequence[int]) -> None:
        self.env = env
        self.first: Any = None
        self.results: list[Result] = []
        self.intervals_s: list[float] = []
        self.table: dict[int, tuple[Any, float, bool] | None] = {}
        self.corrections = 0
        self._plan = plan

    def play(self) -> _Seen:
        """Play until the episode ends, or the plan does; leave."""
        self.first, _ = self.env.reset(seed=SEED)
        for frame, action in enumerate(self._plan):
            began = time.monotonic()
            self.results.append(self.env.step(action))
            self.intervals_s.append(time.monotonic() - began)
            self._note(frame)
            if self.results[-1][2] or self.results[-1][3]:
                break
        self.env.close()
        return self

    def _note(self, frame: int) -> None:
        """Put in what the step showed, and what it took back of earlier ones."""
        observation, reward, terminated, _, info = self.results[-1]
        shown = info["frame"] - 1
        seat = self.env.p2p.game.seats.index(self.env.p2p.seat)
        for one in self.env.p2p.take_corrections():
            self.corrections += 1
            assert one.frame < frame, "only what had been shown is corrected"
            before = self.table[one.frame]
            assert (before is None) == (one.before is None)
            if before is not None and one.before is not None:
                np.testing.assert_array_equal(before[0], one.before.observations[seat])
            self.table[one.frame] = None if one.after is None else _of(one.after, seat)
        self.table[shown] = (observation, reward, terminated)


def _of(outcome: Outcome, seat: int) -> tuple[Any, float, bool]:
    return outcome.observations[seat], outcome.rewards[seat], outcome.terminations[seat]


def _play(lobby: Lobby, kind: type[_Pair], plans: Sequence[Sequence[int]], **options: Any) -> list[_Seen]:
    """Play an episode with both players; return what they saw, their environments closed."""
    length = options.pop("length", 10_000)
    told = lobby.options(**OVER_REAL_TIME, **options)
    seen = [_Seen(P2PEnv(kind(length), seat=seat, **told), plan) for seat, plan in enumerate(plans)]
    for one in together(*(player.play for player in seen)):
        if isinstance(one, BaseException):
            raise one
    assert_all_played_the_same([player.env.export_multiplayer_metrics() for player in seen])
    for player in seen:
        session = player.env.export_session_metrics()
        assert session["rollbacks"]["count"] > 0
        assert session["latency"]["medianMs"] > 2 * ONE_WAY_MS - 2
    return seen


def _oracle(player: _Seen, kind: type[_Pair], length: int = 10_000) -> list[Outcome]:
    """Return every frame's outcome, without that of ``reset``."""
    document = player.env.export_multiplayer_metrics()
    return list(play_oracle(make_game(kind(length)), SEED, document, 1))[1:]


def _changing(seat: int, frames: int) -> list[int]:
    return [(frame // (3 + seat) * (seat + 2) + seat) % 6 for frame in range(frames)]


def _assert_equal(got: tuple[Any, float, bool] | None, wanted: Outcome, seat: int) -> None:
    assert got is not None
    observation, reward, terminated = _of(wanted, seat)
    np.testing.assert_array_equal(got[0], observation)
    assert got[1:] == (reward, terminated)


def test_the_predicted_view_shows_every_frame_at_once_and_tells_what_it_corrects(lobby: Lobby) -> None:
    length = 90
    seen = _play(lobby, _Pair, [_changing(seat, 200) for seat in range(2)], length=length)
    for seat, player in enumerate(seen):
        oracle = _oracle(player, _Pair, length)
        shown = [info["frame"] - 1 for _, _, _, _, info in player.results]
        assert shown == list(range(length)), "each frame once, in order"
        assert player.corrections > 10
        for frame, outcome in enumerate(oracle):
            _assert_equal(player.table[frame], outcome, seat)
        provisional = sum(reward for _, reward, _, _, _ in player.results)
        final = sum(one[1] for one in player.table.values() if one is not None)
        assert final == sum(outcome.rewards[seat] for outcome in oracle)
        assert provisional != final, "the match was one in which guesses were wrong"


def test_the_predicted_view_shows_an_end_only_once_it_is_final(lobby: Lobby) -> None:
    # At frame 12 player 1 believes player 0 to be at 6 still, who has gone on to 1: an end that is none.
    plans = [[6] * 12 + [1] * 28 + [6] * 60, [2] * 12 + [6] * 10 + [3] * 38 + [6] * 60]
    seen = _play(lobby, _Duel, plans)
    last = next(f for f in range(100) if plans[0][f] == plans[1][f] == 6)
    for seat, player in enumerate(seen):
        oracle = _oracle(player, _Duel)
        assert len(oracle) == last + 1
        assert [terminated for _, _, terminated, _, _ in player.results].count(True) == 1
        *_, (observation, reward, terminated, truncated, info) = player.results
        assert (terminated, truncated, info["frame"]) == (True, False, last + 1)
        _assert_equal((observation, reward, terminated), oracle[-1], seat)
        for frame, outcome in enumerate(oracle):
            _assert_equal(player.table[frame], outcome, seat)
        assert {f for f, one in player.table.items() if one is not None} == set(range(last + 1))


@pytest.mark.quiet
@pytest.mark.parametrize("kind", [_Pair, _Duel])
def test_the_confirmed_view_shows_every_final_frame_once_in_order_and_on_time(
    lobby: Lobby, kind: type[_Pair]
) -> None:
    length = 90
    plans = [_changing(seat, 250) for seat in range(2)]
    if kind is _Duel:
        plans = [[6] * 12 + [1] * 28 + [6] * 100, [2] * 12 + [6] * 10 + [3] * 38 + [6] * 100]
    seen = _play(lobby, kind, plans, view="confirmed", length=length)
    for seat, player in enumerate(seen):
        oracle = _oracle(player, kind, length)
        frames = [info.get("frame", 0) - 1 for _, _, _, _, info in player.results]
        fresh = [at for at in range(len(frames)) if frames[at] != (frames[at - 1] if at else -1)]
        assert [frames[at] for at in fresh] == list(range(len(oracle))), "each frame once, in order"
        for at in fresh:
            observation, reward, terminated, _, _ = player.results[at]
            _assert_equal((observation, reward, terminated), oracle[frames[at]], seat)
        repeated = set(range(len(frames))) - set(fresh)
        assert repeated, "what is final comes later than what is played"
        for at in repeated:
            before = player.results[at - 1][0] if at else player.first
            np.testing.assert_array_equal(player.results[at][0], before)
            assert player.results[at][1] == 0.0
        total = sum(reward for _, reward, _, _, _ in player.results)
        assert total == pytest.approx(sum(outcome.rewards[seat] for outcome in oracle), abs=0)
        assert player.results[-1][2], "the end is shown, and shown last"
        with in_time():
            assert statistics.median(player.intervals_s) <= 1.3 / FPS
        assert player.corrections == 0, "nothing that was shown was wrong"


@pytest.mark.parametrize("network", ["thread", "process"])
@pytest.mark.parametrize("view", ["predicted", "confirmed"])
@pytest.mark.parametrize("sync", ["rollback", "lockstep"])
def test_who_is_left_alone_plays_on_to_the_end(lobby: Lobby, sync: Any, view: Any, network: Any) -> None:
    length = 80
    options = lobby.options(
        sync=sync,
        view=view,
        network=network,
        fps=200,
        on_peer_loss="default_action",
        disconnect_timeout_s=1.0,
        input_timeout_s=10 * PATIENCE_S,  # who waited for an input would not be done in time
    )
    one, other = (P2PEnv(_Pair(length), seat=seat, **options) for seat in (0, 1))

    def leave() -> None:
        other.reset(seed=SEED)
        for _ in range(20):
            other.step(other.action_space.sample())
        other.close()

    def stay() -> int:
        one.reset()
        for steps in range(1, 4 * length):
            _, _, terminated, truncated, info = one.step(one.action_space.sample())
            if terminated or truncated:
                assert "p2p" not in info
                return steps
        return 0

    _, steps = together(leave, stay)
    one.close()
    (episode,) = one.export_multiplayer_metrics()["validation"]["episodes"]
    assert (episode["confirmedFrame"], episode["totalFrames"]) == (length - 1, length)
    assert isinstance(steps, int)
    assert steps >= length
