"""Trying a game leaves no trace in what it keeps over a reset."""

from __future__ import annotations

from typing import Any

import pytest
from gymnasium.wrappers import RecordEpisodeStatistics, TimeLimit

from gym_p2p.game.checksum import checksum
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.isolation import isolate_global_random
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.state.proof import choose_snapshots, rehearse
from gym_p2p.game.state.snapshot import snapshots_named
from tests.game import elsewhere, unruly


class Sets(unruly.Walker):
    """Who has the advantage hangs on how many episodes and frames there were, here and in all copies."""

    of_all = 0

    def __init__(self) -> None:
        super().__init__()
        self.episodes, self.frames, self.scores = 0, 0, [0]

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        self.episodes += 1
        Sets.of_all += 1
        self.scores.append(0)
        return super().reset(**kwargs)

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.frames += 1
        self.scores[-1] += self.frames % (2 + self.episodes + Sets.of_all)
        self.position += self.scores[-1]
        return super().step(action)


class WithGetState(Sets):
    """Its own way to be saved knows nothing of what it keeps."""

    def get_state(self) -> Any:
        kept = self.position, self.trail.tolist(), list(self.scores), self.frames
        return (*kept, self.np_random.bit_generator.state)

    def set_state(self, state: Any) -> None:
        self.position, self.trail[:], self.scores, self.frames, generator = state
        self.scores = list(self.scores)
        self.np_random.bit_generator.state = generator


class WithNative(Sets):
    """Holds something that cannot be recorded: it is tried all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.native = unruly.Native().counters


class Breaking(Sets):
    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if self.frames == 3:
            raise RuntimeError("out of fuel")
        return super().step(action)


def _played(game: Game) -> list[Any]:
    seen = []
    for episode in range(2):
        seen.append(checksum(game.reset(seed=7 + episode).observations))
        seen += [checksum(game.step([frame % 3]).observations) for frame in range(20)]
    return seen


@pytest.fixture(autouse=True)
def _first_of_all() -> None:
    Sets.of_all = 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_game(Sets()),
        lambda: make_game(WithGetState()),
        lambda: make_game(TimeLimit(Sets(), max_episode_steps=50)),
        lambda: make_game(RecordEpisodeStatistics(Sets())),
        lambda: isolate_global_random(make_game(Sets())),
    ],
)
def test_a_game_that_was_tried_plays_as_one_that_was_not(make: Any) -> None:
    fresh = _played(make())
    Sets.of_all = 0
    game = make()
    assert choose_snapshots(game, exhaustive=True).snapshots is not None
    assert _played(game) == fresh
    assert game.env.unwrapped.episodes == 2, "it does count"


def test_a_game_that_was_rehearsed_plays_as_one_that_was_not() -> None:
    fresh = _played(make_game(Sets()))
    Sets.of_all = 0
    game = make_game(Sets())
    assert rehearse(game, snapshots_named(game, "layers")) is not None
    assert _played(game) == fresh


def test_what_cannot_be_recorded_is_tried_and_left_as_it_is_then() -> None:
    game = make_game(WithNative())
    assert choose_snapshots(game).snapshots is None
    assert game.env.unwrapped.episodes > 0


def test_an_environment_that_raises_while_it_is_tried_is_as_it_was_too() -> None:
    game = make_game(Breaking())
    assert choose_snapshots(game).snapshots is None
    assert (game.env.unwrapped.episodes, game.env.unwrapped.scores) == (0, [0])


def test_what_a_module_keeps_is_as_it_was() -> None:
    elsewhere._SCORES[0] = 5
    choose_snapshots(make_game(elsewhere.InAList()))
    assert elsewhere._SCORES == [5]
