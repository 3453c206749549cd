from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_a_description_with_one_candidate_too_many_is_relayed_without_it() -> None:
    lines = [f"a={candidate(PUBLIC)}"] * 64
    assert passed(internet()(offer(*lines))).dropped == ()
    assert passed(internet()(offer(*lines, f"a={candidate(LOOPBACK)}"))).dropped == (DropReason.LOOPBACK,)
    assert passed(internet()(offer(*lines, f"a={candidate(PUBLIC)}"))).dropped == (DropReason.SURPLUS,)


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


def test_a_description_that_is_repeated_is_looked_into_once() -> None:
    looked: list[Description | Candidate] = []

    def screen(payload: Description | Candidate) -> Screened:
        looked.append(payload)
        return Screened(payload)

    lane = Lane(screen)
    for description in (offer("a=mid:0"), offer("a=mid:0"), offer("a=mid:1"), offer("a=mid:1")):
        assert passed(lane.take(description)).payload == description
    assert looked == [offer("a=mid:0"), offer("a=mid:1")]


def test_a_lane_takes_64_candidates_and_counts_the_dropped_ones() -> None:
    lane = Lane(internet())
    for number in range(64):
        assert passed(lane.take(Candidate(candidate(PUBLIC if number % 2 else PRIVATE))))
    assert refused(lane.take(Candidate(candidate(PUBLIC)))) is Code.TOO_LARGE
    assert passed(lane.take(Candidate("")))
    assert passed(lane.take(None)).payload is None


def host(number: int, *, priority: int = 2122260223, kind: str = "host", at: str = "93.184.216") -> str:
    return f"candidate:{number} 1 udp {priority} {at}.{number % 250 + 1} {5000 + number} typ {kind}"


def test_of_too_many_candidates_the_best_of_every_kind_are_kept_and_the_description_too() -> None:
    hosts = [f"a={host(n, priority=2_000_000_000 + n)}" for n in range(120)]
    v6 = "a=candidate:1 1 udp 2100000000 2606:2800:220:1::1 5000 typ host"
    srflx, relay = f"a={host(7, priority=1, kind='srflx')}", f"a={host(8, priority=0, kind='relay')}"
    screened = passed(Lane(internet()).take(offer(*hosts, v6, srflx, relay, "a=mid:0")))
    kept = [line for line in sdp(screened).splitlines() if line.startswith("a=candidate:")]
    assert kept == [*hosts[-61:], v6, srflx, relay]
    assert screened.dropped == (DropReason.SURPLUS,) * 59
    assert sdp(screened).endswith("a=mid:0\r\n")


def test_what_is_dropped_for_another_reason_takes_nobodys_place() -> None:
    lines = [f"a={host(n, at='10.0.0')}" for n in range(64)] + [f"a={host(n)}" for n in range(64)]
    screened = passed(internet()(offer(*lines)))
    assert sdp(screened).count("a=candidate:") == 64
    assert screened.dropped == (DropReason.PRIVATE,) * 64


def test_the_same_candidate_many_times_is_no_way_around_the_limit() -> None:
    assert sdp(passed(internet()(offer(*[f"a={candidate(PUBLIC)}"] * 500)))).count("a=candidate:") == 64


def test_a_candidate_line_is_no_way_around_the_size_of_a_description() -> None:
    long = candidate(PUBLIC, more=" name value" * 100)
    assert passed(Lane(internet()).take(offer(f"a={long}"))).dropped == (DropReason.MALFORMED,)


@given(st.lists(st.sampled_from(["host", "srflx", "prflx", "relay"]), max_size=300))
def test_of_candidates_one_by_one_no_type_is_crowded_out_by_another(types: list[str]) -> None:
    lane = Lane(internet())
    answers = [lane.take(Candidate(host(n, kind=kind))) for n, kind in enumerate(types)]
    for kind in set(types):
        taken = [isinstance(a, Screened) for a, one in zip(answers, types, strict=True) if one == kind]
        assert sum(taken) >= min(len(taken), 16)
    assert sum(isinstance(answer, Screened) for answer in answers) <= 64 + 3 * 16


def test_a_lane_takes_nothing_too_large_even_unread() -> None:
    assert refused(Lane().take(Description("offer", "x" * 16_385))) is Code.TOO_LARGE
    assert refused(Lane().take(Description("offer", "\u2230" * 6_000))) is Code.TOO_LARGE, "in bytes"
    assert refused(Lane().take(Candidate("\ud800" * 600))) is Code.TOO_LARGE
    assert passed(Lane().take(Description("offer", "anything")))
