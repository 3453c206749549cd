"""What players agree on between episodes, and whom they blame for an end, over the in-memory network."""

from __future__ import annotations

from typing import Any

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.events import BeginEpisode, EpisodeBegan, Leave, PlayerGone
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.sync.outputs import Over
from gym_p2p.core.sync.session import SyncSession


class _Pair:
    """Two matches that hand each other every message at once."""

    def __init__(self, players: int = 2) -> None:
        sync = SyncConfig()
        description: dict[str, Any] = {"must": {}}
        self.matches = [
            Match(local=i, players=players, description=description, match_seed=7, sync=sync)
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
        """Pass a barrier; return the seed that all were told."""
        for match, seed in zip(self.matches, seeds, strict=True):
            match.command(BeginEpisode(seed), 0.0)
        self.deliver()
        told = {[e.seed for e in events if isinstance(e, EpisodeBegan)][-1] for events in self.events}
        assert len(told) == 1
        return told.pop()


def test_episodes_after_an_explicit_seed_are_reproducible_for_everybody() -> None:
    pair = _Pair()
    first = [pair.begin(123, None), pair.begin(None, None), pair.begin(None, None)]
    again = [pair.begin(None, 123), pair.begin(None, None), pair.begin(None, None)]
    assert first == again
    assert len(set(first)) == 3


def test_without_an_explicit_seed_no_episode_repeats_another() -> None:
    pair = _Pair()
    assert len({pair.begin(None, None) for _ in range(20)}) == 20


def test_a_goodbye_for_anothers_loss_names_the_lost_one() -> None:
    trio = _Pair(3)
    trio.begin(None, None, None)
    trio.matches[1].command(Leave("peer_lost", lost=0), 0.0)
    trio.deliver()
    gone = [event for event in trio.events[2] if isinstance(event, PlayerGone)]
    assert gone == [PlayerGone(1, "peer_lost", 0, "peer_lost", 0)]
    sync = SyncSession(local=2, default_inputs=[b""] * 3)
    sync.receive(gone[0])
    assert sync.poll() == Over(0, "peer_lost", 0)


def test_a_goodbye_for_anothers_polite_goodbye_is_no_loss() -> None:
    trio = _Pair(3)
    trio.begin(None, None, None)
    trio.matches[1].command(Leave("peer_left", lost=0), 0.0)
    trio.deliver()
    assert PlayerGone(1, "peer_left", 0, "peer_left", 0) in trio.events[2]
