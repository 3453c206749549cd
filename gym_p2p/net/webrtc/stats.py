"""The W3C stats report of a connection, which aiortc itself leaves empty for data channels.

Knows the layers' counters and the shapes of webrtc-stats. Refuses to measure: the round trip in it is the
newest of :mod:`gym_p2p.net.webrtc.round_trips`, and ``responsesReceived`` shows how fresh it is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import aioice.ice
import attrs
from aiortc import RTCDataChannel

from gym_p2p.net.webrtc.internals import Path
from gym_p2p.net.webrtc.round_trips import RoundTrips

__all__ = ["ChannelCounters", "PathNow", "build_report", "path_now"]

Report = dict[str, dict[str, Any]]


@attrs.define(eq=False)
class ChannelCounters:
    """One data channel and what went over it, by our own count."""

    channel: RTCDataChannel
    messages_sent: int = 0
    bytes_sent: int = 0
    messages_received: int = 0
    bytes_received: int = 0


@attrs.frozen
class PathNow:
    """A connection's path at a moment, in W3C's words; candidates have no type before there is a pair."""

    ice_state: str
    local_candidate_type: str | None = None
    remote_candidate_type: str | None = None


def path_now(path: Path, round_trips: RoundTrips) -> PathNow:
    """Return what a path is now, without measuring it."""
    pair = round_trips.nominated
    if pair is None:
        return PathNow(path.ice.state)
    local: str = _local_candidate(path, round_trips, pair)["candidateType"]
    return PathNow(path.ice.state, local, pair.remote_candidate.type)


def build_report(
    path: Path, round_trips: RoundTrips, traffic: Mapping[str, Any], channels: Sequence[ChannelCounters] = ()
) -> Report:
    """Return the report; without a pair in use it holds no ``candidate-pair``.

    Args:
        path: the layers.
        round_trips: the measurements on its pair.
        traffic: webrtc-stats' counters of packets and bytes in both directions.
        channels: the data channels whose messages are counted.
    """
    pair = round_trips.nominated
    entries = [_transport(path, traffic, pair)]
    if pair is not None:
        entries += [
            _pair(round_trips, traffic),
            _local_candidate(path, round_trips, pair),
            _candidate("R", "remote-candidate", pair.remote_candidate, pair.remote_addr[0]),
        ]
    entries += [_data_channel(counters) for counters in channels]
    now_ms = time.time() * 1000
    return {entry["id"]: {"timestamp": now_ms, **entry} for entry in entries}


def _transport(
    path: Path, traffic: Mapping[str, Any], pair: aioice.ice.CandidatePair | None
) -> dict[str, Any]:
    entry = {
        "id": "T",
        "type": "transport",
        "dtlsState": path.dtls.state,
        "iceState": path.ice.state,
        "iceRole": path.ice.role,
        "dtlsRole": path.dtls._role,
        **traffic,
    }
    if pair is not None:
        entry["selectedCandidatePairId"] = "P"
    return entry


def _pair(round_trips: RoundTrips, traffic: Mapping[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": "P",
        "type": "candidate-pair",
        "transportId": "T",
        "localCandidateId": "L",
        "remoteCandidateId": "R",
        "state": "succeeded",
        "nominated": True,
        "requestsSent": round_trips.requests_sent,
        "responsesReceived": round_trips.responses_received,
        "totalRoundTripTime": round_trips.total_round_trip_s,
        **traffic,
    }
    if round_trips.round_trip_s is not None:
        entry["currentRoundTripTime"] = round_trips.round_trip_s
    return entry


def _local_candidate(path: Path, round_trips: RoundTrips, pair: aioice.ice.CandidatePair) -> dict[str, Any]:
    """Return our end as the other side sees it: through an address translator it is not our own address."""
    base = pair.local_candidate
    entry = _candidate("L", "local-candidate", base, base.host)
    if base.type == "relay":
        # The gatherer notes it there.
        entry["relayProtocol"] = getattr(pair.protocol, "relay_protocol", None)
    elif round_trips.mapped_address is not None and round_trips.mapped_address != pair.local_addr:
        host, port = round_trips.mapped_address
        signalled = any(
            c.type == "srflx" and (c.host, c.port) == (host, port) for c in path.connection.local_candidates
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
