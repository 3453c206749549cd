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

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.answers import Answers
from gym_p2p.core.match.barrier import Barrier
from gym_p2p.core.match.claims import check_frames, check_inputs
from gym_p2p.core.match.comparison import Comparison
from gym_p2p.core.match.events import (
    BeginEpisode,
    Command,
    EpisodeBegan,
    GiveChecksum,
    GiveInput,
    GiveState,
    GiveUp,
    HandshakeMismatch,
    Interrupted,
    Leave,
    Left,
    LineClosed,
    PlayerFinished,
    ProtocolErrorSeen,
    Resumed,
    SetInputDelay,
)
from gym_p2p.core.match.handshake import Handshake, refusal
from gym_p2p.core.match.input_exchange import InputExchange
from gym_p2p.core.match.leaving import Leaving
from gym_p2p.core.match.membership import DepartureOutput, Departures
from gym_p2p.core.match.outputs import MatchOutput, Outputs, Transmit
from gym_p2p.core.match.peer import PROTOCOL_ERRORS_MOST, Due, Loss, Peer, PeerState
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.match.state_transfer import state_parts
from gym_p2p.core.match.terms import shown
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.messages import (
    Cause,
    Checksum,
    Goodbye,
    Hello,
    Holdings,
    Inputs,
    Message,
    Ping,
    Pong,
    Ready,
    Refuse,
    Relay,
    Share,
    StatePart,
    decode,
)
from gym_p2p.errors import ProtocolError

__all__ = ["Match", "MatchOutput", "Transmit"]

STALL_S = 0.5
"""A timer that is this late means that we stood still ourselves (a suspended machine), not the peers."""

_BEFORE_HANDSHAKE = frozenset({Hello, Refuse, Goodbye, Ping, Pong})


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
    ) -> None:
        self._local = local
        self._peers = {i: Peer(index=i, sync=sync, players=players) for i in range(players) if i != local}
        self._players = players
        self._outputs = Outputs()
        self.poll: Callable[[], MatchOutput | None] = self._outputs.poll
        """Returns the next request or event, ``None`` when there is none."""
        self._seals = Seals(secret, players=players)
        self._handshake = Handshake(description, self._peers, self._seals)
        self._barrier = Barrier(local=local, peers=self._peers, match_seed=match_seed)
        self._exchange = InputExchange(local=local, peers=self._peers, paced=sync.fps is not None)
        self._departures = Departures(
            local=local,
            peers=self._peers,
            exchange=self._exchange,
            barrier=self._barrier,
            handshake=self._handshake,
            seals=self._seals,
        )
        self._answers = Answers(
            local=local, peers=self._peers, exchange=self._exchange, departures=self._departures
        )
        self._comparison = Comparison(local=local, players=players)
        self._leaving = Leaving(
            peers=self._peers,
            exchange=self._exchange,
            departures=self._departures,
            comparison=self._comparison,
        )
        self._awake_at: float | None = None
        self._handlers = {
            Hello: self._on_hello,
            Refuse: self._on_refuse,
            Ready: self._on_ready,
            Checksum: self._on_checksum,
            Goodbye: self._on_goodbye,
            Share: self._on_hearsay,
            Relay: self._on_hearsay,
            Holdings: self._on_holdings,
            StatePart: self._on_state_part,
            Inputs: self._on_inputs,
            Ping: self._on_ping,
            Pong: self._on_pong,
        }

    # What comes in.

    def opened(self, player: int, now: float) -> None:
        """Note that the link to a player is open."""
        peer = self._peers[player]
        if peer.state is PeerState.CONNECTING:
            peer.opened(now)
            self._outputs.send(peer, self._handshake.hello(peer), now)

    def closed(self, player: int, now: float) -> None:
        """Note that the link to a player is closed, who is gone unless a goodbye came."""
        peer = self._peers[player]
        self._lose(peer, peer.closed(we_leave=self._leaving.since is not None), now)
        self._finish_leaving(now)

    def receive(self, player: int, data: bytes, now: float) -> None:
        """Take in one message. Whatever the bytes are, nothing is raised."""
        peer = self._peers[player]
        if not peer.present:
            return
        silent_s = peer.received_something(now)
        if silent_s is not None:
            self._outputs.emit(Resumed(player, silent_s))
        try:
            whole = peer.reassembler.add(data)
            if whole is not None:
                self._handle(peer, decode(whole), now)
        except ProtocolError as error:
            peer.protocol_errors += 1
            self._outputs.emit(ProtocolErrorSeen(player, error.problem, peer.protocol_errors))
            if peer.protocol_errors >= PROTOCOL_ERRORS_MOST:
                self._lose(peer, Loss(Cause.REMOVED), now)
        self._finish_leaving(now)

    def command(self, command: Command, now: float) -> None:
        """Carry out a request of the user's half."""
        exchange = self._exchange
        match command:
            case GiveInput(frame, data):
                if frame == exchange.given:
                    events = exchange.add_local_input(data, now)
                    for peer in [peer for peer in self._peers.values() if peer.playing]:
                        self._outputs.send(peer, exchange.message(peer, now), now)
                    self._outputs.emit(*events)
            case SetInputDelay(frames):
                exchange.delay = frames
            case BeginEpisode(seed, options, delay):
                wanted = None if options is None else JsonObject(options)
                ready = Ready(exchange.episode + 1, seed, wanted, exchange.given, delay)
                self._barrier.wait(ready, now)
                self._outputs.broadcast(self._peers.values(), ready, now)
                self._pass_barrier(now)
            case GiveChecksum(frame, digest, episode):
                checksum = Checksum(exchange.episode if episode is None else episode, frame, digest)
                self._outputs.broadcast(self._peers.values(), checksum, now)
                self._outputs.emit(*self._comparison.add(self._local, checksum))
            case GiveState(player, episode, frame, data):
                for part in state_parts(episode, frame, data):
                    self._outputs.broadcast([self._peers[player]], part, now)
            case GiveUp(player, True) if self._answers.is_held_up(self._peers[player], now):
                pass  # by somebody else
            case GiveUp(player):
                self._lose(self._peers[player], Loss(Cause.UNRESPONSIVE), now)
            case LineClosed(player):
                self._peers[player].line_closed_at = now
            case Leave():
                self._leave(command, now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        if self._awake_at is not None and self._awake_at + STALL_S < now:
            self._answers.excuse()
            for peer in self._peers.values():
                peer.received_at = now
        held, tick_s = self._exchange.held(), self._exchange.tick_s
        for peer in self._peers.values():
            for due in peer.due(held, self._local, tick_s, now) if peer.present else ():
                self._do(peer, due, now)
        for peer in tuple(self._answers.overdue(now)):
            self._lose(peer, Loss(Cause.UNRESPONSIVE), now)
        self._pass_barrier(now)
        self._finish_leaving(now)
        self._awake_at = self.next_timeout()

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` is wanted; ``None`` while there is nothing to wait for."""
        if self._leaving.over:
            return None
        held, local, tick_s = self._exchange.held(), self._local, self._exchange.tick_s
        due = [min(peer.times(held, local, tick_s)) for peer in self._peers.values() if peer.present]
        due += [at for at in (self._leaving.until, self._barrier.opens_at) if at is not None]
        return min(due, default=None)

    # Messages.

    def _handle(self, peer: Peer, message: Message, now: float) -> None:
        if peer.state is PeerState.GREETING and type(message) not in _BEFORE_HANDSHAKE:
            raise ProtocolError("message before the handshake")
        self._handlers[type(message)](peer, message, now)  # type: ignore[operator]  # the table pairs them

    def _on_hello(self, peer: Peer, message: Hello, now: float) -> None:
        outcome = self._handshake.receive(peer, message)
        if isinstance(outcome, HandshakeMismatch):
            self._outputs.send(peer, refusal(outcome.differences), now)
        if outcome is not None:
            self._outputs.emit(outcome)
        self._pass_barrier(now)

    def _on_refuse(self, peer: Peer, message: Refuse, now: float) -> None:  # noqa: ARG002 - handlers have one shape
        if peer.refused or self._exchange.episode:
            raise ProtocolError("refusal after the handshake")
        peer.refused = True
        if not peer.mismatch_told:
            peer.mismatch_told = True
            swapped = tuple(shown((what, ours, theirs)) for what, theirs, ours in message.differences)
            self._outputs.emit(HandshakeMismatch(peer.index, swapped))

    def _on_ready(self, peer: Peer, message: Ready, now: float) -> None:
        if message.episode == self._exchange.episode + 1:
            check_frames(peer, message.frames, given=self._exchange.given)
        self._barrier.receive(peer, message, self._exchange.episode)
        if message.episode == self._exchange.episode + 1:
            self._finished(peer, message)
        self._pass_barrier(now)

    def _on_goodbye(self, peer: Peer, message: Goodbye, now: float) -> None:
        self._carry_out(self._departures.leave(peer, message, now), now)
        self._outputs.emit(*self._comparison.leave(peer.index))

    def _on_checksum(self, peer: Peer, message: Checksum, now: float) -> None:  # noqa: ARG002 - one shape
        if not self._exchange.can_be_final(message.episode, message.frame):
            if self._leaving.since is not None:
                return  # they play on without us
            raise ProtocolError("checksum of a frame that cannot be final")
        self._outputs.emit(*self._comparison.add(peer.index, message))

    def _on_state_part(self, peer: Peer, message: StatePart, now: float) -> None:  # noqa: ARG002 - one shape
        self._outputs.emit(*self._comparison.add_state(peer.index, message))

    def _on_ping(self, peer: Peer, message: Ping, now: float) -> None:
        micros = int(now * 1e6)
        self._outputs.send(peer, Pong(message.number, message.sent_us, micros, micros), now)

    def _on_pong(self, peer: Peer, message: Pong, now: float) -> None:
        if (pinged := peer.receive_pong(message, now)) is not None:
            self._outputs.emit(pinged)

    def _on_inputs(self, peer: Peer, message: Inputs, now: float) -> None:
        is_early = message.episode == self._exchange.episode + 1
        if message.episode != self._exchange.episode and not is_early:
            return
        given = 0 if is_early else self._exchange.given
        check_inputs(peer, message, local=self._local, given=given, peers=self._peers)
        if is_early:
            peer.early = message
            return
        peer.acknowledges(message, self._local)
        peer.reported_at = now
        fresh = self._arrived(peer, message.inputs, message.start, now)
        if not fresh and message.inputs and peer.may_acknowledge(now, self._exchange.tick_s):
            self._outputs.send(peer, self._exchange.message(peer, now), now)

    def _arrived(self, peer: Peer, inputs: Sequence[bytes], start: int, now: float) -> bool:
        """Take a player's inputs, and emit what is new; return whether one of them is."""
        arrived = self._exchange.arrived(peer, start, inputs, now)
        if arrived is not None:
            self._outputs.emit(arrived)
        return arrived is not None and bool(arrived.inputs)

    def _on_hearsay(self, peer: Peer, message: Share | Relay, now: float) -> None:
        self._carry_out(self._departures.receive_hearsay(peer, message, now), now)

    def _on_holdings(self, peer: Peer, message: Holdings, now: float) -> None:
        self._carry_out(self._departures.receive_holdings(peer, message, now), now)

    # Episodes.

    def _pass_barrier(self, now: float) -> None:
        ready = self._barrier.open(now)
        if ready is None:
            return
        delays = {player: one.delay for player, one in ready.items()}
        self._exchange.begin(ready[self._local].episode, delays)
        outcome = self._barrier.agree(ready)
        self._outputs.emit(outcome)
        self._carry_out(self._departures.begin_episode(now), now)
        if isinstance(outcome, EpisodeBegan):
            self._catch_up(now)

    def _catch_up(self, now: float) -> None:
        """Take in what faster peers sent of this episode before it began here."""
        for peer in self._peers.values():
            early, peer.early = peer.early, None
            if early is not None:
                self._on_inputs(peer, early, now)
            following = peer.ready.get(self._exchange.episode + 1)
            if following is not None and peer.state is PeerState.PLAYING:
                self._finished(peer, following)

    def _finished(self, peer: Peer, ready: Ready) -> None:
        peer.told = PlayerFinished(peer.index, ready.frames)
        self._outputs.emit(peer.told)

    # Leaving and losing.

    def _do(self, peer: Peer, due: Due, now: float) -> None:
        match due:
            case Due.PING:
                self._outputs.send(peer, peer.ping(now), now)
            case Due.RESEND:
                self._outputs.send(peer, self._exchange.message(peer, now), now)
            case Due.NOTICE:
                peer.interrupted = True
                self._outputs.emit(Interrupted(peer.index))
            case Due.LOST:
                self._lose(peer, peer.fell_silent(), now)

    def _lose(self, peer: Peer, loss: Loss, now: float) -> None:
        if peer.state is not PeerState.GONE:
            self._carry_out(self._departures.lose(peer, loss, now), now)

    def _leave(self, command: Leave, now: float) -> None:
        if self._leaving.since is not None:
            return
        self._leaving.since = now
        self._barrier.step_back()
        self._carry_out(self._departures.share_all(), now)
        self._outputs.broadcast(self._peers.values(), self._leaving.goodbye(command, self._seals), now)
        self._finish_leaving(now)

    def _finish_leaving(self, now: float) -> None:
        if self._leaving.finish(now):
            self._outputs.emit(Left())

    # What goes out.

    def _carry_out(self, outputs: Iterable[DepartureOutput], now: float) -> None:
        for output in outputs:
            if isinstance(output, tuple):
                self._outputs.send(*output, now)
            else:
                self._outputs.emit(output)
        for player, peer in self._peers.items():
            if peer.state is PeerState.GONE:
                self._outputs.emit(*self._comparison.leave(player))
        self._pass_barrier(now)
