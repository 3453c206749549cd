"""The network half of one player's match: a mesh of peers, episodes, inputs, checksums, goodbyes.

Knows what has to be exchanged so that all players can play the same frames: it delivers every player's
inputs in order and without a gap, repeats what was lost, keeps the barrier between episodes, compares
checksums, and notices who is gone. Refuses to know the environment, and when a frame is played: that is
:mod:`gym_p2p.core.sync.session`, on the user's thread.

One episode, seen from one player::

    BeginEpisode -> Ready to all ... Ready from all -> EpisodeBegan
    GiveInput -> Inputs to all (everything unacknowledged), again after 1.5 round trips without an answer
    Inputs from a peer -> InputsArrived (each frame once, in order)
    GiveChecksum -> Checksum to all ... Checksum from all -> ChecksumsAgreed, or Desynced at both

The inputs of an episode are repeated until the next one begins, for only the barrier proves that
everybody has finished it. ``Ready`` and ``Goodbye`` name how many inputs their sender gave, so that the
others know which frames can still be played. What only some hold of a player who is gone is shared, and
those who are left agree on the last frame, and on whether the next episode begins:
:mod:`gym_p2p.core.match.membership`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.catching_up import Comeback
from gym_p2p.core.match.commands import (
    BeginEpisode,
    Command,
    GiveChecksum,
    GiveFor,
    GiveInput,
    GiveState,
    GiveUp,
    LearnMore,
    Leave,
    LineClosed,
    LineOpened,
    SetInputDelay,
    TakeSeat,
)
from gym_p2p.core.match.events import Left
from gym_p2p.core.match.outputs import MatchOutput, Transmit
from gym_p2p.core.match.parts import Parts
from gym_p2p.core.match.peer import Loss, Peer, PeerState
from gym_p2p.core.match.peer_timers import Due
from gym_p2p.core.match.reaching import is_met_first
from gym_p2p.core.match.state_transfer import state_parts
from gym_p2p.core.match.ways import DIRECT
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.messages import Cause, Checksum, Ready

__all__ = ["Match", "MatchOutput", "Transmit"]

_PLAYING = PeerState.PLAYING

STALL_S = 0.5
"""A timer that is this late means that we stood still ourselves (a suspended machine), not the peers."""


class Match:
    """One player's part in a match of N.

    Args:
        local: the local player's index.
        players: how many there are.
        description: what this side is going to play, for the handshake: ``must`` maps what has to be
            equal on both sides to its text, ``about`` is sent but not compared.
        match_seed: the number that all players were given with the match; episodes' seeds come from it, or
            from the newest seed that a player insisted on.
        secret: random bytes of this player's alone, :data:`~gym_p2p.core.match.seals.SECRET_BYTES` of them.
        comeback: of a player whose process before this one ended, and who had the same secret; ``None`` of
            the first one.
        relay: who may pass messages on, as :attr:`gym_p2p.config.LinkConfig.relay` says.
        relay_above_ms: a direct path with longer round trips is bad.
    """

    def __init__(
        self,
        *,
        local: int,
        players: int,
        description: Mapping[str, Any],
        match_seed: int,
        sync: SyncConfig,
        secret: bytes,
        comeback: Comeback | None = None,
        relay: Literal["service", "players", "none"] = "none",
        relay_above_ms: float = 500.0,
    ) -> None:
        parts = Parts(
            local=local,
            players=players,
            description=description,
            match_seed=match_seed,
            sync=sync,
            secret=secret,
            comeback=comeback,
            relay=relay,
            relay_above_ms=relay_above_ms,
        )
        self._local = local
        self._peers = parts.peers
        self._outputs = parts.outputs
        self.poll: Callable[[], MatchOutput | None] = parts.outputs.poll
        """Returns the next request or event, ``None`` when there is none."""
        self.replacing: Callable[[int, float], None] = parts.reaching.replacing
        """Says what is to be said over the old link to a player, before :meth:`replaced`."""
        self._handshake = parts.handshake
        self._barrier = parts.barrier
        self._exchange = parts.exchange
        self._departures = parts.departures
        self._answers = parts.answers
        self._comparison = parts.comparison
        self._checksum_post = parts.checksum_post
        self._leaving = parts.leaving
        self._rerouting = parts.rerouting
        self._ways_round = parts.ways_round
        self._course = parts.course
        self._reconnecting = parts.reconnecting
        self._returning = parts.returning
        self._refusing = parts.refusing
        self._reaching = parts.reaching
        self._inbox = parts.inbox
        self._taking_seat = parts.taking_seat
        self._keeping = parts.keeping
        self._keeping.seated = parts.taking_seat is None
        self._deadlines = parts.deadlines
        self._looks = parts.taking_seat is not None or parts.keeping.acts
        """Whether what arrives may be about coming back."""
        self._awake_at = float("inf")

    def opened(self, player: int, now: float) -> None:
        """Note that the link to a player is open."""
        peer = self._peers[player]
        self._deadlines.forget()
        if peer.state is PeerState.CONNECTING:
            self._rerouting.greet(peer, DIRECT, now)
        elif peer.present:
            self._rerouting.link_opened(peer, now)

    def service_up(self, *, up: bool) -> None:
        """Note whether the service can pass messages on now; before the first time it cannot."""
        self._deadlines.forget()
        self._ways_round.service_up = up

    def begin_by_service(self, player: int, now: float) -> None:
        """Play with somebody to whom there is no direct path yet; :meth:`opened` may come later."""
        self._deadlines.forget()
        self._rerouting.begin_by_service(self._peers[player], now)

    def look_for(self, player: int, at: float) -> None:
        """Ask for somebody by ways round, from then on, if no link leads to them: we have come back.

        :meth:`replaced` may come later. Of a player's first process it does nothing.
        """
        self._deadlines.forget()
        self._reaching.look_for(self._peers[player], at)

    def closed(self, player: int, now: float) -> None:
        """Note that the link to a player is closed: who has not said goodbye is gone, or may come back."""
        peer = self._peers[player]
        self._deadlines.forget()
        if self._rerouting.link_closed(peer):
            return
        we_leave = self._leaving.since is not None
        loss = peer.closed(we_leave=we_leave)
        if peer.reconnects and (peer.interrupted or not we_leave):
            self._reconnecting.await_new_link(peer, loss, now)
        else:
            peer.closed_at = now
            self._lose(peer, loss, now)
        self._look(now)
        self._finish_leaving(now)

    def introduction(self, player: int, attempt: int, binding: bytes) -> bytes | None:
        """Return what has to be sent first over a new link to a player, on the control channel.

        ``None`` where the player is gone, and the link is of no use.

        Args:
            player: to whom.
            attempt: which one it is of these two players to make one, counted from 1; equal on both sides.
            binding: what the new link's two ends alone know and have in common.
        """
        return self._reconnecting.introduction(self._peers[player], attempt, binding)

    def recognises(self, player: int, attempt: int, binding: bytes, data: bytes) -> bool:
        """Whether a message over a new link shows that this player is at its other end.

        Before one does, nothing that comes over it may be given to :meth:`receive`; then call
        :meth:`replaced`, and send over it alone.
        """
        peer = self._peers[player]
        if not self._reconnecting.recognises(peer, attempt, binding, data):
            return False
        incarnation = self._reconnecting.announced(peer)
        if self._taking_seat is not None and is_met_first(peer, incarnation):
            return True
        if incarnation > peer.incarnation:
            return self._leaving.since is None and self._returning.may_return(peer)
        return incarnation == peer.incarnation and (peer.present or self._returning.may_go_on(peer))

    def replaced(self, player: int, now: float) -> None:
        """Go on over a new link to a player, who was recognised; the old one carries nothing any more."""
        self._deadlines.forget()
        peer = self._peers[player]
        incarnation = self._reconnecting.announced(peer)
        if is_met_first(peer, incarnation):
            self._reaching.meet(peer, incarnation, DIRECT, now)
        elif incarnation > peer.incarnation:
            self._reaching.accept(peer, incarnation, DIRECT, now)
        elif peer.state is PeerState.AWAY:
            self._returning.woke(peer, DIRECT, now)
            self._reconnecting.replaced(peer, now)
        elif peer.present:
            self._reconnecting.replaced(peer, now)
        self._look(now)

    def receive(self, player: int, data: bytes, now: float) -> None:
        """Take in one message. Whatever the bytes are, nothing is raised."""
        peer = self._peers[player]
        if peer.state is not _PLAYING:  # hardly ever
            if peer.state is PeerState.AWAY:
                self._deadlines.forget()
                if self._returning.may_wake(peer, DIRECT):
                    self._returning.woke(peer, DIRECT, now)
                else:
                    self._refusing.refuse(peer, DIRECT, data, now)
            if not peer.present:
                return
        self._inbox.receive(peer, data, now)
        if self._looks:
            self._look(now)
        if self._leaving.since is not None:
            self._finish_leaving(now)

    def receive_by_service(self, player: int, data: bytes, now: float) -> None:
        """Take in what the service passed on of a player. Whatever the bytes are, nothing is raised."""
        self._deadlines.forget()
        self._inbox.passed_on.by_service(self._peers[player], data, now)
        self._look(now)
        self._finish_leaving(now)

    def command(self, command: Command, now: float) -> None:
        """Carry out a request of the user's half."""
        if isinstance(command, GiveInput | GiveFor):
            self._give(command, now)
            return
        self._deadlines.forget()
        self._checksum_post.before(command, now)
        match command:
            case SetInputDelay(frames):
                self._exchange.delay = frames
            case BeginEpisode(seed, options, delay):
                wanted = None if options is None else JsonObject(options)
                ready = Ready(self._exchange.episode + 1, seed, wanted, self._exchange.given, delay)
                self._barrier.wait(ready, now)
                self._outputs.broadcast(self._peers.values(), ready, now)
                self._course.pass_barrier(now)
            case GiveChecksum(frame, digest, episode):
                self._compare(Checksum(episode or self._exchange.episode, frame, digest), now)
            case GiveState(player, episode, frame, data):
                for part in state_parts(episode, frame, data):
                    self._outputs.broadcast([self._peers[player]], part, now)
            case GiveUp(player, True) if self._answers.is_held_up(self._peers[player], now):
                pass  # by somebody else
            case GiveUp(player):
                self._course.lose(self._peers[player], Loss(Cause.UNRESPONSIVE), now)
            case LineClosed() | LineOpened():
                self._reconnecting.line_changed(self._peers[command.player], command, now)
            case TakeSeat() | LearnMore() if self._taking_seat is not None:
                self._taking_seat.go_on(command, now)
            case Leave():
                self._leave(command, now)
        self._look(now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        if self._awake_at + STALL_S < now:
            self._answers.excuse()
            self._leaving.excuse(self._awake_at, now)
            self._rerouting.woke_up(now)
            self._awake_at = now
        deadlines = self._deadlines
        deadlines.forget()
        if (at := deadlines.next()) is not None and at <= now:
            for peer in self._peers.values():
                for due in deadlines.due(peer, now) if peer.present else ():
                    self._do(peer, due, now)
                if peer.present:
                    self._rerouting.handle_timeout(peer, now)
            deadlines.forget()
        self._checksum_post.handle_timeout(now)
        self._reaching.handle_timeout(now)
        self._returning.handle_timeout(now)
        for peer, loss in tuple(self._returning.overdue(now)):
            self._lose(peer, loss, now, for_good=True)
            deadlines.forget()
        if self._taking_seat is not None and not self._taking_seat.seated:
            self._answers.excuse()  # who plays again has given nothing yet that others could answer
        for peer in tuple(self._answers.overdue(now)):
            self._course.lose(peer, Loss(Cause.UNRESPONSIVE), now)
            deadlines.forget()
        self._course.pass_barrier(now)
        self._look(now)
        self._finish_leaving(now)
        self._awake_at = float("inf") if (at := deadlines.next()) is None else at

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` is wanted, or a little earlier; ``None`` if it is not."""
        return self._deadlines.next()

    def _give(self, command: GiveInput | GiveFor, now: float) -> None:
        exchange = self._exchange
        if isinstance(command, GiveFor):
            self._deadlines.forget()
            self._keeping.give(command, now)
            return
        if command.frame != exchange.given:
            return
        events = exchange.add_local_input(command.data, now)
        for peer in self._peers.values():
            if peer.playing:
                self._outputs.send(peer, exchange.message(peer, now), now)
        self._deadlines.input_given(now)
        self._outputs.emit(*events)

    def _do(self, peer: Peer, due: Due, now: float) -> None:
        match due:
            case Due.PING:
                self._outputs.send(peer, peer.pings.next(peer.control.received, now), now)
                self._rerouting.pinged(peer, now)
            case Due.RESEND:
                self._outputs.send(peer, self._exchange.message(peer, now), now)
            case Due.NOTICE:
                self._reconnecting.interrupt(peer, now)
            case Due.LOST:
                self._lose(peer, peer.fell_silent(), now)

    def _lose(self, peer: Peer, loss: Loss, now: float, *, for_good: bool = False) -> None:
        """Count a player as gone, or wait for another process of theirs."""
        we_stay = self._leaving.since is None
        if we_stay and not for_good and self._returning.may_return(peer, loss):
            self._returning.await_return(peer, loss, now)
            if self._inbox.catching_up is None:
                self._course.carry_out(self._departures.share_away(peer, now), now)
        elif self._inbox.catching_up is not None:
            self._inbox.catching_up.lose(peer, loss)
        else:
            self._course.lose(peer, loss, now)
        self._look(now)

    def _look(self, now: float) -> None:
        """Take the match up where it stands, once we know it who have come back; see to who is away."""
        taking_seat = self._taking_seat
        if taking_seat is not None:
            if taking_seat.asks:
                taking_seat.look(now)
                self._deadlines.forget()
            self._keeping.seated = taking_seat.seated and self._leaving.since is None
        self._keeping.look(now)

    def _compare(self, checksum: Checksum, now: float) -> None:
        if self._exchange.history is not None:
            self._exchange.history.add_digest(checksum.episode, checksum.frame, checksum.digest)
        if self._taking_seat is not None and not self._taking_seat.seated:
            self._taking_seat.compare(checksum)
            return
        self._checksum_post.add(checksum, now)
        self._outputs.emit(*self._comparison.add(self._local, checksum))

    def _leave(self, command: Leave, now: float) -> None:
        if self._leaving.since is not None:
            return
        self._leaving.since = now
        if self._vanishes(command):
            self._leaving.over = True
            self._outputs.emit(Left())
            return
        self._barrier.step_back()
        self._keeping.seated = False
        if self._taking_seat is not None:
            self._taking_seat.give_up()
        self._course.carry_out(self._departures.share_all(), now)
        goodbye = self._leaving.goodbye(command)
        self._outputs.tell_all(self._peers.values(), goodbye, now)
        self._finish_leaving(now)

    def _vanishes(self, command: Leave) -> bool:
        """Whether we go without a word: who may come back is awaited, and who found no way is not missed."""
        if self._reaching.superseded or (self._taking_seat is not None and self._taking_seat.found_no_way):
            return True  # of who was superseded a goodbye would be taken for one of the process that has come
        return command.cause is Cause.CRASHED and command.lost is None and self._handshake.rejoin_s > 0

    def _finish_leaving(self, now: float) -> None:
        if now <= self._awake_at + STALL_S and self._leaving.finish(now):  # else what is due excuses it first
            self._outputs.end(now)
