"""The pictures of a match on their way to a page: the newest one, and of it what changed.

A frame is written as what changed of one that the page has acknowledged (:mod:`gym_p2p.human.encoding`). Few
are under way at a time, by the path's own round trip; while no more may go, the newest picture waits and
replaces the one before, so that nothing queues up behind a slow line: the rate falls, and where that is not
enough the detail (:mod:`gym_p2p.human.detail`). As few are under way, a base is never older than they are,
and a whole picture is sent where rectangles would not be smaller: a slow line makes frames rarer, and none
larger than a whole one.

A line that loses frames tells nobody of it: of those that are not acknowledged in time none is waited for.
They stay bases, should they turn out to have been late. The newest one is sent again until it has arrived.
"""

from __future__ import annotations

import math
from collections import deque

import attrs

from gym_p2p.human.detail import Detail, DetailControl
from gym_p2p.human.encoding import Encoder, Picture, simplified

__all__ = ["Frame", "FrameStream"]

_ALWAYS_UNDER_WAY = 2
"""One that is decoded while the next one travels."""
_MOST_UNDER_WAY = 16

_LOST_AFTER_S = 0.1
"""Beyond two round trips: a page that draws, or collects garbage, acknowledges later."""
_STILL_S = 1.0
"""Without another picture; then the newest goes as it is, if it went with less detail."""


@attrs.frozen
class Frame:
    """A frame that goes to the page.

    Attributes:
        number: counts them.
        episode: whose frame it shows.
        frame: the frame of the episode; -1 is what ``reset`` gave.
        seq: of the newest change of keys whose effect it shows.
        data: the message.
    """

    number: int
    episode: int
    frame: int
    seq: int
    data: bytes


@attrs.frozen
class _Sent:
    number: int
    picture: Picture
    at: float


@attrs.frozen
class _Newest:
    picture: Picture
    episode: int
    frame: int
    seq: int


@attrs.define(eq=False)
class FrameStream:
    """The frames to one page.

    Attributes:
        sent: how many were sent; the number of the last.
        skipped: how many were not, because a newer one was there before the line was free.
        control: decides on their detail.
        lossy: whether frames may get lost on the way, without anybody noticing.
    """

    sent: int = attrs.field(default=0, init=False)
    skipped: int = attrs.field(default=0, init=False)
    control: DetailControl = attrs.field(factory=DetailControl, init=False)
    lossy: bool = attrs.field(default=False, init=False)
    _encoder: Encoder = attrs.field(factory=Encoder, init=False)
    _newest: _Newest | None = attrs.field(default=None, init=False)
    _waiting: bool = attrs.field(default=False, init=False)
    _base: _Sent | None = attrs.field(default=None, init=False)
    _under_way: deque[_Sent] = attrs.field(init=False)
    _exact: bool = attrs.field(default=True, init=False)
    _sent_at: float = attrs.field(default=0.0, init=False)
    _free_at: float | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._under_way = deque(maxlen=_MOST_UNDER_WAY)

    def offer(self, picture: Picture, *, frame: int, seq: int, now: float, episode: int = 1) -> None:
        """Take the picture of now.

        Args:
            picture: nobody changes it any more.
            frame: of the episode that it shows; -1 is what ``reset`` gave.
            seq: of the newest change of keys whose effect it shows.
            now: monotonic seconds.
            episode: which one.
        """
        self.skipped += self._waiting
        self._newest = _Newest(picture, episode, frame, seq)
        self._waiting = True
        self.control.offered(now)

    def restart(self, *, lossy: bool = False) -> None:
        """Begin with a page that has nothing yet: it gets the newest picture whole."""
        self._base, self.lossy = None, lossy
        self._under_way.clear()
        self.control = DetailControl()
        self._waiting, self._free_at = self._newest is not None, None

    def next(self, now: float, *, rtt_s: float | None = None, interval_s: float = 1 / 60) -> Frame | None:
        """Return the frame that may go now; ``None`` where there is nothing new, or enough is under way.

        Args:
            now: monotonic seconds.
            rtt_s: the shortest round trip to the page; ``None`` is unknown.
            interval_s: between two pictures.
        """
        newest, self._free_at = self._newest, None
        if newest is None:
            return None
        detail = self.control.detail
        if self._waiting:
            free_at = self._room_at(now, rtt_s or 0.0, interval_s)
        elif self._under_way:  # the newest is sent again where it got lost, for nothing may follow it
            free_at = self._under_way[-1].at + self._lost_s(rtt_s or 0.0)
            detail = Detail.EXACT if self._exact else detail
        elif not self._exact:  # of a game that stands still there is time for all of the picture
            free_at, detail = self._sent_at + _STILL_S, Detail.EXACT
        else:
            return None
        if free_at > now:
            self._free_at = free_at if free_at < math.inf else None
            return None
        self._waiting, self._exact, self._sent_at = False, detail is Detail.EXACT, now
        self.sent += 1
        picture = simplified(newest.picture, detail)
        base = None if self._base is None else (self._base.number, self._base.picture)
        self._under_way.append(_Sent(self.sent, picture, now))
        data = self._encoder.encoded(
            picture, base, number=self.sent, frame=newest.frame, seq=newest.seq, exact=self._exact
        )
        return Frame(self.sent, newest.episode, newest.frame, newest.seq, data)

    def _room_at(self, now: float, rtt_s: float, interval_s: float) -> float:
        """Return when another frame may be under way: now, or when one of those that are counts as lost."""
        most = min(_ALWAYS_UNDER_WAY + math.ceil(rtt_s / interval_s), _MOST_UNDER_WAY)
        lost_s = self._lost_s(rtt_s)
        awaited = [sent.at + lost_s for sent in self._under_way if sent.at + lost_s > now]
        return now if len(awaited) < most else min(awaited)

    def _lost_s(self, rtt_s: float) -> float:
        return 2 * rtt_s + _LOST_AFTER_S if self.lossy else math.inf

    def next_timeout(self) -> float | None:
        """Return when :meth:`next` has one again, though nothing comes until then; ``None`` is never."""
        return self._free_at

    def acknowledge(self, number: int) -> bool:
        """Note that the page has a frame, and with it all that it needs for those before; False: it has not.

        Frames that were sent before it and not acknowledged count as lost: none is waited for any more.
        """
        if not any(sent.number == number for sent in self._under_way):
            return False
        while self._under_way[0].number < number:
            self._under_way.popleft()
        self._base = self._under_way.popleft()
        self.control.arrived()
        return True
