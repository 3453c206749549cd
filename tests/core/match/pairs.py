"""Matches for what needs no network and no time: some that hand each other every message, and lone ones."""

from __future__ import annotations

from typing import Any

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.commands import BeginEpisode
from gym_p2p.core.match.events import EpisodeBegan
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.messages import PROTOCOL_VERSION, Cause, Goodbye, Hello, encode


class Pair:
    """Two matches that hand each other every message at once."""

    def __init__(self, players: int = 2) -> None:
        sync = SyncConfig()
        description: dict[str, Any] = {"must": {}}
        self.matches = [
            Match(
                local=i, players=players, description=description, match_seed=7, sync=sync, secret=bytes([i])
            )
            for i in range(players)
        ]
        self.events: list[list[object]] = [[] for _ in self.matches]
        for i, match in enumerate(self.matches):
            for j in range(players):
                if i != j:
                    match.opened(j, 0.0)
        self.deliver()

    def deliver(self) -> None:
        moved = True
        while moved:
            moved = False
            for i, match in enumerate(self.matches):
                while (output := match.poll()) is not None:
                    moved = True
                    if isinstance(output, Transmit):
                        self.matches[output.player].receive(i, output.data, 0.0)
                    else:
                        self.events[i].append(output)

    def begin(self, *seeds: int | None) -> int:
        """Pass a barrier; return the seed that everybody got."""
        for match, seed in zip(self.matches, seeds, strict=True):
            match.command(BeginEpisode(seed), 0.0)
        self.deliver()
        seeds_seen = {[e.seed for e in events if isinstance(e, EpisodeBegan)][-1] for events in self.events}
        assert len(seeds_seen) == 1
        return seeds_seen.pop()


def hello(key: bytes = b"", reconnect_ms: int = 0, rejoin_ms: int = 0) -> Hello:
    return Hello(PROTOCOL_VERSION, JsonObject({"must": {}}), key, reconnect_ms, rejoin_ms)


def seals_of(player: int, players: int) -> Seals:
    """Return the seals of one of those who have greeted a :func:`greeted_match`."""
    return Seals(bytes([player]), players=players)


def goodbye(
    reason: str = "normal",
    episode: int = 0,
    frames: int = 0,
    lost: int | None = None,
    *,
    cause: Cause = Cause.LEFT,
) -> Goodbye:
    return Goodbye(reason, episode, frames, lost, cause, ())


def lone_match(players: int, *, sync: SyncConfig | None = None, **options: Any) -> Match:
    """Return the first player's match, before it is connected; options are further ones of it."""
    return Match(
        local=0,
        players=players,
        description={"must": {}},
        match_seed=7,
        sync=SyncConfig() if sync is None else sync,
        secret=b"ours",
        **options,
    )


def greeted_match(players: int, *, reconnect_ms: int = 0, rejoin_ms: int = 0, **options: Any) -> Match:
    """Return the first player's match, whom all others have greeted.

    They would wait so for a new link, and for another process.
    """
    match = lone_match(players, **options)
    for player in range(1, players):
        greeting = hello(seals_of(player, players).key_for(0), reconnect_ms, rejoin_ms)
        match.opened(player, 0.0)
        match.receive(player, encode(greeting), 0.0)
    outputs_of(match)
    return match


def outputs_of(match: Match) -> list[object]:
    outputs: list[object] = []
    while (output := match.poll()) is not None:
        outputs.append(output)
    return outputs
