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

The last one to be ready waits until the others have heard of it, by half a round trip: so all begin an
episode at the same time, and none finds every other input waiting and the next one late.

The inputs of an episode are repeated until the next one begins, for only the barrier proves that
everybody has finished it. ``Ready`` and ``Goodbye`` name how many inputs their sender gave, so that the
others know which frames can still be played. What only some hold of a player who is gone is shared, and
those who are left agree on his last frame: :mod:`gym_p2p.core.match.membership`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.checksums import Digests
from gym_p2p.core.match.events import (
    BeginEpisode,
    ChecksumsAgreed,
    Command,
    Connected,
    Desynced,
    EpisodeBegan,
    Event,
    GiveChecksum,
    GiveInput,
    GiveState,
    Interrupted,
    Leave,
    Left,
    Pinged,
    PlayerFinished,
    PlayerGone,
    ProtocolErrorSeen,
    Refused,
    Resumed,
    SetInputDelay,
    StateArrived,
)
from gym_p2p.core.match.handshake import Seeds, barrier_refusal, handshake_differences, refusal
from gym_p2p.core.match.input_exchange import Exchange
from gym_p2p.core.match.membership import Departures, Tell
from gym_p2p.core.match.peer import Due, Peer, PeerState
from gym_p2p.core.match.state_transfer import Dumps, state_parts
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.fragments import split
from gym_p2p.core.wire.messages import (
    PROTOCOL_VERSION,
    Channel,
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
    Share,
    StatePart,
    decode,
    encode,
)
from gym_p2p.errors import ProtocolError

__all__ = ["Match", "Send"]

LINGER_S = 1.0
"""After a goodbye, unacknowledged inputs are repeated for at most this long."""

STALL_S = 0.5
"""A timer that is this late means that we stood still ourselves (a suspended machine), not the peers."""

MAX_BARRIERS_AHEAD = 64
"""A peer that resets without playing may be ahead of us by a few barriers, not by any number."""

_ON_GAME_CHANNEL = (Inputs, Ping, Pong)
_BEFORE_HANDSHAKE = frozenset({Hello, Refuse, Goodbye, Ping, Pong})


@attrs.frozen
class Send:
    """The one request of a match: send these bytes to a player."""

    player: int
    channel: Channel
    data: bytes


MatchOutput = Send | Event


class Match:
    """One player's part in a match of N.

    Args:
        local: the local player's index.
        players: how many there are.
        description: what this side is going to play, for the handshake: ``must`` maps what has to be
            equal on both sides to its text, ``about`` is told but not compared.
        match_seed: the number that all players were given with the match; episodes' seeds come from it, or
            from the newest seed that a player insisted on.
    """

    def __init__(
        self, *, local: int, players: int, description: Mapping[str, Any], match_seed: int, sync: SyncConfig
    ) -> None:
        self._local = local
        self._description = description
        self._seeds = Seeds(match_seed)
        self._peers = {i: Peer(index=i, sync=sync, players=players) for i in range(players) if i != local}
        self._players = players
        self._about: list[Mapping[str, Any] | None] = [None] * players
        self._outputs: deque[MatchOutput] = deque()
        self._exchange = Exchange(local=local, peers=self._peers, paced=sync.fps is not None)
        self._departures = Departures(self._exchange, self._peers)
        self._ready: Ready | None = None
        self._heard_at = 0.0
        self._digests = Digests(local=local, players=players)
        self._dumps = Dumps()
        self._connected = False
        self._leaving_since: float | None = None
        self._left = False
        self._awake_at: float | None = None
        self._handlers = {
            Hello: self._on_hello,
            Refuse: self._on_refuse,
            Ready: self._on_ready,
            Checksum: self._on_checksum,
            Goodbye: self._on_goodbye,
            Share: self._on_share,
            Holdings: self._on_holdings,
            StatePart: self._on_state_part,
            Inputs: self._on_inputs,
            Ping: self._on_ping,
            Pong: self._on_pong,
        }

    # What comes in.

    def opened(self, player: int, now: float) -> None:
        """Say that the link to a player is open."""
        peer = self._peers[player]
        if peer.state is PeerState.CONNECTING:
            peer.opened(now)
            self._send(peer, Hello(PROTOCOL_VERSION, JsonObject(self._description)), now)

    def closed(self, player: int, now: float) -> None:
        """Say that the link to a player is closed: he is lost unless he said goodbye."""
        self._lose(self._peers[player], now)
        self._finish_leaving(now)

    def receive(self, player: int, data: bytes, now: float) -> None:
        """Take in one message. Whatever the bytes are, nothing is raised."""
        peer = self._peers[player]
        if not peer.present:
            return
        silent_s = peer.heard(now)
        if silent_s is not None:
            self._outputs.append(Resumed(player, silent_s))
        try:
            whole = peer.reassembler.add(data)
            if whole is not None:
                self._handle(peer, decode(whole), now)
        except ProtocolError as error:
            peer.protocol_errors += 1
            self._outputs.append(ProtocolErrorSeen(player, error.problem, peer.protocol_errors))

    def command(self, command: Command, now: float) -> None:
        """Carry out what the user's half asks for."""
        exchange = self._exchange
        match command:
            case GiveInput(frame, data):
                if frame == exchange.given:
                    ahead = exchange.give(data, now)
                    self._broadcast_inputs(now)
                    if ahead is not None:
                        self._outputs.append(ahead)
            case SetInputDelay(frames):
                exchange.delay = frames
            case BeginEpisode(seed, options, delay):
                wanted = None if options is None else JsonObject(options)
                self._ready = Ready(exchange.episode + 1, seed, wanted, exchange.given, delay)
                self._heard_at = now + max([peer.one_way_s for peer in self._peers.values()], default=0.0)
                self._broadcast(self._ready, now)
                self._pass_barrier(now)
            case GiveChecksum(frame, digest, episode):
                checksum = Checksum(exchange.episode if episode is None else episode, frame, digest)
                self._broadcast(checksum, now)
                self._compared(self._digests.add(self._local, checksum))
            case GiveState(player, episode, frame, data):
                if self._peers[player].present:
                    for part in state_parts(episode, frame, data):
                        self._send(self._peers[player], part, now)
            case Leave(reason, lost):
                if self._leaving_since is None:
                    self._leaving_since = now
                    self._carry_out(self._departures.share_all(), now)
                    self._broadcast(Goodbye(reason, exchange.given, lost), now)
                    self._finish_leaving(now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        if self._awake_at is not None and self._awake_at + STALL_S < now:
            for peer in self._peers.values():
                peer.heard_at = now
        held, tick_s = self._exchange.held(), self._exchange.tick_s
        for peer in self._peers.values():
            for due in peer.due(held, self._local, tick_s, now) if peer.present else ():
                self._do(peer, due, now)
        self._pass_barrier(now)
        self._finish_leaving(now)
        self._awake_at = self.next_timeout()

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` is wanted; ``None`` while there is nothing to wait for."""
        if self._left:
            return None
        held, local, tick_s = self._exchange.held(), self._local, self._exchange.tick_s
        due = [min(peer.times(held, local, tick_s)) for peer in self._peers.values() if peer.present]
        if self._leaving_since is not None:
            due.append(self._leaving_since + LINGER_S)
        if self._all_ready():
            due.append(self._heard_at)
        return min(due, default=None)

    def poll(self) -> MatchOutput | None:
        """Return the next request or event, ``None`` when there is none."""
        return self._outputs.popleft() if self._outputs else None

    # Messages.

    def _handle(self, peer: Peer, message: Message, now: float) -> None:
        if peer.state is PeerState.GREETING and type(message) not in _BEFORE_HANDSHAKE:
            raise ProtocolError("message before the handshake")
        self._handlers[type(message)](peer, message, now)  # type: ignore[operator]  # the table pairs them

    def _on_hello(self, peer: Peer, message: Hello, now: float) -> None:
        if peer.state is not PeerState.GREETING:
            raise ProtocolError("second handshake")
        differences = handshake_differences(self._description, message)
        if differences:
            self._send(peer, refusal(differences), now)
            self._outputs.append(Refused(peer.index, differences))
            return
        peer.state = PeerState.PLAYING
        about = message.description.get("about")
        self._about[peer.index] = about if isinstance(about, dict) else {}
        if not self._connected and all(p.state is PeerState.PLAYING for p in self._peers.values()):
            self._connected = True
            self._outputs.append(Connected(tuple(self._about)))
            self._pass_barrier(now)

    def _on_refuse(self, peer: Peer, message: Refuse, now: float) -> None:  # noqa: ARG002 - handlers have one shape
        swapped = tuple((what, ours, theirs) for what, theirs, ours in message.differences)
        self._outputs.append(Refused(peer.index, swapped))

    def _on_ready(self, peer: Peer, message: Ready, now: float) -> None:
        if not self._exchange.episode < message.episode <= self._exchange.episode + MAX_BARRIERS_AHEAD:
            raise ProtocolError("barrier of another episode")
        peer.ready[message.episode] = message
        if message.episode == self._exchange.episode + 1 and self._exchange.episode > 0:
            self._outputs.append(PlayerFinished(peer.index, message.frames))
        self._pass_barrier(now)

    def _on_goodbye(self, peer: Peer, message: Goodbye, now: float) -> None:
        if peer.state is PeerState.LEAVING:
            raise ProtocolError("second goodbye")
        peer.state = PeerState.LEAVING if peer.state is PeerState.PLAYING else PeerState.GONE
        peer.final = message.frames
        told_of_a_loss = message.lost is not None and message.reason != "peer_left"
        reason = "peer_lost" if told_of_a_loss else "peer_left"
        lost = message.lost if message.lost is not None and message.lost < self._players else None
        self._outputs.append(PlayerGone(peer.index, reason, message.frames, message.reason, lost))
        self._outputs.extend(self._digests.leave(peer.index))
        self._arrived(peer, (), 0, now)
        self._finish_leaving(now)

    def _on_checksum(self, peer: Peer, message: Checksum, now: float) -> None:
        if not self._exchange.episode - 1 <= message.episode <= self._exchange.episode + 1:
            raise ProtocolError("checksum of another episode")
        self._compared(self._digests.add(peer.index, message))
        self._finish_leaving(now)

    def _compared(self, found: Sequence[ChecksumsAgreed | Desynced]) -> None:
        for event in found:
            if isinstance(event, Desynced):
                self._dumps.expect(event.player, event.episode, event.frame)
            self._outputs.append(event)

    def _on_state_part(self, peer: Peer, message: StatePart, now: float) -> None:  # noqa: ARG002 - one shape
        data = self._dumps.add(peer.index, message)
        if data is not None:
            self._outputs.append(StateArrived(peer.index, message.episode, message.frame, data))

    def _on_ping(self, peer: Peer, message: Ping, now: float) -> None:
        micros = int(now * 1e6)
        self._send(peer, Pong(message.number, message.sent_us, micros, micros), now)

    def _on_pong(self, peer: Peer, message: Pong, now: float) -> None:
        if message.sent_us > now * 1e6 or message.number >= peer.ping_number:
            raise ProtocolError("answer to a ping that was not sent")
        rtt_s = peer.measured(message, now)
        peer.clock.observe(message.sent_us / 1e6, message.received_us / 1e6, message.replied_us / 1e6, now)
        self._outputs.append(Pinged(peer.index, rtt_s * 1e3, peer.clock.estimate()))

    def _on_inputs(self, peer: Peer, message: Inputs, now: float) -> None:
        if message.episode != self._exchange.episode:
            if message.episode == self._exchange.episode + 1:
                peer.early = message
            return
        peer.acknowledges(message, self._local)
        fresh = self._arrived(peer, message.inputs, message.start, now)
        if not fresh and message.inputs and peer.may_acknowledge(now, self._exchange.tick_s):
            self._send(peer, self._exchange.message(peer, now), now)
        if self._leaving_since is not None:
            self._finish_leaving(now)

    def _arrived(self, peer: Peer, inputs: Sequence[bytes], start: int, now: float) -> bool:
        """Take a player's inputs, and tell what is new; return whether one of them is."""
        arrived = self._exchange.arrived(peer, start, inputs, now)
        if arrived is not None:
            self._outputs.append(arrived)
        return arrived is not None and bool(arrived.inputs)

    def _on_share(self, peer: Peer, message: Share, now: float) -> None:
        self._carry_out(self._departures.shared(peer, message, now), now)

    def _on_holdings(self, peer: Peer, message: Holdings, now: float) -> None:
        if self._local in message.gone:
            self._lose(peer, now)
        elif self._connected:
            self._carry_out(self._departures.told(peer, message, now), now)

    # Episodes.

    def _pass_barrier(self, now: float) -> None:
        ours = self._ready
        if ours is None or not self._all_ready() or now < self._heard_at:
            return
        ready = {i: peer.ready.pop(ours.episode) for i, peer in self._peers.items()} | {self._local: ours}
        self._ready = None
        delays = {player: ready[player].delay for player in sorted(ready)}
        self._exchange.begin(ours.episode, delays)
        refusal = barrier_refusal(self._local, ready)
        if refusal is not None:
            self._outputs.append(refusal)
            return
        seed = self._seeds.agreed(ready)
        options = next((dict(r.options) for r in ready.values() if r.options), {})
        self._outputs.append(EpisodeBegan(ours.episode, seed, options, tuple(delays.values())))
        self._catch_up(now)

    def _all_ready(self) -> bool:
        ours = self._ready
        return (
            ours is not None
            and self._connected
            and all(p.state is PeerState.PLAYING and ours.episode in p.ready for p in self._peers.values())
        )

    def _catch_up(self, now: float) -> None:
        """Take in what faster peers sent of this episode before it began here."""
        for peer in self._peers.values():
            early, peer.early = peer.early, None
            if early is not None:
                self._on_inputs(peer, early, now)
            following = peer.ready.get(self._exchange.episode + 1)
            if following is not None:
                self._outputs.append(PlayerFinished(peer.index, following.frames))

    # Leaving and losing.

    def _do(self, peer: Peer, due: Due, now: float) -> None:
        match due:
            case Due.PING:
                self._send(peer, Ping(peer.ping_number, int(now * 1e6)), now)
                peer.ping_number += 1
                peer.pinged_at = now
            case Due.RESEND:
                self._send(peer, self._exchange.message(peer, now), now)
            case Due.NOTICE:
                peer.interrupted = True
                self._outputs.append(Interrupted(peer.index))
            case Due.LOST:
                self._lose(peer, now)

    def _lose(self, peer: Peer, now: float) -> None:
        if peer.state is PeerState.GONE:
            return
        if self._connected:
            self._carry_out(self._departures.lose(peer, now), now)
        else:
            peer.state = PeerState.GONE
            self._outputs.append(PlayerGone(peer.index, "peer_lost", 0))
        self._finish_leaving(now)

    def _finish_leaving(self, now: float) -> None:
        since = self._leaving_since
        if since is None or self._left:
            return
        waiting = any(p.playing and self._exchange.lacks_ours(p) for p in self._peers.values())
        playing = [i for i, p in self._peers.items() if p.state is PeerState.PLAYING]
        owed = waiting or self._digests.awaits(playing) or self._departures.open
        if not owed or since + LINGER_S <= now:
            self._left = True
            self._outputs.append(Left())

    # What goes out.

    def _carry_out(self, tellings: Iterable[Tell], now: float) -> None:
        for telling in tellings:
            if isinstance(telling, tuple):
                self._send(*telling, now)
            else:
                self._outputs.append(telling)
                if isinstance(telling, PlayerGone):
                    self._outputs.extend(self._digests.leave(telling.player))

    def _broadcast(self, message: Message, now: float) -> None:
        for peer in self._peers.values():
            if peer.present:
                self._send(peer, message, now)

    def _broadcast_inputs(self, now: float) -> None:
        for peer in self._peers.values():
            if peer.playing:
                self._send(peer, self._exchange.message(peer, now), now)

    def _send(self, peer: Peer, message: Message, now: float) -> None:
        data = encode(message)
        if isinstance(message, _ON_GAME_CHANNEL):
            peer.sent_at = now
            self._outputs.append(Send(peer.index, Channel.GAME, data))
            return
        peer.fragment_number += 1
        for piece in split(data, peer.fragment_number):
            self._outputs.append(Send(peer.index, Channel.CTRL, piece))
