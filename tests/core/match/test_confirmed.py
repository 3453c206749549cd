"""What is kept of the matrix of counts is what a look at all of it gives."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gym_p2p.core.match.confirmed import Confirmed
from gym_p2p.core.match.input_buffers import NEVER
from tests.core.examples import examples


def naive(rows: dict[int, list[int]], finals: dict[int, int]) -> int:
    """The definition: the least entry, of columns that are not complete."""
    columns = [min(column) for column in zip(*rows.values(), strict=True)]
    return min(NEVER if least >= finals.get(player, NEVER) else least for player, least in enumerate(columns))


class Matrix(RuleBasedStateMachine):
    """Players report what they hold, and some of them go, in any order."""

    @initialize(players=st.integers(2, 8))
    def begin(self, players: int) -> None:
        self.rows = {player: [0] * players for player in range(players)}
        self.finals: dict[int, int] = {}
        self.confirmed = Confirmed(players)
        self.settled = self.confirmed.look(self.rows, self.finals)

    @rule(data=st.data(), grown=st.lists(st.integers(0, 3), min_size=8, max_size=8))
    def report(self, data: st.DataObject, grown: list[int]) -> None:
        player = data.draw(st.sampled_from(sorted(self.rows)))
        row = self.rows[player]
        for column, more in enumerate(grown[: len(row)]):
            row[column] = min(row[column] + more, self.finals.get(column, NEVER))
        self.confirmed.report(player, row)

    @rule(player=st.integers(0, 7))
    def report_of_somebody_else(self, player: int) -> None:
        if player not in self.rows:
            self.confirmed.report(player, [99] * len(self.rows[0]))

    @precondition(lambda self: len(self.rows) > 1)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        player = data.draw(st.sampled_from([one for one in self.rows if one]))
        del self.rows[player]
        self.finals[player] = max(row[player] for row in self.rows.values())
        self.settled = self.confirmed.look(self.rows, self.finals)

    @invariant()
    def it_is_the_least_entry(self) -> None:
        if not self.settled:
            self.settled = self.confirmed.look(self.rows, self.finals)
        assert self.confirmed.count == naive(self.rows, self.finals)


Matrix.TestCase.settings = settings(max_examples=examples(100), stateful_step_count=30, deadline=None)
TestMatrix = Matrix.TestCase


@given(st.lists(st.integers(0, 9), min_size=2, max_size=8))
def test_an_end_that_is_not_complete_is_to_be_looked_at_again(row: list[int]) -> None:
    confirmed, last = Confirmed(len(row)), len(row) - 1
    assert not confirmed.look({0: row}, {last: row[last] + 1})
    assert confirmed.look({0: row}, {last: row[last]})
