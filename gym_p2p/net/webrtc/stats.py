"""The W3C stats report of a connection, which aiortc itself leaves empty for data channels.

Knows the layers' counters and the shapes of webrtc-stats. Refuses to measure: the round trip in it is the
newest that :class:`~gym_p2p.net.webrtc.sockets.Sockets` has, and ``responsesReceived`` shows how fresh it is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import aioice.ice
import attrs
from aiortc import RTCDataChannel

from gym_p2p.core.latency.webrtc_stats import GAME_RECORDS_ID
from gym_p2p.net.webrtc.game_way import GameWay
from gym_p2p.net.webrtc.internals import Internals
from gym_p2p.net.webrtc.sockets import Sockets

__all__ = ["ChannelCounters", "build_report"]

Report = dict[str, dict[str, Any]]


@attrs.define(eq=False)
class ChannelCounters:
    """One data channel and what went over it, by our own count."""

    channel: RTCDataChannel
    messages_sent: int = 0
    bytes_sent: int = 0
    messages_received: int = 0
    bytes_received: int = 0


def build_report(
    layers: Internals, sockets: Sockets, channels: Sequence[ChannelCounters], game_way: GameWay
) -> Report:
    """Return the report; without a pair in use it holds no ``candidate-pair``."""
    pair = sockets.nominated
    entries = [_transport(layers, sockets, pair), _game_records(game_way)]
    if pair is not None:
        entries += [
            _pair(sockets),
            _local_candidate(layers, sockets, pair),
            _candidate("R", "remote-candidate", pair.remote_candidate, pair.remote_addr[0]),
        ]
    entries += [_data_channel(counters) for counters in channels]
    now_ms = time.time() * 1000
    return {entry["id"]: {"timestamp": now_ms, **entry} for entry in entries}


def _traffic(sockets: Sockets) -> dict[str, int]:
    return {
        "packetsSent": sockets.packets_sent,
        "packetsReceived": sockets.packets_received,
        "bytesSent": sockets.bytes_sent,
        "bytesReceived": sockets.bytes_received,
    }


def _transport(layers: Internals, sockets: Sockets, pair: aioice.ice.CandidatePair | None) -> dict[str, Any]:
    entry = {
        "id": "T",
        "type": "transport",
        "dtlsState": layers.dtls.state,
        "iceState": layers.ice.state,
        "iceRole": layers.ice.role,
        "dtlsRole": layers.dtls._role,
        **_traffic(sockets),
    }
    if pair is not None:
        entry["selectedCandidatePairId"] = "P"
    return entry


def _pair(sockets: Sockets) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": "P",
        "type": "candidate-pair",
        "transportId": "T",
        "localCandidateId": "L",
        "remoteCandidateId": "R",
        "state": "succeeded",
        "nominated": True,
        "requestsSent": sockets.requests_sent,
        "responsesReceived": sockets.responses_received,
        "totalRoundTripTime": sockets.total_round_trip_s,
        **_traffic(sockets),
    }
    if sockets.round_trip_s is not None:
        entry["currentRoundTripTime"] = sockets.round_trip_s
    return entry


def _local_candidate(layers: Internals, sockets: Sockets, pair: aioice.ice.CandidatePair) -> dict[str, Any]:
    """Return our end as the other side sees it: through an address translator it is not our own address."""
    base = pair.local_candidate
    entry = _candidate("L", "local-candidate", base, base.host)
    if base.type == "relay":
        # The gatherer notes it there.
        entry["relayProtocol"] = getattr(pair.protocol, "relay_protocol", None)
    elif sockets.mapped_address is not None and sockets.mapped_address != pair.local_addr:
        host, port = sockets.mapped_address
        signalled = any(
            c.type == "srflx" and (c.host, c.port) == (host, port) for c in layers.connection.local_candidates
        )
        entry |= {"candidateType": "srflx" if signalled else "prflx", "address": host, "port": port}
        entry |= {"relatedAddress": base.host, "relatedPort": base.port}
    return entry


def _candidate(entry_id: str, kind: str, candidate: aioice.Candidate, address: str) -> dict[str, Any]:
    return {
        "id": entry_id,
        "type": kind,
        "transportId": "T",
        "candidateType": candidate.type,
        "protocol": "udp",
        "address": address,
        "port": candidate.port,
    }


def _game_records(way: GameWay) -> dict[str, Any]:
    """Return an entry of our own: W3C knows no game messages beside a channel."""
    return {
        "id": GAME_RECORDS_ID,
        "type": GAME_RECORDS_ID,
        "transport": way.machine.transport.value,
        "returns": way.machine.returns,
        "recordsSent": way.machine.sent,
        "recordsReceived": way.machine.received,
        "messagesSent": way.messages_sent,
        "bytesSent": way.bytes_sent,
        "messagesReceived": way.messages_received,
        "bytesReceived": way.bytes_received,
        "messagesLeftOut": way.machine.left_out,
    }


def _data_channel(counters: ChannelCounters) -> dict[str, Any]:
    channel = counters.channel
    return {
        "id": f"D-{channel.label}",
        "type": "data-channel",
        "label": channel.label,
        "protocol": channel.protocol,
        "dataChannelIdentifier": channel.id,
        "state": channel.readyState,
        "messagesSent": counters.messages_sent,
        "bytesSent": counters.bytes_sent,
        "messagesReceived": counters.messages_received,
        "bytesReceived": counters.bytes_received,
    }
