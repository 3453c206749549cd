"""What the documents have in common: their parts as types, of which the published schemas are generated.

It knows the keys that the analysis scripts of this field read, and what each means: an attribute's docstring
is the description of its key in the schema. It refuses to know how a match is recorded.

An instance is JSON-ready by ``msgspec``; no document has a key that its type has not.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from gym_p2p.core.latency.statistics import Count, Milliseconds
from gym_p2p.core.latency.webrtc_stats import GameTransportCounts
from gym_p2p.core.wire.seats import SeatId

__all__ = [
    "SCHEMA_VERSION",
    "AtLeastMinusOne",
    "Connection",
    "ConnectionPath",
    "Count",
    "Disconnection",
    "DocumentPart",
    "EpisodeNumber",
    "FocusLoss",
    "InputCounts",
    "Milliseconds",
    "ReconnectionAttempt",
    "Reconnections",
    "StateDifference",
    "UploadStatus",
]

SCHEMA_VERSION: Literal[2] = 2
"""Raised with keys that whoever reads documents has to know of: 2 brought who played, what they earned, and
when. Keys keep their meaning; a document of version 1 lacks the new ones."""

AtLeastMinusOne = Annotated[int, Meta(ge=-1)]
EpisodeNumber = Annotated[int, Meta(ge=1)]


class DocumentPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False, rename="camel"):
    """A part of a document. It is in no cycle, hence of no interest to the garbage collector."""


class ConnectionPath(DocumentPart, frozen=True, kw_only=True):
    """The path of a link in W3C's words (webrtc-stats), and when it was seen to be that."""

    local_candidate_type: str | None = None
    """host, srflx, prflx or relay; null is unknown."""
    remote_candidate_type: str | None = None
    """host, srflx, prflx or relay; null is unknown."""
    protocol: str | None = None
    """udp or tcp; null is unknown."""
    relay_protocol: str | None = None
    """udp, tcp or tls between this player and the relay; null without a relay."""
    detected_at_frame: Count | None = None
    """The frame of the running episode; null before the first, and while no path is known."""
    timestamp: int | None = None
    """When it was detected, in Unix milliseconds; null while no path is known."""


class Connection(DocumentPart, frozen=True, kw_only=True):
    """The worst link."""

    type: Literal["direct", "relay", "unknown"]
    """Whether the link leads over a relay: a TURN server's, the service or another player."""
    connection_details: ConnectionPath
    """The path of the link."""
    game_transport: str | None = None
    """What carries game messages: dtls (records beside SCTP) or datachannel; null is unknown."""
    game_transport_counts: GameTransportCounts | None = None
    """How often that changed since the link was there; null is unknown."""
    relayed_by: Literal["service", "player"] | None = None
    """Who passed messages on in place of a connection; null if nobody did."""
    relaying_player_id: SeatId | None = None
    """The id of the player who did; null if none did."""


class InputCounts(DocumentPart, frozen=True, kw_only=True):
    """Inputs that travelled, over all episodes."""

    sent_via_p2p: Count = field(name="sentViaP2P")
    """How many inputs were sent to peers directly, or passed on by other players."""
    sent_via_socket_io: Count = field(default=0, name="sentViaSocketIO")
    """How many inputs were sent through the service, perhaps directly as well."""
    received_via_p2p: Count = field(name="receivedViaP2P")
    """How many inputs arrived from peers directly, or by other players, before they did otherwise."""
    received_via_socket_io: Count = field(default=0, name="receivedViaSocketIO")
    """How many inputs arrived through the service before they did otherwise."""


class Disconnection(DocumentPart, frozen=True, kw_only=True):
    """A link that broke."""

    timestamp: int
    """When that was noticed, in Unix milliseconds."""
    frame: Count | None
    """The frame of the running episode; null before the first."""
    detecting_peer: SeatId
    """The id of the player who noticed."""
    ice_state: str | None
    """ICE's state in W3C's words; null is unknown."""
    dc_state: str | None
    """The data channel's state in W3C's words, or interrupted; null is unknown."""
    other_peer: SeatId | None = None
    """The id of the player at the other end; null is unknown."""


class ReconnectionAttempt(DocumentPart, frozen=True, kw_only=True):
    """The way back, or the vain search for it."""

    timestamp: int
    """When it ended, in Unix milliseconds."""
    duration: Milliseconds
    """How long the match paused for it, in milliseconds."""
    outcome: str
    """success or timeout."""
    attempts: Count
    """How many new connections were tried; 1 also where the old one carried again before any was."""
    other_peer: SeatId | None = None
    """The id of the player at the other end; null is unknown."""
    over: Literal["old_connection", "new_connection", "service", "player"] | None = None
    """Over which connection the match went on, or who passed messages on; null if it did not, and is unknown
    in older documents."""
    local_candidate_type: str | None = None
    """host, srflx, prflx or relay, of a new connection; null is unknown."""
    remote_candidate_type: str | None = None
    """host, srflx, prflx or relay, of a new connection; null is unknown."""


class Reconnections(DocumentPart, frozen=True, kw_only=True):
    """Links that broke and came back."""

    disconnections: list[Disconnection]
    """Links that broke, in the order in which that was noticed; not more than the first thousand."""
    attempts: list[ReconnectionAttempt]
    """Ways back, in the order of their ends; not more than the first thousand."""
    total_pause_duration_ms: Milliseconds
    """How long the match paused for them, in milliseconds."""


class StateDifference(DocumentPart, frozen=True):
    """A field in which two states differ."""

    path: str
    """Where it is in the state."""
    ours: str
    """Its value here, as text."""
    theirs: str
    """Its value at the other player, as text."""


class BackgroundPeriod(DocumentPart, frozen=True, kw_only=True):
    """A period in which the player did not see the game."""

    start: float
    """Its begin, in Unix milliseconds."""
    end: float
    """Its end, in Unix milliseconds."""
    duration_ms: Milliseconds
    """How long it was, in milliseconds."""


class FocusLoss(DocumentPart, frozen=True, kw_only=True):
    """When the game was in the background, of a player in a browser."""

    background_periods: list[BackgroundPeriod]
    """The periods in the background, oldest first; not more than the first ten thousand."""
    total_background_ms: Milliseconds
    """The length of all periods, in milliseconds."""
    period_count: Count
    """How many periods there were."""
    timeout_ms: Milliseconds
    """How long a period may be, in milliseconds."""
    was_timeout_triggered: bool
    """Whether a period was longer than that."""


class UploadStatus(DocumentPart, frozen=True, kw_only=True):
    """What became of handing in the multiplayer document to the service."""

    state: Literal["stored", "kept", "refused"]
    """``stored`` there; ``kept`` here, to be handed in at the next chance; ``refused``, for good."""
    problem: str | None
    """What was wrong, in words; null where nothing was."""
    path: str | None
    """Where the document lies, the last parts of its path; null where it lies nowhere here."""
    command: str | None
    """The command that hands it in later, in the exports' folder; null where there is nothing to hand in."""
