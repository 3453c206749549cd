"""What a person feels of the path to the others: nothing, for rollback hides it. In frames, not in time."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from gym_p2p import HumanSeat, P2PEnv
from gym_p2p.human.encoding import Picture
from gym_p2p.human.person import Person
from tests.human.fake_page import FakePage
from tests.human.seats import RALLY, opened, seat
from tests.players import Lobby, left_running, together
from tests.waiting import until

PRESSED = 12
FRAMES = 24
OWN_SIDE = np.s_[:, :60]
"""The pixels that only the left player changes, as long as the ball is in the middle."""


class Shown:
    """Every picture that a person is to be shown, by the frame."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pictures: dict[int, Picture] = {}
        offer = Person.offer

        def noted(person: Person, picture: Picture, *, frame: int, **rest: Any) -> None:
            assert frame not in self.pictures, "a frame was shown twice"
            self.pictures[frame] = picture
            offer(person, picture, frame=frame, **rest)

        monkeypatch.setattr(Person, "offer", noted)

    def effect_of_a_key(self) -> int:
        """Return the frame that was the first to show something new on the person's side."""
        sides = [self.pictures[frame][OWN_SIDE] for frame in range(FRAMES)]
        return next(n for n in range(1, FRAMES) if not np.array_equal(sides[n], sides[n - 1]))


def _person(lobby: Lobby, one_way_ms: float) -> int:
    """Press a key before one frame; return how many rollbacks there were."""
    game = gymnasium.make(RALLY, render_mode="rgb_array")
    options = lobby.options(fps=60, emulation={"one_way_ms": one_way_ms}, sync="rollback")
    env = P2PEnv(game, seat="left", **options)

    def play(person: HumanSeat, page: FakePage) -> None:
        env.reset(seed=3)
        for frame in range(FRAMES):
            if frame == PRESSED:
                page.press("ArrowUp")
                until(lambda: person._person.keys.pressed)
            env.step(person.action())

    try:
        opened(seat(env), play)
        totals = env.p2p.progress.totals
    finally:
        env.close()
    assert totals is not None
    return totals.rollbacks


def _other(lobby: Lobby, one_way_ms: float) -> None:
    options = lobby.options(fps=60, emulation={"one_way_ms": one_way_ms}, sync="rollback")
    env = P2PEnv(gymnasium.make(RALLY), seat="right", **options)
    try:
        env.reset(seed=3)
        for frame in range(FRAMES):
            env.step(frame // 2 % 3)
    finally:
        env.close()


@pytest.mark.parametrize("one_way_ms", [0.0, 50.0])
def test_a_key_is_seen_in_the_frame_that_is_played_with_it_however_far_the_others_are(
    lobby: Lobby, monkeypatch: pytest.MonkeyPatch, one_way_ms: float
) -> None:
    shown = Shown(monkeypatch)
    rollbacks, other = together(lambda: _person(lobby, one_way_ms), lambda: _other(lobby, one_way_ms))
    assert other is None
    assert isinstance(rollbacks, int)
    assert rollbacks > 0 or not one_way_ms  # the path was as long as it was said to be
    assert shown.effect_of_a_key() == PRESSED
    assert left_running() == []
