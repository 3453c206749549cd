from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from gym_p2p.core.record.aggregate import aggregate
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ProtocolError
from tests.core.record.test_aggregate import document, require_valid


def result(number: int = 1, **changed: Any) -> dict[str, Any]:
    return {
        "episode": number,
        "seed": 7,
        "options": None,
        "frames": 30,
        "endedBy": "terminated",
        "returns": {"a": 1.5, "b": -1.5},
        "lengths": {"a": 30, "b": 30},
        "finalInfo": {"a": {"score": 3}, "b": {}},
        **changed,
    }


def player(name: str, *, local: bool = True, **changed: Any) -> dict[str, Any]:
    told = {
        "playerId": name,
        "subjectId": f"own-{name}",
        "seats": [name],
        "version": "1.0",
        "platform": "Linux",
    }
    return {**told, "local": local, **changed}


def compared(documents: dict[SeatId, dict[str, Any]], *, a: str | None = None) -> dict[str, Any]:
    subjects: dict[SeatId, str] = {} if a is None else {"a": a}
    reading: dict[SeatId, Any] = {
        player: json.dumps(document).encode for player, document in documents.items()
    }
    result = aggregate(reading, game_id="m", aggregated_at_ms=1, subjects=subjects)
    require_valid(result)
    return result


def test_who_played_is_what_the_service_knows_and_else_what_each_says_of_themselves() -> None:
    everybody = [player("a"), player("b", local=False, subjectId="somebody else")]
    theirs = [player("a", local=False, subjectId="somebody else"), player("b")]
    found = compared({"a": document(players=everybody), "b": document(players=theirs)}, a="P07")
    assert found["participants"] == [
        {
            "playerId": "a",
            "subjectId": "P07",
            "seats": ["a"],
            "local": False,
            "version": "1.0",
            "platform": "Linux",
            "playedBy": None,
            "playedBySeat": {},
        },
        {
            "playerId": "b",
            "subjectId": "own-b",
            "seats": ["b"],
            "local": False,
            "version": "1.0",
            "platform": "Linux",
            "playedBy": None,
            "playedBySeat": {},
        },
    ]
    assert found["schemaVersion"] == 2


def test_a_players_own_words_are_short_and_printable() -> None:
    hostile = player("a", subjectId="x" * 9999, version="\x1b[2J", seats=["\n" * 999] * 999)
    told = compared({"a": document(players=[hostile])})["participants"][0]
    assert len(told["subjectId"]) == 128
    assert told["version"] == "\\x1b[2J"
    assert len(told["seats"]) == 64
    assert all(len(seat) <= 128 and seat.isprintable() for seat in told["seats"])


def test_equal_results_agree() -> None:
    doc = document(episodes=[result(1), result(2, seed=8)])
    found = compared({"a": doc, "b": copy.deepcopy(doc)})
    assert found["summary"]["resultsMatch"] is True
    assert found["results"]["disagreements"] == []
    first, second = found["results"]["episodes"]
    assert (first["seed"], second["seed"]) == (7, 8)
    assert first["returns"] == {"a": {"a": 1.5, "b": -1.5}, "b": {"a": 1.5, "b": -1.5}}
    assert (first["seedsMatch"], first["returnsMatch"], first["lengthsMatch"]) == (True, True, True)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"seed": 8}, "seed"),
        ({"options": {"hard": True}}, "options"),
        ({"returns": {"a": 1.5, "b": -1.0}}, "returns"),
        ({"returns": {"a": None, "b": -1.5}}, "returns"),
        ({"lengths": {"a": 29, "b": 30}}, "lengths"),
        ({"finalInfo": {"a": {"score": 4}, "b": {}}}, "finalInfo"),
    ],
)
def test_where_players_disagree_is_said(changed: dict[str, Any], what: str) -> None:
    key = {"seed": "seed", "options": "options"}.get(what, what)
    found = compared({"a": document(episodes=[result()]), "b": document(episodes=[result(**changed)])})
    assert found["summary"]["resultsMatch"] is False
    assert found["results"]["disagreements"] == [
        {"episode": 1, "what": what, "values": {"a": result()[key], "b": changed[key]}}
    ]
    flag = {"seed": "seedsMatch", "returns": "returnsMatch", "lengths": "lengthsMatch"}.get(what)
    assert flag is None or found["results"]["episodes"][0][flag] is False


def test_who_left_earlier_has_earned_less_and_does_not_disagree() -> None:
    early = result(frames=10, returns={"a": 0.0, "b": 0.0}, lengths={"a": 10, "b": 10}, endedBy="peer_left")
    found = compared({"a": document(episodes=[result()]), "b": document(episodes=[early])})
    assert found["summary"]["resultsMatch"] is None
    assert found["results"]["episodes"][0]["returnsMatch"] is None
    assert found["results"]["episodes"][0]["seedsMatch"] is True
    assert found["results"]["episodes"][0]["frames"] == {"a": 30, "b": 10}


def test_of_three_the_two_who_played_on_are_compared() -> None:
    early, other = result(frames=10, returns={}), result(returns={"a": 9.0})
    docs: dict[SeatId, dict[str, Any]] = {
        name: document(episodes=[one]) for name, one in zip("abc", (early, result(), other), strict=True)
    }
    found = compared(docs)
    assert [entry["what"] for entry in found["results"]["disagreements"]] == ["returns"]
    assert found["results"]["disagreements"][0]["values"].keys() == {"b", "c"}


def test_documents_of_the_version_before_are_compared_with_those_of_today() -> None:
    found = compared({"a": document(), "b": document(episodes=[result()], players=[player("b")])}, a="P1")
    assert found["summary"]["resultsMatch"] is None
    assert found["results"]["episodes"][0]["returns"] == {"b": {"a": 1.5, "b": -1.5}}
    assert [one["subjectId"] for one in found["participants"]] == ["P1", "own-b"]
    assert found["participants"][0]["version"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"episodes": None},
        {"episodes": [{"episode": 1}]},
        {"episodes": [result(seed="7")]},
        {"episodes": [result(returns={"a": "much"})]},
        {"players": {"a": 1}},
        {"players": [{"seats": [1]}]},
    ],
)
def test_results_of_another_shape_are_a_protocol_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        compared({"a": document(**wrong), "b": document()})
