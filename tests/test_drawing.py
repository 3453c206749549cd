"""What an environment draws by itself: every frame that ``step`` returned, once, and no other.

Real environments draw in three ways: their ``step`` calls ``render``, or a function of its own that no
``render`` leads to, or a wrapper films them. Each player here draws in another way, or not at all.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import HumanRendering, TimeLimit

from gym_p2p import P2PEnv, check_env_determinism
from gym_p2p.config import SyncConfig
from gym_p2p.game.env.seats import make_game
from gym_p2p.play.sync_mode import make_offer
from tests.players import Lobby, assert_all_played_the_same, together
from tests.toys import Blend
from tests.waiting import in_time

REFRESH_S = 0.05

SCREENS = tempfile.mkdtemp()
atexit.register(shutil.rmtree, SCREENS)


def _show(env: Any) -> None:
    """Show a frame, on what is outside of every process, as a window is.

    Nothing may change that an environment's code can reach: that would be its state; and here the players of
    a match share a process, in which one makes and draws while the other's game is tried.
    """
    with _film_of(env).open("a") as film:
        film.write(f"{env._frame} {env._state.tobytes().hex()}\n")


def _film_of(env: Any) -> Path:
    return Path(SCREENS, f"{id(env):x}")


def _way_of(env: Any) -> str:
    """Return how an environment draws: no attribute, for the players need not draw alike."""
    return _film_of(env).read_text().splitlines()[0]


class Canvas(Blend):
    """Ends as soon as both give a 6; drawing waits for the refresh, and leaves its traces in the state."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["human", "rgb_array"], "render_fps": 20}  # type: ignore[misc]  # declared without ClassVar

    def __init__(self, render_mode: str | None = None, way: str = "render") -> None:
        super().__init__("dict", 45)
        self.action_space = spaces.MultiDiscrete([7, 7])
        self.render_mode = render_mode
        self.pictures = 0
        _film_of(self).write_text(f"{way}\n")  # where another one may have been before

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        result = super().reset(seed=seed, options=options)
        self._draw_if_asked()
        return result

    def step(self, action: Any) -> Any:
        observation, reward, _, truncated, info = super().step(action)
        ended = self._frame >= self.length or bool(action[0] == action[1] == 6)
        self._draw_if_asked()
        return observation, reward, ended, truncated, info

    def render(self) -> Any:
        if self.render_mode == "human":
            return self._draw() if _way_of(self) == "render" else None
        return np.full((2, 2, 3), self._frame, np.uint8)

    def _draw_if_asked(self) -> None:
        if self.render_mode == "human":
            self.render() if _way_of(self) == "render" else self._draw()

    def _draw(self) -> None:
        self.pictures += 1
        time.sleep(REFRESH_S / 20)
        _show(self)


class Projector(HumanRendering):
    """Gymnasium's wrapper, with our screen instead of pygame's."""

    def _render_frame(self) -> None:
        inner: Any = self.env.unwrapped
        picture: Any = self.env.render()
        assert picture[0, 0, 0] == inner._frame
        _show(inner)


def _screen(env: gymnasium.Env[Any, Any]) -> list[tuple[int, bytes]]:
    lines = (line.split() for line in _film_of(env.unwrapped).read_text().splitlines()[1:])
    return [(int(frame), bytes.fromhex(state)) for frame, state in lines]


def _made(way: str) -> gymnasium.Env[Any, Any]:
    if way == "filmed":
        return TimeLimit(Projector(TimeLimit(Canvas("rgb_array"), 1000)), 1000)
    return Canvas("human", way)


def _limited(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Return it with the two wrappers that the filmed one has: the players compare them."""
    return env if isinstance(env, TimeLimit) else TimeLimit(TimeLimit(env, 1000), 1000)


WAYS = ["render", "own", "filmed"]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_tried_out_before_a_match_is_not_drawn_and_the_choice_does_not_depend_on_it(way: str) -> None:
    game = make_game(_made(way))
    offer = make_offer(game, SyncConfig(mode="auto", fps=60))
    with in_time():
        assert offer.able, offer.why
        assert offer.window >= 4, "a window of which each picture takes a frame would leave none"
    assert _screen(game.env) == []


def test_a_card_does_not_depend_on_the_render_mode() -> None:
    made: list[Canvas] = []

    def make(mode: str | None) -> Canvas:
        made.append(Canvas(mode))
        return made[-1]

    blind, seeing = (
        check_env_determinism(functools.partial(make, mode), fresh_process=False, steps=30)
        for mode in (None, "human")
    )
    assert blind.verdict == seeing.verdict == "rollback"
    assert [check.passed for check in blind.checks] == [check.passed for check in seeing.checks]
    assert made
    assert [_screen(env) for env in made] == [[]] * len(made)


@pytest.mark.parametrize("way", WAYS)
def test_a_game_draws_only_what_is_shown(way: str) -> None:
    game = make_game(_made(way))
    game.reset(seed=1)
    game.step([1, 2])
    with game.shown():
        game.step([1, 2])
    game.step([1, 2])
    assert [frame for frame, _ in _screen(game.env)] == [2]
    assert game.screen.render_mode == "human"
    game.close()


def _play(env: P2PEnv, plan: list[int]) -> list[tuple[int, bytes]]:
    """Play; return the frames that were returned, as a screen would show them."""
    observation, info = env.reset(seed=5)
    returned = [(info["frame"], observation.tobytes())]
    for number, action in enumerate(plan):
        if number % 10 == 9:
            env.p2p.latency()
        observation, _, terminated, truncated, info = env.step(action)
        if (info.get("frame"), observation.tobytes()) != returned[-1]:
            returned.append((info["frame"], observation.tobytes()))
        if terminated or truncated:
            break
    env.close()
    return returned


@pytest.mark.parametrize(
    ("sync", "view", "ways"),
    [
        ("rollback", "predicted", ("render", "own")),
        ("rollback", "predicted", ("filmed", None)),
        ("rollback", "confirmed", ("own", "filmed")),
        ("lockstep", "predicted", ("own", "render")),
        ("lockstep", "confirmed", ("filmed", None)),
    ],
)
def test_every_frame_that_step_returned_is_drawn_once_and_no_other(
    lobby: Lobby, sync: Any, view: Any, ways: Any
) -> None:
    # At frame 12 player 1 believes player 0 to be at 6 still, who has gone on to 1: an end that is none.
    plans = [[6] * 12 + [1, 2, 3] * 40, [2] * 12 + [6] * 10 + [3, 4] * 40]
    options = lobby.options(fps=60, sync=sync, view=view, emulation={"one_way_ms": 25}, checksum_interval=10)
    envs = [
        P2PEnv(_limited(Canvas() if way is None else _made(way)), seat=seat, **options)
        for seat, way in enumerate(ways)
    ]
    assert envs[0].render_mode == "human"
    played = together(*(lambda e=env, p=plan: _play(e, p) for env, plan in zip(envs, plans, strict=True)))
    for env, way, returned in zip(envs, ways, played, strict=True):
        assert isinstance(returned, list), returned
        assert _screen(env) == ([] if way is None else returned)
        assert len(returned) > 40
        session = env.export_session_metrics()
        assert (session["rollbacks"]["count"] > 0) == (sync == "rollback")
    assert_all_played_the_same([env.export_multiplayer_metrics() for env in envs])


def test_a_picture_that_is_asked_for_is_of_what_was_returned_though_more_was_played(lobby: Lobby) -> None:
    options = lobby.options(
        fps=60, sync="rollback", view="confirmed", emulation={"one_way_ms": 25}, checksum_interval=10
    )
    envs = [P2PEnv(Canvas("rgb_array"), seat=seat, **options) for seat in (0, 1)]

    def play(env: P2PEnv) -> list[tuple[int, int]]:
        _, info = env.reset(seed=5)
        seen = [(info["frame"], int(env.render()[0, 0, 0]))]
        for frame in range(40):
            if frame % 10 == 9:
                env.export_session_metrics()
            *_, info = env.step(frame % 5)
            seen.append((info["frame"], int(env.render()[0, 0, 0])))
        env.close()
        return seen

    for seen in together(*(lambda e=env: play(e) for env in envs)):
        assert isinstance(seen, list), seen
        assert [told for told, _ in seen] == [drawn for _, drawn in seen]
        assert len({told for told, _ in seen}) > 20
    assert_all_played_the_same([env.export_multiplayer_metrics() for env in envs])
