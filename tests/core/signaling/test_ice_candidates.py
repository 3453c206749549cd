from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.signaling.ice_candidates import CandidatePolicy, DropReason, IceCandidate, address_objection
from gym_p2p.errors import ProtocolError

INTERNET = CandidatePolicy(private=False)
LABORATORY = CandidatePolicy(private=True)
RELAYS = CandidatePolicy(private=False, relay_only=True)

PUBLIC = "93.184.216.34"


def line(
    *,
    address: str = PUBLIC,
    port: int = 50_000,
    transport: str = "udp",
    kind: str = "host",
    more: str = " generation 0 ufrag EsAw",
) -> str:
    return f"candidate:1467250027 1 {transport} 2122260223 {address} {port} typ {kind}{more}"


def objection(policy: CandidatePolicy, text: str) -> DropReason | None:
    return policy.objection(IceCandidate.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        line(),
        line(address="2606:2800:220:1:248:1893:25c8:1946"),
        line(kind="srflx", more=" raddr 10.0.0.1 rport 5000 generation 0"),
        line(kind="relay", more=" raddr 1.2.3.4 rport 9 tcptype passive"),
        line(transport="TCP", port=9, more=" tcptype active"),
        line(address="0b5b6d3c-0000-4000-8000-000000000000.local", more=""),
    ],
)
def test_what_browsers_send_is_read_and_written_alike(text: str) -> None:
    assert IceCandidate.parse(text).to_text() == text
    assert IceCandidate.parse(f"a={text}").to_text() == text
    assert objection(INTERNET, text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "candidate:",
        "candidate:rubbish",
        line().removeprefix("candidate:"),
        line() + "\r\na=candidate:2 1 udp 1 127.0.0.1 22 typ host",
        line() + "\n",
        line(port=65_536),
        line(port=-1),
        line(kind="vpn"),
        line(more=" generation"),
        line(more=" generation 0 "),
        line().replace(" ", "  ", 1),
        line().replace(" ", "\t", 1),
        line(address="é.local"),
        line(address=""),
        line(address="1.2.3.4\x00"),
        line(address="\ud800"),
        line().replace("2122260223", "٢"),
    ],
)
def test_what_is_no_candidate_is_a_protocol_error(text: str) -> None:
    with pytest.raises(ProtocolError):
        IceCandidate.parse(text)


@pytest.mark.parametrize(
    ("address", "drop"),
    [
        ("0.0.0.0", DropReason.UNSPECIFIED),  # noqa: S104  # nobody listens there
        ("0.1.2.3", DropReason.UNSPECIFIED),
        ("::", DropReason.UNSPECIFIED),
        ("::ffff:0.0.0.0", DropReason.UNSPECIFIED),
        ("224.0.0.1", DropReason.MULTICAST),
        ("239.255.255.250", DropReason.MULTICAST),
        ("ff02::1", DropReason.MULTICAST),
        ("::ffff:224.0.0.1", DropReason.MULTICAST),
        ("255.255.255.255", DropReason.BROADCAST),
        ("169.254.1.1", DropReason.LINK_LOCAL),
        ("fe80::1", DropReason.LINK_LOCAL),
        ("fe80::1%eth0", DropReason.LINK_LOCAL),
        ("::ffff:169.254.1.1", DropReason.LINK_LOCAL),
        ("169.254.169.254", DropReason.METADATA),
        ("::ffff:169.254.169.254", DropReason.METADATA),
        ("::ffff:a9fe:a9fe", DropReason.METADATA),
        ("64:ff9b::169.254.169.254", DropReason.METADATA),
        ("::169.254.169.254", DropReason.METADATA),
        ("2002:a9fe:a9fe::1", DropReason.METADATA),
        ("fd00:ec2::254", DropReason.METADATA),
        ("168.63.129.16", DropReason.METADATA),
        ("100.100.100.200", DropReason.METADATA),
        ("240.0.0.1", DropReason.RESERVED),
        ("localhost", DropReason.HOSTNAME),
        ("example.org", DropReason.HOSTNAME),
        ("a.b.local", DropReason.HOSTNAME),
        (".local", DropReason.HOSTNAME),
        ("127.1", DropReason.HOSTNAME),
        ("0x7f000001", DropReason.HOSTNAME),
        ("2130706433", DropReason.HOSTNAME),
        ("0177.0.0.1", DropReason.HOSTNAME),
    ],
)
def test_an_address_that_nobody_may_name_is_dropped_even_in_a_laboratory(
    address: str, drop: DropReason
) -> None:
    for policy in (LABORATORY, INTERNET):
        assert objection(policy, line(address=address)) is drop


@pytest.mark.parametrize(
    ("address", "drop"),
    [
        ("127.0.0.1", DropReason.LOOPBACK),
        ("127.8.8.8", DropReason.LOOPBACK),
        ("::1", DropReason.LOOPBACK),
        ("::ffff:127.0.0.1", DropReason.LOOPBACK),
        ("10.1.2.3", DropReason.PRIVATE),
        ("172.16.0.1", DropReason.PRIVATE),
        ("192.168.1.7", DropReason.PRIVATE),
        ("100.64.0.1", DropReason.PRIVATE),
        ("192.0.2.1", DropReason.PRIVATE),
        ("198.18.0.1", DropReason.PRIVATE),
        ("fd12:3456::1", DropReason.PRIVATE),
        ("fec0::1", DropReason.PRIVATE),
        ("::ffff:10.0.0.1", DropReason.PRIVATE),
        ("64:ff9b::10.0.0.1", DropReason.PRIVATE),
        ("192.0.0.8", DropReason.PRIVATE),
        ("203.0.113.9", DropReason.PRIVATE),
        ("64:ff9b:1::1", DropReason.PRIVATE),
        ("100::1", DropReason.PRIVATE),
        ("2001:2::1", DropReason.PRIVATE),
        ("2001:db8::1", DropReason.PRIVATE),
        ("2002:a01:203::1", DropReason.PRIVATE),
        ("3fff::1", DropReason.PRIVATE),
        ("5f00::1", DropReason.PRIVATE),
    ],
)
def test_a_private_address_passes_in_a_laboratory_alone(address: str, drop: DropReason) -> None:
    assert objection(LABORATORY, line(address=address)) is None
    assert objection(INTERNET, line(address=address)) is drop


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "192.0.0.9", "192.88.99.1", "2606:2800::1", "2001:1::1", "2001:20::1"),
        *("2001:4860::1", "2002:808:808::1", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8"),
    ],
)
def test_an_address_of_the_internet_passes_in_every_version_of_python(address: str) -> None:
    assert objection(LABORATORY, line(address=address)) is None
    assert objection(INTERNET, line(address=address)) is None


@pytest.mark.parametrize("port", [0, 1, 9, 22, 53, 1023])
def test_a_port_of_the_systems_services_is_dropped(port: int) -> None:
    assert objection(INTERNET, line(port=port)) is DropReason.PORT
    assert objection(INTERNET, line(port=1024)) is None


def test_the_discard_port_passes_for_an_active_tcp_candidate_alone() -> None:
    assert objection(INTERNET, line(transport="tcp", port=9, more=" tcptype active")) is None
    assert objection(INTERNET, line(transport="tcp", port=9, more=" tcptype passive")) is DropReason.PORT
    assert objection(INTERNET, line(transport="udp", port=9, more=" tcptype active")) is DropReason.PORT
    assert objection(INTERNET, line(transport="tcp", port=8, more=" tcptype active")) is DropReason.PORT


def test_only_udp_and_tcp_are_spoken() -> None:
    assert objection(INTERNET, line(transport="sctp")) is DropReason.TRANSPORT


@pytest.mark.parametrize("kind", ["host", "srflx", "prflx"])
def test_relay_only_lets_relays_through_alone(kind: str) -> None:
    assert objection(RELAYS, line(kind=kind)) is DropReason.NOT_RELAY
    assert objection(RELAYS, line(kind=kind, address="x.local")) is DropReason.NOT_RELAY
    assert objection(RELAYS, line(kind="relay")) is None
    assert objection(RELAYS, line(kind="relay", address="127.0.0.1")) is DropReason.LOOPBACK


@pytest.mark.parametrize(("address", "hidden"), [(PUBLIC, "0.0.0.0"), ("2606:2800::1", "::")])  # noqa: S104  # nobody listens there
def test_what_is_behind_a_relay_is_hidden(address: str, hidden: str) -> None:
    text = line(kind="relay", address=address, more=" raddr 203.0.113.9 rport 4711 generation 0")
    shown = IceCandidate.parse(text).without_relation().to_text()
    assert shown == line(kind="relay", address=address, more=f" raddr {hidden} rport 9 generation 0")


@given(st.ip_addresses())
def test_every_address_is_judged_and_a_laboratory_is_never_stricter(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    strict = address_objection(str(address), private=False)
    lax = address_objection(str(address), private=True)
    assert lax is None or strict is not None
    if isinstance(address, ipaddress.IPv4Address):
        for form in (f"::ffff:{address}", f"64:ff9b::{address}"):
            assert address_objection(form, private=False) is strict


@given(st.text(max_size=200))
def test_no_text_surprises_the_parser(text: str) -> None:
    for attempt in (text, f"candidate:{text}", line(more=text), line(address=text)):
        try:
            parsed = IceCandidate.parse(attempt)
        except ProtocolError:
            continue
        assert IceCandidate.parse(parsed.to_text()) == parsed
