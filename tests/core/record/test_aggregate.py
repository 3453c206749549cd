from __future__ import annotations

import copy
import functools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.record import recorded_frames
from gym_p2p.core.record.aggregate import aggregate
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ProtocolError
from tests.core.record.records import validator


def document(
    *,
    hashes: dict[tuple[int, int], str] | None = None,
    actions: dict[tuple[int, int, SeatId], Any] | None = None,
    **extra: Any,
) -> dict[str, Any]:
    return {
        "connection": {"type": "direct"},
        "inputDelivery": {"sentViaP2P": 1},
        "sessionStatus": {"isPartial": False},
        "sessionDurationMs": 5.0,
        "latency": {"medianMs": 20.0, "samples": [{"timestamp": 1, "rttMs": 20.0}]},
        "validation": {
            "allHashes": [{"episode": e, "frame": f, "hash": h} for (e, f), h in (hashes or {}).items()],
            "allActions": [
                {"episode": e, "frame": f, "playerId": p, "action": a, "isFocused": True}
                for (e, f, p), a in (actions or {}).items()
            ],
            "allDesyncEvents": [],
            "allRollbacks": [],
        },
        **extra,
    }


def compare(documents: dict[SeatId, dict[str, Any]]) -> dict[str, Any]:
    result = aggregate(
        {player: json.dumps(document).encode for player, document in documents.items()},
        game_id="match-1",
        aggregated_at_ms=1_000,
    )
    require_valid(result)
    return result


@functools.cache
def _validator() -> Any:
    return validator("aggregate")


def require_valid(result: dict[str, Any]) -> None:
    _validator().validate(result)


HASHES = {(1, 0): "aa", (1, 30): "bb", (2, 0): "cc"}
ACTIONS: dict[tuple[int, int, SeatId], Any] = {(1, 0, "a"): 1, (1, 0, "b"): [0.5, 1], (1, 1, "a"): {"x": [1]}}


def test_equal_histories_are_fully_synchronised() -> None:
    doc = document(hashes=HASHES, actions=ACTIONS)
    result = compare({"a": doc, "b": copy.deepcopy(doc)})
    assert result["summary"] == {
        "fullySynced": True,
        "hashesMatch": True,
        "actionsMatch": True,
        "totalHashesCompared": 3,
        "totalActionsCompared": 3,
        "firstHashMismatchFrame": None,
        "firstActionMismatchFrame": None,
        "hashDivergenceFrames": [],
        "actionDivergenceFrames": [],
        "resultsMatch": None,
    }
    assert result["validation"]["hashSummary"] == {
        "totalFramesCompared": 3,
        "matchingFrames": 3,
        "mismatchingFrames": 0,
        "onlyIn": {"a": 0, "b": 0},
        "matchRate": 100.0,
    }
    assert result["validation"]["actionSummary"]["byPlayer"] == {
        "a": {"matchingFrames": 2, "mismatchingFrames": 0},
        "b": {"matchingFrames": 1, "mismatchingFrames": 0},
    }
    assert (result["gameId"], result["aggregatedAt"]) == ("match-1", 1_000)


def test_a_divergence_is_found_at_its_first_frame_whatever_the_order_of_the_records() -> None:
    ours = document(hashes={(2, 0): "x", (1, 30): "y", (1, 0): "same"})
    theirs = document(hashes={(1, 0): "same", (1, 30): "z", (2, 0): "w"})
    result = compare({"a": ours, "b": theirs})
    assert result["summary"]["firstHashMismatchFrame"] == {"episode": 1, "frame": 30}
    assert result["summary"]["hashDivergenceFrames"] == [
        {"episode": 1, "frame": 30},
        {"episode": 2, "frame": 0},
    ]
    assert not result["summary"]["hashesMatch"]
    assert result["validation"]["hashSummary"]["matchRate"] == pytest.approx(100 / 3)


def test_players_with_nothing_in_common_have_not_been_shown_to_agree() -> None:
    result = compare({"a": document(hashes={(1, 0): "x"}), "b": document(hashes={(1, 1): "x"})})
    assert not result["summary"]["hashesMatch"]
    assert not result["summary"]["fullySynced"]
    assert result["validation"]["hashSummary"]["matchRate"] is None
    assert result["validation"]["hashSummary"]["onlyIn"] == {"a": 1, "b": 1}


def test_falsy_values_are_values() -> None:
    doc = document(hashes={(1, 0): "0"}, actions={(1, 0, 0): 0})
    result = compare({0: doc, 1: copy.deepcopy(doc)})
    assert result["summary"]["fullySynced"]
    assert result["summary"]["totalActionsCompared"] == 1
    assert result["players"]["0"]["playerId"] == 0


def test_of_three_players_one_who_differs_or_is_absent_is_seen() -> None:
    result = compare(
        {
            "a": document(hashes={(1, 0): "x", (1, 1): "x", (1, 2): "x"}),
            "b": document(hashes={(1, 0): "x", (1, 1): "x"}),
            "c": document(hashes={(1, 0): "x", (1, 1): "DIFFERENT"}),
        }
    )
    summary = result["validation"]["hashSummary"]
    assert (summary["matchingFrames"], summary["mismatchingFrames"]) == (1, 1)
    assert summary["onlyIn"] == {"a": 1, "b": 0, "c": 0}


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ([1, [2.0]], [1, [2.0]], True),
        (1, 1.0, True),
        (True, 1, False),
        (False, False, True),
        ({"x": 1, "y": [0]}, {"y": [0], "x": 1}, True),
        ({"x": 1}, {"x": 1, "y": 2}, False),
        ([1, 2], [1, 2, 3], False),
        ([0], {"0": 0}, False),
        (None, None, True),
        (None, 0, False),
        ("1", 1, False),
    ],
)
def test_actions_are_compared_by_value(a: object, b: object, *, same: bool) -> None:
    result = compare({"a": document(actions={(1, 0, "a"): a}), "b": document(actions={(1, 0, "a"): b})})
    assert result["summary"]["actionsMatch"] is same


def test_one_and_its_text_stay_two_players() -> None:
    doc = document(actions={(1, 0, 1): "up", (1, 0, "1"): "down"})
    result = compare({1: doc, "1": copy.deepcopy(doc)})
    assert result["players"].keys() == {"1", "'1'"}
    assert result["summary"]["totalActionsCompared"] == 2


def test_latency_is_laid_side_by_side_without_its_samples() -> None:
    result = compare({"a": document(), "b": document(latency=None)})
    assert result["players"]["a"]["latency"] == {"medianMs": 20.0}
    assert result["players"]["b"]["latency"] is None
    assert result["players"]["a"]["sessionStatus"] == {"isPartial": False}


def test_the_players_events_are_kept_under_their_names() -> None:
    doc = document()
    doc["validation"]["allDesyncEvents"] = [{"frame": 3}]
    result = compare({"a": doc, "b": document()})
    assert result["desyncEvents"] == {"a": [{"frame": 3}], "b": []}
    assert result["rollbacks"] == {"a": [], "b": []}


@pytest.mark.parametrize(
    "validation",
    [
        None,
        {},
        {"allHashes": {}},
        {"allHashes": [None]},
        {"allHashes": [{"episode": 1, "frame": 0}]},
        {"allHashes": [{"episode": 1, "frame": 1.5, "hash": "x"}]},
        {"allHashes": [{"episode": True, "frame": 1, "hash": "x"}]},
        {"allHashes": [], "allActions": [{"episode": 1, "frame": 0, "playerId": None, "action": 0}]},
        {"allHashes": [], "allActions": [], "allDesyncEvents": []},
    ],
)
def test_a_document_of_another_shape_is_a_protocol_error(validation: object) -> None:
    with pytest.raises(ProtocolError):
        compare({"a": document(), "b": document(validation=validation)})


@given(
    st.lists(
        st.dictionaries(st.tuples(st.integers(1, 2), st.integers(0, 6)), st.sampled_from("xy")),
        min_size=2,
        max_size=4,
    )
)
def test_every_recorded_frame_is_counted_exactly_once(records: list[dict[tuple[int, int], str]]) -> None:
    result = compare({f"p{n}": document(hashes=record) for n, record in enumerate(records)})
    summary = result["validation"]["hashSummary"]
    total = summary["totalFramesCompared"] + sum(summary["onlyIn"].values())
    assert total == len(set().union(*records))
    assert summary["totalFramesCompared"] == summary["matchingFrames"] + summary["mismatchingFrames"]
    assert result["summary"]["hashesMatch"] == (
        summary["mismatchingFrames"] == 0 and summary["matchingFrames"] > 0
    )


def test_a_player_alone_has_nothing_to_be_compared_with() -> None:
    result = compare({"a": document(hashes=HASHES, actions=ACTIONS)})
    assert result["validation"]["hashSummary"]["onlyIn"] == {"a": 3}
    assert not result["summary"]["fullySynced"]


@pytest.mark.parametrize("order", [1, -1])
def test_of_a_frame_that_is_recorded_twice_the_later_value_counts(order: int) -> None:
    ours = document(hashes={(1, 0): "x", (1, 1): "y"})
    theirs = copy.deepcopy(ours)
    twice = [{"episode": 1, "frame": 0, "hash": "x"}, {"episode": 1, "frame": 0, "hash": "other"}][::order]
    ours["validation"]["allHashes"] = [*twice, {"episode": 1, "frame": 1, "hash": "y"}]
    assert compare({"a": ours, "b": theirs})["summary"]["hashesMatch"] is (order == -1)


@pytest.mark.parametrize("frame", [-1, 2**40, 2**70])
def test_a_frame_that_no_match_has_is_a_protocol_error(frame: int) -> None:
    with pytest.raises(ProtocolError):
        compare({"a": document(hashes={(1, frame): "x"})})


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def _same(a: Any, b: Any) -> bool:
    """Compare by Python's rules, but for ``true``, which is not ``1`` in JSON."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


@given(_values, _values)
def test_actions_match_exactly_where_their_values_are_equal(a: Any, b: Any) -> None:
    for one, other in ((a, b), (a, copy.deepcopy(a)), ([a], [b]), ({"x": a}, {"x": a})):
        documents: dict[SeatId, Any] = {
            "a": document(actions={(1, 0, "a"): one}),
            "b": document(actions={(1, 0, "a"): other}),
        }
        assert compare(documents)["summary"]["actionsMatch"] is _same(one, other)


@pytest.mark.parametrize("spaced", [True, False])
@pytest.mark.parametrize("action", [1, [0.5], '},{"episode":1', [{"x": 1}, {"episode": 1}]])
def test_a_long_list_says_the_same_read_in_pieces_or_at_once(
    action: Any, *, spaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames: dict[tuple[int, int, SeatId], Any] = {(1, frame, "a"): action for frame in range(50)}
    ours = document(hashes=HASHES, actions=frames)
    theirs = document(hashes={**HASHES, (1, 30): "z"}, actions={**frames, (1, 7, "a"): "other"})
    separators = None if spaced else (",", ":")
    as_json: dict[SeatId, Any] = {
        "a": json.dumps(ours, separators=separators).encode,
        "b": json.dumps(theirs, separators=separators).encode,
    }
    at_once = aggregate(as_json, game_id="match-1", aggregated_at_ms=1_000)
    assert at_once["summary"]["actionDivergenceFrames"] == [{"episode": 1, "frame": 7}]
    monkeypatch.setattr(recorded_frames, "_PIECE_BYTES", 100)
    assert aggregate(as_json, game_id="match-1", aggregated_at_ms=1_000) == at_once


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff", b'{"validation": 1}'])
def test_json_that_is_no_document_is_a_protocol_error(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        aggregate({"a": lambda: text}, game_id="m", aggregated_at_ms=1)
