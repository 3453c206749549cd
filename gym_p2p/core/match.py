"""The network half of one player's match: a mesh of peers, episodes, inputs, checksums, goodbyes.

Knows what has to be exchanged so that all players can play the same frames: it delivers every player's
inputs in order and without a gap, repeats what was lost, keeps the barrier between episodes, compares
checksums, and notices who is gone. Refuses to know the environment, and when a frame is played: that is
:mod:`gym_p2p.core.sync`, on the user's thread.

One episode, seen from one player::

    BeginEpisode -> Ready to all ... Ready from all -> EpisodeBegan
    GiveInput -> Inputs to all (everything unacknowledged), again after 1.5 round trips without an answer
    Inputs from a peer -> InputsArrived (each frame once, in order)
    GiveChecksum -> Checksum to all ... Checksum from all -> ChecksumsAgreed, or Desynced at both

The last one to be ready waits until the others have heard of it, by half a round trip: so all begin an
episode at the same time, and none finds every other input waiting and the next one late.

The inputs of an episode are repeated until the next one begins, for only the barrier proves that
everybody has finished it. ``Ready`` and ``Goodbye`` name how many inputs their sender gave, so that the
others know which frames can still be played.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.core.events import (
    BeginEpisode,
    ChecksumsAgreed,
    Command,
    Connected,
    Desynced,
    Difference,
    EpisodeBegan,
    EpisodeRefused,
    Event,
    GiveChecksum,
    GiveInput,
    InputsArrived,
    Interrupted,
    Leave,
    Left,
    Pinged,
    PlayerFinished,
    PlayerGone,
    ProtocolErrorSeen,
    Refused,
    Resumed,
)
from gym_p2p.core.inputs import Outbox
from gym_p2p.core.messages import (
    MAX_MESSAGE_BYTES,
    PROTOCOL_VERSION,
    Channel,
    Checksum,
    Fragment,
    Goodbye,
    Hello,
    Inputs,
    Message,
    Ping,
    Pong,
    Ready,
    Refuse,
    decode,
    encode,
    split,
)
from gym_p2p.core.peer import Due, Peer, PeerState
from gym_p2p.errors import ProtocolError

__all__ = ["Match", "Send", "episode_seed"]

LINGER_S = 1.0
"""After a goodbye, unacknowledged inputs are repeated for at most this long."""

STALL_S = 0.5
"""A timer that is this late means that we stood still ourselves (a suspended machine), not the peers."""

MAX_BARRIERS_AHEAD = 64
"""A peer that resets without playing may be ahead of us by a few barriers, not by any number."""

_CHECKSUMS_KEPT = 4096

_ON_GAME_CHANNEL = (Inputs, Ping, Pong)
_BEFORE_HANDSHAKE = frozenset({Hello, Refuse, Goodbye, Fragment, Ping, Pong})


@attrs.frozen
class Send:
    """The one request of a match: send these bytes to a player."""

    player: int
    channel: Channel
    data: bytes


Output = Send | Event


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
        self._seed_base = match_seed
        self._seeds_drawn = 0
        self._peers = {i: Peer(index=i, sync=sync, players=players) for i in range(players) if i != local}
        self._players = players
        self._about: list[Mapping[str, Any] | None] = [None] * players
        self._outputs: deque[Output] = deque()
        self._outbox = Outbox()
        self._episode = 0
        self._ready: Ready | None = None
        self._heard_at = 0.0
        self._digests: dict[tuple[int, int], dict[int, bytes]] = {}
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
            Fragment: self._on_fragment,
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
            self._send(peer, Hello(PROTOCOL_VERSION, self._description), now)

    def closed(self, player: int, now: float) -> None:
        """Say that the link to a player is closed: he is lost unless he said goodbye."""
        self._lose(self._peers[player])
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
            self._handle(peer, decode(data), now)
        except ProtocolError as error:
            peer.protocol_errors += 1
            self._outputs.append(ProtocolErrorSeen(player, error.problem, peer.protocol_errors))

    def command(self, command: Command, now: float) -> None:
        """Carry out what the user's half asks for."""
        match command:
            case GiveInput(frame, data):
                if frame == self._outbox.count:
                    self._outbox.add(data)
                    self._broadcast_inputs(now)
            case BeginEpisode(seed, options):
                self._ready = Ready(self._episode + 1, seed, options, self._outbox.count)
                self._heard_at = now + max([peer.one_way_s for peer in self._peers.values()], default=0.0)
                self._broadcast(self._ready, now)
                self._pass_barrier(now)
            case GiveChecksum(frame, digest):
                self._broadcast(Checksum(self._episode, frame, digest), now)
                self._compare(self._local, Checksum(self._episode, frame, digest))
            case Leave(reason, lost):
                if self._leaving_since is None:
                    self._leaving_since = now
                    self._broadcast(Goodbye(reason, self._outbox.count, lost), now)
                    self._finish_leaving(now)

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""
        if self._awake_at is not None and self._awake_at + STALL_S < now:
            for peer in self._peers.values():
                peer.heard_at = now
        for peer in self._peers.values():
            for due in peer.due(self._outbox.count, now) if peer.present else ():
                self._do(peer, due, now)
        self._pass_barrier(now)
        self._finish_leaving(now)
        self._awake_at = self.next_timeout()

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` is wanted; ``None`` while there is nothing to wait for."""
        if self._left:
            return None
        given = self._outbox.count
        due = [min(peer.times(given)) for peer in self._peers.values() if peer.present]
        if self._leaving_since is not None:
            due.append(self._leaving_since + LINGER_S)
        if self._all_ready():
            due.append(self._heard_at)
        return min(due, default=None)

    def poll(self) -> Output | None:
        """Return the next request or event, ``None`` when there is none."""
        return self._outputs.popleft() if self._outputs else None

    @property
    def frames_confirmed(self) -> int:
        """For how many frames every present player holds every player's input (the N by N minimum)."""
        counts = self._received()
        for peer in self._peers.values():
            if peer.present:
                counts += peer.received
        return min(counts)

    # Messages.

    def _handle(self, peer: Peer, message: Message, now: float) -> None:
        if peer.state is PeerState.GREETING and type(message) not in _BEFORE_HANDSHAKE:
            raise ProtocolError("message before the handshake")
        self._handlers[type(message)](peer, message, now)  # type: ignore[operator]  # the table pairs them

    def _on_hello(self, peer: Peer, message: Hello, now: float) -> None:
        if peer.state is not PeerState.GREETING:
            raise ProtocolError("second handshake")
        differences = _differences(self._description, message)
        if differences:
            self._send(peer, Refuse(tuple((what, ours, theirs) for what, ours, theirs in differences)), now)
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

    def _on_fragment(self, peer: Peer, message: Fragment, now: float) -> None:
        whole = peer.reassembler.add(message)
        if whole is None:
            return
        inner = decode(whole)
        if isinstance(inner, Fragment):
            raise ProtocolError("fragment within a fragment")
        self._handle(peer, inner, now)

    def _on_ready(self, peer: Peer, message: Ready, now: float) -> None:
        if not self._episode < message.episode <= self._episode + MAX_BARRIERS_AHEAD:
            raise ProtocolError("barrier of another episode")
        peer.ready[message.episode] = message
        if message.episode == self._episode + 1 and self._episode > 0:
            self._outputs.append(PlayerFinished(peer.index, message.frames))
        self._pass_barrier(now)

    def _on_goodbye(self, peer: Peer, message: Goodbye, now: float) -> None:
        if peer.state is PeerState.LEAVING:
            raise ProtocolError("second goodbye")
        peer.state = PeerState.LEAVING if peer.state is PeerState.PLAYING else PeerState.GONE
        peer.frames_promised = message.frames
        told_of_a_loss = message.lost is not None and message.reason != "peer_left"
        reason = "peer_lost" if told_of_a_loss else "peer_left"
        lost = message.lost if message.lost is not None and message.lost < self._players else None
        self._outputs.append(PlayerGone(peer.index, reason, message.frames, message.reason, lost))
        self._finish_leaving(now)

    def _on_checksum(self, peer: Peer, message: Checksum, now: float) -> None:
        if not self._episode - 1 <= message.episode <= self._episode + 1:
            raise ProtocolError("checksum of another episode")
        self._compare(peer.index, message)
        self._finish_leaving(now)

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
        if message.episode != self._episode:
            if message.episode == self._episode + 1:
                peer.early = message
            return
        peer.acknowledges(message, self._local)
        fresh = peer.inbox.news(message.start, message.inputs)
        self._outbox.forget(min([p.acknowledged for p in self._peers.values() if p.present], default=0))
        if fresh:
            start = peer.inbox.count - len(fresh)
            arrived = InputsArrived(peer.index, start, tuple(fresh), self.frames_confirmed)
            self._outputs.append(arrived)
        elif message.inputs and peer.may_acknowledge(now):
            self._send_inputs(peer, now)
        if self._leaving_since is not None:
            self._finish_leaving(now)

    # Episodes.

    def _pass_barrier(self, now: float) -> None:
        ours = self._ready
        if ours is None or not self._all_ready() or now < self._heard_at:
            return
        ready = {i: peer.ready.pop(ours.episode) for i, peer in self._peers.items()} | {self._local: ours}
        self._episode, self._ready = ours.episode, None
        self._outbox = Outbox()
        for peer in self._peers.values():
            peer.begin_episode()
        refusal = _barrier_refusal(self._local, ready)
        if refusal is not None:
            self._outputs.append(refusal)
            return
        seed = self._agreed_seed(ready)
        options = next((r.options for r in ready.values() if r.options), {})
        self._outputs.append(EpisodeBegan(self._episode, seed, options))
        self._catch_up(now)

    def _agreed_seed(self, ready: Mapping[int, Ready]) -> int:
        """Return the seed somebody insists on, or the next one of the series that the newest such seed began.

        So an explicit seed makes all episodes after it reproducible, as Gymnasium wants it of ``reset``.
        """
        insisted = next((r.seed for r in ready.values() if r.seed is not None), None)
        if insisted is not None:
            self._seed_base, self._seeds_drawn = insisted, 0
            return insisted
        self._seeds_drawn += 1
        return episode_seed(self._seed_base, self._seeds_drawn)

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
            following = peer.ready.get(self._episode + 1)
            if following is not None:
                self._outputs.append(PlayerFinished(peer.index, following.frames))

    # Checksums.

    def _compare(self, player: int, message: Checksum) -> None:
        key = (message.episode, message.frame)
        digests = self._digests.setdefault(key, {})
        if player in digests:
            return
        digests[player] = message.digest
        ours = digests.get(self._local)
        if ours is not None:
            others = digests if player == self._local else {player: message.digest}
            for other, theirs in others.items():
                if other != self._local and theirs != ours:
                    self._outputs.append(Desynced(*key, other, ours, theirs))
            if len(digests) == self._players and len(set(digests.values())) == 1:
                self._outputs.append(ChecksumsAgreed(*key))
        if len(digests) == self._players or len(self._digests) > _CHECKSUMS_KEPT:
            self._digests.pop(key if len(digests) == self._players else next(iter(self._digests)))

    # Leaving and losing.

    def _do(self, peer: Peer, due: Due, now: float) -> None:
        match due:
            case Due.PING:
                self._send(peer, Ping(peer.ping_number, int(now * 1e6)), now)
                peer.ping_number += 1
                peer.pinged_at = now
            case Due.RESEND:
                self._send_inputs(peer, now)
            case Due.NOTICE:
                peer.interrupted = True
                self._outputs.append(Interrupted(peer.index))
            case Due.LOST:
                self._lose(peer)

    def _lose(self, peer: Peer) -> None:
        if peer.state is PeerState.GONE:
            return
        kept_his_promise = peer.state is PeerState.LEAVING and peer.inbox.count >= peer.frames_promised
        peer.state = PeerState.GONE
        if not kept_his_promise:
            self._outputs.append(PlayerGone(peer.index, "peer_lost", peer.inbox.count))

    def _finish_leaving(self, now: float) -> None:
        since = self._leaving_since
        if since is None or self._left:
            return
        waiting = [p for p in self._peers.values() if p.playing and p.acknowledged < self._outbox.count]
        owed = any(self._local in digests and self._lacks_one(digests) for digests in self._digests.values())
        if not (waiting or owed) or since + LINGER_S <= now:
            self._left = True
            self._outputs.append(Left())

    def _lacks_one(self, digests: Mapping[int, bytes]) -> bool:
        """Whether a player who plays on has not told his digest of a frame yet."""
        return any(p.state is PeerState.PLAYING and i not in digests for i, p in self._peers.items())

    # What goes out.

    def _received(self) -> list[int]:
        """Return how many inputs are here, of every player."""
        received = [peer.inbox.count for peer in self._peers.values()]  # in the order of their indices
        received.insert(self._local, self._outbox.count)
        return received

    def _broadcast(self, message: Message, now: float) -> None:
        for peer in self._peers.values():
            if peer.present:
                self._send(peer, message, now)

    def _broadcast_inputs(self, now: float) -> None:
        for peer in self._peers.values():
            if peer.playing:
                self._send_inputs(peer, now)

    def _send_inputs(self, peer: Peer, now: float) -> None:
        start, inputs = self._outbox.after(peer.acknowledged, MAX_MESSAGE_BYTES - 32 - 9 * self._players)
        advantage = self._outbox.count - peer.inbox.count
        peer.inputs_sent_at = now
        self._send(peer, Inputs(self._episode, start, tuple(self._received()), advantage, inputs), now)

    def _send(self, peer: Peer, message: Message, now: float) -> None:
        data = encode(message)
        if isinstance(message, _ON_GAME_CHANNEL):
            peer.sent_at = now
            self._outputs.append(Send(peer.index, Channel.GAME, data))
            return
        peer.fragment_number += 1
        for piece in split(data, peer.fragment_number):
            self._outputs.append(Send(peer.index, Channel.CTRL, piece))


def episode_seed(base: int, number: int) -> int:
    """Return the seed of the n-th episode after ``base`` for which nobody insists on one: 31 bits."""
    digest = blake2b(f"{base}/{number}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1


def _differences(ours: Mapping[str, Any], hello: Hello) -> tuple[Difference, ...]:
    if hello.version != PROTOCOL_VERSION:
        return (("protocol version", str(PROTOCOL_VERSION), str(hello.version)),)
    must, theirs = ours.get("must", {}), hello.description.get("must")
    if not isinstance(theirs, dict):
        raise ProtocolError("handshake without a description")
    names: Sequence[str] = [*must, *(name for name in theirs if name not in must)]
    rows = [(name, str(must.get(name, "(nothing)")), str(theirs.get(name, "(nothing)"))) for name in names]
    return tuple(row for row in rows if row[1] != row[2])


def _barrier_refusal(local: int, ready: Mapping[int, Ready]) -> EpisodeRefused | None:
    """Compare what the players want at the barrier; all players come to the same verdict."""
    for what, wanted in (
        ("seed", {i: str(r.seed) for i, r in ready.items() if r.seed is not None}),
        ("options", {i: json.dumps(r.options, sort_keys=True) for i, r in ready.items() if r.options}),
    ):
        if len(set(wanted.values())) <= 1:
            continue
        own = wanted.get(local)
        other = next(i for i, value in sorted(wanted.items()) if i != local and value != own)
        label = f"{what} of episode {ready[local].episode}"
        return EpisodeRefused(other, ((label, own or "(any)", wanted[other]),))
    return None
