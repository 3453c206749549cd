"""The private parts of aiortc, aioice and pyOpenSSL that this package relies on: all of them, in one place.

Knows names; the reasons are where they are used. :func:`missing_attributes` says in plain words what a new
version has moved; the versions that were tried are the range in ``pyproject.toml``.
"""

from __future__ import annotations

import asyncio
from typing import Any

import aioice.ice
import aioice.stun
import aioice.turn
import attrs
from aiortc import RTCPeerConnection
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtcsctptransport import RTCSctpTransport
from OpenSSL import SSL

__all__ = ["PRIVATE_ATTRIBUTES", "Internals", "Path", "missing_attributes"]

PRIVATE_ATTRIBUTES = {
    "sctp": (
        "_abort",
        "_data_channel_flush",
        "_data_channel_queue",
        "_data_channels",
        "_handle_data",
        "_inbound_streams",
        "_last_received_tsn",
        "_outbound_queue",
        "_receive_sack_chunk",
        "_reconfig_deferred",
        "_remote_verification_tag",
        "_association_state",
        "_rto",
        "_sack_duplicates",
        "_sack_misordered",
        "_sack_needed",
        "_send_chunk",
        "_send_sack",
        "_set_state",
        "_sent_queue",
        "_srtt",
        "_rttvar",
        "_t1_expired",
        "_t1_failures",
        "_update_rto",
    ),
    "dtls": ("_data_receiver", "_get_stats", "_role", "_send_data", "_ssl", "_state", "_stats_id"),
    "ice": ("_connection", "_send"),
    "connection": (
        "_check_list_done",
        "_local_candidates",
        "_local_candidates_end",
        "_local_candidates_start",
        "_nominated",
        "_pair_remote_candidate",
        "_protocols",
        "gather_candidates",
        "query_consent",
        "_queue",
    ),
    "channel": ("_addBufferedAmount",),
    "transaction": ("_Transaction__timeout_delay", "_Transaction__tries", "_Transaction__tries_max"),
    "relay": ("_TurnTransport__inner_protocol",),
    "openssl": ("_ffi", "_lib"),
    "library": ("BIO_read", "BIO_write", "SSL_read", "SSL_write"),
    "session": ("_from_ssl", "_handle_bio_errors", "_into_ssl", "_raise_ssl_error", "_ssl"),
    "relayed": ("channel_bind", "channel_refresh_time", "channel_to_peer", "transport"),
}


@attrs.frozen(eq=False)
class Path:
    """The layers below what a connection carries, from the top down."""

    dtls: RTCDtlsTransport
    ice: RTCIceTransport
    connection: aioice.ice.Connection

    @classmethod
    def under(cls, dtls: RTCDtlsTransport) -> Path:
        """Return the layers from one down."""
        return cls(dtls=dtls, ice=dtls.transport, connection=dtls.transport._connection)


@attrs.frozen(eq=False, kw_only=True)
class Internals(Path):
    """The layers of one connection that carries data channels alone."""

    sctp: RTCSctpTransport

    @classmethod
    def of(cls, pc: RTCPeerConnection) -> Internals:
        """Return the layers of a connection on which a channel was created."""
        sctp = pc.sctp
        if sctp is None:
            raise AttributeError("sctp: create a data channel first")
        ice = sctp.transport.transport
        return cls(sctp=sctp, dtls=sctp.transport, ice=ice, connection=ice._connection)


def missing_attributes(pc: RTCPeerConnection) -> list[str]:
    """Return what this package needs and ``pc``, with a channel created, does not have."""
    layers = Internals.of(pc)
    relayed = aioice.turn.TurnClientUdpProtocol(
        ("127.0.0.1", 9), username=None, password=None, lifetime=0, channel_refresh_time=0
    )
    relayed.connection_made(asyncio.DatagramTransport())
    request = aioice.stun.Message(aioice.stun.Method.BINDING, aioice.stun.Class.REQUEST)
    owners: dict[str, Any] = {
        "sctp": layers.sctp,
        "dtls": layers.dtls,
        "ice": layers.ice,
        "connection": layers.connection,
        "channel": pc.createDataChannel("missing", negotiated=True, id=1),
        "transaction": aioice.stun.Transaction(
            request, ("127.0.0.1", 9), aioice.ice.StunProtocol(layers.connection)
        ),
        "relay": aioice.turn.TurnTransport(relayed),
        "relayed": relayed,
        "openssl": SSL,
        "library": getattr(SSL, "_lib", None),
        "session": SSL.Connection(SSL.Context(SSL.DTLS_METHOD)),
    }
    return [
        f"{type(owners[layer]).__name__}.{name}"
        for layer, names in PRIVATE_ATTRIBUTES.items()
        for name in names
        if not hasattr(owners[layer], name)
    ]
