"""Plans are drawn from their seed alone, and the selection covers what it says."""

from __future__ import annotations

import pytest

from tests.faults.acts import ACTS
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


@pytest.mark.parametrize("kind", KINDS)
def test_four_seeds_in_a_row_have_both_modes_with_two_and_three_players(kind: str) -> None:
    found = {(made.sync, len(made.hosts)) for made in (plan(kind, seed) for seed in range(5, 9))}
    assert found == {("lockstep", 2), ("rollback", 2), ("lockstep", 3), ("rollback", 3)}


def test_no_two_kinds_of_a_seed_strike_at_the_same_moments() -> None:
    assert len({plan(kind, 1).faults for kind in KINDS}) == len(KINDS)
