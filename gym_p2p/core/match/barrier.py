"""The barrier before an episode: all players wait at it, and pass it with the same seed and options.

Knows what every player brought to the barrier; refuses to know how that travels and what an episode is. Every
player computes the same from the same messages, so none has to be in charge.

Who was ready for an episode takes part in it, also if they have gone since: whether their word is here
decides, not whether they are, for another player may have passed the barrier with it already.
:mod:`gym_p2p.core.match.membership` sees to it that those who are left hold the same of those words.

The last one to be ready waits until the others have learnt of it, by half a round trip: so all begin an
episode at the same time, and none finds every other input waiting and the next one late.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b

from gym_p2p.core.match.events import EpisodeBegan, EpisodeRefused
from gym_p2p.core.match.peer import Peer
from gym_p2p.core.match.terms import shown
from gym_p2p.core.wire.messages import Ready
from gym_p2p.errors import ProtocolError

__all__ = ["Barrier", "Seeds", "barrier_refusal", "episode_seed"]


class Barrier:
    """The barriers of one match, one after the other.

    Args:
        peers: all others, in the order of their indices.
        match_seed: what the episodes' seeds come from before anybody insists on one.
    """

    def __init__(self, *, local: int, peers: Mapping[int, Peer], match_seed: int) -> None:
        self._local = local
        self._peers = peers
        self._seeds = Seeds(match_seed)
        self._ours: Ready | None = None
        self._waited_at = 0
        """The newest barrier that we were ready for, by its episode."""
        self._known_at = 0.0

    def wait(self, ready: Ready, now: float) -> None:
        """Wait before an episode, with what the local player brings."""
        self._ours, self._waited_at = ready, ready.episode
        self._known_at = now + max([peer.pings.one_way_s for peer in self._peers.values()], default=0.0)

    def words(self, episode: int) -> dict[int, Ready]:
        """Return what players said at the barrier before an episode, as far as it is known."""
        words = {player: peer.ready[episode] for player, peer in self._peers.items() if episode in peer.ready}
        if self._ours is not None and self._ours.episode == episode:
            words[self._local] = self._ours
        return words

    def step_back(self) -> None:
        """Wait no longer: the local player leaves."""
        self._ours = None

    def receive(self, peer: Peer, ready: Ready, episode: int) -> None:
        """Take in that a peer waits, while ``episode`` runs here.

        Raises:
            ProtocolError: it is a barrier that we passed, or one that nobody can be at; or the peer has said
                goodbye, or was ready for it before.
        """
        if peer.goodbye is not None:
            raise ProtocolError("barrier after the goodbye")
        if not episode < ready.episode <= self.newest(episode) or ready.episode in peer.ready:
            raise ProtocolError("barrier of another episode")
        peer.ready[ready.episode] = ready

    def newest(self, episode: int) -> int:
        """Return the newest barrier at which anybody can wait, by its episode, while ``episode`` runs here.

        It is the one after the newest that we were ready for: nobody passes a barrier without us.
        """
        return max(episode, self._waited_at) + 1

    @property
    def waits_before(self) -> int | None:
        """Before which episode the local player waits; ``None`` where they do not."""
        return None if self._ours is None else self._ours.episode

    @property
    def opens_at(self) -> float | None:
        """When the barrier opens; ``None`` while somebody is not there."""
        ours = self._ours
        if ours is None:
            return None
        for peer in self._peers.values():
            if ours.episode not in peer.ready:
                return None
        return self._known_at

    def open(self, now: float) -> dict[int, Ready] | None:
        """Return what every player brought, once, when the barrier opens; ``None`` as long as it does not."""
        ours, opens_at = self._ours, self.opens_at
        if ours is None or opens_at is None or now < opens_at:
            return None
        self._ours = None
        return {i: peer.ready[ours.episode] for i, peer in self._peers.items()} | {self._local: ours}

    def agree(self, ready: Mapping[int, Ready]) -> EpisodeBegan | EpisodeRefused:
        """Return the episode that begins with what the players brought, or why none does."""
        refusal = barrier_refusal(self._local, ready)
        if refusal is not None:
            return refusal
        seed = self._seeds.agreed(ready)
        options = next((dict(r.options) for r in ready.values() if r.options), {})
        delays = tuple([ready[player].delay for player in sorted(ready)])
        return EpisodeBegan(ready[self._local].episode, seed, options, delays)


class Seeds:
    """The seeds of a match's episodes: those that a player insists on, and a series after each.

    So an explicit seed makes all episodes after it reproducible, as Gymnasium wants it of ``reset``.
    """

    def __init__(self, match_seed: int) -> None:
        self._base = match_seed
        self._drawn = 0

    def agreed(self, ready: Mapping[int, Ready]) -> int:
        """Return the seed of the episode that these players are ready for."""
        insisted = next((r.seed for r in ready.values() if r.seed is not None), None)
        if insisted is not None:
            self._base, self._drawn = insisted, 0
            return insisted
        self._drawn += 1
        return episode_seed(self._base, self._drawn)


def episode_seed(base: int, number: int) -> int:
    """Return the seed of the n-th episode after ``base`` for which nobody insists on one: 31 bits."""
    digest = blake2b(f"{base}/{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def barrier_refusal(local: int, ready: Mapping[int, Ready]) -> EpisodeRefused | None:
    """Compare what the players want at the barrier; all players come to the same verdict."""
    for what, wanted in (
        ("seed", {i: str(r.seed) for i, r in ready.items() if r.seed is not None}),
        ("options", {i: json.dumps(dict(r.options), sort_keys=True) for i, r in ready.items() if r.options}),
    ):
        if len(set(wanted.values())) <= 1:
            continue
        own = wanted.get(local)
        other = next(i for i, value in sorted(wanted.items()) if i != local and value != own)
        label = f"{what} of episode {ready[local].episode}"
        return EpisodeRefused(other, (shown((label, own or "(any)", wanted[other])),))
    return None
