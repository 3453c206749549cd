"""The conversations themselves: honest players get through theirs, and what is to be changed is changed."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from gym_p2p.core.match.events import ChecksumsAgreed, EpisodeBegan, PlayerGone, ProtocolErrorSeen
from tests.hostile.changes import Change
from tests.hostile.conversation import Act, converse
from tests.hostile.honest_player import LAST_EPISODE, Setting
from tests.hostile.truths import Truths

EPISODES = list(range(1, LAST_EPISODE + 1))


def setting(players: int = 3, *, window: int = 4) -> Setting:
    return Setting(players=players, window=window, delay=1, frames=6, latency=(1, 0, 2), goes_on=False)


def told(truths: Truths, player: int, kind: type) -> list[Any]:
    return [event for one, event in truths.events if one == player and isinstance(event, kind)]


@pytest.mark.parametrize("window", [0, 4])
@pytest.mark.parametrize("players", [2, 3, 4])
def test_honest_players_play_all_episodes_and_agree(players: int, window: int) -> None:
    truths = converse(setting(players, window=window), [], [])
    for player in range(players - 1):
        assert [event.episode for event in told(truths, player, EpisodeBegan)] == EPISODES
        assert {event.episode for event in told(truths, player, ChecksumsAgreed)} == set(EPISODES)
    assert truths.lied == 0


def test_a_change_is_made_and_heard() -> None:
    too_far = Change(tick=8, index=0, kind="say ready", which=0, many=1, off=64, said=None, keeps=True)
    truths = converse(setting(), [too_far], [])
    assert truths.lied == 1
    errors = [error for player in (0, 1) for error in told(truths, player, ProtocolErrorSeen)]
    assert [(error.player, error.problem) for error in errors] == [(2, "barrier of another episode")]


def test_a_message_may_be_changed_twice_though_the_first_change_has_spoilt_it() -> None:
    spoils = [
        Change(tick=tick, index=index, kind="field", which=5, many=5, off=64, said=None, keeps=False)
        for tick in range(8, 12)
        for index in range(8)
        for _ in range(2)
    ]
    inputs = [attrs.evolve(change, kind="inputs") for change in spoils]
    assert converse(setting(2), [*spoils, *inputs], []).lied > len(spoils) / 2


def test_who_vanishes_is_gone_for_the_others() -> None:
    truths = converse(setting(), [], [Act(tick=8, what="vanish", player=2, many=0)])
    for player in (0, 1):
        assert {event.player for event in told(truths, player, PlayerGone)} >= {2}
