"""State outside of an environment's objects: saved, restored, compared; not shared by copies in a process."""

from __future__ import annotations

import numpy as np
import pytest

from gym_p2p import check_env_determinism, simulate
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.state.apart import apart
from gym_p2p.game.state.outside import Outside
from gym_p2p.game.state.proof import choose_snapshots
from tests.game import elsewhere, elsewhere_board
from tests.game.elsewhere import KEEPERS, InAList, InAnotherModule, InANumber, InTheClass, Keeper


@pytest.mark.parametrize("env", KEEPERS)
def test_what_shows_late_is_restored_from_the_first_frame_on(env: type[Keeper]) -> None:
    card = check_env_determinism(env, steps=180, fresh_process=False)
    assert card.verdict == "rollback", str(card)


@pytest.mark.parametrize("env", elsewhere.GOERS)
def test_what_goes_on_and_cannot_be_put_back_is_no_rollback(env: type[Keeper]) -> None:
    card = check_env_determinism(env, steps=20, fresh_process=False)
    assert card.verdict == "lockstep", str(card)
    assert "tests.game.elsewhere._FROM" in card.check("after a restore").detail


def test_it_is_not_made_by_a_load_where_it_was_not_there_yet() -> None:
    env = elsewhere.UnderANameMadeAtRunTime()
    game = make_game(env)
    snapshots = choose_snapshots(game).snapshots
    assert snapshots is not None
    del vars(elsewhere)["_TOTAL_HERE"], vars(elsewhere_board)["MORE"]
    del elsewhere.UnderANameMadeAtRunTime.total_here  # type: ignore[attr-defined]  # made at run time
    moment = snapshots.save()
    game.reset(1)
    snapshots.load(moment)
    assert not hasattr(elsewhere, "_TOTAL_HERE")
    assert not hasattr(elsewhere_board, "MORE")
    assert not hasattr(elsewhere.UnderANameMadeAtRunTime, "total_here")


@pytest.mark.parametrize("env", KEEPERS)
def test_virtual_players_in_one_process_play_what_the_oracle_plays(env: type[Keeper]) -> None:
    chance = np.random.default_rng(3)
    policies = dict.fromkeys((0, 1), lambda _observation, _frame: int(chance.integers(3)))
    simulation = simulate(env, policies, frames=180, seed=5, one_way_ms=50, sync="rollback")
    oracle = make_game(env())
    oracle.reset(5)
    for frames in zip(*(player.confirmed for player in simulation.players.values()), strict=True):
        actions = [frames[0].actions[seat] for seat in (0, 1)]
        seen = oracle.step(actions).observations[0]
        assert [frame.observation.tolist() for frame in frames] == [seen.tolist()] * 2
    for player in simulation.players.values():
        assert player.exports["validation"]["desyncEvents"] == []
        assert player.counters.rollbacks > 0


def test_it_is_found_by_its_module_or_class() -> None:
    found = {env: {space.where: space.names for space in Outside([env()], []).all} for env in KEEPERS}
    assert found[InAList] == {"tests.game.elsewhere": ("_SCORES",)}
    assert found[InANumber] == {"tests.game.elsewhere": ("_COUNT",)}
    assert found[InTheClass] == {"tests.game.elsewhere.InTheClass": ("total",)}
    assert found[InAnotherModule] == {"tests.game.elsewhere_board": ("cells", "turn")}


def test_it_is_not_compared_for_it_may_be_a_cache() -> None:
    snapshots = choose_snapshots(make_game(InAList())).snapshots
    assert snapshots is not None
    fields = snapshots.fields_now()
    assert fields is not None
    assert not any("_SCORES" in path or "_SCORES" in str(value) for path, value in fields.items())


def test_what_no_code_of_the_environment_names_is_left_to_its_owner() -> None:
    game = make_game(InAList())
    snapshots = choose_snapshots(game).snapshots
    assert snapshots is not None
    game.reset(1)
    moment = snapshots.save()
    elsewhere.results.append(1.0)
    snapshots.load(moment)
    assert elsewhere.results == [1.0]
    elsewhere.results.clear()


def test_what_a_user_draws_from_a_space_does_not_move_the_environments_own() -> None:
    env = elsewhere.InItsOwnSpace()
    game = make_game(env)
    game.reset(4)
    before = env.action_space.np_random.bit_generator.state
    for seat in game.seats:
        space, _ = game.users_spaces(seat)
        assert space == game.action_space(seat)
        assert space is game.users_spaces(seat)[0]
        space.seed(1)
        space.sample()
    assert env.action_space.np_random.bit_generator.state == before


def test_copies_that_take_turns_find_their_own() -> None:
    one, other = apart([make_game(InAList()), make_game(InAList())])
    for game, action in ((one, 0), (other, 2)):
        game.reset(1)
        for _ in range(3):
            game.step([action, action])
    elsewhere_totals = []
    for game in (one, other):
        game.take_stage()
        elsewhere_totals.append(elsewhere._SCORES[0])
    assert elsewhere_totals == [3, 27]
