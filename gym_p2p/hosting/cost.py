"""What a seat costs on this machine: the environment is played and drawn for a moment, with random actions.

What a match costs beside that (messages, checks, the path to the page) is known from measuring it. For how
many people there is room follows from both, until it is known what their seats really cost
(:mod:`gym_p2p.hosting.capacity`).
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

from gym_p2p.errors import UnsupportedEnvironment, UsageError
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.random_policy import RandomPolicy
from gym_p2p.game.spaces.masks import mask_of
from gym_p2p.hosting.messages import Measured, Part
from gym_p2p.hosting.player import make_environment, seat_person, seat_policy
from gym_p2p.human.encoding import require_picture
from gym_p2p.human.frames import FrameStream

__all__ = ["cost_of", "free_bytes", "measure", "seats_in_memory"]

MATCH_S = 0.0015
"""Processor time of a frame of a match of two beside the environment, of both processes of a seat."""

AGAIN = 1.5
"""How often a frame is stepped, those that are played again included."""

_LEAST_STEPS = 3

SEAT_BYTES = 60_000_000
"""Memory of a seat that it shares with no other, at most."""

_USABLE_MEMORY = 0.75


def cost_of(measured: Measured, *, policies_each: float) -> float:
    """Return what a person takes with the programs beside them, as a share of a core.

    Args:
        measured: what a seat costs.
        policies_each: how many programs play beside each person.

    >>> seat = Measured(seats=["a", "b"], fps=30.0, person_share=0.1, policy_share=0.05, modules=[])
    >>> cost_of(seat, policies_each=1), cost_of(seat, policies_each=0)
    (0.15, 0.1)
    """
    return round(measured.person_share + policies_each * measured.policy_share, 6)


def seats_in_memory(*, policies_each: float, memory_bytes: int | None) -> int | None:
    """Return for how many people's seats there is memory; ``None`` where nobody knows.

    Args:
        policies_each: how many programs play beside each person.
        memory_bytes: that is free; ``None`` is unknown.

    >>> seats_in_memory(policies_each=0, memory_bytes=10**9)
    12
    """
    if memory_bytes is None:
        return None
    return int(_USABLE_MEMORY * memory_bytes / (SEAT_BYTES * (1 + policies_each)))


def free_bytes() -> int | None:
    """Return how much memory is free; ``None`` where nobody says."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    told = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return None if told is None else int(told) * 1024


def measure(part: Part, seconds: float) -> Measured:
    """Play the environment of a person's part for so long; return what it costs.

    Raises:
        P2PError: it cannot be played so.
    """
    before = set(sys.modules)
    _require_pictures(part)
    env = make_environment(part)
    game = env.p2p.game
    if len(game.seats) < 2:
        raise UsageError(f"{part.env} has the single seat {game.seats[0]!r}: nobody can play with anybody")
    assert part.person is not None  # noqa: S101 - a person's part
    seat_person(env, part.person)
    seat_policy(env, part)
    fps = env.p2p.config.sync.fps or 1.0
    step_s, drawing_s = _times(game, seconds)
    env.close()
    return Measured(
        seats=list(game.seats),
        fps=fps,
        person_share=fps * (AGAIN * step_s + drawing_s + MATCH_S),
        policy_share=fps * (AGAIN * step_s + MATCH_S),
        modules=sorted(set(sys.modules) - before - {"__mp_main__"}),
    )


def _require_pictures(part: Part) -> None:
    plain = load_environment(part.env, part.env_args)
    offered = [str(mode) for mode in getattr(plain, "metadata", {}).get("render_modes", [])]
    plain.close()
    if "rgb_array" not in offered:
        raise UsageError(
            f"{part.env} draws no pictures that a person could play by (render mode rgb_array); it offers "
            f"{', '.join(offered) or 'none at all'}"
        )


def _times(game: Game, seconds: float) -> tuple[float, float]:
    """Return the processor time of a step and of its picture; the median, for many seats even out."""
    policies = [RandomPolicy(game.action_space(seat), index) for index, seat in enumerate(game.seats)]
    stream = FrameStream()
    steps: list[float] = []
    drawings: list[float] = []
    until = time.monotonic() + seconds
    outcome = game.reset(seed=1)
    while time.monotonic() < until or len(steps) < _LEAST_STEPS:
        actions = [
            game.codec(seat).check(policy.act(mask_of(game.action_space(seat), observation, info)))
            for seat, policy, observation, info in zip(
                game.seats, policies, outcome.observations, outcome.infos, strict=True
            )
        ]
        began = time.process_time()
        outcome = game.step(actions)
        stepped = time.process_time()
        _draw(game, stream, len(steps))
        steps.append(stepped - began)
        drawings.append(time.process_time() - stepped)
        if outcome.ended:
            outcome = game.reset(seed=1)
    return statistics.median(steps), statistics.median(drawings)


def _draw(game: Game, stream: FrameStream, frame: int) -> None:
    now = time.monotonic()
    try:
        stream.offer(require_picture(game.render()), frame=frame, seq=0, now=now)
    except ValueError as error:
        raise UnsupportedEnvironment(f"a person would be shown nothing: {error}") from error
    if (sent := stream.next(now)) is not None:
        stream.acknowledge(sent.number)
