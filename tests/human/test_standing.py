"""What a person is told of how a match stands, and how it came to its end."""

from __future__ import annotations

import pytest

from gym_p2p.human.standing import away_in, ended_by, phase_of
from gym_p2p.play.ending import Ending
from gym_p2p.play.progress import Progress, SessionState
from gym_p2p.play.standing_in import StoodInFor


@pytest.mark.parametrize(
    ("reason", "stated", "told"),
    [
        ("peer_left", "failed", "peer_failed"),
        ("peer_left", "environment_failed", "peer_failed"),
        ("peer_left", "interrupted", "interrupted"),
        ("peer_left", "left", "peer_left"),
        ("peer_left", "page_closed", "peer_left"),
        ("peer_left", "whatever a stranger says", "peer_left"),
        ("peer_left", None, "peer_left"),
        ("excluded", "failed", "excluded"),
        ("desync", None, "desync"),
    ],
)
def test_who_says_goodbye_for_a_fault_has_not_left_by_choice(
    reason: str, stated: str | None, told: str
) -> None:
    assert ended_by(Ending(reason, "right", stated_reason=stated)) == told


@pytest.mark.parametrize("by", ["default_action", "stand_in"])
def test_who_is_away_while_others_act_for_them_is_told(by: str) -> None:
    gone = [StoodInFor(player, by, since=0.0, limit_s=30.0) for player in ("left", 2)]
    assert away_in(Progress(state=SessionState.PLAYING, away=tuple(gone))) == {"who": "left, 2", "by": by}
    assert away_in(Progress(state=SessionState.PLAYING)) is None


def test_who_comes_back_to_a_match_does_not_wait_for_others() -> None:
    assert phase_of(Progress(state=SessionState.NEW)) == "waiting"
    assert phase_of(Progress(state=SessionState.NEW, comes_back=True)) == "returning"
    assert phase_of(Progress(state=SessionState.PLAYING, comes_back=True)) == "playing"


def test_of_a_match_that_nobody_broke_off_nothing_is_told() -> None:
    assert ended_by(None) is None
