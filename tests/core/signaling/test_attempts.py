"""Descriptions that name their attempt pass through everything between two players."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.api.replies import Candidate, Description, Refused
from gym_p2p.core.signaling.attempts import attempt_of, tagged
from gym_p2p.core.signaling.ice_candidates import RESERVED_CANDIDATES, CandidatePolicy
from gym_p2p.core.signaling.relay import MATCH_CONNECTIONS, MAX_DESCRIPTIONS, Lane
from gym_p2p.core.signaling.sdp_filter import MAX_CANDIDATES, Screened, SignalScreen

_HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
SDP = f"{_HEAD}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n"


@given(st.integers(1, 10**9 - 1))
def test_an_attempt_is_read_back(attempt: int) -> None:
    assert attempt_of(tagged(SDP, attempt)) == attempt
    assert attempt_of(SDP) == 0


def test_the_name_stands_in_the_session_part_and_passes_the_screen() -> None:
    screened = SignalScreen(CandidatePolicy(private=True))(Description("offer", tagged(SDP, 7)))
    assert isinstance(screened, Screened)
    assert isinstance(screened.payload, Description)
    assert attempt_of(screened.payload.sdp) == 7
    assert screened.payload.sdp.index("x-gym-p2p") < screened.payload.sdp.index("m=")


@given(st.text())
def test_what_is_no_number_is_the_first_connections(text: str) -> None:
    assert attempt_of(f"a=x-gym-p2p-attempt:{text}x") == 0


def test_two_players_of_a_match_may_make_so_many_connections_and_no_more() -> None:
    lane = Lane(connections=MATCH_CONNECTIONS)
    for attempt in range(1, MATCH_CONNECTIONS + 1):
        for number in range(MAX_DESCRIPTIONS):
            offer = Description("offer", tagged(SDP, attempt) + f"a=x:{number}\r\n")
            assert isinstance(lane.take(offer), Screened)
        for number in range(MAX_CANDIDATES):
            candidate = Candidate(f"candidate:{attempt} 1 udp {number} 192.0.2.1 9 typ host")
            assert isinstance(lane.take(candidate), Screened)
    assert isinstance(lane.take(Description("offer", tagged(SDP, 99))), Refused)
    assert isinstance(lane.take(Candidate("candidate:1 1 udp 1 192.0.2.1 9 typ host")), Refused)


def test_every_type_of_candidate_has_room_of_its_own_for_each_connection() -> None:
    lane = Lane(connections=3)
    for number in range(3 * MAX_CANDIDATES + 1):
        host = lane.take(Candidate(f"candidate:1 1 udp {number} 192.0.2.1 9 typ host"))
    assert isinstance(host, Refused)
    relay = [
        lane.take(Candidate(f"candidate:1 1 udp {number} 192.0.2.1 9 typ relay"))
        for number in range(3 * RESERVED_CANDIDATES + 1)
    ]
    assert [isinstance(answer, Refused) for answer in relay] == [False] * 3 * RESERVED_CANDIDATES + [True]
