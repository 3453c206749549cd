"""What was played in a match, kept for players who come back: words at barriers, inputs, who acted, digests.

A match is its confirmed inputs: whoever has these has the match. They are kept from its beginning, for who
comes back has nothing, and an environment may carry something from one episode to the next. Equal inputs are
one object, so that an input of a game with few actions takes a place in a list, eight bytes; the sum is
bounded, and a match that is longer is one to which nobody comes back.

Knows what there is, and how much of it fits into a message; refuses to know who needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from gym_p2p.core.match.acted import ActedFrames
from gym_p2p.core.wire.messages import INPUT_HEAD_BYTES, MAX_INPUT_BYTES, Ready, encode
from gym_p2p.core.wire.past import PAST_BYTES, Past, Recall
from gym_p2p.errors import ProtocolError

__all__ = ["DIGEST_BYTES", "HISTORY_BYTES", "History", "PlayedEpisode"]

HISTORY_BYTES = 64 * 2**20
"""Kept at most, of words, inputs and digests together. Two players' inputs of few actions take 16 bytes a
frame: nineteen hours of 60 frames a second; inputs that are all different take 50 bytes and their own length
each."""

_OBJECT_BYTES = 48
"""What a short ``bytes`` object takes beside its contents (CPython)."""
_PLACE_BYTES = 8
_RUN_BYTES = 160
"""Frames in which the same one acted for a player (CPython: two tuples, their numbers and their places)."""
_SHARED_MOST = 4096
"""Different inputs that are looked for again: more than any set of buttons has."""
DIGEST_BYTES = 128
"""A digest, its frame, and their places."""
_EPISODE_BYTES = 512
"""An episode, beside the words at its barrier, and what was played."""


@attrs.define(eq=False)
class PlayedEpisode:
    """One episode.

    Attributes:
        ready: every player's word at the barrier before it.
        inputs: of each player, from frame 0 on.
        acted: of each player, where others acted for them.
        digests: ours, by frame, in order.
    """

    ready: dict[int, Ready]
    inputs: list[list[bytes]]
    acted: list[ActedFrames]
    digests: list[tuple[int, bytes]] = attrs.field(factory=list)

    @property
    def held(self) -> tuple[int, ...]:
        """How many inputs of every player there are."""
        return tuple(map(len, self.inputs))


class History:
    """All episodes of one match, at one player.

    Attributes:
        episodes: in order, the running one last.
        full: whether there was too much to keep: then nothing is.
    """

    def __init__(self, players: int) -> None:
        self._players = players
        self.episodes: list[PlayedEpisode] = []
        self.full = False
        self._size_bytes = 0
        self._shared: dict[bytes, bytes] = {}

    @property
    def size_bytes(self) -> int:
        """What it takes, about."""
        return self._size_bytes

    def took(self, size_bytes: int) -> None:
        """Count what is kept, also what is kept of the match beside this; beyond the bound nothing is."""
        self._size_bytes += size_bytes
        if self._size_bytes > HISTORY_BYTES:
            self.full = True
            self.episodes = []
            self._shared = {}

    def begin(self, ready: Mapping[int, Ready]) -> None:
        """Begin an episode, with every player's word at the barrier."""
        if not self.full:
            players = range(self._players)
            episode = PlayedEpisode(dict(ready), [[] for _ in players], [ActedFrames() for _ in players])
            self.episodes.append(episode)
            self.took(_EPISODE_BYTES + sum([len(encode(word)) for word in ready.values()]))

    def add(
        self, player: int, inputs: Sequence[bytes], *, actors: bytes = b"", episode: int | None = None
    ) -> None:
        """Take a player's next inputs of an episode; of the running one by default.

        Args:
            player: whose they are.
            inputs: they.
            actors: who chose each; empty: the player.
            episode: its number.
        """
        if self.full or not self.episodes:
            return
        shared = self._shared
        played = self.episodes[-1 if episode is None else episode - 1]
        kept = played.inputs[player]
        if actors:
            runs = len(played.acted[player])
            played.acted[player].add(len(kept), actors)
            self._size_bytes += _RUN_BYTES * (len(played.acted[player]) - runs)
        for data in inputs:
            known = shared.get(data)
            if known is None:
                known = data
                self._size_bytes += _OBJECT_BYTES + len(data)
                if len(shared) < _SHARED_MOST:
                    shared[data] = data
            kept.append(known)
        self.took(_PLACE_BYTES * len(inputs))

    def actors(self, player: int, start: int, count: int) -> bytes:
        """Return who chose so many of a player's inputs of the running episode; empty: they all of them."""
        return self.episodes[-1].acted[player].between(start, start + count) if self.episodes else b""

    def tail(self, player: int, frame: int, most: int) -> bytes:
        """Return who chose a player's inputs before a frame of the running episode, of so many at most."""
        count = min(frame, most)
        return self.actors(player, frame - count, count)

    def left_at(self, player: int, frame: int) -> tuple[int, int]:
        """Return where a player left who comes back to this frame of the running episode.

        Returns:
            An episode, 0 before the first, and a frame of it: from there on others acted for them.
        """
        number = len(self.episodes)
        while number:
            frame = self.episodes[number - 1].acted[player].since(frame)
            before = number - 1
            if frame or not before:
                break
            acted, end = self.episodes[before - 1].acted[player], self.episodes[before - 1].held[player]
            if acted.since(end) == end:
                break
            number, frame = before, end
        return number, frame

    def add_digest(self, episode: int, frame: int, digest: bytes) -> None:
        """Take our digest of a frame; one of an earlier frame than the newest is known already."""
        if self.full or not 0 < episode <= len(self.episodes):
            return
        digests = self.episodes[episode - 1].digests
        if not digests or digests[-1][0] < frame:
            digests.append((frame, digest))
            self.took(DIGEST_BYTES)

    def past(
        self, recall: Recall, *, more: bool, budget_bytes: int = PAST_BYTES, of_newest: int | None = None
    ) -> Past:
        """Return what somebody lacks of an episode, as much of it as fits.

        Args:
            recall: what they have of it; of an episode that there is.
            more: whether what follows it is sent as well, if there is room for all that they lack of it.
            budget_bytes: how much fits.
            of_newest: of the running episode so many inputs of every player count as there, at most.
        """
        played = self.episodes[recall.episode - 1]
        counts = played.held
        if of_newest is not None and recall.episode == len(self.episodes):
            counts = tuple([min(count, of_newest) for count in counts])
        left = budget_bytes
        starts, inputs, actors = [], [], []
        held_there = zip(played.inputs, counts, recall.held, played.acted, strict=True)
        for there, count, held, acted in held_there:
            end = start = min(held, count)
            while end < count and (size := len(there[end]) + INPUT_HEAD_BYTES) <= left:
                left -= size
                end += 1
            starts.append(start)
            inputs.append(tuple(there[start:end]))
            actors.append(acted.between(start, end))
        digests = tuple(played.digests[recall.digests : recall.digests + max(0, left // DIGEST_BYTES)])
        left -= DIGEST_BYTES * len(digests)
        whole = recall.digests + len(digests) == len(played.digests) and all(
            start + len(some) == count for start, some, count in zip(starts, inputs, counts, strict=True)
        )
        return Past(
            episode=recall.episode,
            newest=len(self.episodes),
            returning=False,
            away=(),
            held=counts,
            start=tuple(starts),
            inputs=tuple(inputs),
            actors=tuple(actors),
            digests=digests,
            digest_count=len(played.digests),
            more=more and whole and left > 0 and recall.episode < len(self.episodes),
        )

    def merge(self, past: Past) -> None:
        """Take in what another holds of an episode, which is one that there is or the next one.

        Raises:
            ProtocolError: it leaves a gap, or there cannot be such inputs.
        """
        kept = not self.full
        if kept and (past.episode > len(self.episodes) + 1 or len(past.inputs) != self._players):
            raise ProtocolError("past of another match")
        if kept and past.episode == len(self.episodes) + 1:
            self.begin({})
        if self.full:
            return
        there = self.episodes[past.episode - 1].inputs
        told = zip(past.start, past.inputs, past.actors, strict=True)
        for player, (start, inputs, actors) in enumerate(told):
            count = len(there[player])
            if start > count or any(len(data) > MAX_INPUT_BYTES for data in inputs):
                raise ProtocolError("past with a gap")
            known = count - start
            self.add(player, inputs[known:], actors=actors[known:], episode=past.episode)
