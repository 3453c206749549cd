"""The report card on other people's environments whose truth is known, unmodified."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import pytest

from gym_p2p import ReportCard, check_env_determinism
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.state.plays import outcome_digests, random_actor
from gym_p2p.game.state.proof import choose_snapshots
from tests.requirements import require

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

_TEST = "pip install 'gym_p2p[test]'"


@attrs.frozen
class _Known:
    name: str
    needs: tuple[str, ...] = ()
    kwargs: dict[str, Any] = attrs.field(factory=dict)
    strategy: str | None = "layers"
    because: str = ""
    steps: int = 12
    fresh_process: bool = False


_PONG = _Known(
    "pettingzoo.atari.pong_v3",
    ("multi_agent_ale_py", "ale_py", "pygame"),
    kwargs={"obs_type": "ram"},
    strategy="layers and emulator",
    fresh_process=True,
)

_ROLLBACK = {
    "PettingZoo Atari Pong": _PONG,
    "simple_spread": _Known("mpe2.simple_spread_v3", ("mpe2", "pygame"), fresh_process=True),
    "simple_tag as AEC": _Known("mpe2.simple_tag_v3:env", ("mpe2", "pygame")),
    "foraging": _Known("lbforaging:Foraging-8x8-2p-2f-v3", ("lbforaging",), fresh_process=True),
    "CartPole": _Known("CartPole-v1"),
    "Atari Pong without sticky actions": _Known(
        "ale_py:ALE/Pong-v5",
        ("ale_py",),
        kwargs={"obs_type": "ram", "repeat_action_probability": 0.0},
        strategy="layers and emulator",
    ),
    "Overcooked": _Known(
        "cogrid:Overcooked-CrampedRoom-V0", ("cogrid", "pygame"), strategy="get_state/set_state", steps=5
    ),
    "cooperative_pong": _Known("pettingzoo.butterfly.cooperative_pong_v6", ("pygame",), steps=5),
    "Rally": _Known("gym_p2p/Rally-v0", strategy="get_state/set_state"),
    "Rally for PettingZoo": _Known("gym_p2p.envs.rally:parallel_env", strategy="get_state/set_state"),
}

_LOCKSTEP = {
    "LunarLander": _Known("LunarLander-v3", ("Box2D", "pygame"), because="SwigPyObject"),
    "multiwalker": _Known("pettingzoo.sisl.multiwalker_v9", ("Box2D", "pygame"), because="SwigPyObject"),
    "pistonball": _Known(
        "pettingzoo.butterfly.pistonball_v6", ("pymunk", "pygame"), because="CData", steps=2
    ),
    # Which action sticks is kept where the emulator saves nothing.
    "Atari Pong with sticky actions": _Known(
        "ale_py:ALE/Pong-v5", ("ale_py",), kwargs={"obs_type": "ram"}, because="probability=0.25"
    ),
}


def _card(known: _Known) -> ReportCard:
    for module in known.needs:
        require(module, _TEST)
    return check_env_determinism(
        known.name, env_args=known.kwargs, steps=known.steps, fresh_process=known.fresh_process
    )


@pytest.mark.parametrize("known", _ROLLBACK.values(), ids=_ROLLBACK)
def test_passes_for_rollback(known: _Known) -> None:
    card = _card(known)
    assert card.verdict == "rollback", str(card)
    assert card.strategy == known.strategy
    assert card.check("state checksum").passed, str(card)
    assert card.check("fresh process").passed is (True if known.fresh_process else None)
    assert card.check("global random state").passed


@pytest.mark.parametrize("known", _LOCKSTEP.values(), ids=_LOCKSTEP)
def test_is_for_lockstep(known: _Known) -> None:
    card = _card(known)
    assert card.verdict == "lockstep", str(card)
    assert known.because in card.check("after a restore").detail


@pytest.fixture
def _global_generator() -> Iterator[None]:
    """Seed it, for by chance two resets that draw from it are alike, and put its state back afterwards."""
    before = np.random.get_state()
    np.random.seed(1)
    yield
    np.random.set_state(before)


@pytest.mark.usefixtures("_global_generator")
def test_overcooked_v2_is_found_out_to_draw_from_the_global_generator() -> None:
    card = _card(_Known("cogrid:OvercookedV2-TestTimeSimple-V0", ("cogrid", "pygame"), steps=5))
    assert card.verdict == "unfit", str(card)
    assert card.check("global random state").passed is False
    assert "numpy.random in reset" in card.why
    assert "isolated it would be fit for" in card.why


@pytest.mark.parametrize(
    ("name", "kwargs", "needs"),
    [
        (_PONG.name, _PONG.kwargs, _PONG.needs),
        ("mpe2.simple_spread_v3", {"max_cycles": 300}, ("mpe2", "pygame")),
        ("lbforaging:Foraging-8x8-2p-2f-v3", {}, ("lbforaging",)),
        ("gym_p2p.envs.rally:parallel_env", {"max_frames": 60}, ()),
        ("gym_p2p/Rally-v0", {"max_frames": 60}, ()),
    ],
)
def test_after_any_number_of_wrong_turns_the_game_is_a_plain_one(
    name: str, kwargs: dict[str, Any], needs: tuple[str, ...]
) -> None:
    for module in needs:
        require(module, _TEST)
    plain, ours = (make_game(load_environment(name, kwargs)) for _ in range(2))
    snapshots = choose_snapshots(ours).snapshots
    assert snapshots is not None
    chance = random.Random(1)
    right, wrong = random_actor(plain, 1), random_actor(ours, 2)
    expected = outcome = plain.reset(seed=9)
    assert outcome_digests(ours, ours.reset(seed=9)) == outcome_digests(plain, expected)
    seen = set()
    for frame in range(100):
        before = snapshots.save()
        for turn in range(chance.randint(0, 6)):
            if outcome.ended:
                break
            outcome = ours.step(wrong(outcome, turn))
        snapshots.load(before)
        snapshots.free(before)
        actions = right(expected, frame)
        expected, outcome = plain.step(actions), ours.step(actions)
        digests = outcome_digests(plain, expected)
        assert outcome_digests(ours, outcome) == digests, f"frame {frame}"
        seen.add(str(digests))
        if expected.ended:
            break
    assert len(seen) > 20


def test_the_emulator_s_snapshots_are_freed() -> None:
    for module in (*_PONG.needs, "psutil"):
        require(module, _TEST)
    import psutil  # noqa: PLC0415 after the requirement

    game = make_game(load_environment(_PONG.name, _PONG.kwargs))
    snapshots = choose_snapshots(game).snapshots
    assert snapshots is not None
    game.reset(seed=1)
    process = psutil.Process()
    before = process.memory_info().rss
    for _ in range(3000):  # 7.7 KB each, had they not been freed: 23 MB
        snapshots.free(snapshots.save())
    assert process.memory_info().rss - before < 6_000_000


def test_a_rollback_of_pong_costs_little_more_than_its_steps() -> None:
    for module in _PONG.needs:
        require(module, _TEST)
    choice = choose_snapshots(make_game(load_environment(_PONG.name, _PONG.kwargs)))
    assert choice.save_us is not None
    assert choice.load_us is not None
    assert choice.step_us is not None
    beyond_the_steps = 8 * choice.save_us + choice.load_us
    assert beyond_the_steps < 8 * choice.step_us
