"""LatencyTelemetry on connections of aiortc's own, for real on 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCIceServer, RTCIceTransportPolicy, RTCPeerConnection

from gym_p2p.core.latency.series import Poll
from gym_p2p.core.latency.webrtc_stats import PollStatus, extract_connection, extract_round_trip
from gym_p2p.errors import ConfigurationError
from gym_p2p.net.telemetry import LatencyTelemetry
from gym_p2p.net.webrtc.plain import AiortcStats
from tests.net.peers import loopback_only, run
from tests.net.turn_server import TurnServer
from tests.waiting import eventually

INTERVAL_MS = 20


@pytest.fixture(autouse=True)
def _on_loopback() -> Iterator[None]:
    with loopback_only():
        yield


@contextlib.asynccontextmanager
async def plain_pair(configuration: RTCConfiguration | None = None) -> AsyncIterator[list[RTCPeerConnection]]:
    """Two connections of aiortc's own with a channel, connected as its examples do it."""
    one = RTCPeerConnection(configuration or RTCConfiguration(iceServers=[]))
    other = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    one.createDataChannel("game")
    try:
        await negotiate(one, other)
        await eventually(lambda: one.connectionState == other.connectionState == "connected")
        yield [one, other]
    finally:
        await one.close()
        await other.close()


async def negotiate(one: RTCPeerConnection, other: RTCPeerConnection) -> None:
    await one.setLocalDescription(await one.createOffer())
    await other.setRemoteDescription(one.localDescription)
    await other.setLocalDescription(await other.createAnswer())
    await one.setRemoteDescription(other.localDescription)


def test_a_plain_connection_gives_round_trips_on_one_side_alone_or_on_both() -> None:
    async def work() -> None:
        async with plain_pair() as (one, other):
            assert extract_round_trip(await one.getStats()) is None, "aiortc reports a pair by itself now"
            telemetries = [LatencyTelemetry(one, INTERVAL_MS)]
            telemetries[0].start()
            await eventually(lambda: len(telemetries[0].get_samples()) >= 3)
            telemetries.append(LatencyTelemetry(other, INTERVAL_MS))
            telemetries[1].start()
            await eventually(lambda: len(telemetries[1].get_samples()) >= 3)
            for telemetry in telemetries:
                telemetry.stop()
                stats = telemetry.get_stats()
                assert stats is not None
                assert stats["withoutPair"] == 0
                assert 0 < stats["minMs"] <= stats["medianMs"]
                assert telemetry.errors == 0

    run(work())


def test_the_adapter_makes_a_report_by_itself() -> None:
    async def work() -> None:
        async with plain_pair() as (one, _other):
            adapter = AiortcStats(one)
            first, second = await adapter.getStats(), await adapter.getStats()
            assert second["P"]["responsesReceived"] == first["P"]["responsesReceived"] + 1
            assert second["T"]["bytesSent"] >= first["T"]["bytesSent"] > 0
            details = extract_connection(second)
            assert details is not None
            assert (details.type, details.local_candidate_type) == ("direct", "host")
            assert adapter.connectionState == "connected"

    run(work())


def test_a_connection_not_yet_connected_is_waited_for_and_one_closed_midway_is_an_outage(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        polls: list[Poll] = []
        one, other = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
        telemetry = LatencyTelemetry(one, INTERVAL_MS, on_poll=polls.append)  # before it has a channel
        telemetry.start()
        await asyncio.sleep(5 * INTERVAL_MS / 1000)
        assert polls == []
        one.createDataChannel("game")
        await negotiate(one, other)
        await eventually(lambda: bool(telemetry.get_samples()))
        await one.close()
        await other.close()
        await eventually(lambda: polls[-1].status is PollStatus.DISCONNECTED)
        telemetry.stop()
        stats = telemetry.get_stats()
        assert stats is not None
        assert stats["outages"][-1]["endMs"] is None
        assert stats["withoutPair"] == telemetry.errors == 0

    run(work())
    assert "no selected candidate pair" not in caplog.text


def test_a_relayed_connection_is_said_to_be_one() -> None:
    async def work() -> None:
        turn = await TurnServer.start("user", "password")
        servers = [RTCIceServer(turn.url, "user", "password")]
        relayed = RTCConfiguration(iceServers=servers, iceTransportPolicy=RTCIceTransportPolicy.RELAY)
        polls: list[Poll] = []
        async with plain_pair(relayed) as (one, _other):
            telemetry = LatencyTelemetry(one, INTERVAL_MS, on_poll=polls.append)
            telemetry.start()
            await eventually(lambda: len(telemetry.get_samples()) >= 2)
            telemetry.stop()
        turn.close()
        assert turn.relayed > 0
        assert polls[-1].connection is not None
        assert (polls[-1].connection.type, polls[-1].connection.local_candidate_type) == ("relay", "relay")

    run(work())


def test_a_connection_of_media_alone_is_measured_too() -> None:
    async def work() -> None:
        one, other = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
        one.addTransceiver("audio")
        assert "P" not in await AiortcStats(one).getStats()
        await negotiate(one, other)
        await eventually(lambda: one.connectionState == "connected")
        report = await AiortcStats(one).getStats()
        assert extract_round_trip(report) is not None
        assert any(entry["type"] == "transport" for entry in report.values() if isinstance(entry, dict))
        await one.close()
        await other.close()

    run(work())


def test_a_report_of_the_users_own_is_left_to_them() -> None:
    class Reporting(RTCPeerConnection):
        async def getStats(self) -> Any:  # noqa: N802 - W3C's name
            return {
                "T": {"id": "T", "type": "transport", "selectedCandidatePairId": "X"},
                "X": {"id": "X", "type": "candidate-pair", "currentRoundTripTime": 0.25},
            }

    async def work() -> None:
        connection = Reporting(RTCConfiguration(iceServers=[]))
        telemetry = LatencyTelemetry(connection)
        assert telemetry._peer_connection is connection
        await connection.close()

    run(work())


@pytest.mark.parametrize("made", [object, dict, lambda: "pc", lambda: RTCPeerConnection])
def test_what_is_no_peer_connection_is_refused_by_name(made: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"wanted a peer connection.*connectionState.*getStats"):
        LatencyTelemetry(made())
    with pytest.raises(ConfigurationError, match="wanted an aiortc"):
        AiortcStats(made())


def test_a_data_channel_in_place_of_its_connection_is_refused() -> None:
    async def work() -> None:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        channel: Any = connection.createDataChannel("game")
        with pytest.raises(ConfigurationError, match="RTCDataChannel"):
            LatencyTelemetry(None).replace(channel)
        await connection.close()

    run(work())
