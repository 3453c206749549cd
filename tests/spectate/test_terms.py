"""Whether an environment is the players': by field, whatever the fields are called for people."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.config import P2PConfig, SyncConfig
from gym_p2p.config.options import option_fields
from gym_p2p.core.match import terms as match_terms
from gym_p2p.core.match.handshake import handshake_differences
from gym_p2p.core.match.terms import Term, label_of
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.messages import PROTOCOL_VERSION, Hello
from gym_p2p.errors import HandshakeRefused
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.seats import make_game
from gym_p2p.play.handshake import make_plan
from gym_p2p.play.sync_mode import SyncOffer
from gym_p2p.spectate.terms import WatchedTerms
from tests.toys import Blend

OFFER = SyncOffer(wants="auto", able=False, why="a test")


def _game(length: int = 40) -> Game:
    return make_game(Blend(length=length))


def _shown(**sync: Any) -> dict[str, Any]:
    """Return what a player shows to spectators, of a game of 40 frames."""
    config = P2PConfig(sync=SyncConfig(**sync))
    return dict(make_plan(_game(), config, take=None, votes=False, offer=OFFER).description)


@pytest.fixture(params=["as it is", "reworded"])
def labels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "reworded":
        monkeypatch.setattr(match_terms, "_LABELS", {term: f"the {term} in other words" for term in Term})
    return str(request.param)


@pytest.mark.usefixtures("labels")
def test_a_spectator_of_the_same_game_is_let_in_whatever_the_players_agreed_on_among_themselves() -> None:
    for sync in ({}, {"checksum_interval": 7}, {"on_peer_loss": "default_action"}):
        WatchedTerms.received(_shown(**sync)).check(_game(), source="a")


@pytest.mark.usefixtures("labels")
def test_another_game_is_refused_with_both_sides() -> None:
    with pytest.raises(HandshakeRefused) as refused:
        WatchedTerms.received(_shown()).check(_game(length=41), source="a")
    assert refused.value.peer == "a"
    assert refused.value.differences == (("argument length", "41", "40"),)


def test_another_release_is_refused_under_its_label(labels: str) -> None:
    shown = _shown()
    shown["must"] = {**shown["must"], Term.RELEASE: "0.0.1"}
    with pytest.raises(HandshakeRefused) as refused:
        WatchedTerms.received(shown).check(_game(), source=None)
    ((label, _, theirs),) = refused.value.differences
    assert (label, theirs) == (label_of(Term.RELEASE), "0.0.1")
    assert ("other words" in label) == (labels == "reworded")


@pytest.mark.parametrize("nonsense", [{}, {"must": 7}, {"must": {"game": "chess"}}, {"must": {"game": {}}}])
def test_who_shows_no_terms_shows_another_game(nonsense: dict[str, Any]) -> None:
    terms = WatchedTerms.received({**nonsense, "checked_every": "often", "isolates_random": "yes"})
    assert (terms.checked_every, terms.isolates_random) == (None, False)
    with pytest.raises(HandshakeRefused):
        terms.check(_game(), source="a")


def test_players_compare_every_field_and_each_topic_of_the_game(labels: str) -> None:
    ours, theirs = _shown(), _shown(checksum_interval=7, on_peer_loss="default_action")
    theirs["must"] = {**theirs["must"], Term.GAME: {**theirs["must"][Term.GAME], "seats": "one"}}
    rows = handshake_differences(ours, Hello(PROTOCOL_VERSION, JsonObject(theirs), b"", 0, 0))
    wanted = ["seats", label_of(Term.CHECKSUM_INTERVAL), label_of(Term.ABSENT_PLAYERS)]
    assert [row[0] for row in rows] == wanted
    assert ("on_peer_loss" in wanted) == (labels == "as it is")


def _told(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, tuple[str, str]]:
    hello = Hello(PROTOCOL_VERSION, JsonObject(_shown(**theirs)), b"", 0, 0)
    return {what: (one, other) for what, one, other in handshake_differences(_shown(**ours), hello)}


@pytest.mark.parametrize(
    ("ours", "theirs", "shown"),
    [
        (30, 60, ("30", "60")),
        (60, 59.94, ("60", "59.94")),
        (60, 61, ("60", "61")),
        (30.0, 29.97, ("30", "29.97")),
    ],
)
def test_another_frame_rate_is_told_as_fps(ours: float, theirs: float, shown: tuple[str, str]) -> None:
    assert _told({"fps": ours}, {"fps": theirs}) == {"fps": shown}


@pytest.mark.parametrize("fps", [30, 60, 120.5])
def test_paced_against_not_paced_is_told_as_that(fps: float) -> None:
    told = _told({"fps": fps}, {})
    assert list(told) == ["fps"]
    ours, theirs = told["fps"]
    assert ours == f"{fps:g}"
    assert theirs.startswith("None (not paced")


def test_the_same_rate_is_the_same_however_it_was_written() -> None:
    assert _told({"fps": 30}, {"fps": 30.0}) == {}


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        ({"checksum_interval": 5}, {"checksum_interval": 6}, ["checksum_interval"]),
        ({"on_peer_loss": "truncate"}, {"on_peer_loss": "default_action"}, ["on_peer_loss"]),
        (
            {"on_peer_loss": "stand_in", "stand_in": "a:play"},
            {"on_peer_loss": "stand_in", "stand_in": "b:play"},
            ["stand_in"],
        ),
        ({"on_peer_loss": "truncate"}, {"on_peer_loss": "raise"}, []),
        ({"prediction_window": 3, "view": "confirmed", "input_delay": 2}, {}, []),
    ],
)
def test_what_differs_is_called_as_its_user_called_it(
    ours: dict[str, Any], theirs: dict[str, Any], options: list[str]
) -> None:
    told = _told(ours, theirs)
    assert list(told) == options
    assert set(options) <= set(option_fields())
