"""What players agree on between episodes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.barrier import Barrier, Seeds, barrier_refusal, episode_seed
from gym_p2p.core.match.events import EpisodeBegan, EpisodeRefused
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.messages import Cause, Goodbye, Ready
from gym_p2p.errors import ProtocolError
from tests.core.match.pairs import Pair


def test_episodes_after_an_explicit_seed_are_reproducible_for_everybody() -> None:
    pair = Pair()
    first = [pair.begin(123, None), pair.begin(None, None), pair.begin(None, None)]
    again = [pair.begin(None, 123), pair.begin(None, None), pair.begin(None, None)]
    assert first == again
    assert len(set(first)) == 3


def test_without_an_explicit_seed_no_episode_repeats_another() -> None:
    pair = Pair()
    assert len({pair.begin(None, None) for _ in range(20)}) == 20


def ready(episode: int = 1, seed: int | None = None, delay: int = 0, **options: int) -> Ready:
    return Ready(episode, seed, JsonObject(options) if options else None, 0, delay)


def barrier(players: int = 3) -> tuple[Barrier, dict[int, Peer]]:
    peers = {index: Peer(index=index, sync=SyncConfig(), players=players) for index in range(1, players)}
    for peer in peers.values():
        peer.state = PeerState.PLAYING
    return Barrier(local=0, peers=peers, match_seed=7), peers


def test_it_opens_once_and_only_when_everybody_is_there() -> None:
    waiting, peers = barrier()
    waiting.receive(peers[1], ready(), 0)
    assert waiting.open(0.0) is None
    waiting.wait(ready(delay=2), 0.0)
    before = waiting.opens_at
    waiting.receive(peers[2], ready(delay=1), 0)
    assert (before, waiting.opens_at) == (None, 0.0)
    there = waiting.open(0.0)
    assert there is not None
    assert there == {0: ready(delay=2), 1: ready(), 2: ready(delay=1)}
    assert waiting.open(0.0) is None
    assert waiting.agree(there) == EpisodeBegan(1, episode_seed(7, 1), {}, (2, 0, 1))


def test_it_opens_half_the_longest_round_trip_after_we_are_there() -> None:
    waiting, peers = barrier()
    peers[1].pings.srtt_s, peers[2].pings.srtt_s = 0.1, 0.3
    for peer in peers.values():
        waiting.receive(peer, ready(), 0)
    waiting.wait(ready(), 1.0)
    assert waiting.opens_at == pytest.approx(1.15)
    assert waiting.open(1.1) is None
    assert waiting.open(1.15) is not None


@pytest.mark.parametrize("state", [PeerState.LEAVING, PeerState.GONE])
def test_who_left_is_begun_with_if_they_were_ready_and_else_not(state: PeerState) -> None:
    for brought in ({}, {1: ready()}):
        waiting, peers = barrier(2)
        peers[1].ready = dict(brought)
        waiting.wait(ready(), 0.0)
        peers[1].state = state
        there = waiting.open(0.0)
        assert there == ({0: ready(), 1: ready()} if brought else None)


def test_who_steps_back_passes_no_barrier() -> None:
    waiting, peers = barrier(2)
    waiting.receive(peers[1], ready(), 0)
    waiting.wait(ready(), 0.0)
    waiting.step_back()
    assert waiting.opens_at is None
    assert waiting.open(0.0) is None


def test_a_barrier_after_the_goodbye_is_a_protocol_error() -> None:
    waiting, peers = barrier()
    peers[1].goodbye = Goodbye("normal", 0, 0, None, Cause.LEFT, ())
    with pytest.raises(ProtocolError, match="after the goodbye"):
        waiting.receive(peers[1], ready(), 0)


@pytest.mark.parametrize("episode", [0, 3, 4, 6, 70])
def test_a_barrier_that_was_passed_or_is_too_far_ahead_is_a_protocol_error(episode: int) -> None:
    waiting, peers = barrier()
    with pytest.raises(ProtocolError, match="barrier of another episode"):
        waiting.receive(peers[1], ready(episode), 4)
    assert not peers[1].ready


@given(st.lists(st.none() | st.integers(0, 2), min_size=3, max_size=3), st.integers(0, 2))
def test_all_refuse_or_none_does_and_each_names_another_one(seeds: list[int | None], local: int) -> None:
    brought = {player: ready(seed=seed) for player, seed in enumerate(seeds)}
    refusal = barrier_refusal(local, brought)
    assert (refusal is not None) == (len(set(seeds) - {None}) > 1)
    if refusal is not None:
        assert refusal.player != local
        assert refusal.differences[0][1] != refusal.differences[0][2]


def test_different_options_are_refused_with_both() -> None:
    brought = {0: ready(), 1: ready(level=1), 2: ready(level=2)}
    assert barrier_refusal(1, brought) == EpisodeRefused(
        2, (("options of episode 1", '{"level": 1}', '{"level": 2}'),)
    )
    assert barrier_refusal(0, brought) == EpisodeRefused(
        1, (("options of episode 1", "(any)", '{"level": 1}'),)
    )


def test_a_series_of_seeds_follows_the_newest_that_somebody_insisted_on() -> None:
    seeds = Seeds(7)
    assert [seeds.agreed({0: ready()}) for _ in range(2)] == [episode_seed(7, 1), episode_seed(7, 2)]
    assert seeds.agreed({0: ready(), 1: ready(seed=2**64 - 1)}) == 2**64 - 1
    assert seeds.agreed({0: ready()}) == episode_seed(2**64 - 1, 1)
    assert 0 <= episode_seed(7, 1) < 2**31


@pytest.mark.parametrize(("waited", "newest"), [(None, 2), (1, 2), (2, 3)])
def test_nobody_waits_further_ahead_than_one_barrier_beyond_ours(waited: int | None, newest: int) -> None:
    waiting, peers = barrier()
    if waited is not None:
        waiting.wait(ready(waited), 0.0)
    waiting.receive(peers[1], ready(newest), 1)
    assert list(peers[1].ready) == [newest]
    with pytest.raises(ProtocolError, match="barrier of another episode"):
        waiting.receive(peers[2], ready(newest + 1), 1)
    with pytest.raises(ProtocolError, match="barrier of another episode"):
        waiting.receive(peers[2], ready(1), 1)
