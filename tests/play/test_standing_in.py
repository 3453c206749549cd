"""What a player gives for those who are away, and who is told to have acted."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.commands import GiveFor
from gym_p2p.core.match.events import EpisodeBegan, InputsArrived
from gym_p2p.core.match.return_events import ActFor
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.wire.acting import ActedBy
from gym_p2p.envs.rally import RallyEnv
from gym_p2p.errors import ConfigurationError
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.inputs import SeatInputs
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.spaces.codec import ActionCodec
from gym_p2p.play.played_match import PlayedMatch
from gym_p2p.play.runner import EpisodeRunner
from gym_p2p.play.silences import Silence
from gym_p2p.play.standing_in import StandingIn, stood_in_for
from gym_p2p.play.sync_mode import SyncChoice

SEATS = ("a", "b", "c")
HOLDERS = (0, 1, 1)
"""Player 1 has two seats."""


class _Game:
    seats = SEATS

    def codec(self, _seat: str) -> ActionCodec:
        return ActionCodec(spaces.Discrete(4))

    def default_action(self, _seat: str) -> int:
        return 0


def _outcome(*masks: list[int] | None) -> Outcome:
    infos = tuple([{} if mask is None else {"action_mask": np.array(mask, np.int8)} for mask in masks])
    return Outcome(tuple(range(3)), (0.0,) * 3, (False,) * 3, (False,) * 3, infos, ended=False)


PLAIN = _outcome(None, None, None)


class _Table:
    """The first player's part in a match in which the second is away."""

    def __init__(self, stand_in: Any = None, *, delay: int = 0) -> None:
        self.given: list[GiveFor] = []
        game: Any = _Game()
        self.inputs = SeatInputs(game, HOLDERS, 0)
        match = SimpleNamespace(
            game=game, inputs=self.inputs, away_stand_in=stand_in, acts_for={1}, command=self.given.append
        )
        self.standing_in = StandingIn(cast("PlayedMatch", match), EpisodeBegan(1, 7, {}, (0, delay)))

    def input_of(self, action: int, other: int) -> bytes:
        return self.inputs.input_of(1, lambda seat: action if seat == "b" else other)


def test_default_actions_are_given_of_all_seats_once_a_frame_as_late_as_the_player_would() -> None:
    table = _Table(delay=2)
    for frame in (0, 0, 1):
        table.standing_in.act(frame, PLAIN)
    assert [one.frame for one in table.given] == [0, 1, 2, 3]
    assert {one.data for one in table.given} == {table.input_of(0, 0)}
    assert {one.actor for one in table.given} == {ActedBy.DEFAULT}


def test_what_the_player_gave_is_not_given_again() -> None:
    table = _Table()
    table.standing_in.learn(InputsArrived(1, 0, (b"x",) * 5, 5))
    table.standing_in.act(4, PLAIN)
    assert not table.given
    table.standing_in.act(5, PLAIN)
    assert [one.frame for one in table.given] == [5]


def test_what_was_given_in_vain_is_given_again_once_it_is_asked_for_again() -> None:
    table = _Table()
    table.standing_in.act(0, PLAIN)
    table.standing_in.learn(InputsArrived(1, 0, (b"x",), 1))
    table.standing_in.act(1, PLAIN)  # they are back, which is not known here yet, and go before they play
    table.standing_in.begin(1)
    for _ in range(2):
        table.standing_in.act(1, PLAIN)
    assert [one.frame for one in table.given] == [0, 1, 1]


def test_an_episode_gives_anew_what_is_asked_for_again() -> None:
    commands: list[object] = []
    seats = ("left", "right")
    record = MatchRecord(
        game_id="match",
        player_id="left",
        players=seats,
        peers=seats[1:],
        session_start_ms=0,
        environment={},
        config={},
    )
    match = PlayedMatch(
        game=make_game(RallyEnv()),
        holders=range(2),
        local=0,
        config=SyncConfig(while_away="default_action", rejoin_timeout_s=30),
        choice=SyncChoice(mode="lockstep", why="as in every match"),
        record=record,
        command=commands.append,
        now_ms=lambda: 0,
        monotonic_s=lambda: 0.0,
        acts_for={1},
    )
    runner = EpisodeRunner(match, EpisodeBegan(1, 7, {}, (0, 0)))
    runner.add_input({"left": 1})
    runner.act_for_others()
    for acts in (False, True):
        runner.receive(ActFor(1, acts))
    runner.act_for_others()
    assert [one.frame for one in commands if isinstance(one, GiveFor)] == [0, 0]


def test_a_stand_in_sees_what_the_seat_sees_and_is_asked_of_no_frame_that_has_gone_by() -> None:
    table = _Table(lambda _seat, observation, frame: (observation + frame) % 4)
    table.standing_in.act(2, PLAIN)
    assert [one.actor for one in table.given] == [ActedBy.DEFAULT, ActedBy.DEFAULT, ActedBy.STAND_IN]
    assert table.given[2].data == table.input_of((1 + 2) % 4, (2 + 2) % 4)


@pytest.mark.parametrize("wrong", [lambda *_: 1 / 0, lambda *_: "no action"])
def test_where_a_stand_in_fails_the_default_action_is_given_and_the_log_says_so_once(
    wrong: Any, caplog: pytest.LogCaptureFixture
) -> None:
    table = _Table(wrong)
    with caplog.at_level(logging.ERROR):
        for frame in range(3):
            table.standing_in.act(frame, PLAIN)
    assert {(one.data, one.actor) for one in table.given} == {(table.input_of(0, 0), ActedBy.DEFAULT)}
    assert len(caplog.messages) == 1


def test_where_the_default_action_is_forbidden_one_is_given_that_is_not() -> None:
    table = _Table()
    table.standing_in.act(0, _outcome(None, [0, 0, 1, 1], [1, 0, 0, 0]))
    assert table.given[0].data == table.input_of(2, 0)


def test_who_acted_in_a_frame_is_told_of_what_came_and_of_what_was_played_before() -> None:
    table = _Table()
    before = ((b"x",) * 4, (b"x",) * 4)
    table.standing_in.take_up((0, 0), before, (b"", bytes([0, 0, 2, 1])))
    table.standing_in.learn(InputsArrived(1, 4, (b"x",) * 2, 4, actors=bytes([1, 0])))
    told = [list(table.standing_in.acted(frame)) for frame in range(7)]
    assert told == [[], [], [(1, "stand_in")], [(1, "default")], [(1, "default")], [], []]


def test_it_is_said_who_plays_for_whom_and_for_how_long() -> None:
    silent = {1: Silence(1e9, 12.0, away=True), 2: Silence(1e9, 12.0)}
    client: Any = SimpleNamespace(silent=silent, player_id=lambda player: f"p{player}")
    config = SyncConfig(while_away="stand_in", stand_in=lambda *_: 0, rejoin_timeout_s=30)
    (told,) = stood_in_for(client, config)
    assert str(told).startswith("'p1' is away: stand_in plays, ")
    (told,) = stood_in_for(client, SyncConfig(while_away="default_action", rejoin_timeout_s=30))
    assert "default actions are played" in str(told)
    assert stood_in_for(client, SyncConfig()) == ()


def test_a_stand_in_goes_with_who_needs_one() -> None:
    with pytest.raises(ConfigurationError, match="stand_in"):
        SyncConfig(while_away="stand_in")
    with pytest.raises(ConfigurationError, match="stand_in"):
        SyncConfig(while_away="default_action", stand_in=lambda *_: 0)
