"""Every error that gym_p2p raises, in one tree whose branches show who is to blame.

``UsageError``: the caller (ours is the message that says what to do instead).
``PeerError``: another player, or what runs on their machine.
``NetworkError``: the way between us: the service, the sockets, the path.

Apart: ``PersonGone`` (who was to play at a page), ``DamagedReplay`` (no longer what was written),
``WatchDiverged`` (a spectator's copy is not what was played), ``NotWritten`` (a disk does not take a file).

Errors carry their data in fields, so that a program can act on them without reading the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from inspect import signature
from typing import Any

__all__ = [
    "ConfigurationError",
    "ConnectFailed",
    "DamagedReplay",
    "HandshakeRefused",
    "InvalidAction",
    "MatchOver",
    "MatchRefused",
    "NetworkEnded",
    "NetworkError",
    "NoMatch",
    "NotWritten",
    "P2PError",
    "PeerError",
    "PeerLost",
    "PersonGone",
    "ProtocolError",
    "ServiceRefused",
    "ServiceUnreachable",
    "UnreadableReplay",
    "UnsupportedEnvironment",
    "UsageError",
    "WatchDiverged",
]


class _FromOneText(type):
    """Lets others make an error again that they know by its class and text alone.

    ``AsyncVectorEnv`` and process pools raise ``type(error)(error)`` or ``type(error)(str(error))`` at their
    users. Made from an error of its class, an error is that one again; made from a text where more is wanted,
    it has that text, and its fields are ``None``.
    """

    def __call__(cls: Any, *args: Any, **kwargs: Any) -> Any:
        only: Any = args[0] if len(args) == 1 and not kwargs else None
        if isinstance(only, cls):
            return _rebuild(cls, only.args, vars(only))
        if isinstance(only, str | Exception) and not _takes_one(cls):
            fields: dict[str, Any] = dict.fromkeys(cls._fields)
            if "problem" in fields:
                fields["problem"] = str(only)
            return _rebuild(cls, (str(only),), fields)
        return type.__call__(cls, *args, **kwargs)


@cache
def _takes_one(cls: Any) -> bool:
    """Whether a class can be made from one argument as it is."""
    try:
        signature(cls.__init__).bind(None, None)
    except TypeError:
        return False
    return True


class P2PError(Exception, metaclass=_FromOneText):
    """The root: ``except P2PError`` catches everything that this package raises on purpose."""

    _fields: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by fields: errors travel from the network process to the caller's."""
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(cls: Any, args: tuple[Any, ...], fields: dict[str, Any]) -> P2PError:
    error: P2PError = cls.__new__(cls)
    error.args = args
    error.__dict__.update(fields)
    return error


class UsageError(P2PError):
    """The caller wanted something that cannot be, in this state or at all."""


class ConfigurationError(UsageError, ValueError):
    """An option has a value that it cannot have.

    Attributes:
        option: the option's name.
        problem: what is wrong with it: the text without the name.
    """

    _fields = ("option", "problem")

    def __init__(self, option: str, problem: str) -> None:
        super().__init__(f"{option}: {problem}")
        self.option = option
        self.problem = problem


class UnsupportedEnvironment(UsageError, TypeError):
    """This environment cannot be split into seats (or not with this seat)."""


class InvalidAction(UsageError, ValueError):
    """An action lies outside its seat's action space; no frame was consumed.

    Attributes:
        seat: the seat that was to act.
    """

    _fields = ("seat",)

    def __init__(self, seat: object, problem: str) -> None:
        super().__init__(f"seat {seat!r}: {problem}")
        self.seat = seat


class MatchOver(UsageError):
    """The match has ended and this call needs one that goes on; make a new wrapper for a new match.

    Attributes:
        reason: why the match ended, as in the exports' ``terminationReason``.
    """

    def __init__(self, reason: str) -> None:
        before, after = "the match is over (", "); make a new wrapper to play another one"
        reason = reason.removeprefix(before).removesuffix(after)  # of one that is known by its text alone
        super().__init__(f"{before}{reason}{after}")
        self.reason = reason


class UnreadableReplay(UsageError, ValueError):
    """This file is no recorded match, or one that this version cannot read.

    Attributes:
        path: the file.
    """

    _fields = ("path",)

    def __init__(self, path: object, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = str(path)


class DamagedReplay(P2PError):
    """A recorded match was changed after it had been written.

    Attributes:
        path: the file.
        where: the first place that is not as it was written; what stands before it is.
        problem: what is wrong there.
    """

    _fields = ("path", "where", "problem")

    def __init__(self, path: object, where: str, problem: str) -> None:
        super().__init__(f"{path}: {where}: {problem}")
        self.path = str(path)
        self.where = where
        self.problem = problem


class NotWritten(P2PError):
    """A file could not be written; nothing of it is left, and what lay there before is untouched.

    Attributes:
        path: the file.
        problem: why, in words: ``the disk is full``.
    """

    _fields = ("path", "problem")

    def __init__(self, path: object, problem: str) -> None:
        super().__init__(f"{path} was not written: {problem}")
        self.path = str(path)
        self.problem = problem


class WatchDiverged(P2PError):
    """A spectator's environment does not show what the players saw.

    Attributes:
        episode: the episode.
        frame: the first frame at which it was noticed; -1 is what ``reset`` gave.
        what: what differs: ``what step returned``, ``the state``, or ``frames``.
        theirs: the players' digest, or what they had.
        ours: the same of this copy.
        seen_all: whether this copy had played all of the match before the episode.
    """

    _fields = ("episode", "frame", "what", "theirs", "ours", "seen_all")

    def __init__(
        self, episode: int, frame: int, what: str, *, theirs: str, ours: str, seen_all: bool = True
    ) -> None:
        at = "reset" if frame < 0 else f"frame {frame}"
        advice = "`gym-p2p check` says whether an environment plays alike on two machines"
        if not seen_all:
            advice = "not all before it was played here, and an environment may keep something over a reset"
        found = f"{what} differs: the players have {theirs}, here is {ours}"
        super().__init__(f"episode {episode}, {at}: {found}; {advice}")
        self.episode, self.frame, self.what = episode, frame, what
        self.theirs, self.ours, self.seen_all = theirs, ours, seen_all


class PeerError(P2PError):
    """Another player's side is to blame."""


class ProtocolError(PeerError):
    """Bytes or an order of messages that the protocol does not allow; sessions count these and go on.

    Attributes:
        problem: a short, fixed description, usable as the name of a counter.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class HandshakeRefused(PeerError):
    """The two sides would not play the same game: their setups differ.

    Attributes:
        peer: the other player's id.
        differences: ``(what, ours, theirs)`` for every difference; of files, the contents' digests and names.
    """

    _fields = ("peer", "differences")

    def __init__(self, peer: object, differences: Sequence[tuple[str, str, str]]) -> None:
        lines = [f"cannot play with {peer!r}, the two sides differ:"]
        lines += [f"  {what}: ours {ours}, theirs {theirs}" for what, ours, theirs in differences]
        lines.append("Make these equal on both machines and connect again.")
        super().__init__("\n".join(lines))
        self.peer = peer
        self.differences = tuple(differences)


class PeerLost(PeerError):
    """A player is gone for good: while connecting, after which ``reset`` may be called again; or in a match.

    That is over then, in ``step`` where ``on_peer_loss="raise"``, and at the next ``reset`` whatever it is.

    Attributes:
        peer: the id of who is lost, or of who counts this player as gone; ``None`` if nobody knows.
        reason: why they are believed lost.
        match_over: whether it was in a match.
    """

    _fields = ("peer", "reason", "match_over")

    def __init__(
        self, peer: str | int | None, reason: str, *, match_over: bool = False, text: str = ""
    ) -> None:
        over = "; the match is over: make a new wrapper to play another one" if match_over else ""
        super().__init__(text or f"player {peer!r} is gone: {reason}{over}")
        self.peer, self.reason, self.match_over = peer, reason, match_over


class MatchRefused(PeerError):
    """This player would not play in the match that a queue proposed (their ``pre_match`` rejected it).

    Attributes:
        queue: the queue.
        subjects: who would have played, this player included.
        worst_rtt_ms: the largest measured round trip between any two of them; ``None`` if none was measured.
        problem: the text without the advice, which is for programs.
    """

    _fields = ("problem", "queue", "subjects", "worst_rtt_ms")

    def __init__(self, queue: str, subjects: Sequence[str], worst_rtt_ms: float | None) -> None:
        measured = "nothing was measured" if worst_rtt_ms is None else f"at most {worst_rtt_ms:.1f} ms apart"
        self.problem = f"pre_match refused a match of {', '.join(subjects)} ({measured})"
        advice = f"call reset() to wait in queue {queue!r} again, or pass on_refusal='requeue'"
        super().__init__(f"{self.problem}; {advice}")
        self.queue = queue
        self.subjects = tuple(subjects)
        self.worst_rtt_ms = worst_rtt_ms


class NetworkError(P2PError):
    """The way between the players, or to the service, is to blame."""


class NetworkEnded(NetworkError):
    """This player's own network half has ended by itself: it was killed, or had a fault."""


class ServiceUnreachable(NetworkError):
    """No signalling service answers at this address.

    Attributes:
        url: the address that was tried.
        problem: why, in words, without the advice.
    """

    _fields = ("url", "problem")

    def __init__(self, url: str, problem: str) -> None:
        advice = "start one with `gym-p2p serve`, or check the address"
        super().__init__(f"no gym_p2p service answers at {url} ({problem}); {advice}")
        self.url, self.problem = url, problem


class ServiceRefused(NetworkError):
    """The service answered, and refused.

    Attributes:
        code: the service's code, e.g. ``"room_full"``.
        detail: its explanation.
        retry_after_s: when the same may be granted; ``None`` where the service names no time.
    """

    _fields = ("code", "detail", "retry_after_s")

    def __init__(self, code: str, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"the service refused ({code}): {detail}")
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s


class NoMatch(NetworkError):
    """A queue found nobody to play with in its time.

    Attributes:
        queue: the queue.
        reason: ``nobody_else``, ``nobody_near_enough``, ``refused``, ``rule_failed``, ``declined``, or
            ``no_answer``.
        waited_s: how long this player was in it.
        problem: the text without the advice, which is for programs.
    """

    _fields = ("problem", "queue", "reason", "waited_s")

    def __init__(self, queue: str, reason: str, waited_s: float) -> None:
        why = {
            "nobody_else": "nobody else was there, or had no free seat to offer",
            "nobody_near_enough": "whoever was there was too far away, or could not be reached",
            "refused": "the service's rule refused whoever was there",
            "rule_failed": "the service's rule failed; its operator's log says how",
            "declined": "whoever was there was declined by a player, or did not answer",
            "no_answer": "pre_match did not answer in time, twice",
        }.get(reason, reason)
        self.problem = f"no match in queue {queue!r} after {waited_s:.1f} s: {why}"
        super().__init__(f"{self.problem}; reset() waits again")
        self.queue = queue
        self.reason = reason
        self.waited_s = waited_s


class ConnectFailed(NetworkError):
    """No connection came about within the time allowed.

    Attributes:
        what: what was tried, e.g. ``"the channel to 'second_0'"``.
        waited_s: for how long, in seconds.
        seen: what was seen on the way (candidate types, ICE states), in words.
    """

    _fields = ("what", "waited_s", "seen")

    def __init__(self, what: str, *, waited_s: float, seen: str, advice: str) -> None:
        super().__init__(f"{what}: not connected after {waited_s:.1f} s; seen: {seen}. {advice}")
        self.what, self.waited_s, self.seen = what, waited_s, seen


class PersonGone(P2PError):
    """The person who plays at a page is gone.

    Attributes:
        reason: ``left`` (they said so), ``page_closed`` (for longer than the seat is held), ``page_unopened``
            (nobody opened the link in time), or ``page_dropped`` (it sent what no page does).
        problem: the same in words.
    """

    _fields = ("reason", "problem")

    def __init__(self, reason: str, problem: str) -> None:
        super().__init__(f"the person is gone: {problem}")
        self.reason, self.problem = reason, problem
