"""What the service and the two sides of a probe send each other about it.

It refuses to know how a report came about, and how two of them become one number
(:mod:`gym_p2p.core.probing.outcome`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

import attrs
import msgspec

from gym_p2p.config import IceServer
from gym_p2p.config.secret import Secret, as_secret
from gym_p2p.core.api.payloads import Label, Name, Rtt, check_printable

__all__ = [
    "MAX_PINGS",
    "ProbeCancel",
    "ProbePath",
    "ProbePrepare",
    "ProbeReport",
    "ProbeSignal",
    "ProbeStart",
    "ProbeVerdict",
]

MAX_PINGS = 64
"""Of a burst, and so of what a report may list."""
_MAX_DEADLINE_MS = 600_000


@attrs.frozen(kw_only=True)
class ProbePath:
    """The path of a probe, in W3C's terms; ``None`` is unknown."""

    local: Label | None = attrs.field(default=None, validator=check_printable)
    remote: Label | None = attrs.field(default=None, validator=check_printable)
    protocol: Label | None = attrs.field(default=None, validator=check_printable)
    relay_protocol: Label | None = attrs.field(default=None, validator=check_printable)


@attrs.frozen(kw_only=True)
class ProbeReport:
    """One side's ``probe_result``.

    Attributes:
        rtt_ms: the median round trip; ``None`` is a failed measurement, and so is one without success.
        failure: why there is none: a short fixed text.
    """

    rtt_ms: Rtt | None = None
    success: bool
    samples_ms: Annotated[tuple[Rtt, ...], msgspec.Meta(max_length=MAX_PINGS)] = ()
    jitter_ms: Rtt | None = None
    loss: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    path: ProbePath | None = None
    failure: Label | None = attrs.field(default=None, validator=check_printable)

    def __attrs_post_init__(self) -> None:
        if self.success and self.rtt_ms is None:
            raise ValueError("success: without a round trip")
        if not self.success:
            object.__setattr__(self, "rtt_ms", None)


@attrs.frozen(kw_only=True)
class ProbePrepare:
    """The service's request to get ready for a probe.

    Attributes:
        turn_username: of the first TURN server in ``ice_servers``, where browsers look for it.
        peer_client: the software that the other side runs by its own account; ``None`` for a browser.
        threshold_ms: what the result will be compared with; ``None`` when with nothing.
        deadline_ms: how long the whole probe may take from now on.
    """

    event: ClassVar[str] = "probe_prepare"

    probe_session_id: Name = attrs.field(validator=check_printable)
    peer_subject_id: Name = attrs.field(validator=check_printable)
    turn_username: str | None = attrs.field(default=None, repr=False)
    turn_credential: Secret | None = attrs.field(default=None, converter=as_secret, repr=False)
    ice_servers: tuple[IceServer, ...] = ()
    relay_only: bool = False
    peer_client: Label | None = attrs.field(default=None, validator=check_printable)
    threshold_ms: Rtt | None = None
    deadline_ms: Annotated[float, msgspec.Meta(ge=0, le=_MAX_DEADLINE_MS)] | None = None

    @classmethod
    def over(cls, ice_servers: Sequence[IceServer], **fields: Any) -> Self:
        """Return one with the credentials of these servers where browsers look for them."""
        turn = next((server for server in ice_servers if server.username is not None), None)
        return cls(
            turn_username=None if turn is None else turn.username,
            turn_credential=None if turn is None else turn.credential,
            ice_servers=tuple(ice_servers),
            **fields,
        )


@attrs.frozen(kw_only=True)
class ProbeStart:
    """Both sides are ready: connect now."""

    event: ClassVar[str] = "probe_start"

    probe_session_id: Name = attrs.field(validator=check_printable)


@attrs.frozen(kw_only=True)
class ProbeSignal:
    """A connection signal of the other side of a probe.

    Attributes:
        type: ``offer``, ``answer`` or ``ice-candidate``.
        from_subject_id: who sent it, by what the service knows.
        payload: W3C's ``RTCSessionDescriptionInit`` or ``RTCIceCandidateInit``; ``None`` is the end of
            candidates.
    """

    event: ClassVar[str] = "probe_signal"

    probe_session_id: Name = attrs.field(validator=check_printable)
    type: str
    from_subject_id: str
    payload: Mapping[str, Any] | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class ProbeVerdict:
    """The end of a probe that found the pair's round trip, as the service sends it to both."""

    event: ClassVar[str] = "probe_verdict"

    probe_session_id: Name = attrs.field(validator=check_printable)
    reason: Name = attrs.field(validator=check_printable)
    rtt_ms: Rtt | None = None
    marks: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class ProbeCancel(ProbeVerdict):
    """The end of a probe that found nothing, or nothing that counts."""

    event: ClassVar[str] = "probe_cancel"
