from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.latency.webrtc_stats import (
    GAME_RECORDS_ID,
    ConnectionDetails,
    Freshness,
    GameTransportCounts,
    PollStatus,
    RoundTrip,
    extract_connection,
    extract_round_trip,
)


def report(**pair: Any) -> dict[str, dict[str, Any]]:
    return {
        "other": {
            "id": "other",
            "type": "candidate-pair",
            "currentRoundTripTime": 9.0,
            "nominated": True,
            "state": "succeeded",
        },
        "T": {"id": "T", "type": "transport", "selectedCandidatePairId": "P"},
        "P": {
            "id": "P",
            "type": "candidate-pair",
            "localCandidateId": "L",
            "remoteCandidateId": "R",
            "currentRoundTripTime": 0.0505,
            **pair,
        },
        "L": {"id": "L", "type": "local-candidate", "candidateType": "host", "protocol": "udp"},
        "R": {"id": "R", "type": "remote-candidate", "candidateType": "srflx", "protocol": "udp"},
    }


class Hostile:
    """Raises from whatever is requests of it."""

    def __getattr__(self, name: str) -> Any:
        message = f"no {name} here"
        raise RuntimeError(message)


class StatsMap:
    """A report as a browser's bridge hands it over: ``values()``, but no mapping."""

    def __init__(self, entries: dict[str, dict[str, Any]]) -> None:
        self._entries = entries

    def values(self) -> list[Any]:
        return [SimpleNamespace(**entry) for entry in self._entries.values()]


def test_the_round_trip_is_the_selected_pairs_in_milliseconds() -> None:
    assert extract_round_trip(report(responsesReceived=7, requestsSent=8)) == RoundTrip(50.5, "P", 7, 8)


def test_objects_with_attributes_read_like_mappings() -> None:
    entries = report(responsesReceived=7)
    as_objects = {key: SimpleNamespace(**entry) for key, entry in entries.items()}
    wanted = RoundTrip(50.5, "P", 7, None)
    assert extract_round_trip(as_objects) == wanted
    assert extract_round_trip(list(as_objects.values())) == wanted
    assert extract_round_trip(StatsMap(entries)) == wanted


def test_zero_seconds_is_a_round_trip() -> None:
    reading = extract_round_trip(report(currentRoundTripTime=0))
    assert reading is not None
    assert reading.rtt_ms == 0.0


def test_checks_of_consent_count_as_requests() -> None:
    reading = extract_round_trip(report(requestsSent=3, consentRequestsSent=4))
    assert reading is not None
    assert reading.requests_sent == 7


@pytest.mark.parametrize("value", [None, "0.05", math.nan, math.inf, -0.1, 1e300, True, [0.05]])
def test_a_round_trip_that_is_no_measurement_is_none(value: Any) -> None:
    assert extract_round_trip(report(currentRoundTripTime=value)) is None


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        7,
        "report",
        {},
        [],
        [None],
        {"T": None},
        {"T": {"type": "transport"}},
        {"T": {"type": "transport", "selectedCandidatePairId": "gone"}},
        {"T": {"type": "transport", "selectedCandidatePairId": ["unhashable"]}},
        {"T": {"type": "transport", "selectedCandidatePairId": "T"}},
    ],
)
def test_garbage_is_none_and_never_an_exception(garbage: Any) -> None:
    assert extract_round_trip(garbage) is None
    assert extract_connection(garbage) is None


def test_objects_that_raise_are_none_and_never_an_exception() -> None:
    for hostile in (Hostile(), {"T": Hostile()}, [Hostile()]):
        assert extract_round_trip(hostile) is None
        assert extract_connection(hostile) is None


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.floats()
        | st.text(max_size=8)
        | st.sampled_from(["T", "P", "transport"]),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["T", "P", "id", "type", "selectedCandidatePairId", "currentRoundTripTime"]),
                inner,
            )
        ),
        max_leaves=20,
    )
)
def test_no_made_up_report_raises(made_up: Any) -> None:
    reading = extract_round_trip(made_up)
    assert reading is None or reading.rtt_ms >= 0
    extract_connection(made_up)


def test_the_connection_names_both_candidates() -> None:
    assert extract_connection(report()) == ConnectionDetails("direct", "host", "srflx", "udp", None)


@pytest.mark.parametrize(("said", "told"), [("dtls", "dtls"), ("datachannel", "datachannel"), (7, None)])
def test_what_carries_game_messages_is_read_where_a_report_says_so(said: Any, told: str | None) -> None:
    carried = {"id": GAME_RECORDS_ID, "type": GAME_RECORDS_ID, "transport": said}
    details = extract_connection(report() | {GAME_RECORDS_ID: carried})
    assert details == ConnectionDetails("direct", "host", "srflx", "udp", game_transport=told)


def test_a_way_that_is_not_settled_yet_is_unknown_and_changes_are_counted() -> None:
    entry = {"id": GAME_RECORDS_ID, "type": GAME_RECORDS_ID, "transport": "datachannel", "settled": False}
    details = extract_connection(report() | {GAME_RECORDS_ID: entry})
    assert details == ConnectionDetails("direct", "host", "srflx", "udp")
    counted = {"settled": True, "doubts": 3, "returns": 2, "resumed": 1}
    details = extract_connection(report() | {GAME_RECORDS_ID: entry | counted})
    assert details is not None
    assert details.game_transport == "datachannel"
    assert details.game_transport_counts == GameTransportCounts(doubts=3, returns=2, resumed=1)


@pytest.mark.parametrize("side", ["L", "R"])
def test_a_relay_on_either_side_is_a_relayed_connection(side: str) -> None:
    entries = report()
    entries[side] |= {"candidateType": "relay", "relayProtocol": "tls"}
    details = extract_connection(entries)
    assert details is not None
    assert details.type == "relay"
    assert details.relay_protocol == ("tls" if side == "L" else None)


def test_a_connection_with_an_unknown_candidate_is_unknown() -> None:
    entries = report()
    del entries["R"]
    assert extract_connection(entries) == ConnectionDetails("unknown", "host", None, "udp", None)


def reading(answered: int | None, requests: int | None = None, pair: str = "P") -> RoundTrip:
    return RoundTrip(1.0, pair, answered, requests)


def test_a_reading_is_fresh_only_when_more_answers_came() -> None:
    freshness = Freshness()
    counts = [3, 5, 5, 5, 6, 6, 6, 7, 7, 8, 8, 8]
    fresh = [freshness.classify(reading(count)) is PollStatus.FRESH for count in counts]
    assert fresh == [True, True, False, False, True, False, False, True, False, True, False, False]


def test_a_report_without_the_counter_is_always_fresh() -> None:
    freshness = Freshness()
    assert [freshness.classify(reading(None)) for _ in range(3)] == [PollStatus.FRESH] * 3


def test_a_first_reading_that_nothing_answered_is_not_fresh() -> None:
    assert Freshness().classify(reading(0)) is PollStatus.STALE


def test_a_pair_that_was_selected_before_is_not_fresh_without_a_new_answer() -> None:
    freshness = Freshness()
    assert freshness.classify(reading(5, pair="A")) is PollStatus.FRESH
    assert freshness.classify(reading(2, pair="B")) is PollStatus.FRESH
    assert freshness.classify(reading(5, pair="A")) is not PollStatus.FRESH


def test_an_answer_in_flight_is_not_overdue_but_one_a_poll_later_is() -> None:
    freshness = Freshness()
    assert freshness.classify(reading(5, requests=5)) is PollStatus.FRESH
    assert freshness.classify(reading(5, requests=6)) is PollStatus.STALE
    assert freshness.classify(reading(5, requests=7)) is PollStatus.UNANSWERED
    assert freshness.classify(reading(6, requests=8)) is PollStatus.FRESH
    assert freshness.classify(reading(6, requests=8)) is PollStatus.STALE


def test_nothing_asked_is_nothing_unanswered() -> None:
    freshness = Freshness()
    freshness.classify(reading(5, requests=6))
    assert [freshness.classify(reading(5, requests=6)) for _ in range(5)] == [PollStatus.STALE] * 5


def test_without_a_count_of_requests_the_second_repeat_is_overdue() -> None:
    freshness = Freshness()
    freshness.classify(reading(5))
    assert [freshness.classify(reading(5)) for _ in range(3)] == [
        PollStatus.STALE,
        PollStatus.UNANSWERED,
        PollStatus.UNANSWERED,
    ]


def test_another_connections_counters_begin_anew() -> None:
    freshness = Freshness()
    freshness.classify(reading(50))
    freshness.reset()
    assert freshness.classify(reading(1)) is PollStatus.FRESH


def test_pairs_are_remembered_within_bounds() -> None:
    freshness = Freshness()
    for number in range(1000):
        assert freshness.classify(reading(1, pair=str(number))) is PollStatus.FRESH
    assert len(freshness._answered) <= 256
