"""Who the players are by what the service and they themselves say; none of that is trusted to be sensible."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.core.latency.clock import ClockEstimate
from gym_p2p.core.match.events import Connected, Pinged
from gym_p2p.play.recorder import Recorder
from tests.play.recorders import OURS, made_recorder


def _players(recorder: Recorder) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = recorder.document("session")["players"]
    return found


def test_before_they_have_met_a_players_version_is_what_the_service_was_told() -> None:
    ours, theirs = _players(made_recorder())
    assert (ours["version"], ours["platform"]) == tuple(OURS["software"].values())
    assert (theirs["subjectId"], theirs["version"], theirs["platform"]) == ("P1", "0.0.9", None)
    assert _players(made_recorder("page"))[1]["version"] == "page"
    assert _players(made_recorder(None))[1]["version"] is None


def test_what_a_peer_says_of_itself_is_in_the_documents() -> None:
    recorder = made_recorder()
    theirs = {"software": {"version": "9.9", "platform": "BeOS"}, "clock": 3000.0}
    recorder.fold(5000, Connected((None, theirs)))
    assert (_players(recorder)[1]["version"], _players(recorder)[1]["platform"]) == ("9.9", "BeOS")
    recorder.fold(6000, Pinged(1, 4.0, ClockEstimate(0.5, 0.002, 0.004, 0.002, 0.002)))
    assert recorder.document("session")["clockOffsets"] == {
        "1": [{"timestamp": 6000, "offsetMs": 2500.0, "boundMs": 2.0}]
    }


@pytest.mark.parametrize(
    "theirs",
    [
        None,
        {},
        {"software": ["x"], "clock": "soon"},
        {"software": {"version": {"a": 1}, "platform": 7}, "clock": float("nan")},
        {"software": {"version": "", "platform": None}, "clock": 10**400},
        {"software": {"version": None}, "clock": True},
    ],
)
def test_who_says_nothing_sensible_is_known_by_what_the_service_knows(theirs: Any) -> None:
    recorder = made_recorder()
    recorder.fold(5000, Connected((None, theirs)))
    recorder.fold(6000, Pinged(1, 4.0, ClockEstimate(0.5, 0.002, 0.004, 0.002, 0.002)))
    told = _players(recorder)[1]
    assert (told["subjectId"], told["version"], told["platform"]) == ("P1", "0.0.9", None)
    assert recorder.document("session")["clockOffsets"] == {"1": []}


def test_a_peers_texts_are_short_and_printable() -> None:
    recorder = made_recorder()
    recorder.fold(
        5000, Connected((None, {"software": {"version": "\x1b[31m" * 999, "platform": "\u202e" * 999}}))
    )
    told = _players(recorder)[1]
    assert len(told["version"]) == len(told["platform"]) == 128
    assert told["version"].isprintable()
    assert told["platform"].isprintable()
