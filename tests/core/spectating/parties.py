"""A broadcaster and its subscribers, with a clock and links that deliver in order."""

from __future__ import annotations

from typing import Any

import attrs

from gym_p2p.core.spectating.broadcaster import Broadcaster, DisconnectSpectator, SendToSpectator
from gym_p2p.core.spectating.log import ShowFrame
from gym_p2p.core.spectating.messages import EpisodeShown, FramesShown
from gym_p2p.core.spectating.subscriber import SendToPlayer, Subscriber
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES

DESCRIPTION = {"must": {"environment": "a game"}, "about": {"text": "x" * 3000}}
SEATS = 2


def begun(episode: int, seed: int = 7) -> EpisodeShown:
    return EpisodeShown(episode, seed, JsonObject({"level": 3}), b"digest" + bytes([episode]), "layers")


def frame(number: int, size: int = 1) -> ShowFrame:
    return ShowFrame((number.to_bytes(4, "big") * size, bytes([number % 7])))


@attrs.define(eq=False)
class Party:
    """Feeds and one follower at a time, with a clock and links that deliver in order."""

    feed: Broadcaster = attrs.field(factory=lambda: Broadcaster(DESCRIPTION))
    now: float = 100.0
    followers: dict[str, Subscriber] = attrs.field(factory=dict)
    seen: dict[str, list[Any]] = attrs.field(factory=dict)
    dropped: dict[str, str] = attrs.field(factory=dict)
    sent_bytes: int = 0
    deaf: set[str] = attrs.field(factory=set)

    def join(self, name: str, follower: Subscriber | None = None) -> Subscriber:
        self.followers[name] = follower = Subscriber(SEATS) if follower is None else follower
        self.seen.setdefault(name, [])
        self.feed.opened(name, self.now)
        follower.opened(self.now)
        self.pump()
        return follower

    def leave(self, name: str) -> Subscriber:
        self.feed.closed(name)
        self.followers[name].closed()
        return self.followers.pop(name)

    def show(self, *shown: Any) -> None:
        for one in shown:
            self.feed.show(one)
        self.pump()

    def pump(self) -> None:
        moved = True
        while moved:
            moved = False
            for name, follower in list(self.followers.items()):
                for output in iter(follower.poll, None):
                    moved = True
                    if isinstance(output, SendToPlayer):
                        self.feed.receive(name, output.data, self.now)
                    else:
                        self.seen[name].append(output)
            for request in iter(self.feed.poll, None):
                moved = True
                assert isinstance(request, DisconnectSpectator | SendToSpectator)
                if isinstance(request, DisconnectSpectator):
                    self.dropped[request.spectator] = request.reason
                    gone = self.followers.pop(request.spectator, None)
                    if gone is not None:
                        gone.closed()
                    continue
                assert len(request.data) <= MAX_MESSAGE_BYTES
                self.sent_bytes += len(request.data)
                if request.spectator in self.followers and request.spectator not in self.deaf:
                    self.followers[request.spectator].receive(request.data, self.now)

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        for _ in range(100_000):
            machines: list[Any] = [self.feed, *(f for n, f in self.followers.items() if n not in self.deaf)]
            due = min((t for m in machines if (t := m.next_timeout()) is not None), default=until)
            if due > until:
                break
            self.now = max(self.now, due)
            for machine in machines:
                machine.handle_timeout(self.now)
            self.pump()
            if due == until:
                break
        self.now = until

    def frames(self, name: str, episode: int) -> list[tuple[bytes, ...]]:
        told = [e for e in self.seen[name] if isinstance(e, FramesShown) and e.episode == episode]
        return [by_seat for event in told for by_seat in event.frames]

    def kinds(self, name: str) -> list[type]:
        return [type(event) for event in self.seen[name] if not isinstance(event, FramesShown)]
