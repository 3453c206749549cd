"""What differs between copies is judged by its effect and its cause, not by its being there."""

from __future__ import annotations

from typing import Any

import pytest

import gym_p2p
from tests.game import local_noise


def _card(make_env: Any, **options: Any) -> gym_p2p.ReportCard:
    return gym_p2p.check_env_determinism(make_env, **{"steps": 20, "seeds": (1,), **options})


def _card_of_seldom(make_env: Any) -> gym_p2p.ReportCard:
    """Judge up to five times: addresses fall as they like, in one card of 27 alike in all its rounds.

    They fall as before where nothing has moved, hence what is kept from one time to the next.
    """
    moved: list[Any] = []
    for number in range(5):
        moved += [bytearray(16 * (number + 1)) for _ in range(997 * number)]
        card = _card(make_env)
        if card.verdict == "unfit":
            break
    return card


@pytest.mark.parametrize("fresh_process", [True, False])
@pytest.mark.parametrize(
    ("habit", "keys"),
    [
        (local_noise.Dated, ["'began'", "'id'", "'lasted'"]),
        (local_noise.Sparkling, ["'sparks'"]),
        (local_noise.Named, ["'name'"]),
    ],
)
def test_what_hangs_on_clocks_chance_or_an_address_is_left_out_and_named(
    habit: Any, keys: list[str], *, fresh_process: bool
) -> None:
    card = _card(habit, fresh_process=fresh_process)
    assert card.verdict == "rollback", str(card)
    for check in (card.check("info"), card.check("state checksum")):
        assert check.passed is None, str(card)
        assert "left out of the comparison" in check.detail
    assert all(key in card.check("info").detail for key in keys)
    assert not [check.name for check in card.checks if check.passed is False]


def test_a_state_that_goes_another_way_by_an_order_is_no_pass() -> None:
    card = _card(local_noise.SilentlyByAddress)
    assert card.verdict == "unfit", str(card)
    assert card.check("state checksum").passed is False
    assert "worth" in card.why
    assert "neither on clocks nor on chance" in card.why


def test_an_order_that_seldom_comes_out_otherwise_is_found_in_several_rounds() -> None:
    card = _card_of_seldom(local_noise.SeldomByAddress)
    assert card.verdict == "unfit", str(card)
    assert "neither on clocks nor on chance" in card.why


@pytest.mark.parametrize("habit", [local_noise.Listed, local_noise.Herded])
def test_an_order_that_stays_what_it_was_is_no_label(habit: Any) -> None:
    card = _card(habit)
    assert card.verdict == "unfit", str(card)
    assert "neither on clocks nor on chance" in card.why


def test_an_order_that_was_drawn_is_of_chance() -> None:
    card = _card(local_noise.Drawn)
    assert card.verdict == "rollback", str(card)
    assert "left out of the comparison" in card.check("info").detail


def test_an_identity_is_the_object_and_not_a_number() -> None:
    card = _card(local_noise.KeyedByAddress)
    assert card.verdict == "rollback", str(card)
    assert card.check("state checksum").passed is True, str(card)


_MAKERS: dict[str, Any] = {
    "a lambda": lambda: local_noise.SilentlyByAddress(),  # noqa: PLW0108 no other program can import it
    "a lambda of one that seldom does": lambda: local_noise.SeldomByAddress(),  # noqa: PLW0108 the same
    "a bound method": local_noise.Maker(local_noise.SilentlyByAddress).make,
}


@pytest.mark.parametrize("maker", _MAKERS)
def test_a_maker_that_no_other_program_has_is_judged_all_the_same(maker: str) -> None:
    card = (_card_of_seldom if "seldom" in maker else _card)(_MAKERS[maker])
    assert card.check("fresh process").passed is None
    assert card.verdict == "unfit", str(card)
    assert "neither on clocks nor on chance" in card.why


def test_what_hangs_on_a_clock_that_was_imported_by_name_is_left_out() -> None:
    card = _card(lambda: local_noise.Clocked())  # noqa: PLW0108 the same
    assert card.verdict == "rollback", str(card)
    assert "left out of the comparison" in card.check("info").detail
    assert "another process can import" in card.why  # text hashed in one way only


def test_what_could_not_be_judged_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.fork")
    card = _card(lambda: local_noise.Clocked())  # noqa: PLW0108 the same
    assert card.verdict == "unfit", str(card)
    assert card.why.startswith("info: not judged: players would differ in")
    assert "does not fork" in card.why


def test_where_a_fork_comes_to_other_outcomes_that_is_said_of_a_fork() -> None:
    card = _card(lambda: local_noise.Homesick())  # noqa: PLW0108 the same
    assert card.verdict == "unfit", str(card)
    assert "with fixed clocks and chance, the reward of 'player' differs" in card.why, card.why
    assert card.why.endswith("(a fork of this process)")


def test_what_shows_late_is_waited_for_where_states_differ() -> None:
    card = _card(local_noise.LateByAddress, fresh_process=False)
    assert card.verdict == "unfit", str(card)
    assert card.check("fresh object").passed is False


def test_isolation_is_not_advised_where_nothing_is_gained() -> None:
    card = _card(local_noise.Decorated, fresh_process=False)
    assert card.verdict == "rollback", str(card)
    assert "isolated" not in card.why
    random_state = card.check("global random state")
    assert random_state.passed is None
    assert "random in step, and no outcome depended on it" in random_state.detail


def test_who_draws_seldom_from_a_global_generator_is_found_out_with_more_seeds() -> None:
    cards = [_card(local_noise.SeldomDrawer, fresh_process=False) for _ in range(3)]
    assert [card.verdict for card in cards] == ["unfit"] * 3
    assert "isolated it would be fit for rollback" in cards[0].why
