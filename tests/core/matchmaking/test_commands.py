from __future__ import annotations

import pytest

from gym_p2p.core.api.queues import PairMeasured, Verdict
from gym_p2p.core.matchmaking.commands import ProposedMatch, as_verdict


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (True, Verdict.ACCEPT),
        (False, Verdict.REJECT),
        ("next", Verdict.NEXT),
        ("accept", Verdict.ACCEPT),
        (Verdict.REJECT, Verdict.REJECT),
    ],
)
def test_what_a_hook_may_answer(answer: object, verdict: Verdict) -> None:
    assert as_verdict(answer) is verdict


@pytest.mark.parametrize("answer", [None, "yes", 2, [], {}])
def test_anything_else_is_no_verdict(answer: object) -> None:
    with pytest.raises(ValueError, match="pre-match hook answers"):
        as_verdict(answer)


def test_what_a_hook_answered_instead_is_shown_printable_and_cut() -> None:
    class Odd:
        def __repr__(self) -> str:
            return "odd\x1b[2J" + "x" * 1_000

    with pytest.raises(ValueError, match=r"not odd\\x1b\[2Jx+\.\.\.$"):
        as_verdict(Odd())


def test_a_proposed_match_is_as_far_apart_as_its_worst_pair() -> None:
    def pair(rtt_ms: float | None) -> PairMeasured:
        return PairMeasured(subjects=("ann", "bob"), rtt_ms=rtt_ms, reports={})

    assert ProposedMatch("lab", 1, (), (pair(20.0), pair(70.0), pair(None))).worst_rtt_ms == 70.0
    assert ProposedMatch("lab", 1, (), ()).worst_rtt_ms is None
