"""Offer, answer and candidates between one pair of peers, as a machine without I/O.

Knows who offers, what to do when both do or neither does, what to repeat and when to give up. Refuses to
know sockets, clocks and what stands in an SDP beyond its ``ice-ufrag``.

Why every pairing of roles ends connected
-----------------------------------------
Browsers decide who offers by comparing ids (:func:`initiates`), a rule under which both may offer (the
two sides sort differently) or neither may (the ids tie). So:

* Whoever expects an offer and gets none in time sends its own. So there is an offer, always.
* Two machines of ours that have both offered: one *keeps*, by a rule that both compute alike and that never
  ties; the other *yields*. The keeper decides once: either it has requested its own offer, and then answers
  none, or it has answered, and then never offers. The yielder follows whichever it sees. So both settle on
  the same pair of descriptions, whatever the path between them loses, doubles or reorders.
* A browser knows no such rule: an offer that meets its own makes it roll back and answer. So towards a
  browser our offer, once made, stands; only one that goes unanswered through ``REPEATS_BEFORE_YIELDING``
  repetitions gives way to the browser's.
* Offers are repeated until answered, and the same offer again gets the same answer again.
"""

from __future__ import annotations

import enum
import re
from collections import deque

import attrs

from gym_p2p.core.api.replies import Candidate, Description
from gym_p2p.core.signaling.offerer import initiates, keeps
from gym_p2p.core.signaling.signals import (
    AcceptAnswer,
    AcceptOffer,
    AddCandidate,
    CreateOffer,
    Negotiated,
    NegotiationFailed,
    NegotiationOutput,
    ReplaceConnection,
    Role,
    SendSignal,
)
from gym_p2p.core.wire.seats import SeatId

__all__ = ["MAX_REPLACEMENTS", "Negotiation", "NegotiationState"]

OFFER_PATIENCE_S = 2.0
"""An expected offer that has not come by then is replaced by our own
(docs/protocol.md, "Signals of a match")."""

REPEAT_INTERVAL_S = 2.0
"""Between two sendings of an unanswered offer."""

REPEATS_BEFORE_YIELDING = 2
"""How often a browser gets our offer again before its own, held meanwhile, is answered instead."""

MAX_EARLY_CANDIDATES = 64
"""Candidates kept until the description that they belong to arrives; the oldest go first."""

MAX_REPLACEMENTS = 8
"""New connections begun because the remote side changed its mind; beyond that its offers are ignored."""


class NegotiationState(enum.Enum):
    """Where a negotiation stands."""

    IDLE = "idle"
    EXPECTING = "expecting"
    """The other side is to offer."""
    OFFERING = "offering"
    """Our offer is being made."""
    OFFERED = "offered"
    ANSWERING = "answering"
    """Our answer is being made."""
    ANSWERED = "answered"
    SETTLED = "settled"
    """Our offer was answered."""
    FAILED = "failed"


def _ufrag(sdp: str) -> str | None:
    match = re.search(r"^a=ice-ufrag:(\S+)", sdp, re.MULTILINE)
    return match[1] if match else None


@attrs.define(eq=False)
class Negotiation:
    """One negotiation of one pair of peers.

    Call ``start``, then ``receive`` for every signal and ``handle_timeout`` at ``next_timeout``; after each,
    carry out what ``poll`` returns, in order. Connections are numbered by ``attempt``, from 0: there is no
    rolling back, so giving up an offer means ``ReplaceConnection``, and what belongs to an older attempt is
    ignored.
    """

    local_id: SeatId = attrs.field(kw_only=True)
    remote_id: SeatId = attrs.field(kw_only=True)
    timeout_s: float = attrs.field(kw_only=True)
    remote_is_ours: bool = attrs.field(kw_only=True)
    """Whether the other side runs this machine too (else: a browser)."""
    state: NegotiationState = attrs.field(init=False, default=NegotiationState.IDLE)
    _offers_first: bool | None = attrs.field(kw_only=True, default=None)
    """Whether to begin with an offer; ``None`` goes by the browsers' rule."""
    _keeps: bool = attrs.field(init=False)
    _attempt: int = attrs.field(init=False, default=0)
    _deadline: float | None = attrs.field(init=False, default=None)
    _due: float | None = attrs.field(init=False, default=None)
    _local_sdp: str = attrs.field(init=False, default="")
    _remote_sdp: str | None = attrs.field(init=False, default=None)
    _held_offer: str | None = attrs.field(init=False, default=None)
    _repeats: int = attrs.field(init=False, default=0)
    _early: deque[Candidate] = attrs.field(init=False, factory=lambda: deque(maxlen=MAX_EARLY_CANDIDATES))
    _outputs: deque[NegotiationOutput] = attrs.field(init=False, factory=deque)

    def __attrs_post_init__(self) -> None:
        if self._offers_first is None:
            self._offers_first = initiates(self.local_id, self.remote_id) is True
        self._keeps = keeps(self.local_id, self.remote_id)

    def start(self, now: float) -> None:
        """Begin: offer, or answer an offer that has come already, or wait for one."""
        if self.state is not NegotiationState.IDLE:
            return
        self._deadline = now + self.timeout_s
        if self._held_offer is not None:
            self._answer(self._held_offer)
        elif self._offers_first:
            self._offer()
        else:
            self._expect(now)

    def receive(self, signal: Description | Candidate, _now: float) -> None:
        """Take in a signal of the other peer; what does not fit the state is ignored."""
        if isinstance(signal, Candidate):
            self._receive_candidate(signal)
        elif signal.type == "offer":
            self._receive_offer(signal.sdp)
        else:
            self._receive_answer(signal.sdp)

    def local_description(self, attempt: int, sdp: str, now: float) -> None:
        """Take in the offer or answer that ``CreateOffer`` or ``AcceptOffer`` requested."""
        if attempt != self._attempt:
            return
        if self.state is NegotiationState.OFFERING:
            self._local_sdp = sdp
            self.state = NegotiationState.OFFERED
            self._due = now + REPEAT_INTERVAL_S
            self._send("offer")
        elif self.state is NegotiationState.ANSWERING:
            self._local_sdp = sdp
            self.state = NegotiationState.ANSWERED
            self._due = None
            self._send("answer")
            self._outputs.append(Negotiated(self._attempt, Role.ANSWERER))

    def refuse(self, attempt: int, now: float) -> None:
        """Say that the remote description of ``attempt`` could not be applied: go on without it."""
        if attempt != self._attempt:
            return
        if self.state is NegotiationState.ANSWERING:
            self._replace()
            self._expect(now)
        elif self.state is NegotiationState.SETTLED:
            self._remote_sdp = None
            self.state = NegotiationState.OFFERED
            self._due = now + REPEAT_INTERVAL_S

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        if self._deadline is not None and self._deadline <= now and not self._done:
            self._outputs.append(NegotiationFailed(self.progress()))
            self.state = NegotiationState.FAILED
            self._due = None
        elif self._due is not None and self._due <= now:
            self._handle_due(now)

    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` is due; ``None`` when nothing more is waited for."""
        if self._done:
            return None
        return min((t for t in (self._deadline, self._due) if t is not None), default=None)

    def poll(self) -> NegotiationOutput | None:
        """Return the next output, ``None`` when there is none."""
        return self._outputs.popleft() if self._outputs else None

    def progress(self) -> str:
        """Return as text how far it has come, for messages about a failure."""
        match self.state:
            case NegotiationState.IDLE | NegotiationState.EXPECTING:
                return "no offer has come"
            case NegotiationState.OFFERING | NegotiationState.ANSWERING:
                return "our own description is not ready"
            case NegotiationState.OFFERED:
                return f"our offer was sent {self._repeats + 1} times and not answered"
            case NegotiationState.FAILED:
                return "the negotiation has failed"
            case _:
                return "offer and answer were exchanged"

    @property
    def _done(self) -> bool:
        return self.state in {NegotiationState.ANSWERED, NegotiationState.SETTLED, NegotiationState.FAILED}

    def _handle_due(self, now: float) -> None:
        if self.state is NegotiationState.EXPECTING:
            self._offer()
        elif self._held_offer is not None and self._repeats >= REPEATS_BEFORE_YIELDING:
            self._yield_to(self._held_offer)
        else:
            self._repeats += 1
            self._due = now + REPEAT_INTERVAL_S
            self._send("offer")

    # An offer can come in any state, once more, late, or against our own. What each case keeps true is that
    # two machines end with the same pair of descriptions:
    # - IDLE: nobody has begun here; `start` answers it.
    # - EXPECTING: what we have waited for. An offer that had to be refused leads back here, hence the bound.
    # - OFFERING, OFFERED (glare): of two machines exactly one keeps, so exactly one of the two offers lives.
    #   A browser always gives way to ours; its offer is held for the case that ours never gets through.
    # - ANSWERED, the same offer: our answer was lost. The same answer again, or the two sides would differ.
    # - ANSWERING, ANSWERED, another offer: the other side has begun anew, and knows nothing of the old pair.
    # - SETTLED, FAILED: ours was answered, so theirs is an older one that came late; or it is over.
    # It ends, for every new connection counts against MAX_REPLACEMENTS.
    def _receive_offer(self, sdp: str) -> None:
        match self.state:
            case NegotiationState.IDLE:
                self._held_offer = sdp
            case NegotiationState.EXPECTING if self._attempt <= MAX_REPLACEMENTS:
                self._answer(sdp)
            case NegotiationState.OFFERING | NegotiationState.OFFERED:
                if not self.remote_is_ours:
                    self._held_offer = sdp
                elif not self._keeps:
                    self._yield_to(sdp)
            case NegotiationState.ANSWERED if sdp == self._remote_sdp:
                self._send("answer")
            case NegotiationState.ANSWERING | NegotiationState.ANSWERED if sdp != self._remote_sdp:
                self._yield_to(sdp)
            case _:
                pass

    def _receive_answer(self, sdp: str) -> None:
        if self.state is not NegotiationState.OFFERED:
            return
        self.state = NegotiationState.SETTLED
        self._due = None
        self._outputs.append(AcceptAnswer(self._attempt, sdp))
        self._set_remote(sdp)
        self._outputs.append(Negotiated(self._attempt, Role.OFFERER))

    def _receive_candidate(self, candidate: Candidate) -> None:
        if self.state is NegotiationState.FAILED:
            return
        if self._belongs(candidate):
            self._outputs.append(AddCandidate(self._attempt, candidate))
        else:
            self._early.append(candidate)

    def _belongs(self, candidate: Candidate) -> bool:
        if self._remote_sdp is None:
            return False
        ufrag = candidate.usernameFragment
        return not ufrag or ufrag == _ufrag(self._remote_sdp)

    def _expect(self, now: float) -> None:
        self.state = NegotiationState.EXPECTING
        self._due = now + OFFER_PATIENCE_S

    def _offer(self) -> None:
        self.state = NegotiationState.OFFERING
        self._due = None
        self._outputs.append(CreateOffer(self._attempt))

    def _answer(self, sdp: str) -> None:
        self.state = NegotiationState.ANSWERING
        self._due = None
        self._held_offer = None
        self._outputs.append(AcceptOffer(self._attempt, sdp))
        self._set_remote(sdp)

    def _yield_to(self, sdp: str) -> None:
        if self._attempt < MAX_REPLACEMENTS:
            self._replace()
            self._answer(sdp)

    def _replace(self) -> None:
        self._attempt += 1
        self._remote_sdp = None
        self._outputs.append(ReplaceConnection(self._attempt))

    def _set_remote(self, sdp: str) -> None:
        """Note the remote description and let go of the candidates that waited for it."""
        self._remote_sdp = sdp
        waiting, self._early = self._early, deque(maxlen=MAX_EARLY_CANDIDATES)
        for candidate in waiting:
            self._receive_candidate(candidate)

    def _send(self, kind: str) -> None:
        self._outputs.append(SendSignal(Description(kind, self._local_sdp)))
