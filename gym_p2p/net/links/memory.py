"""A seeded network in memory, on virtual time: delay, jitter, loss, reordering, duplication.

For tests, ours and users': whole matches run in milliseconds, and the same seed gives the same network.
Game messages can be lost, late, doubled and out of order; control messages arrive, in order, as a reliable
channel would deliver them. Knows nothing of what the messages are.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.links.transport import LinkState, OnMessage, OnState

__all__ = ["MemoryLink", "MemoryNetwork", "Path", "VirtualClock"]


@attrs.frozen(kw_only=True)
class Path:
    """What happens to game messages on one directed path; probabilities are a message's."""

    one_way_ms: float = 0.0
    jitter_ms: float = 0.0
    """Mean of an exponentially distributed extra delay; by itself it reorders."""
    loss: float = 0.0
    reorder: float = 0.0
    """Probability of a further delay of up to three times the one-way delay plus 10 ms."""
    duplicate: float = 0.0


@attrs.define(eq=False)
class _Timer:
    callback: Callable[[], Any] | None

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """Time that moves only when it is told to, and the calls that are due on the way."""

    def __init__(self) -> None:
        self._now = 0.0
        self._due: list[tuple[float, int, _Timer]] = []
        self._order = itertools.count()

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def call_at(self, when: float, callback: Callable[[], Any], /) -> _Timer:
        """Call back once the time has come."""
        timer = _Timer(callback)
        heapq.heappush(self._due, (when, next(self._order), timer))
        return timer

    def run_until(self, when: float, *, done: Callable[[], bool] = lambda: False) -> bool:
        """Move on to ``when``, making the calls that are due; return whether ``done`` came true before."""
        while not done():
            if not self._due or self._due[0][0] > when:
                self._now = max(self._now, when)
                return done()
            at, _, timer = heapq.heappop(self._due)
            self._now = max(self._now, at)
            if timer.callback is not None:
                timer.callback()
        return True


class MemoryLink:
    """One end of a link in memory; satisfies :class:`gym_p2p.net.links.transport.Link`."""

    def __init__(self, network: MemoryNetwork, ends: tuple[int, int], number: int) -> None:
        self._network = network
        self.ends = ends
        self.number = number
        self.binding = repr((sorted(ends), number)).encode()
        self.state = LinkState.OPEN
        self.on_message: OnMessage = lambda _channel, _data: None
        self.on_state: OnState = lambda _state: None

    def send(self, channel: Channel, data: bytes | str) -> bool:
        """Send one message to the other end; see :meth:`gym_p2p.net.links.transport.Link.send`."""
        if self.state is not LinkState.OPEN:
            return False
        self._network.carry(self, channel, data)
        return True

    async def close(self) -> None:
        """Close both ends."""
        self.shut()

    def shut(self) -> None:
        """Close both ends; for callers without an event loop."""
        self._network.close(self)


class MemoryNetwork:
    """A full mesh of links between numbered ends, and later ones beside them.

    Args:
        clock: the virtual clock that deliveries are scheduled on.
        seed: of everything that is drawn.
        path: of every directed pair that ``paths`` does not name.
        paths: by ``(from, to)``.
    """

    def __init__(
        self,
        clock: VirtualClock,
        *,
        seed: int,
        path: Path | None = None,
        paths: Mapping[tuple[int, int], Path] | None = None,
    ) -> None:
        self._clock = clock
        self._random = random.Random(seed)
        self._default = path or Path()
        self._paths = dict(paths or {})
        self._links: dict[tuple[int, int, int], MemoryLink] = {}
        self._ctrl_free_at: dict[MemoryLink, float] = {}
        self._severed: set[int] = set()
        self._dark: set[tuple[int, int]] = set()
        self._ctrl_numbers: dict[MemoryLink, itertools.count[int]] = {}
        self._ctrl_arrived: dict[MemoryLink, tuple[int, dict[int, bytes | str]]] = {}
        """How many control messages were handed over, and which came ahead of others, by their number."""
        self._waiting: dict[tuple[int, int], list[tuple[MemoryLink, bytes | str, int]]] = {}
        """Control messages that a dark path has to carry yet, each with its number."""
        self.lost = 0
        self.delivered = 0

    def link(self, here: int, there: int, number: int = 0) -> MemoryLink:
        """Return the end at ``here`` of a link to ``there``, by its number."""
        return self._links.setdefault((here, there, number), MemoryLink(self, (here, there), number))

    def sever(self, end: int) -> None:
        """Let nothing through to or from this end any more, without a word: it vanished."""
        self._severed.add(end)

    def darken(self, here: int, there: int) -> None:
        """Let nothing through from one end to another, until :meth:`brighten`."""
        self._dark.add((here, there))

    def brighten(self, here: int, there: int) -> None:
        """Carry again; control messages of meanwhile arrive now, as a reliable channel repeats them."""
        self._dark.discard((here, there))
        for link, data, number in self._waiting.pop((here, there), []):
            self._carry_control(link, data, number)

    def carry(self, link: MemoryLink, channel: Channel, data: bytes | str) -> None:
        """Take a message on its way; links call this."""
        if channel is Channel.CTRL:
            self._carry_control(link, data, next(self._ctrl_numbers.setdefault(link, itertools.count())))
            return
        path = self._paths.get(link.ends, self._default)
        if link.ends in self._dark:
            self.lost += 1
            return
        if self._random.random() < path.loss:
            self.lost += 1
            return
        for _ in range(2 if self._random.random() < path.duplicate else 1):
            self._schedule(self._clock.time() + self._delay_s(path), link, channel, data)

    def _carry_control(self, link: MemoryLink, data: bytes | str, number: int) -> None:
        """Carry reliably and in order: a lost message costs a round trip, and those behind it wait."""
        if link.ends in self._dark:
            self._put_off(link, data, number)
            return
        path = self._paths.get(link.ends, self._default)
        lost = self._random.random() < path.loss
        delay_s = self._delay_s(path) + (2e-3 * path.one_way_ms + 0.2 if lost else 0.0)
        at = max(self._clock.time() + delay_s, self._ctrl_free_at.get(link, 0.0))
        self._ctrl_free_at[link] = at
        self._schedule(at, link, Channel.CTRL, data, number)

    def close(self, link: MemoryLink) -> None:
        """Close both ends of a link, the far one after the path's delay; links call this."""
        self._shut(link)
        path = self._paths.get(link.ends, self._default)
        at = max(self._clock.time() + path.one_way_ms / 1e3, self._ctrl_free_at.get(link, 0.0))
        self._clock.call_at(at, lambda: None if self._cut(link.ends) else self._shut(self._far(link)))

    def _delay_s(self, path: Path) -> float:
        delay_ms = path.one_way_ms
        if path.jitter_ms:
            delay_ms += self._random.expovariate(1 / path.jitter_ms)
        if self._random.random() < path.reorder:
            delay_ms += self._random.random() * (3 * path.one_way_ms + 10)
        return delay_ms / 1e3

    def _schedule(
        self, at: float, link: MemoryLink, channel: Channel, data: bytes | str, number: int | None = None
    ) -> None:
        self._clock.call_at(at, lambda: self._deliver(link, channel, data, number))

    def _deliver(self, link: MemoryLink, channel: Channel, data: bytes | str, number: int | None) -> None:
        far = self._far(link)
        if far is None or far.state is not LinkState.OPEN or self._cut(link.ends):
            self.lost += 1
            return
        if link.ends in self._dark:
            if number is None:
                self.lost += 1
            else:
                self._put_off(link, data, number)
            return
        if number is None:
            self._hand_over(far, channel, data)
            return
        handed_over, early = self._ctrl_arrived.get(link, (0, {}))
        early[number] = data
        while handed_over in early:
            handed_over += 1
            self._ctrl_arrived[link] = handed_over, early
            self._hand_over(far, channel, early.pop(handed_over - 1))
        self._ctrl_arrived[link] = handed_over, early

    def _hand_over(self, far: MemoryLink, channel: Channel, data: bytes | str) -> None:
        self.delivered += 1
        far.on_message(channel, data)

    def _put_off(self, link: MemoryLink, data: bytes | str, number: int) -> None:
        """Keep a control message, which was lost, until the path carries again."""
        self.lost += 1
        self._waiting.setdefault(link.ends, []).append((link, data, number))

    def _far(self, link: MemoryLink) -> MemoryLink | None:
        here, there = link.ends
        return self._links.get((there, here, link.number))

    def _cut(self, ends: tuple[int, int]) -> bool:
        return not self._severed.isdisjoint(ends)

    def _shut(self, link: MemoryLink | None) -> None:
        if link is not None and link.state is not LinkState.CLOSED:
            link.state = LinkState.CLOSED
            link.on_state(LinkState.CLOSED)
