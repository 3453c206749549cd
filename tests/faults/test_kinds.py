"""Plans are drawn from their seed alone, and the selection covers what it says."""

from __future__ import annotations

import pytest

from tests.faults.acts import ACTS
from tests.faults.draws import EPISODE_FRAMES
from tests.faults.kinds import KINDS, plan
from tests.faults.naming import RULES


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_is_made_of_its_kind_and_seed_alone_and_can_be_carried_out(kind: str) -> None:
    for seed in range(8):
        made = plan(kind, seed)
        assert made == plan(kind, seed)
        assert made.faults
        assert all(fault.what in ACTS for fault in made.faults)
        assert all(fault.frame < made.frames for fault in made.faults)
    assert KINDS[kind].expected.naming in {None, *RULES}


OTHERS = {"two killed and back": {3, 4}, "killed as another comes back": {3}, "Pong": {2}}
"""Of how many players those are that want others than two and three."""


@pytest.mark.parametrize("kind", KINDS)
def test_four_seeds_in_a_row_have_both_modes_with_two_and_three_players(kind: str) -> None:
    found = {(made.sync, len(made.hosts)) for made in (plan(kind, seed) for seed in range(5, 9))}
    players = OTHERS.get(kind, {2, 3})
    assert found == {(mode, many) for mode in ("lockstep", "rollback") for many in players}


@pytest.mark.parametrize("kind", ["medley", "medley of paths", "Pong"])
def test_a_medley_has_every_fault_after_the_one_before_and_names_each_as_its_own_kind(kind: str) -> None:
    for seed in range(8):
        made = plan(kind, seed)
        frames = [fault.frame for fault in made.faults]
        assert frames == sorted(frames)
        assert len({fault.of for fault in made.faults}) >= 2
        assert all(fault.of in KINDS for fault in made.faults)
        barriers = [one for one in made.faults if one.of == "killed at barrier and back"]
        assert all(one.frame % EPISODE_FRAMES == 0 for one in barriers)


def test_no_two_kinds_of_a_seed_strike_at_the_same_moments() -> None:
    assert len({plan(kind, 1).faults for kind in KINDS}) == len(KINDS)
