"""An honest player of a conversation: both halves are ours, the match machine and the session.

What they give, say and take for final is noted in :class:`~tests.hostile.truths.Truths`; refuses to know what
the others are.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.commands import BeginEpisode, GiveChecksum, GiveState, Leave
from gym_p2p.core.match.events import (
    Connected,
    Desynced,
    EpisodeBegan,
    EpisodeRefused,
    FramesAhead,
    HandshakeMismatch,
    InputsArrived,
    Left,
    PlayerFinished,
    PlayerGone,
)
from gym_p2p.core.match.match import Match
from gym_p2p.core.sync.outputs import Advance, FramesConfirmed, Load, Save
from gym_p2p.core.sync.patience import Patience
from gym_p2p.core.sync.session import SyncSession
from tests.hostile.truths import Truths

__all__ = ["Player", "Setting"]

CHECKED_EVERY = 4
LAST_EPISODE = 3
BARRIER_WAIT_S = 10.0


@attrs.frozen
class Setting:
    """How is played.

    Attributes:
        players: how many; the last one makes the changes.
        window: 0 is lockstep.
        delay: everybody's input delay, but the first one's, who has none.
        frames: of an episode.
        latency: how many ticks a message is under way, by the sum of its two ends, counted round.
        goes_on: whether those who are left play on.
    """

    players: int
    window: int
    delay: int
    frames: int
    latency: tuple[int, ...]
    goes_on: bool


class Player:
    """Both halves of one player."""

    def __init__(self, index: int, setting: Setting, truths: Truths) -> None:
        self.index = index
        self._setting = setting
        self._truths = truths
        config = SyncConfig(fps=30, disconnect_notice_s=0.3, disconnect_timeout_s=1.0, input_timeout_s=2.0)
        self.match = Match(
            local=index,
            players=setting.players,
            description={"must": {}},
            match_seed=7,
            sync=config,
            secret=bytes([index]),
        )
        self.session: SyncSession | None = None
        self.delay = 0 if index == 0 else setting.delay
        self.still = 0
        """For how many ticks they do nothing."""
        self.left = False
        """Whether the goodbye is complete, or they have vanished."""
        self._leaving = False
        self._episode = 0
        self._saved: set[int] = set()
        self._lone = False
        """Whether somebody is gone: no other episode begins."""
        self._waits_since: float | None = None
        """For an episode."""
        self._patience = Patience.for_inputs(config, takes_turns=False)

    def tick(self, now: float) -> None:
        """Do what a player's two halves do in a frame's time."""
        self.match.handle_timeout(now)
        if self.still:
            self.still -= 1
            return
        session = self.session
        if self._waits_since is not None and self._waits_since + BARRIER_WAIT_S <= now:
            self.leave("reset_timeout", now)
        if session is None or self._leaving:
            return
        if session.frame < self._setting.frames:
            data = bytes([self._episode, self.index, session.frame % 5])
            self._give(session.add_local_input(data), now)
        self.play(now)
        if session.over is None and session.confirmed < self._setting.frames:
            for give_up in self._patience.wait(session.waits_for(), now):
                self.match.command(give_up, now)

    def play(self, now: float) -> None:
        """Play what can be played, and go on to what follows."""
        session = self.session
        if session is None or self._leaving:
            return
        while (output := session.poll()) is not None:
            match output:
                case Save(frame):
                    self._saved.add(frame)
                case Load(frame):
                    assert frame in self._saved, "a state is loaded that was not saved"
                case Advance(frame, inputs, _, again):
                    assert len(inputs) == self._setting.players
                    if not again:
                        self._patience.play(now)
                case FramesConfirmed(start, inputs):
                    self._confirm(start, inputs, now)
        if session.over is not None and session.over.reason != "peer_reset":
            self.leave(session.over.reason, now)
        elif session.over is not None or session.confirmed >= self._setting.frames:
            self._end_episode(now)

    def leave(self, reason: str, now: float) -> None:
        """Say goodbye."""
        if not self._leaving:
            self._leaving, self.session = True, None
            self._truths.leaves(self.index)
            self.match.command(Leave(reason), now)

    def set_delay(self, frames: int, now: float) -> None:
        """Change the input delay."""
        self.delay = frames
        if self.session is not None and self.session.over is None:
            for command in self.session.set_input_delay(frames):
                self._give(command, now)

    def hear(self, event: Any, now: float) -> None:
        """Take in what the network half says."""
        self._truths.check(self.index, event)
        self._lone |= isinstance(event, PlayerGone)
        match event:
            case Connected():
                self._wait(BeginEpisode(5, None, self.delay), now)
            case EpisodeBegan(episode, _, _, delays) if not self._leaving:
                self._begin(episode, delays, now)
            case Desynced(episode, frame, player):
                state = self._truths.state(self.index, episode, frame)
                self.match.command(GiveState(player, episode, frame, state), now)
            case InputsArrived() | PlayerFinished() | PlayerGone() | FramesAhead() if self.session:
                self.session.receive(event)
                if isinstance(event, PlayerGone):
                    self._patience.excuse(now)
                self.play(now)
            case PlayerGone() | EpisodeRefused() | HandshakeMismatch():
                self.leave(type(event).__name__, now)  # as somebody does who waits for an episode
            case Left():
                self.left = True

    def _begin(self, episode: int, delays: Sequence[int], now: float) -> None:
        assert episode == self._episode + 1, "an episode was left out"
        self._episode, self._waits_since = episode, None
        self._saved.clear()
        self.session = SyncSession(
            local=self.index,
            default_inputs=[b"d"] * self._setting.players,
            window=self._setting.window,
            input_delay=self.delay,
            delays=delays,
            keep_every=CHECKED_EVERY,
            continue_without_leavers=self._setting.goes_on,
        )
        for command in self.session.begin():
            self._give(command, now)

    def _end_episode(self, now: float) -> None:
        self.session = None
        if self._episode >= LAST_EPISODE or self._lone:
            self.leave("normal", now)
            return
        options = {"long": "x" * 3_000} if self._episode == 1 else None
        self._wait(BeginEpisode(None, options, self.delay), now)

    def _wait(self, begin: BeginEpisode, now: float) -> None:
        self._waits_since = now
        self.match.command(begin, now)

    def _give(self, command: Any, now: float) -> None:
        if command is not None:
            self._truths.gives(self.index, self._episode, command)
            self.match.command(command, now)

    def _confirm(self, start: int, inputs: Sequence[tuple[bytes, ...]], now: float) -> None:
        self._truths.confirms(self.index, self._episode, start, inputs)
        for frame, of_all in enumerate(inputs, start):
            if frame % CHECKED_EVERY == CHECKED_EVERY - 1:
                digest = blake2b(b"/".join(of_all), digest_size=8).digest()
                self._truths.digests[self.index, self._episode, frame] = digest
                self.match.command(GiveChecksum(frame, digest), now)
