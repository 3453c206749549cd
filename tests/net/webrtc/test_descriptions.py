"""Descriptions and candidates of a stranger: usable, or a protocol error."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.errors import ProtocolError
from gym_p2p.net.webrtc.descriptions import parse_candidate, parse_description, without_end
from tests.net.peers import Peer, loopback_only, run

FINGERPRINT = (
    "49:66:12:17:0D:1C:91:AE:57:4C:C6:36:DD:D5:97:D2:7D:62:C9:9A:7F:B9:A3:F4:70:03:E7:43:91:73:23:5E"
)

CHROMIUM = f"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=candidate:1467250027 1 udp 2122260223 127.0.0.1 46243 typ host generation 0 network-id 1
a=candidate:1467250028 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active generation 0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=ice-options:trickle
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=mid:0
a=sctp-port:5000
a=max-message-size:262144
""".replace("\n", "\r\n")


@pytest.fixture(autouse=True)
def _on_loopback() -> Iterator[None]:
    with loopback_only():
        yield


def test_a_browsers_offer_is_taken_with_its_udp_candidates_apart() -> None:
    description = parse_description("offer", CHROMIUM)
    assert description.ufrag == "EsAw"
    assert [(c.ip, c.port, c.type) for c in description.candidates] == [("127.0.0.1", 46243, "host")]
    assert "candidate" not in description.sdp


def test_what_is_still_to_come_is_not_claimed_to_be_all() -> None:
    assert without_end("a=x\r\na=end-of-candidates\r\na=y\r\n") == "a=x\r\na=y\r\n"


@st.composite
def mutilated(draw: st.DrawFn) -> str:
    """A description with a few lines lost, doubled, moved, cut or scribbled on."""
    lines = CHROMIUM.split("\r\n")
    for _ in range(draw(st.integers(1, 4))):
        index = draw(st.integers(0, len(lines) - 1))
        line = lines[index]
        cut = draw(st.integers(0, len(line)))
        scribble = draw(
            st.one_of(st.text(max_size=6), st.sampled_from([":", " ", "0", "-1", "99999", "\ud800"]))
        )
        lines[index : index + 1] = draw(
            st.sampled_from(
                [[], [line, line], [line[:cut]], [line[:cut] + scribble + line[cut + 1 :]], [scribble]]
            )
        )
    return "\r\n".join(lines)


@settings(max_examples=400, deadline=None)
@given(mutilated(), st.sampled_from(["offer", "answer"]))
def test_a_mutilated_description_is_usable_or_a_protocol_error(text: str, kind: str) -> None:
    with contextlib.suppress(ProtocolError):
        parse_description(kind, text)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.text(max_size=6), min_size=8, max_size=14).map(" ".join)))
def test_any_text_is_a_candidate_or_a_protocol_error(text: str) -> None:
    with contextlib.suppress(ProtocolError):
        parse_candidate(text)


def test_what_passes_is_applied_without_anything_failing_in_the_background() -> None:
    chance = random.Random(7)
    lines = CHROMIUM.split("\r\n")
    applied = 0

    async def attempt(text: str) -> int:
        peer = Peer()
        try:
            await peer.connection.accept_offer(text, negotiated_game=False)
            await asyncio.sleep(0.03)
        except ProtocolError:
            return 0
        else:
            return 1
        finally:
            await peer.connection.close()

    async def work() -> None:
        nonlocal applied
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context))
        for _ in range(60):
            changed = list(lines)
            index = chance.randrange(len(changed))
            cut = chance.randrange(len(changed[index]) + 1)
            changed[index] = (
                changed[index][:cut] + chance.choice(["", "x", "0", ":", "é"]) + changed[index][cut + 1 :]
            )
            applied += await attempt("\r\n".join(changed))
        assert failures == []

    run(work())
    assert applied > 10
