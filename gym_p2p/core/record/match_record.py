"""The record of a match: what happens goes in, the three export documents come out.

It knows the events of a match and which of them must be cheap; it refuses to know how they came about.
Inputs stay the bytes that they are until a document is built. Frames count from 0 in every episode,
episodes from 1, times are Unix milliseconds and are passed in.

One thread records and any thread may build documents at the same time, without a lock: see
:mod:`gym_p2p.core.record.match_log`. The link half (:meth:`MatchRecord.poll` and what stands by it) may be
called from a second thread than the playing half; each of the two from one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gym_p2p.core.latency.series import LatencySeries, Poll
from gym_p2p.core.latency.webrtc_stats import ConnectionDetails
from gym_p2p.core.record.documents import (
    Decode,
    Document,
    multiplayer_document,
    session_document,
    validation_document,
)
from gym_p2p.core.record.match_log import (
    DesyncEvent,
    DetectedConnection,
    Disconnection,
    EpisodeLog,
    Health,
    MatchLog,
    PeerLog,
    ReconnectionAttempt,
    RollbackEvent,
    StateDump,
    SyncTotals,
    Termination,
    plain,
)
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, UsageError

__all__ = ["Document", "MatchRecord"]

_MAX_PROTOCOL_PROBLEMS = 64
"""Problems are short, fixed descriptions; beyond this many they are no longer that."""


class MatchRecord:
    """Folds one player's part of a match into the session, validation and multiplayer documents.

    Args:
        game_id: the match's id.
        player_id: the local player.
        players: every seat's player, in the order of the seats.
        peers: the players at the other ends of the links, in any order.
        session_start_ms: Unix milliseconds.
        environment: its id, versions, the platform; plain data, copied.
        config: sync mode, input delay, frame rate and so on; plain data, copied.
        max_samples: round trips that are kept of every link.

    Raises:
        ConfigurationError: without a player, with a player twice, or a peer that is the local player.
    """

    def __init__(
        self,
        *,
        game_id: str,
        player_id: SeatId,
        players: Sequence[SeatId],
        peers: Sequence[SeatId],
        session_start_ms: int,
        environment: Mapping[str, Any],
        config: Mapping[str, Any],
        max_samples: int = 600,
    ) -> None:
        if not players or len(set(players)) != len(players):
            raise ConfigurationError("players", f"wanted different players, at least one, got {players!r}")
        if player_id in peers or len(set(peers)) != len(peers):
            raise ConfigurationError("peers", f"wanted the other players, each once, got {peers!r}")
        self._log = MatchLog(
            game_id=game_id,
            player_id=player_id,
            players=tuple(players),
            peers={peer: PeerLog(LatencySeries(max_samples)) for peer in peers},
            session_start_ms=session_start_ms,
            environment=plain(environment),
            config=plain(config),
        )
        self._appends: tuple[Callable[[bytes], None], ...] = ()
        self._episode: EpisodeLog | None = None

    # Playing: from the thread that plays.

    def begin_episode(self, now_ms: int, *, number: int | None = None) -> int:
        """Begin the next episode, ending the one before if that was not done; return its number.

        Args:
            now_ms: Unix milliseconds.
            number: what the players call it among themselves, where that may be another: they count those
                of which they did not agree how to begin them, too.
        """
        self.end_episode(now_ms, completed=False)
        own = len(self._log.episodes) + 1
        inputs: tuple[list[bytes], ...] = tuple([] for _ in self._log.players)
        episode = EpisodeLog(own, inputs, called=own if number is None else number)
        self._appends = tuple(inputs.append for inputs in episode.seat_inputs)
        self._episode = episode
        self._log.episodes.append(episode)
        return episode.number

    def frame(self, inputs: Sequence[bytes]) -> None:
        """Record a confirmed frame: every seat's input as it was applied, in the order of the seats.

        This is the hot path: one append a seat. Frames are recorded once and in order, hence with rollback
        only when nothing can change them any more.
        """
        for append, data in zip(self._appends, inputs, strict=True):
            append(data)

    def checksum(self, frame: int, digest: str) -> None:
        """Record the local checksum of a confirmed frame; the newest of a frame counts."""
        self._playing().checksums.append((frame, digest))

    def confirmed(self, frame: int) -> None:
        """Note that the inputs up to this frame are everybody's, where that is ahead of :meth:`frame`."""
        episode = self._playing()
        episode.confirmed_frame = max(episode.confirmed_frame, frame)

    def verified(self, frame: int, *, episode: int | None = None) -> None:
        """Note that all players have the same checksum of this frame.

        Args:
            frame: of the episode.
            episode: which one, as the players call it; ``None`` is the running one. What is told of others
                than were begun here is dropped.
        """
        for log in self._called(episode):
            log.verified_frame = max(log.verified_frame, frame)

    def desync(self, frame: int, ours: str, theirs: str, now_ms: int, *, episode: int | None = None) -> None:
        """Record that a player's checksum of a frame differs from ours; ``episode`` as in `verified`."""
        for log in self._called(episode):
            log.desyncs.append(DesyncEvent(frame, ours, theirs, now_ms, log.verified_frame))

    def state_difference(
        self,
        frame: int,
        differences: Sequence[tuple[str, str, str]],
        *,
        ours: Mapping[str, Any],
        theirs: Mapping[str, Any],
        episode: int,
    ) -> None:
        """Record both states of a frame at which they differ, and in which fields; ``episode`` as above."""
        for log in self._called(episode):
            dump = StateDump(tuple(differences), plain(ours), plain(theirs))
            log.dumps.setdefault(frame, dump)

    def rollback(
        self,
        *,
        frame: int,
        current_frame: int,
        player: SeatId,
        predicted: bytes,
        actual: bytes,
        now_ms: int,
    ) -> None:
        """Record that ``frame`` to ``current_frame`` were simulated again for a mispredicted input."""
        self._playing().rollbacks.append(
            RollbackEvent(
                frame=frame,
                current_frame=current_frame,
                player=player,
                predicted=predicted,
                actual=actual,
                timestamp_ms=now_ms,
                frames=current_frame - frame,
            )
        )

    def corrected(self, *, mispredictions: int = 0, resimulated: int = 0, stalls: int = 0) -> None:
        """Count what guessing cost: wrong guesses, frames played again, frames that had to be waited for."""
        counts = self._playing().corrections
        counts.mispredictions += mispredictions
        counts.resimulated += resimulated
        counts.stalls += stalls

    def input_delay(self, frame: int, delay: int) -> None:
        """Record the local player's input delay from a frame on."""
        self._playing().input_delays.append((frame, delay))

    def end_episode(self, now_ms: int, *, completed: bool = True) -> None:
        """Note that the episode came to its end. Without one, or twice, it does nothing.

        Args:
            now_ms: Unix milliseconds.
            completed: whether the environment ended it, and not a reset or a departure.
        """
        if self._episode is not None and self._episode.ended_ms is None:
            self._episode.ended_ms = now_ms
            self._episode.completed = completed

    # The links.

    def poll(self, peer: SeatId, poll: Poll) -> None:
        """Record what a poll of a link found: its round trip, its outage, its path if that is another."""
        link = self._log.peers[peer]
        link.series.add(poll)
        if poll.connection is not None:
            self.connection(peer, poll.connection, self._frame_now(), poll.timestamp_ms)

    def connection(self, peer: SeatId, details: ConnectionDetails, frame: int | None, now_ms: int) -> None:
        """Record the path of a link, which is open; the time and frame are of when it became that path."""
        link = self._log.peers[peer]
        link.linked = True
        if link.connection is None or link.connection.details != details:
            link.connection = DetectedConnection(details, frame, now_ms)

    def linked(self, peer: SeatId) -> None:
        """Note that a link is open, where its path is not known yet."""
        self._log.peers[peer].linked = True

    def health(
        self,
        peer: SeatId,
        *,
        rtt_ms: float | None,
        packets_received: int,
        gap_count: int,
        status: str,
    ) -> None:
        """Replace what the protocol's own pings say of a link; ``status`` is good, warning or critical."""
        one_way_ms = None if rtt_ms is None else rtt_ms / 2
        self._log.peers[peer].health = Health(rtt_ms, one_way_ms, packets_received, gap_count, status)

    def inputs_sent(self, count: int = 1) -> None:
        """Count inputs sent to peers."""
        self._log.inputs_sent += count

    def inputs_received(self, count: int = 1) -> None:
        """Count inputs received from peers."""
        self._log.inputs_received += count

    def protocol_error(self, problem: str) -> None:
        """Count something that a peer sent and the protocol does not allow."""
        counts = self._log.protocol_errors
        if problem not in counts and len(counts) >= _MAX_PROTOCOL_PROBLEMS:
            problem = "other"
        counts[problem] = counts.get(problem, 0) + 1

    def disconnection(
        self,
        *,
        frame: int | None,
        detecting_peer: SeatId,
        ice_state: str | None,
        dc_state: str | None,
        now_ms: int,
    ) -> None:
        """Record that a link broke, and who noticed; ``frame=None`` is the current one."""
        at = self._frame_now() if frame is None else frame
        self._log.disconnections.append(Disconnection(now_ms, at, detecting_peer, ice_state, dc_state))

    def reconnection_attempt(self, *, duration_ms: float, outcome: str, attempts: int, now_ms: int) -> None:
        """Record the way back: ``outcome`` is success or timeout; the match paused for ``duration_ms``."""
        self._log.attempts.append(ReconnectionAttempt(now_ms, duration_ms, outcome, attempts))

    # The session.

    @property
    def probe(self) -> Any:
        """What the pre-match probe measured, as plain data; ``None`` without one."""
        return self._log.probe

    @probe.setter
    def probe(self, value: Any) -> None:
        self._log.probe = plain(value)

    @property
    def sync(self) -> Any:
        """How frames are kept together, and why so, as plain data; ``None`` before that is known."""
        return self._log.sync

    @sync.setter
    def sync(self, value: Any) -> None:
        self._log.sync = plain(value)

    @property
    def ended(self) -> bool:
        """Whether :meth:`terminate` was called."""
        return self._log.termination is not None

    def terminate(
        self,
        reason: str,
        *,
        partial: bool,
        frame: int | None,
        now_ms: int,
        disconnected_player: SeatId | None = None,
    ) -> None:
        """End the match: the first reason counts, and documents are of this time from now on."""
        if self._log.termination is None:
            self._log.termination = Termination(reason, partial, frame, disconnected_player, now_ms)

    # The documents: from any thread.

    def session(self, now_ms: int, decode: Decode) -> Document:
        """Build the session document: see :func:`gym_p2p.core.record.documents.session_document`."""
        return session_document(self._log, now_ms, decode)

    def validation(self, now_ms: int, decode: Decode) -> Document:
        """Build the validation document: see :func:`gym_p2p.core.record.documents.validation_document`."""
        return validation_document(self._log, now_ms, decode)

    def multiplayer(self, now_ms: int, decode: Decode) -> Document:
        """Build the multiplayer document: see :func:`gym_p2p.core.record.documents.multiplayer_document`."""
        return multiplayer_document(self._log, now_ms, decode)

    def totals(self) -> SyncTotals:
        """Return what guessing has cost so far, for a live view."""
        return self._log.totals()

    def latency(self, peer: SeatId) -> Document | None:
        """Return the statistics of one link, for a live view."""
        return self._log.peers[peer].series.statistics()

    def _called(self, episode: int | None) -> Sequence[EpisodeLog]:
        """Return the episode that the players call so, if there is one; the running one for ``None``."""
        if episode is None:
            return [self._playing()]
        return [log for log in self._log.episodes if log.called == episode]

    def _playing(self) -> EpisodeLog:
        if self._episode is None:
            raise UsageError("no episode has begun: call begin_episode() first")
        return self._episode

    def _frame_now(self) -> int | None:
        return None if self._episode is None else len(self._episode.seat_inputs[-1])
