"""What may pass between two players who signal each other through the service.

:class:`SignalScreen` looks into what is relayed: a description has to be one of a data channel and nothing
else, in lines that everybody splits alike, and candidates are judged one by one
(:mod:`gym_p2p.core.signaling.ice_candidates`).

It knows the few lines of RFC 8866 that carry addresses. It refuses to know who the players are, and what
else a description says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import attrs

from gym_p2p.core.api.replies import MAX_CANDIDATE_BYTES, Accepted, Candidate, Code, Description, Refused
from gym_p2p.core.signaling.ice_candidates import (
    CandidatePolicy,
    DropReason,
    IceCandidate,
    address_objection,
    preferred,
)
from gym_p2p.errors import ProtocolError

__all__ = ["MAX_CANDIDATES", "Screen", "Screened", "SignalScreen", "pass_all"]

MAX_CANDIDATES = 64
"""From one side. A machine with many containers has more: the surplus is dropped, and nothing else."""

_LINES = re.compile(r"(?:[a-z]=[ -~]*\r?\n)*(?:[a-z]=[ -~]*)?")
"""Printable ASCII in lines that end as RFC 8866 section 5 has it, and in no other way: some readers also end
lines at a bare CR, a form feed or U+2028, and would see lines that we had not judged."""
_DATA_CHANNEL = "m=application "
_CANDIDATE_LINE = "a=candidate:"
_OTHER_ADDRESSES = ("a=rtcp:", "a=remote-candidates:")
"""Attributes of media; a data channel has no use for them."""
_WITH_ADDRESS = ("c=", "o=")
_CONNECTION_LINE = re.compile(r"c=IN IP[46] ([^ ]+)")
_ORIGIN_LINE = re.compile(r"(o=[^ ]+ [^ ]+ [^ ]+) IN IP[46] [^ ]+")
_NOWHERE = "IN IP4 0.0.0.0"
"""The default address of those who name candidates instead, RFC 8840 section 4.1.1."""
_MAX_INDEX = 65_535  # an unsigned short in W3C's RTCIceCandidateInit
_LABEL = re.compile(r"[!-~]*")


@attrs.frozen
class Screened:
    """What is left of a signal.

    Attributes:
        payload: to be relayed; ``None`` is the end of candidates.
        dropped: why candidates were left out, one each.
        relayed: whether there is anything left to relay.
    """

    payload: Description | Candidate | None
    dropped: tuple[DropReason, ...] = ()
    relayed: bool = True

    @property
    def answer(self) -> Accepted:
        """The yes to its sender."""
        return Accepted({"dropped": len(self.dropped)} if self.dropped else {})


Screen = Callable[[Description | Candidate], Screened | Refused]


def pass_all(payload: Description | Candidate) -> Screened:
    """Let everything through unread."""
    return Screened(payload)


class SignalScreen:
    """Looks into signals; call it with one.

    Args:
        policy: which candidates pass.

    Attributes:
        dropped: how many candidates were dropped, by reason.
    """

    def __init__(self, policy: CandidatePolicy) -> None:
        self._policy = policy
        self.dropped: Counter[str] = Counter()

    def __call__(self, payload: Description | Candidate) -> Screened | Refused:
        """Return what may be relayed of a signal, or the reason why none of it may."""
        if isinstance(payload, Candidate):
            screened = self._screen_candidate(payload)
        else:
            screened = self._screen_description(payload)
        if isinstance(screened, Screened) and screened.dropped:
            self.dropped.update(screened.dropped)
        return screened

    def _screen_candidate(self, payload: Candidate) -> Screened | Refused:
        labels = (payload.sdpMid or "", payload.usernameFragment or "")
        if not all(map(_LABEL.fullmatch, labels)) or not 0 <= (payload.sdpMLineIndex or 0) <= _MAX_INDEX:
            return Refused(Code.BAD_REQUEST, "malformed sdpMid, sdpMLineIndex or usernameFragment")
        if not payload.candidate:
            return Screened(payload)
        judged = self._judge(payload.candidate)
        if judged is DropReason.MALFORMED:
            return Refused(Code.BAD_REQUEST, "malformed candidate")
        if isinstance(judged, DropReason):
            return Screened(None, (judged,), relayed=False)
        text = judged.to_text()
        return Screened(payload if text == payload.candidate else attrs.evolve(payload, candidate=text))

    def _screen_description(self, payload: Description) -> Screened | Refused:
        problem = _description_problem(payload.sdp)
        if problem is not None:
            return Refused(Code.BAD_REQUEST, f"the description {problem}")
        lines = payload.sdp.replace("\r\n", "\n").split("\n")
        judged = self._judge_all([line for line in lines if line.startswith(_CANDIDATE_LINE)])
        judging = iter(judged)
        kept: list[str] = []
        for line in lines:
            if line.startswith(_CANDIDATE_LINE):
                candidate = next(judging)
                if isinstance(candidate, IceCandidate):
                    kept.append(f"a={candidate.to_text()}")
            elif line.startswith(_WITH_ADDRESS):
                kept.append(self._without_address(line))
            elif not line.startswith(_OTHER_ADDRESSES):
                kept.append(line)
        dropped = tuple(one for one in judged if isinstance(one, DropReason))
        if kept == lines:
            return Screened(payload)
        return Screened(attrs.evolve(payload, sdp="\r\n".join(kept)), dropped)

    def _judge_all(self, lines: list[str]) -> list[IceCandidate | DropReason]:
        """Judge the candidates of one description, line by line, and drop what is too much of them."""
        judged = [self._judge(line) for line in lines]
        if len(judged) <= MAX_CANDIDATES:
            return judged
        passing = [index for index, one in enumerate(judged) if isinstance(one, IceCandidate)]
        wanted = preferred([one for one in judged if isinstance(one, IceCandidate)], MAX_CANDIDATES)
        for nth, index in enumerate(passing):
            if nth not in wanted:
                judged[index] = DropReason.SURPLUS
        return judged

    def _judge(self, text: str) -> IceCandidate | DropReason:
        if len(text) > MAX_CANDIDATE_BYTES:
            return DropReason.MALFORMED
        try:
            candidate = IceCandidate.parse(text)
        except ProtocolError:
            return DropReason.MALFORMED
        drop = self._policy.objection(candidate)
        if drop is not None:
            return drop
        return candidate.without_relation() if self._policy.relay_only else candidate

    def _without_address(self, line: str) -> str:
        """Return a line without the default address in it, if nobody is to learn that."""
        if self._policy.relay_only and line.startswith("o="):
            origin = _ORIGIN_LINE.fullmatch(line)
            return f"{'o=- 0 0' if origin is None else origin[1]} {_NOWHERE}"
        if line.startswith("o="):
            return line
        named = _CONNECTION_LINE.fullmatch(line)
        passes = (
            named is not None
            and not self._policy.relay_only
            and address_objection(named[1], private=self._policy.private) is None
        )
        return line if passes else f"c={_NOWHERE}"


def _description_problem(sdp: str) -> str | None:
    """Say what is wrong with a description, or ``None``."""
    if _LINES.fullmatch(sdp) is None:
        return "is not made of lines of printable ASCII"
    lines = sdp.splitlines()
    if lines[:1] != ["v=0"]:
        return "does not begin with v=0"
    media = [line for line in lines if line.startswith("m=")]
    if not media or not all(line.startswith(_DATA_CHANNEL) for line in media):
        return "has to be of a data channel (m=application), without audio and video"
    return None
