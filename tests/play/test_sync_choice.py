"""What the players agree on: everybody comes to the same sync mode from the same words."""

from __future__ import annotations

import itertools
import time
from typing import Any

import attrs
import gymnasium
import pytest

from gym_p2p.config import SyncConfig
from gym_p2p.errors import ConfigurationError, HandshakeRefused, UnsupportedEnvironment
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.state.proof import SnapshotChoice, choose_snapshots
from gym_p2p.game.state.trial import Tried
from gym_p2p.play import sync_mode
from gym_p2p.play.sync_mode import SyncOffer, agree, how_often_to_save, make_offer
from tests.toys import Blend

ABLE = SyncOffer(wants="auto", able=True, why="exact", strategy="layers", window=8)
INSISTS = SyncOffer(wants="rollback", able=True, why="exact", strategy="layers", window=8)
UNABLE = SyncOffer(wants="auto", able=False, why="no exact way")
LOCKSTEP = SyncOffer(wants="lockstep", able=False, why="lockstep was asked for")


def _all_choices(offers: list[SyncOffer]) -> list[str]:
    """Return what each of the players comes to, knowing of the others what travels."""
    told = [SyncOffer.received(offer.as_sent()) for offer in offers]
    choices = []
    for index, own in enumerate(offers):
        others = {number: offer for number, offer in enumerate(told) if number != index}
        try:
            choices.append(agree(own, others).mode)
        except HandshakeRefused:
            choices.append("refused")
    return choices


@pytest.mark.parametrize(
    "offers", list(itertools.combinations_with_replacement([ABLE, INSISTS, UNABLE, LOCKSTEP], 3))
)
def test_all_players_come_to_the_same_choice(offers: tuple[SyncOffer, ...]) -> None:
    for order in itertools.permutations(offers):
        choices = _all_choices(list(order))
        assert len(set(choices)) == 1
    expected = "rollback" if all(offer.able for offer in offers) else "lockstep"
    if INSISTS in offers and expected == "lockstep":
        expected = "refused"
    assert choices[0] == expected


def test_states_are_compared_only_where_all_save_them_in_the_same_way() -> None:
    other = SyncOffer(wants="auto", able=True, why="exact", strategy="get_state/set_state", window=8)
    assert agree(ABLE, {"b": ABLE}).compares_states is True
    assert agree(ABLE, {"b": other}).compares_states is False


def test_a_peer_who_says_nothing_sensible_is_played_with_in_lockstep() -> None:
    for nonsense in (None, 7, {}, {"wants": 3, "able": "yes"}):
        assert agree(ABLE, {"b": SyncOffer.received(nonsense)}).mode == "lockstep"


def test_a_refusal_names_both_sides_reasons() -> None:
    with pytest.raises(HandshakeRefused) as error:
        agree(INSISTS, {"bob": UNABLE})
    assert error.value.differences == (("sync", "rollback (exact)", "auto (no exact way)"),)


def test_a_peers_reasons_are_escaped() -> None:
    told = SyncOffer.received({"wants": "\x1b[2J", "why": "no\r\x1b[8m"})
    with pytest.raises(HandshakeRefused) as error:
        agree(INSISTS, {"bob": told})
    assert error.value.differences[0][2] == "\\x1b[2J (no\\r\\x1b[8m)"


def test_unpaced_frames_are_played_in_lockstep_unless_rollback_is_insisted_on() -> None:
    game = make_game(Blend("multidiscrete"))
    assert make_offer(game, SyncConfig()).able is False
    assert "fps" in make_offer(game, SyncConfig()).why
    assert make_offer(game, SyncConfig(mode="rollback")).able is True
    offer = make_offer(game, SyncConfig(fps=60))
    assert (offer.able, offer.window) == (True, 8)


def test_rollback_is_refused_early_where_the_environment_cannot_do_it() -> None:
    game = make_game(gymnasium.make("LunarLander-v3"), watchers=1)
    with pytest.raises(UnsupportedEnvironment, match="sync='lockstep'"):
        make_offer(game, SyncConfig(mode="rollback", fps=60))
    assert make_offer(game, SyncConfig(fps=60)).able is False


class _Laborious(Blend):
    """A game that takes a millisecond a frame, on any machine."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        time.sleep(0.001)
        return super().step(action)


def test_a_frame_rate_at_which_nothing_can_be_played_again_means_lockstep() -> None:
    offer = make_offer(make_game(_Laborious("multidiscrete")), SyncConfig(fps=1_000))
    assert offer.able is False
    assert "not even one frame" in offer.why


@pytest.mark.parametrize(
    "options",
    [
        {"input_delay": "auto"},
        {"input_delay": 61},
        {"input_delay": "some"},
        {"on_peer_loss": "stand_in"},
        {"stand_in": "a:b"},
        {"mode": "delay"},
        {"prediction_window": 0},
        {"view": "past"},
    ],
)
def test_options_that_make_no_sense_together_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        SyncConfig(**options)  # type: ignore[arg-type]  # plain data, checked at run time


@pytest.mark.parametrize(
    ("save_us", "step_us", "every"),
    [
        (4.0, 6.0, (1, 3)),
        (50.0, 150.0, (1, 2)),
        (20.0, 2000.0, (1, 1)),
        (100.0, 100.0, (1, 4)),
        (9.0, 4.0, (4, 4)),
    ],
)
def test_the_dearer_a_save_is_beside_a_step_the_fewer_states_are_saved(
    save_us: float, step_us: float, every: tuple[int, int]
) -> None:
    tried = Tried("layers", exact=True, reason="exact", save_us=save_us, load_us=save_us)
    assert how_often_to_save(SnapshotChoice(None, (tried,), step_us), 8) == every


def test_no_fewer_states_are_saved_than_a_shortened_window_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    game = make_game(Blend("multidiscrete"))
    tried = Tried("layers", exact=True, reason="exact", save_us=2_000.0, load_us=100.0)
    slow = attrs.evolve(choose_snapshots(game), tried=(tried,), step_us=4_000.0)
    monkeypatch.setattr(sync_mode, "choose_snapshots", lambda *_, **__: slow)
    offer = make_offer(game, SyncConfig(fps=60))  # no more than one frame can be played again within one
    assert (offer.window, offer.save_every, offer.save_again_every) == (1, 1, 1)


def test_what_was_not_measured_is_saved_every_time() -> None:
    assert how_often_to_save(SnapshotChoice(None, (), None), 8) == (1, 1)
