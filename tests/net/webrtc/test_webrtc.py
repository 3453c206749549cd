"""The peer connection, for real on 127.0.0.1."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aioice.ice
import aioice.mdns
import aioice.stun
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from gym_p2p.config import IceServer, LinkConfig, LinkEmulation
from gym_p2p.core.wire.messages import Channel
from gym_p2p.errors import ConnectFailed, ProtocolError, UsageError
from gym_p2p.net.links.emulation import EARLY_S
from gym_p2p.net.links.transport import Link, LinkState
from gym_p2p.net.webrtc import PeerConnection, gathering, relays
from gym_p2p.net.webrtc.eager import run_through
from gym_p2p.net.webrtc.internals import PRIVATE_ATTRIBUTES, missing_attributes
from tests.net.peers import Peer, connect, connected_pair, loopback_only, open_sockets, run
from tests.net.turn_server import TurnServer
from tests.waiting import PATIENCE_S, eventually, in_time

AT_ONCE_S = 4.0
"""Before anything but a message could have told it: a silent peer is given up only after many seconds."""
CUT_SHORT_S = 5.0
"""Well below what the association would go on repeating itself for, were it not cut short after LINGER_S."""


@pytest.fixture(autouse=True)
def _on_loopback() -> Iterator[None]:
    with loopback_only():
        yield


class TestCarrying:
    @pytest.mark.parametrize("uvloop", [False, True])
    def test_both_channels_carry_both_ways_in_every_size_and_kind(self, uvloop: bool) -> None:  # noqa: FBT001  # parametrized
        async def work() -> None:
            async with connected_pair() as (one, other):
                link: Link = one.connection
                assert link.state is LinkState.OPEN
                payloads: list[bytes | str] = [b"", b"x", b"\0" * 64, b"y" * 1160, "", "text", "é" * 500]
                for sender, receiver in ((one, other), (other, one)):
                    for channel in Channel:
                        receiver.messages.clear()
                        for number, payload in enumerate(payloads, 1):
                            assert sender.connection.send(channel, payload)
                            await eventually(lambda r=receiver, n=number: len(r.messages) == n)  # type: ignore[misc]  # bound now
                        assert receiver.messages == [(channel, payload) for payload in payloads]

        run(work(), uvloop=uvloop)

    def test_its_two_ends_have_something_in_common_that_no_other_link_has(self) -> None:
        async def work() -> None:
            assert Peer().connection.binding == b""
            async with connected_pair() as (one, other), connected_pair() as (stranger, _):
                link: Link = one.connection
                assert len(link.binding) == 32
                assert link.binding == other.connection.binding != stranger.connection.binding

        run(work())

    def test_nothing_is_sent_before_open_after_close_or_beyond_the_limit(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def work() -> None:
            one, other = Peer(), Peer()
            assert not one.connection.send(Channel.GAME, b"early")
            await connect(one, other)
            assert not one.connection.send(Channel.GAME, bytes(1161))
            assert not one.connection.send(Channel.CTRL, "é" * 581)
            await one.connection.close()
            assert not one.connection.send(Channel.GAME, b"late")
            await other.connection.close()
            assert other.messages == []

        run(work())
        assert "the limit is 1160" in caplog.text

    def test_the_states_go_forward_and_open_comes_before_the_first_message(self) -> None:
        async def work() -> None:
            one, other = Peer(), Peer()
            heard: list[object] = []
            other.connection._on_state = heard.append
            other.connection._on_message = lambda _channel, data: heard.append(data)

            def greet(state: LinkState) -> None:
                if state is LinkState.OPEN:
                    one.connection.send(Channel.CTRL, b"at once")

            one.connection._on_state = greet
            await connect(one, other)
            await eventually(lambda: len(heard) == 2)
            await one.connection.close()
            await eventually(lambda: len(heard) == 3)
            await other.connection.close()
            assert heard == [LinkState.OPEN, b"at once", LinkState.CLOSED]

        run(work())

    def test_messages_from_before_our_own_side_is_open_are_delivered_then(self) -> None:
        async def work() -> None:
            peer = Peer()
            peer.connection._carriers.channels.expect(negotiated_game=True, creates_game=True)
            ctrl, game = (counters.channel for counters in peer.connection._carriers.channels.counters)
            ctrl.emit("message", b"first")
            ctrl._setReadyState("open")
            assert (peer.messages, peer.states) == ([], [])
            game._setReadyState("open")
            assert (peer.messages, peer.states) == ([(Channel.CTRL, b"first")], [LinkState.OPEN])
            await peer.connection.close()

        run(work())

    def test_a_handler_that_raises_costs_nothing_but_a_log_entry(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def work() -> None:
            async with connected_pair() as (one, other):

                def fail(_channel: Channel, _data: bytes | str) -> None:
                    raise RuntimeError("on purpose")

                other.on_message = fail
                for number in (1, 2):
                    assert one.connection.send(Channel.GAME, b"x")
                    await eventually(lambda n=number: len(other.messages) == n)  # type: ignore[misc]  # bound now
                assert other.connection.state is LinkState.OPEN

        run(work())
        assert "on purpose" in caplog.text

    def test_under_loss_and_disorder_ctrl_is_complete_and_ordered_and_game_never_doubles(self) -> None:
        async def work() -> None:
            emulation = LinkEmulation(one_way_ms=3, jitter_ms=3, loss=0.08, seed=5)
            async with connected_pair(emulation) as (one, other):
                for number in range(150):
                    for peer in (one, other):
                        peer.connection.send(Channel.GAME, b"g%d" % number)
                        assert peer.connection.send(Channel.CTRL, b"c%d" % number)
                    await asyncio.sleep(0.004)
                expected = [b"c%d" % number for number in range(150)]
                for peer in (one, other):
                    await eventually(lambda p=peer: sum(c is Channel.CTRL for c, _ in p.messages) == 150)  # type: ignore[misc]  # bound now
                    assert [data for channel, data in peer.messages if channel is Channel.CTRL] == expected
                    game = [data for channel, data in peer.messages if channel is Channel.GAME]
                    assert len(set(game)) == len(game)
                    assert 75 < len(game) < 150

        run(work())

    def test_after_a_blackout_nothing_stale_arrives_and_the_first_fresh_message_comes_at_once(self) -> None:
        async def work() -> None:
            async with connected_pair() as (one, other):
                pair = one.connection._sockets.round_trips.nominated
                assert pair is not None
                transport: Any = pair.protocol.transport
                path = _Switch(transport)
                pair.protocol.transport = path  # type: ignore[assignment]  # stands in for it
                path.broken = True
                refused = 0
                for _ in range(90):
                    refused += not one.connection.send(Channel.GAME, b"stale" + bytes(400))
                    await asyncio.sleep(1 / 60)
                path.broken = False
                assert refused > 0, "the path never filled up: the blackout was none"
                for _ in range(30):  # half a second's, however slow the machine is
                    one.connection.send(Channel.GAME, b"fresh")
                    await asyncio.sleep(1 / 60)
                    if any(data == b"fresh" for _, data in other.messages):
                        break
                else:
                    pytest.fail("nothing fresh comes through")
                stale = [data for _, data in other.messages if data != b"fresh"]
                assert len(stale) <= 2

        run(work())

    @pytest.mark.alone
    def test_two_processes_talk_and_the_round_trip_is_that_of_the_path(self) -> None:
        emulation = {"one_way_ms": 25.0}

        async def work() -> None:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(Path(__file__).with_name("webrtc_echo.py")),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert process.stdin is not None
            assert process.stdout is not None
            peer = Peer(LinkConfig(emulation=LinkEmulation(one_way_ms=25.0)))
            offer = await peer.connection.create_offer(negotiated_game=True)
            process.stdin.write(json.dumps({"sdp": offer, "emulation": emulation}).encode() + b"\n")
            await peer.connection.accept_answer(json.loads(await process.stdout.readline()))
            await peer.connection.wait_until_open()
            for number in range(5):
                assert peer.connection.send(Channel.GAME, b"%d" % number)
                await eventually(lambda n=number: len(peer.messages) == n + 1)  # type: ignore[misc]  # bound now
            round_trips_ms: list[float] = []
            while len(round_trips_ms) < 5 or (min(round_trips_ms) > 53.0 and len(round_trips_ms) < 50):
                report = await peer.connection.getStats()
                round_trips_ms.append(report["P"]["currentRoundTripTime"] * 1000)
            assert statistics.median(round_trips_ms) >= 2 * (25.0 - EARLY_S * 1e3)
            with in_time():
                assert min(round_trips_ms) <= 53.0
            process.stdin.close()
            await eventually(lambda: peer.connection.state is LinkState.CLOSED)
            await peer.connection.close()
            assert await process.wait() == 0

        run(work())


class _Switch:
    """A transport that can be cut."""

    def __init__(self, transport: Any, *, broken: bool = False) -> None:
        self._transport = transport
        self.broken = broken

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def sendto(self, data: bytes, addr: Any = None) -> None:
        if not self.broken:
            self._transport.sendto(data, addr)


def _without_candidates(sdp: str) -> str:
    return "\r\n".join(x for x in sdp.split("\r\n") if not x.startswith(("a=candidate", "a=end-of")))


class TestOthers:
    @pytest.mark.parametrize("bare_offers", [False, True])
    def test_bare_aiortc_with_an_in_band_channel_is_echoed(self, bare_offers: bool) -> None:  # noqa: FBT001  # parametrized
        async def work() -> None:
            peer = Peer()
            peer.on_message = peer.connection.send
            bare = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            got: list[bytes | str] = []

            def talk(channel: Any) -> None:
                channel.on("message", got.append)
                if channel.readyState == "open":
                    channel.send("hello")
                channel.on("open", lambda: channel.send("hello"))

            bare.on("datachannel", talk)
            if bare_offers:
                talk(bare.createDataChannel("game", ordered=False, maxRetransmits=0))
                await bare.setLocalDescription()
                answer = await peer.connection.accept_offer(bare.localDescription.sdp, negotiated_game=False)
                await bare.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            else:
                offer = await peer.connection.create_offer(negotiated_game=False)
                await bare.setRemoteDescription(RTCSessionDescription(offer, "offer"))
                await bare.setLocalDescription()
                await peer.connection.accept_answer(bare.localDescription.sdp)
            await peer.connection.wait_until_open()
            await eventually(lambda: got == ["hello"])
            await bare.close()
            await eventually(lambda: peer.states[-1] is LinkState.CLOSED)
            await peer.connection.close()

        run(work())


class TestDescriptions:
    @pytest.mark.parametrize(
        "change",
        [
            lambda _sdp: "",
            lambda _sdp: "v=0",
            lambda _sdp: "\ud800",
            lambda sdp: sdp.replace("m=application", "m=audio"),
            lambda sdp: sdp.replace("m=application 9", "m=application 0").replace("m=application ", "m=x "),
            lambda sdp: sdp + sdp[sdp.index("m=") :],
            lambda sdp: sdp.replace("a=ice-ufrag", "a=x"),
            lambda sdp: sdp.replace("a=ice-pwd", "a=x"),
            lambda sdp: sdp.replace("a=fingerprint", "a=x"),
            lambda sdp: sdp.replace("a=fingerprint:sha-", "a=fingerprint:md"),
            lambda sdp: sdp.replace("a=fingerprint:sha-256 ", "a=fingerprint:sha-256"),
            lambda sdp: sdp.replace("a=sctp-port:5000", "a=sctp-port:0"),
            lambda sdp: sdp.replace("a=sctp-port:5000", "a=sctp-port:x"),
            lambda sdp: sdp.replace("a=sctp-port:5000\r\n", ""),
            lambda sdp: sdp.replace("a=setup:", "a=setup:x"),
            lambda sdp: sdp.replace(" udp ", " udp x"),
            lambda sdp: sdp.replace(" typ host", ""),
            lambda sdp: sdp.replace(
                "\r\na=candidate:", "\r\na=candidate:x 1 udp 1 127.0.0.1 99999 typ host\r\na=candidate:"
            ),
        ],
    )
    def test_a_description_that_cannot_be_used_is_a_protocol_error_and_does_no_harm(
        self, change: Any
    ) -> None:
        async def work() -> None:
            one, other = Peer(), Peer()
            offer = await one.connection.create_offer(negotiated_game=True)
            assert change(offer) != offer
            with pytest.raises(ProtocolError):
                await other.connection.accept_offer(change(offer), negotiated_game=True)
            answer = await other.connection.accept_offer(offer, negotiated_game=True)
            if change(answer) != answer:
                with pytest.raises(ProtocolError):
                    await one.connection.accept_answer(change(answer))
            await one.connection.accept_answer(answer)
            await one.connection.wait_until_open()
            await one.connection.close()
            await other.connection.close()

        run(work())

    def test_calls_out_of_order_are_usage_or_protocol_errors(self) -> None:
        async def work() -> None:
            one, other = Peer(), Peer()
            offer = await one.connection.create_offer(negotiated_game=True)
            with pytest.raises(UsageError):
                await one.connection.create_offer(negotiated_game=True)
            with pytest.raises(UsageError):
                await one.connection.accept_offer(offer, negotiated_game=True)
            answer = await other.connection.accept_offer(offer, negotiated_game=True)
            await one.connection.accept_answer(answer)
            with pytest.raises(ProtocolError):
                await one.connection.accept_answer(answer)
            await one.connection.close()
            await other.connection.close()
            with pytest.raises(UsageError):
                await other.connection.gather()

        run(work())

    @pytest.mark.parametrize("prefix", ["candidate:", "", "a=candidate:"])
    def test_candidates_are_taken_with_and_without_their_prefix(self, prefix: str) -> None:
        async def work() -> None:
            one, other = Peer(), Peer()
            offer = await one.connection.create_offer(negotiated_game=True)
            lines = offer.split("\r\n")
            (candidate,) = (line for line in lines if line.startswith("a=candidate"))
            bare = "\r\n".join(line for line in lines if not line.startswith(("a=candidate", "a=end")))
            payload = {
                "candidate": candidate.replace("a=candidate:", prefix),
                "sdpMid": "0",
                "sdpMLineIndex": 0,
            }
            with pytest.raises(ProtocolError):
                await other.connection.add_candidate(payload)
            answer = await other.connection.accept_offer(bare, negotiated_game=True)
            # Without ours, the other one learns of us only from checks: it must be ours that was added.
            stripped = "\r\n".join(x for x in answer.split("\r\n") if not x.startswith("a=candidate"))
            await one.connection.accept_answer(stripped)
            for harmless in (None, {}, {"candidate": ""}, {**payload, "usernameFragment": "another"}):
                await other.connection.add_candidate(harmless)
            await asyncio.sleep(0.1)
            assert "theirs: none" in other.connection.describe()
            assert other.connection.state is LinkState.CONNECTING
            await other.connection.add_candidate(payload)
            await other.connection.wait_until_open()
            await one.connection.close()
            await other.connection.close()

        run(work())

    @pytest.mark.parametrize(
        "text",
        [
            "x",
            "candidate:",
            "candidate:1 1 udp 1 127.0.0.1 port typ host",
            "candidate:1 1 udp -1 h 1 typ host",
            "candidate:1 1 udp 1 127.0.0.1 0 typ host",
            "candidate:é 1 udp 1 127.0.0.1 1 typ host",
            5,
        ],
    )
    def test_a_candidate_that_cannot_be_read_is_a_protocol_error(self, text: object) -> None:
        async def work() -> None:
            one, other = Peer(), Peer()
            offer = await one.connection.create_offer(negotiated_game=True)
            await other.connection.accept_offer(offer, negotiated_game=True)
            with pytest.raises(ProtocolError):
                await other.connection.add_candidate({"candidate": text})
            for unusable in (
                "1 2 udp 1 127.0.0.1 1 typ host",
                "1 1 tcp 1 127.0.0.1 9 typ host",
                "1 1 udp 1 x 1 typ host",
            ):
                await other.connection.add_candidate({"candidate": unusable})
            await one.connection.close()
            await other.connection.close()

        run(work())

    def test_a_flood_of_candidates_is_bounded(self) -> None:
        async def work() -> None:
            one, other = Peer(), Peer()
            offer = await one.connection.create_offer(negotiated_game=True)
            await other.connection.accept_offer(offer, negotiated_game=True)
            for port in range(1, 400):
                await other.connection.add_candidate({"candidate": f"1 1 udp 1 127.0.0.1 {port} typ host"})
            assert "theirs: 100 host" in other.connection.describe()
            await one.connection.close()
            await other.connection.close()

        run(work())

    def test_a_hidden_address_that_cannot_be_looked_up_holds_nothing_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def work() -> None:
            given_up = asyncio.Event()

            async def resolve(*_arguments: object) -> None:
                await given_up.wait()

            monkeypatch.setattr(aioice.mdns.MDnsProtocol, "resolve", resolve)
            one, other = Peer(), Peer()
            offer = await one.connection.create_offer(negotiated_game=True)
            hidden = (
                "a=candidate:9 1 udp 1 0b5b6d3c-0000-4000-8000-000000000000.local 9 typ host\r\na=ice-ufrag"
            )
            answer = await other.connection.accept_offer(
                offer.replace("a=ice-ufrag", hidden), negotiated_game=True
            )
            await one.connection.accept_answer(answer)
            await one.connection.wait_until_open()
            given_up.set()
            await one.connection.close()
            await other.connection.close()

        run(work())

    def test_where_nothing_hidden_can_be_looked_up_the_others_connect_without_a_complaint(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def taken() -> None:
            raise OSError(errno.EADDRINUSE, "Address already in use")

        monkeypatch.setattr(aioice.mdns, "create_mdns_protocol", taken)
        caplog.set_level(logging.INFO)

        async def work() -> None:
            async with connected_pair() as (one, _other):
                hidden = "candidate:9 1 udp 1 0b5b6d3c-0000-4000-8000-000000000000.local 9 typ host"
                await one.connection.add_candidate({"candidate": hidden})
                await eventually(lambda: "cannot be looked up: Address already in use" in caplog.text)
                gc.collect()

        run(work())
        assert "never retrieved" not in caplog.text


class TestAddresses:
    def test_of_a_machine_with_very_many_addresses_the_best_are_offered_in_order(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        containers = [f"127.0.1.{number}" for number in range(1, 90)]
        monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: [*containers, "127.0.0.1"])
        monkeypatch.setattr(gathering, "_source_towards", lambda _family, _there: "127.0.0.1")

        async def work() -> None:
            async with connected_pair() as (one, _other):
                offered = one.connection._layers.connection.local_candidates
                assert [candidate.host for candidate in offered] == ["127.0.0.1", *containers[:31]]
                priorities = [candidate.priority for candidate in offered]
                assert priorities == sorted(set(priorities), reverse=True)

        run(work())

    def test_a_machine_with_nothing_but_loopback_uses_that(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: [])

        async def work() -> None:
            async with connected_pair() as (one, _other):
                report = await one.connection.getStats()
                assert report["L"]["address"] == "127.0.0.1"

        run(work())

    def test_without_any_usable_address_it_fails_at_once_and_says_so(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["203.0.113.7"])

        async def work() -> None:
            peer = Peer()
            with pytest.raises(ConnectFailed, match="no network address"):
                await peer.connection.create_offer(negotiated_game=True)
            with pytest.raises(ConnectFailed):
                await peer.connection.gather()
            await peer.connection.close()

        run(work())

    def test_relays_alone_without_a_turn_server_fail_at_once(self) -> None:
        async def work() -> None:
            peer = Peer(LinkConfig(relay_only=True), ice_servers=[IceServer(urls="stun:127.0.0.1:9")])
            with pytest.raises(ConnectFailed, match="relay"):
                await peer.connection.gather()
            await peer.connection.close()

        run(work())

    def test_servers_that_are_dead_or_nonsense_cost_the_connection_no_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gym_p2p.net.webrtc.gathering.SERVER_TIMEOUT_S", PATIENCE_S)

        async def work() -> None:
            loop = asyncio.get_running_loop()
            silent, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
            )
            port = silent.get_extra_info("sockname")[1]
            urls = [f"stun:127.0.0.1:{port}", f"turn:127.0.0.1:{port}"]
            urls += [f"stuns:127.0.0.1:{port}", f"turns:127.0.0.1:{port}"]
            servers = [IceServer(urls=urls, username="u", credential="c")]
            one, other = Peer(ice_servers=servers), Peer(ice_servers=servers)
            await connect(one, other)
            assert "servers still queried" in one.connection.describe()
            await one.connection.close()
            await other.connection.close()
            silent.close()

        run(work())

    @pytest.mark.parametrize("emulation", [LinkEmulation(), LinkEmulation(one_way_ms=5)])
    def test_with_relays_alone_no_other_address_leaves_the_peer_and_the_relay_carries(
        self, emulation: LinkEmulation
    ) -> None:
        async def work() -> None:
            turn = await TurnServer.start("user", "secret")
            servers = [IceServer(urls=turn.url, username="user", credential="secret")]
            link = LinkConfig(relay_only=True, emulation=emulation)
            one, other = Peer(link, ice_servers=servers), Peer(link, ice_servers=servers)
            offer = await one.connection.create_offer(negotiated_game=True)
            assert [line.split(" typ ")[1][:5] for line in offer.split("\r\n") if " typ " in line] == [
                "relay"
            ]
            answer = await other.connection.accept_offer(offer, negotiated_game=True)
            await one.connection.accept_answer(answer)
            await one.connection.wait_until_open()
            await other.connection.wait_until_open()
            assert one.connection.send(Channel.GAME, b"x")
            await eventually(lambda: bool(other.messages))
            report = await one.connection.getStats()
            assert (report["L"]["candidateType"], report["R"]["candidateType"]) == ("relay", "relay")
            assert report["L"]["relayProtocol"] == "udp"
            assert report["P"]["currentRoundTripTime"] > max(0.0, emulation.one_way_ms / 1000 - EARLY_S) * 2
            assert turn.relayed > 0
            await one.connection.close()
            await other.connection.close()
            turn.close()

        run(work())

    def test_of_a_turn_servers_addresses_one_that_leads_nowhere_costs_a_moment_and_no_relay(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def work() -> None:
            turn = await TurnServer.start("user", "secret")
            port = int(turn.url.rpartition(":")[2])
            silent, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=("127.0.0.9", port)
            )

            async def addresses(_parsed: object) -> list[str]:
                return ["127.0.0.9", "127.0.0.1"]

            monkeypatch.setattr(relays, "_addresses", addresses)
            servers = [IceServer(urls=turn.url, username="user", credential="secret")]
            peer = Peer(LinkConfig(relay_only=True), ice_servers=servers)
            offer = await peer.connection.create_offer(negotiated_game=True)
            assert offer.count(" typ relay") == 1
            await peer.connection.close()
            silent.close()
            turn.close()

        run(work())

    def test_a_relay_that_comes_after_the_descriptions_still_connects_two_who_cannot_meet_otherwise(
        self,
    ) -> None:
        async def work() -> None:
            turn = await TurnServer.start("user", "secret")
            one = Peer(ice_servers=[IceServer(urls=turn.url, username="user", credential="secret")])
            other = Peer()
            offer = await one.connection.create_offer(negotiated_game=True)
            assert "relay" not in offer
            answer = await other.connection.accept_offer(_without_candidates(offer), negotiated_game=True)
            # Ours alone reach the other nowhere: its only candidate is one at which nobody is.
            nobody = "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\na=ice-ufrag"
            await one.connection.accept_answer(_without_candidates(answer).replace("a=ice-ufrag", nobody))
            await eventually(lambda: len(one.late) == 1)
            assert one.connection.state is LinkState.CONNECTING
            await other.connection.add_candidate(one.late[0])
            (only,) = (line for line in answer.split("\r\n") if line.startswith("a=candidate"))
            for protocol in one.connection._layers.connection._protocols[:1]:
                protocol.transport = _Switch(protocol.transport, broken=True)  # type: ignore[assignment]  # stands in
            await one.connection.add_candidate({"candidate": only})
            await one.connection.wait_until_open()
            report = await one.connection.getStats()
            assert report["L"]["candidateType"] == "relay"
            await one.connection.close()
            await other.connection.close()
            turn.close()

        run(work())

    def test_what_a_stun_server_answers_is_in_the_description_or_follows_it(self) -> None:
        async def work() -> None:
            loop = asyncio.get_running_loop()
            transport, server = await loop.create_datagram_endpoint(_StunServer, local_addr=("127.0.0.1", 0))
            url = f"stun:127.0.0.1:{transport.get_extra_info('sockname')[1]}"
            early, late = Peer(), Peer()
            await early.connection.gather()
            early.connection.ask_ice_servers([IceServer(urls=url)])
            await eventually(lambda: "servers still queried" not in early.connection.describe())
            server.answers.clear()
            late.connection.ask_ice_servers([IceServer(urls=url)])
            offer = await early.connection.create_offer(negotiated_game=True)
            assert "198.51.100.5 4444 typ srflx" in offer
            assert "a=end-of-candidates" in offer
            assert early.late == []
            offer = await late.connection.create_offer(negotiated_game=True)
            assert "srflx" not in offer
            assert "a=end-of-candidates" not in offer
            server.answers.set()
            await eventually(lambda: len(late.late) == 1)
            (payload,) = late.late
            assert "198.51.100.5 4444 typ srflx" in payload["candidate"]
            assert payload["candidate"].startswith("candidate:")
            assert f"a=ice-ufrag:{payload['usernameFragment']}\r\n" in offer
            await early.connection.close()
            await late.connection.close()
            transport.close()

        run(work())


class _StunServer(asyncio.DatagramProtocol):
    """Says to everyone that they are at 198.51.100.5:4444, while it answers."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self._waiting: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        task = asyncio.ensure_future(self._answer(data, addr))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _answer(self, data: bytes, addr: Any) -> None:
        await self.answers.wait()
        request = aioice.stun.parse_message(data)
        response = aioice.stun.Message(
            aioice.stun.Method.BINDING, aioice.stun.Class.RESPONSE, transaction_id=request.transaction_id
        )
        response.attributes["XOR-MAPPED-ADDRESS"] = ("198.51.100.5", 4444)
        self.transport.sendto(bytes(response), addr)


class TestStats:
    def test_the_report_has_the_shape_of_w3c_and_every_reading_is_fresh(self) -> None:
        async def work() -> None:
            async with connected_pair() as (one, other):
                assert one.connection.connectionState == "connected"
                assert one.connection.send(Channel.GAME, b"12345")
                await eventually(lambda: bool(other.messages))
                before = await one.connection.getStats()
                after = await one.connection.getStats()
                report = {entry["type"]: entry for entry in after.values() if entry["type"] != "data-channel"}
                transport, pair = report["transport"], report["candidate-pair"]
                assert after[transport["selectedCandidatePairId"]] is pair
                assert transport["dtlsState"] == "connected"
                assert pair["state"] == "succeeded"
                assert pair["nominated"] is True
                assert pair["currentRoundTripTime"] > 0
                with in_time():
                    assert pair["currentRoundTripTime"] < 0.1
                assert pair["totalRoundTripTime"] > before["P"]["totalRoundTripTime"]
                assert pair["responsesReceived"] == before["P"]["responsesReceived"] + 1
                assert pair["requestsSent"] >= pair["responsesReceived"]
                assert pair["bytesSent"] > 5
                assert pair["packetsReceived"] > 0
                for name in ("local-candidate", "remote-candidate"):
                    entry = report[name]
                    assert (entry["candidateType"], entry["protocol"]) == ("host", "udp")
                    assert (entry["address"], type(entry["port"])) == ("127.0.0.1", int)
                (game,) = (entry for entry in after.values() if entry.get("label") == "game")
                assert (game["messagesSent"], game["bytesSent"], game["state"]) == (1, 5, "open")
                (game,) = (
                    e for e in (await other.connection.getStats()).values() if e.get("label") == "game"
                )
                assert (game["messagesReceived"], game["bytesReceived"]) == (1, 5)
                json.dumps(after)

        run(work())

    def test_without_a_connection_the_report_has_no_pair_and_comes_at_once(self) -> None:
        async def work() -> None:
            peer = Peer()
            assert peer.connection.connectionState == "new"
            for _ in range(2):
                report = await peer.connection.getStats()
                assert [entry["type"] for entry in report.values()] == [
                    "transport",
                    "data-channel",
                    "gym-p2p-game-records",
                ]
                assert "selectedCandidatePairId" not in report["T"]
                await peer.connection.close()
            assert peer.connection.connectionState == "closed"

        run(work())

    @pytest.mark.parametrize("uvloop", [False, True])
    def test_an_emulated_path_of_25_ms_each_way_reads_50_to_53_ms(self, uvloop: bool) -> None:  # noqa: FBT001  # parametrized
        async def work() -> None:
            async with connected_pair(LinkEmulation(one_way_ms=25)) as (one, _other):
                readings: list[float] = []
                # On a busy machine some readings are late; none can be early.
                while len(readings) < 7 or (min(readings) > 53.0 and len(readings) < 100):
                    readings.append((await one.connection.getStats())["P"]["currentRoundTripTime"] * 1000)
                    await asyncio.sleep(0.013)
                assert statistics.median(readings) >= 49.5
                with in_time():
                    assert min(readings) <= 53.0

        run(work(), uvloop=uvloop)

    def test_a_round_trip_above_half_a_second_is_measured_and_ends_no_connection(self) -> None:
        async def work() -> None:
            async with connected_pair(LinkEmulation(one_way_ms=300)) as (one, other):
                for _ in range(20):  # on a busy machine some readings are late
                    reading_s = (await one.connection.getStats())["P"]["currentRoundTripTime"]
                    assert reading_s >= 2 * (0.3 - EARLY_S)
                    if reading_s <= 0.65:
                        break
                with in_time():
                    assert reading_s <= 0.65, "no reading is right"
                for peer in (one, other):
                    consent = peer.connection._layers.connection._query_consent_task
                    assert consent is not None
                    assert consent.done(), "aioice would close this connection within half a minute"

        run(work())

    def test_an_unanswered_measurement_leaves_the_last_reading_with_its_count(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def work() -> None:
            async with connected_pair() as (one, _other):
                before = (await one.connection.getStats())["P"]
                monkeypatch.setattr("gym_p2p.net.webrtc.round_trips.ROUND_TRIP_TIMEOUT_S", 0.1)
                pair = one.connection._sockets.round_trips.nominated
                assert pair is not None
                path = _Switch(pair.protocol.transport)
                pair.protocol.transport = path  # type: ignore[assignment]  # stands in for it
                path.broken = True
                after = (await one.connection.getStats())["P"]
                path.broken = False
                assert after["responsesReceived"] == before["responsesReceived"]
                assert after["requestsSent"] > before["requestsSent"]
                assert after["currentRoundTripTime"] == before["currentRoundTripTime"]

        run(work())

    def test_two_callers_at_once_share_one_measurement(self) -> None:
        async def work() -> None:
            async with connected_pair(LinkEmulation(one_way_ms=10)) as (one, _other):
                await asyncio.sleep(0.05)
                sent = one.connection._sockets.round_trips.requests_sent
                await asyncio.gather(*(one.connection.getStats() for _ in range(5)))
                assert one.connection._sockets.round_trips.requests_sent == sent + 1

        run(work())


class TestClosing:
    def test_what_was_sent_just_before_is_still_delivered(self) -> None:
        async def work() -> None:
            for emulation in (LinkEmulation(), LinkEmulation(one_way_ms=20, loss=0.1, seed=3)):
                link = LinkConfig(emulation=emulation)
                one, other = Peer(link), Peer(link)
                await connect(one, other)
                for number in range(20):
                    assert one.connection.send(Channel.CTRL, b"%d" % number)
                await one.connection.close()
                await eventually(lambda o=other: o.states[-1] is LinkState.CLOSED or len(o.messages) == 20)  # type: ignore[misc]  # bound now
                assert [data for _, data in other.messages] == [b"%d" % n for n in range(20)]
                await other.connection.close()

        run(work())

    def test_the_other_side_hears_of_it_at_once(self) -> None:
        async def work() -> None:
            async with connected_pair() as (one, other):
                await one.connection.close()
                heard_of = [LinkState.OPEN, LinkState.CLOSED]
                with in_time():
                    await eventually(lambda: other.states == heard_of, AT_ONCE_S)

        run(work())

    def test_closing_a_side_whose_partner_vanished_takes_half_a_second_at_most(self) -> None:
        async def work() -> None:
            async with connected_pair() as (one, _other):
                pair = one.connection._sockets.round_trips.nominated
                assert pair is not None
                path = _Switch(pair.protocol.transport)
                pair.protocol.transport = path  # type: ignore[assignment]  # stands in for it
                path.broken = True
                one.connection.send(Channel.CTRL, b"into the void")
                started = asyncio.get_running_loop().time()
                await one.connection.close()
                with in_time():
                    assert asyncio.get_running_loop().time() - started < CUT_SHORT_S

        run(work())

    @pytest.mark.parametrize("after_s", [None, 0.0, 0.001, 0.005, 0.02, 0.03])
    @pytest.mark.parametrize("stage", ["new", "gathering", "offered", "answered", "connecting"])
    def test_in_every_state_it_closes_without_leaving_anything(
        self, stage: str, after_s: float | None
    ) -> None:
        async def work() -> None:
            one, other = Peer(), Peer()
            started = asyncio.create_task(self._go(one, other, stage))
            if after_s is not None:
                await asyncio.sleep(after_s)
            await asyncio.gather(*(peer.connection.close() for peer in (one, other, one)))
            await asyncio.gather(started, return_exceptions=True)
            await one.connection.close()
            assert one.connection.state is LinkState.CLOSED
            assert one.connection.connectionState == "closed"
            with pytest.raises(UsageError):
                await one.connection.gather()

        run(work())

    @staticmethod
    async def _go(one: Peer, other: Peer, stage: str) -> None:
        if stage == "gathering":
            await one.connection.gather()
        elif stage != "new":
            offer = await one.connection.create_offer(negotiated_game=True)
            if stage != "offered":
                answer = await other.connection.accept_offer(offer, negotiated_game=True)
                if stage == "connecting":
                    await one.connection.accept_answer(answer)

    def test_thirty_connections_leave_no_sockets_and_no_tasks(self) -> None:
        async def work() -> None:
            async def connect_and_close() -> None:
                async with connected_pair() as (one, other):
                    one.connection.send(Channel.GAME, b"x")
                    await eventually(lambda: bool(other.messages))

            for _ in range(2):
                await connect_and_close()
            await asyncio.sleep(0.1)
            sockets, tasks = open_sockets(), len(asyncio.all_tasks())
            for _ in range(28):
                await connect_and_close()
                await eventually(lambda: open_sockets() <= sockets and len(asyncio.all_tasks()) <= tasks)

        run(work())

    def test_waiting_for_a_connection_that_is_closed_ends_with_an_error(self) -> None:
        async def work() -> None:
            peer = Peer()
            waiting = asyncio.create_task(peer.connection.wait_until_open())
            await asyncio.sleep(0)
            await peer.connection.close()
            with pytest.raises(ConnectionError, match="ICE"):
                await waiting

        run(work())


class TestInternals:
    def test_everything_private_that_is_used_is_there(self) -> None:
        async def work() -> None:
            pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            pc.createDataChannel("x")
            assert missing_attributes(pc) == [], "aiortc or aioice has moved what net/webrtc relies on"
            await pc.close()

        run(work())

    def test_something_that_has_moved_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(PRIVATE_ATTRIBUTES, "connection", ("_nominated", "_moved_away"))

        async def work() -> None:
            pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            pc.createDataChannel("x")
            assert missing_attributes(pc) == ["Connection._moved_away"]
            await pc.close()

        run(work())

    def test_what_a_coroutine_raises_after_it_has_waited_is_logged_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def fails() -> None:
            await asyncio.sleep(0)
            raise AssertionError("a bug of the library's")

        async def work() -> None:
            run_through(fails())
            await eventually(lambda: "a bug of the library's" in caplog.text)
            gc.collect()

        run(work())
        assert "never retrieved" not in caplog.text

    def test_a_coroutine_that_waits_after_all_is_finished_by_a_task(self) -> None:
        async def work() -> None:
            steps: list[int] = []

            async def waits() -> None:
                steps.append(1)
                await asyncio.sleep(0.01)
                steps.append(2)
                await asyncio.sleep(0)
                steps.append(3)

            run_through(waits())
            assert steps == [1]
            await eventually(lambda: steps == [1, 2, 3])

        run(work())

    def test_a_peer_connection_is_a_link(self) -> None:
        async def work() -> None:
            peer = Peer()
            link: Link = peer.connection
            assert isinstance(link, PeerConnection)
            await link.close()

        run(work())
