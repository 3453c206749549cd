"""What the announcements answer by themselves, and what of them cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.core.api.matches import QueueTicket, spectators_problem
from gym_p2p.core.api.payloads import MAX_RTT_MS, encode
from gym_p2p.core.api.probes import ProbeReport
from gym_p2p.core.api.queues import MatchProbe, PairMeasured, worst_rtt_ms
from gym_p2p.core.api.rooms import MAX_PLAYERS, MAX_SPECTATORS, MatchFound, MatchPlayer, TurnedAway
from gym_p2p.core.wire.seats import SeatId


def measured(one: str, other: str, rtt_ms: float | None) -> PairMeasured:
    return PairMeasured(subjects=(one, other), rtt_ms=rtt_ms, reports={})


def test_what_was_measured_is_found_by_either_order_of_a_pair() -> None:
    probe = MatchProbe(waited_s=1.0, pairs=(measured("a", "b", 20.0), measured("a", "c", None)))
    assert probe.rtt_ms("b", "a") == probe.rtt_ms("a", "b") == probe.worst_rtt_ms == 20.0
    assert probe.rtt_ms("c", "a") is None
    assert probe.rtt_ms("b", "c") is None
    assert worst_rtt_ms([]) is None


def test_a_report_without_success_has_no_figure_and_one_with_it_has() -> None:
    assert ProbeReport(rtt_ms=12.0, success=False).rtt_ms is None
    with pytest.raises(ValueError, match="success"):
        ProbeReport(success=True)


def player(player_id: SeatId, *more: SeatId) -> MatchPlayer:
    return MatchPlayer(player_id=player_id, subject_id=f"s{player_id}", seats=(player_id, *more), client=None)


def found(*players: MatchPlayer, **changes: Any) -> MatchFound:
    fields: dict[str, Any] = {
        "match_id": "m",
        "room": "r",
        "player_id": 0,
        "seats_taken": (0,),
        "players": players,
        "seed": 1,
        "ice_servers": (),
        "relay_only": False,
        "token": "secret",
    }
    return MatchFound(**{**fields, **changes})


def test_the_others_of_a_match_are_its_peers() -> None:
    match = found(player(0), player("b", 2))
    assert match.peers == (player("b", 2),)
    assert "secret" not in repr(match)
    assert encode(match)["players"][1]["seats"] == ["b", 2]


@pytest.mark.parametrize(
    ("players", "changes"),
    [
        ((player(0),), {}),
        (tuple(map(player, range(MAX_PLAYERS + 1))), {}),
        ((player(0), player(0)), {}),
        ((player(0), player(1, 0)), {}),
        ((player(0), player(1)), {"player_id": 2}),
        ((player(0), player(1)), {"seats_taken": (0, 1)}),
    ],
)
def test_a_match_whose_seats_do_not_add_up_cannot_be(players: Any, changes: Any) -> None:
    with pytest.raises(ValueError, match="wanted"):
        found(*players, **changes)


@pytest.mark.parametrize("seats", [(), (1, 0)])
def test_a_players_id_is_the_first_of_the_seats(seats: tuple[SeatId, ...]) -> None:
    with pytest.raises(ValueError, match="player_id"):
        MatchPlayer(player_id=0, subject_id="s", seats=seats, client=None)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"queue": "a/b"}, "queue"),
        ({"seats": ("a",)}, "seats"),
        ({"seats": tuple(range(MAX_PLAYERS + 1))}, "seats"),
        ({"seats": ("a", "")}, "seats"),
        ({"seats": ("a", "a")}, "twice"),
        ({"take": "c"}, "take"),
        ({"rtt_ms": -1.0}, "rtt_ms"),
        ({"rtt_ms": MAX_RTT_MS * 2}, "rtt_ms"),
        ({"rtt_ms": float("nan")}, "rtt_ms"),
        ({"spectators": MAX_SPECTATORS + 1}, "spectators"),
    ],
)
def test_a_ticket_says_what_is_wrong_with_it(changes: dict[str, Any], problem: str) -> None:
    fields: dict[str, Any] = {"queue": "q", "seats": ("a", "b"), "take": "b", "rtt_ms": 5.0}
    assert QueueTicket(**fields).problem is None
    assert problem in (QueueTicket(**{**fields, **changes}).problem or "")


def test_spectators_have_bounds() -> None:
    assert spectators_problem(0) is spectators_problem(MAX_SPECTATORS) is None
    assert spectators_problem(-1) is not None


def test_words_about_somebody_who_was_turned_away_are_printable() -> None:
    away = TurnedAway(place="room 'a'", code="other_env", message="\x1b[2Jthey play\nsomething else")
    assert str(away).isprintable()
    assert str(away).endswith("\\x1b[2Jthey play\\nsomething else")
