from __future__ import annotations

from typing import Any

import attrs
import pytest

from gym_p2p.core.api.replies import Accepted, Candidate, Code, Description, Refused
from gym_p2p.core.signaling.ice_candidates import CandidatePolicy, DropReason
from gym_p2p.core.signaling.relay import Lane
from gym_p2p.core.signaling.sdp_filter import Screened, SignalScreen

PUBLIC, PRIVATE, LOOPBACK = "93.184.216.34", "192.168.1.7", "127.0.0.1"
HEAD = (
    "v=0",
    "o=- 4611731400430051336 2 IN IP4 198.51.100.9",
    "s=-",
    "t=0 0",
    "a=group:BUNDLE 0",
    "m=application 50000 UDP/DTLS/SCTP webrtc-datachannel",
)


def offer(*lines: str, head: tuple[str, ...] = HEAD, end: str = "\r\n") -> Description:
    return Description("offer", "".join(f"{line}{end}" for line in (*head, *lines)))


def candidate(address: str, *, kind: str = "host", more: str = "") -> str:
    return f"candidate:1 1 udp 2122260223 {address} 50000 typ {kind}{more}"


def internet() -> SignalScreen:
    return SignalScreen(CandidatePolicy(private=False))


def relays() -> SignalScreen:
    return SignalScreen(CandidatePolicy(private=False, relay_only=True))


def passed(answer: Screened | Refused) -> Screened:
    assert isinstance(answer, Screened), answer
    return answer


def refused(answer: Screened | Refused) -> Code:
    assert isinstance(answer, Refused), answer
    return answer.code


def sdp(screened: Screened) -> str:
    assert isinstance(screened.payload, Description)
    return screened.payload.sdp


def test_a_clean_description_is_relayed_to_the_letter() -> None:
    clean = offer(f"c=IN IP4 {PUBLIC}", f"a={candidate(PUBLIC)}", "a=ice-ufrag:EsAw", "a=mid:0")
    assert internet()(clean) == Screened(clean)
    assert internet()(offer("a=mid:0", end="\n")) == Screened(offer("a=mid:0", end="\n"))


def test_bad_candidates_are_cut_out_of_a_description_and_the_rest_is_kept() -> None:
    screen = internet()
    mixed = offer(
        f"a={candidate(PUBLIC)}",
        f"a={candidate(PRIVATE)}",
        f"a={candidate('169.254.169.254')}",
        "a=candidate:rubbish",
        "a=mid:0",
    )
    screened = passed(screen(mixed))
    assert sdp(screened) == offer(f"a={candidate(PUBLIC)}", "a=mid:0").sdp
    assert screened.dropped == (DropReason.PRIVATE, DropReason.METADATA, DropReason.MALFORMED)
    assert screened.answer == Accepted({"dropped": 3})
    assert screen.dropped == {DropReason.PRIVATE: 1, DropReason.METADATA: 1, DropReason.MALFORMED: 1}


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (f"c=IN IP4 {PUBLIC}", f"c=IN IP4 {PUBLIC}"),
        (f"c=IN IP4 {PRIVATE}", "c=IN IP4 0.0.0.0"),
        ("c=IN IP6 ::1", "c=IN IP4 0.0.0.0"),
        ("c=IN IP4 internal.example", "c=IN IP4 0.0.0.0"),
        (f"c=IN  IP4 {PRIVATE}", "c=IN IP4 0.0.0.0"),
        ("c=IN IP4 224.2.1.1/127", "c=IN IP4 0.0.0.0"),
        (f"a=rtcp:9 IN IP4 {PUBLIC}", None),
        (f"a=remote-candidates:1 {PRIVATE} 22", None),
    ],
)
def test_a_default_address_is_judged_like_a_candidate(line: str, kept: str | None) -> None:
    wanted = offer("a=mid:0") if kept is None else offer(kept, "a=mid:0")
    assert sdp(passed(internet()(offer(line, "a=mid:0")))) == wanted.sdp


def test_relay_only_leaves_no_address_but_the_relays() -> None:
    described = offer(
        f"c=IN IP4 {PUBLIC}",
        f"a={candidate(PUBLIC)}",
        f"a={candidate('x.local')}",
        f"a={candidate('93.184.216.99', kind='relay', more=f' raddr {PUBLIC} rport 50000')}",
    )
    screened = passed(relays()(described))
    assert PUBLIC not in sdp(screened)
    assert "198.51.100.9" not in sdp(screened)
    assert "a=candidate:1 1 udp 2122260223 93.184.216.99 50000 typ relay raddr 0.0.0.0 rport 9" in sdp(
        screened
    )
    assert screened.dropped == (DropReason.NOT_RELAY, DropReason.NOT_RELAY)


def test_relay_only_hides_an_origin_that_is_none() -> None:
    head = (*HEAD[:1], f"o={PUBLIC}", *HEAD[2:])
    assert PUBLIC not in sdp(passed(relays()(offer(head=head))))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=0\r\n",
        "v=1\r\nm=application 9 x y\r\n",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nv=0\r\n",
        offer("m=video 9 UDP/TLS/RTP/SAVPF 96").sdp,
        offer("m=audio 9 UDP/TLS/RTP/SAVPF 111").sdp,
        offer("m=applicationx 9 UDP/DTLS/SCTP webrtc-datachannel").sdp,
        offer(head=HEAD[:5]).sdp,
        offer("a=mid:0").sdp.replace("\r\n", "\r"),
        offer(f"a=x:1\ra={candidate(LOOPBACK)}").sdp,
        offer(f"a=x:1\x0ba={candidate(LOOPBACK)}").sdp,
        offer(f"a=x:1\x0ca={candidate(LOOPBACK)}").sdp,
        offer(f"a=x:1\x1ca={candidate(LOOPBACK)}").sdp,
        offer(f"a=x:1\x85a={candidate(LOOPBACK)}").sdp,
        offer(f"a=x:1\u2028a={candidate(LOOPBACK)}").sdp,
        offer("a=x:\x00").sdp,
        offer("a=x:\x1b[31m").sdp,
        offer("a=x:\ud800").sdp,
        offer("", "a=mid:0").sdp,
        offer(" a=mid:0").sdp,
        offer("A=mid:0").sdp,
        offer("a=mid:0\r").sdp,
    ],
)
def test_what_is_no_description_of_a_data_channel_is_refused(text: str) -> None:
    assert refused(internet()(Description("offer", text))) is Code.BAD_REQUEST


def test_a_description_with_too_many_candidates_is_refused() -> None:
    lines = [f"a={candidate(PUBLIC)}"] * 64
    assert passed(internet()(offer(*lines)))
    assert refused(internet()(offer(*lines, f"a={candidate(LOOPBACK)}"))) is Code.TOO_LARGE


def test_a_trickled_candidate_is_relayed_dropped_or_refused() -> None:
    screen = internet()
    good = Candidate(candidate(PUBLIC), "0", 0, "EsAw")
    assert screen(good) == Screened(good)
    assert passed(screen(Candidate(candidate(PRIVATE)))).relayed is False
    assert refused(screen(Candidate("candidate:rubbish"))) is Code.BAD_REQUEST
    assert passed(screen(Candidate(""))).relayed
    assert screen.dropped == {DropReason.PRIVATE: 1}


@pytest.mark.parametrize(
    "change", [{"sdpMid": "0\r\n"}, {"usernameFragment": "\x00"}, {"sdpMLineIndex": -1}, {"sdpMid": "é"}]
)
def test_what_goes_with_a_candidate_is_looked_at_too(change: dict[str, Any]) -> None:
    signal = attrs.evolve(Candidate(candidate(PUBLIC)), **change)
    assert refused(internet()(signal)) is Code.BAD_REQUEST


def test_a_lane_takes_four_descriptions_each_as_often_as_it_is_repeated() -> None:
    lane = Lane(internet())
    offers = [offer(f"a=mid:{number}") for number in range(5)]
    for description in (*offers[:4], *offers[:4]):
        assert passed(lane.take(description))
    assert refused(lane.take(offers[4])) is Code.TOO_LARGE
    assert passed(lane.take(offers[0]))


def test_a_lane_takes_64_candidates_and_counts_the_dropped_ones() -> None:
    lane = Lane(internet())
    for number in range(64):
        assert passed(lane.take(Candidate(candidate(PUBLIC if number % 2 else PRIVATE))))
    assert refused(lane.take(Candidate(candidate(PUBLIC)))) is Code.TOO_LARGE
    assert passed(lane.take(Candidate("")))
    assert passed(lane.take(None)).payload is None


def test_a_lane_takes_nothing_too_large_even_unread() -> None:
    assert refused(Lane().take(Description("offer", "x" * 16_385))) is Code.TOO_LARGE
    assert refused(Lane().take(Candidate("\ud800" * 600))) is Code.TOO_LARGE
    assert passed(Lane().take(Description("offer", "anything")))
