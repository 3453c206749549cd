"""What was really given and said in a conversation, against which is held what its honest players believe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from gym_p2p.core.match.checksums import _KEPT
from gym_p2p.core.match.commands import GiveInput
from gym_p2p.core.match.events import (
    EXCLUDED,
    ChecksumsAgreed,
    Desynced,
    EpisodeBegan,
    PlayerFinished,
    PlayerGone,
    Source,
    StateArrived,
)
from gym_p2p.core.match.match import Match
from gym_p2p.core.match.peer import HEARSAY_KEPT, Peer, PeerState
from gym_p2p.core.match.pings import PINGS_KEPT
from gym_p2p.core.wire.fragments import MAX_CTRL_BYTES
from gym_p2p.core.wire.messages import Inputs, Share
from tests.hostile.changes import Change

__all__ = ["Truths"]

_STATE_BYTES = 40_000


class Truths:
    """The facts of one conversation.

    Args:
        honest: the players who change nothing of what they say.

    Attributes:
        matches: everybody's match machine.
        digests: what somebody gave as their checksum, by player, episode and frame.
        events: what the honest players were told.
        lied: how much was changed.
    """

    def __init__(self, *, honest: Iterable[int]) -> None:
        self._honest = tuple(honest)
        self.matches: Sequence[Match] = ()
        self.digests: dict[tuple[int, int, int], bytes] = {}
        self.events: list[tuple[int, Any]] = []
        self._given: dict[tuple[int, int], list[bytes]] = defaultdict(list)
        self._heard: dict[tuple[int, int, int, int], set[bytes]] = defaultdict(set)
        """By who has heard it, whose it is, episode and frame: what may be that input."""
        self._ended: dict[tuple[int, int, int], int] = {}
        """By who was told it, of whom, and in which episode: after how many inputs they end."""
        self._gone: set[tuple[int, int]] = set()
        """Who was told that who is gone for good."""
        self._left: set[int] = set()
        self._vanished: set[int] = set()
        self._dropped: set[tuple[int, int]] = set()
        self._excluding: set[tuple[int, int]] = set()
        """Who was told that who counts them as gone."""
        self._confirmed: dict[tuple[int, int], int] = defaultdict(int)
        self._episode: dict[int, int] = defaultdict(int)
        self.lied = 0

    # What really is.

    def gives(self, player: int, episode: int, command: Any) -> None:
        """Note an input of theirs."""
        if isinstance(command, GiveInput):
            assert command.frame == len(self._given[player, episode]), "an input is left out, or given twice"
            self._given[player, episode].append(command.data)

    def says(self, hearer: int, whose: int, message: Inputs | Share) -> None:
        """Note what somebody is about to hear of a player's inputs, true or not."""
        for frame, data in enumerate(message.inputs, message.start):
            self._heard[hearer, whose, message.episode, frame].add(data)

    def leaves(self, player: int) -> None:
        """Note that they have said goodbye."""
        self._left.add(player)

    def vanishes(self, player: int) -> None:
        """Note that their process has ended."""
        self._vanished.add(player)

    def lies(self, _change: Change) -> None:
        """Note that something was changed."""
        self.lied += 1

    def state(self, player: int, episode: int, frame: int) -> bytes:
        """Return a state of theirs."""
        return bytes((player, episode, frame % 256)) * (_STATE_BYTES // 3)

    # What somebody honest believes.

    def confirms(self, player: int, episode: int, start: int, inputs: Sequence[tuple[bytes, ...]]) -> None:
        """Hold what is final for somebody against what the honest ones gave."""
        if player not in self._honest:
            return
        assert start == self._confirmed[player, episode], "a frame is final twice, or never"
        self._confirmed[player, episode] += len(inputs)
        self._hold_against_what_was_heard(player, episode, start, inputs)
        for other in self._honest:
            if self._is_gone(player, other) or other in self._vanished | self._left:
                continue
            given = self._given[other, episode]
            for frame, of_all in enumerate(inputs, start):
                assert frame < len(given), "an input is final that was not given"
                assert of_all[other] == given[frame], "another input is final than was given"

    def _hold_against_what_was_heard(
        self, player: int, episode: int, start: int, inputs: Sequence[tuple[bytes, ...]]
    ) -> None:
        """Hold what is final of the others against what somebody has said of that very frame, a liar, too."""
        for other in range(len(self.matches)):
            others = start + len(inputs) if (player, other) not in self._gone else 0
            there_are = self._ended.get((player, other, episode), others)  # what follows stands in for them
            for frame, of_all in enumerate(inputs[: max(0, there_are - start)], start):
                heard = self._heard[player, other, episode, frame]
                assert other == player or of_all[other] in heard, "an input is final that nobody has said"

    def check(self, player: int, event: Any) -> None:
        """Hold what somebody is told against what is true."""
        if player not in self._honest:
            return
        self.events.append((player, event))
        if isinstance(event, PlayerGone | PlayerFinished):
            self._ended[player, event.player, self._episode[player]] = event.frames
        if isinstance(event, PlayerGone):
            self._gone.add((player, event.player))
        match event:
            case EpisodeBegan(episode):
                self._episode[player] = episode
            case PlayerGone():
                self._check_gone(player, event)
            case PlayerFinished(other, frames) if other in self._honest:
                given = self._given[other, self._episode[player]]
                if not self._is_gone(player, other):
                    assert frames <= len(given), "ended after more than they gave"
            case Desynced(episode, frame, other, ours, theirs) if other in self._honest:
                assert ours == self.digests[player, episode, frame]
                assert theirs == self.digests[other, episode, frame], "a checksum that nobody gave"
                assert ours != theirs, "equal checksums differ"
            case ChecksumsAgreed(episode, frame):
                ours = self.digests[player, episode, frame]
                for other in self._honest:
                    present = other == player or self.matches[player]._peers[other].present
                    if present and other not in self._left | self._vanished:
                        assert self.digests.get((other, episode, frame)) == ours, "agreed with nobody"
            case StateArrived(other, episode, frame, data) if other in self._honest:
                assert data == self.state(other, episode, frame), "another state than was sent"

    def _check_gone(self, player: int, gone: PlayerGone) -> None:
        other = gone.player
        if gone.reason == EXCLUDED:
            self._excluding.add((player, other))
        assert gone.reason == EXCLUDED or (player, other) not in self._excluding, "excluded, and then not"
        if other in self._honest:
            self._dropped |= {(player, other), (other, player)}
            assert gone.source is not Source.GOODBYE or other in self._left, "a goodbye that nobody said"
            assert gone.frames >= 0

    def _is_gone(self, player: int, other: int) -> bool:
        """Tell whether somebody counts another as gone.

        What a liar passes on of who is gone cannot be told from what they gave, also before all have agreed
        on it.
        """
        gone = other != player and self.matches[player]._peers[other].state is PeerState.GONE
        return gone or (player, other) in self._dropped

    def look(self) -> None:
        """Look at what the honest ones' machines hold of each other, and how much of it."""
        for player in self._honest:
            if player not in self._left | self._vanished:
                match = self.matches[player]
                for peer in match._peers.values():
                    self._look_at(match, peer)
                due = match.next_timeout()
                assert due is None or due < 1e6, "somebody is waited for who may never come"

    def _look_at(self, match: Match, peer: Peer) -> None:
        exchange = match._exchange
        assert peer.acknowledged <= exchange.given, "acknowledged what was not given"
        newest = match._barrier.newest(exchange.episode)
        assert max(peer.ready, default=0) <= newest, "waits at a barrier that nobody can be at"
        assert len(peer.hearsay) <= HEARSAY_KEPT
        assert len(peer.pings._open) <= PINGS_KEPT
        assert peer.reassembler._size_bytes <= MAX_CTRL_BYTES
        assert len(match._comparison._checksums._open) <= _KEPT
        if peer.index not in self._honest:
            return
        episode = exchange.episode
        if not self._is_gone(match._local, peer.index):
            given = self._given[peer.index, episode]
            assert peer.remote_inputs.count <= len(given) or peer.index in self._left, "more than was given"
        theirs = self.matches[peer.index]._exchange
        if theirs.episode == episode and peer.index not in self._left | self._vanished:
            held = theirs.held()
            for whose in self._honest:
                assert peer.received[whose] <= held[whose], "holds what was not given"
