"""One peer as the match sees it: what it has, what it is owed, and whether it is still there.

Knows counters and deadlines of one peer; refuses to know the other peers, the episode's rules and the wire.
Times are monotonic seconds, passed in.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.control_log import ControlLog
from gym_p2p.core.match.events import PlayerFinished, PlayerGone, Source
from gym_p2p.core.match.frame_advantage import FrameAdvantage
from gym_p2p.core.match.input_buffers import RemoteInputs
from gym_p2p.core.match.peer_timers import (
    ACKNOWLEDGE_LEAST_S,
    FIRST_RTT_S,
    GREETING_TIMEOUT_S,
    KEEP_ALIVE_S,
    PING_INTERVAL_S,
    RESEND_INTERRUPTED_S,
    RESEND_LEAST_S,
    RESEND_MOST_S,
    SUSPECT_INTERVAL_S,
    Due,
    report_after_s,
    while_ticking_s,
)
from gym_p2p.core.match.peer_ways import Ways
from gym_p2p.core.match.pings import Pings
from gym_p2p.core.match.ways import DIRECT
from gym_p2p.core.wire.fragments import Reassembler
from gym_p2p.core.wire.messages import Cause, Goodbye, Inputs, Ready, Share
from gym_p2p.core.wire.past import TookSeat

__all__ = ["Loss", "Peer", "PeerState"]

PROTOCOL_ERRORS_MOST = 256
"""Of one peer; none sends any who follows the protocol, and nobody owes the others more attention."""

UNDER_WAY_S = 1.0
"""What arrives within this time of the end of a process may have been sent before; later it lives."""

HEARSAY_KEPT = 64
"""Of a player who is not gone yet, from peers for whom that player is."""


class PeerState(enum.Enum):
    """Forward only, but for who is away and comes back."""

    CONNECTING = "connecting"
    GREETING = "greeting"
    """The link is open, the handshake has not come."""
    PLAYING = "playing"
    AWAY = "away"
    """Its process has ended, or stands still for long; another one may come (:mod:`.returning`)."""
    RETURNING = "returning"
    """That one has greeted us, and catches up."""
    LEAVING = "leaving"
    """The goodbye has come; the last inputs may still be on the way."""
    GONE = "gone"


_PLAYING, _GREETING = PeerState.PLAYING, PeerState.GREETING
_LEAVING, _RETURNING = PeerState.LEAVING, PeerState.RETURNING


@attrs.frozen
class Loss:
    """How a peer came to be gone, who says so, and in which words, where it promised nothing by these."""

    cause: Cause
    source: Source = Source.OBSERVATION
    via: int | None = None
    words: Goodbye | None = None


@attrs.define(eq=False)
class Peer:
    """One remote player's half of the link."""

    index: int
    sync: SyncConfig
    players: int
    state: PeerState = PeerState.CONNECTING
    remote_inputs: RemoteInputs = attrs.field(factory=RemoteInputs)
    reassembler: Reassembler = attrs.field(factory=Reassembler)
    acknowledged: int = 0
    """How many of our frames it holds."""
    received: list[int] = attrs.field(
        init=False, default=attrs.Factory(lambda one: [0] * one.players, takes_self=True)
    )
    """How many frames of each player it holds, as it reported."""
    ready: dict[int, Ready] = attrs.field(factory=dict)
    """The barriers that it waits or waited at, by episode: that of the running episode, and later ones."""
    early: Inputs | None = None
    """The newest inputs of an episode that has not begun here yet."""
    goodbye: Goodbye | None = None
    carrier: int | None = None
    """Who passed its goodbye on; ``None`` where it came from itself."""
    passed_on: tuple[Goodbye, int] | None = None
    """Its goodbye as another passed it on, and who did; it counts once the peer is gone."""
    loss: Loss = Loss(Cause.LOST)
    """How it came to be gone, once it is."""
    excludes_us: Cause | None = None
    """How we came to be gone, by its own word, for a peer who plays on without us."""
    control: ControlLog = attrs.field(factory=ControlLog)
    reconnect_s: float = 0.0
    """For how long a broken path is rebuilt, as all players agreed; 0: it is not."""
    rejoin_s: float = 0.0
    """For how long another process of its player's is waited for, as all players agreed; 0: it is not."""
    incarnation: int = 0
    """Which process of its player's it is, from 0."""
    claimed: int = 0
    """The newest of those that gave inputs, or was to."""
    looks_on: bool = False
    """Whether it only plays again what was played, while others act for its player."""
    away_at: float | None = None
    """Since when its player has been away; ``None`` where they are not, and once they have caught up."""
    played_for: bool = False
    """Whether others may have played for them since: that process is over, should it be there."""
    acted_until: TookSeat | None = None
    """Its word that it plays on, while inputs may come from before; else ``None``."""
    seated: bool = True
    """Whether the process that was greeted last plays, or did; ``False`` while it catches up."""
    has_greeted: bool = False
    """Whether that process has greeted us."""
    line_closed_at: float | None = None
    """When the service said that its line there was closed; ``None`` where it is heard of since."""
    line_cut_off: bool = False
    """Whether it was closed without a word."""
    closed_at: float | None = None
    """When its link was closed without a goodbye; ``None`` while it is open, and where another is there."""
    closed_loss: Loss | None = None
    """How it came to be gone, should no new link come of it."""
    away_loss: Loss = Loss(Cause.CRASHED)
    """The same, should no other process come."""
    final: int | None = None
    """How many inputs of it there are in the running episode, once it is gone or leaves."""
    hearsay: list[Share | Ready] = attrs.field(factory=list)
    """What others hold of it, which counts once it is gone."""
    told: PlayerGone | PlayerFinished | None = None
    """What was emitted last of its end in this episode."""
    advantage: int = 0
    """By how many frames it takes itself to be ahead of us."""
    delay: int = 0
    """Its input delay."""
    ahead: FrameAdvantage = attrs.field(factory=FrameAdvantage)
    reported_at: float = 0.0
    """When it said last what it holds."""
    interrupted: bool = False
    told_limit_s: float = 0.0
    """How long its silence may last, as was told when it was interrupted, or since."""
    mismatch_told: bool = False
    """Whether it was said that it plays something else, by its greeting or by its own word."""
    refused: bool = False
    """Whether it has refused to play."""
    protocol_errors: int = 0
    pings: Pings = attrs.field(factory=Pings)
    """Over the way that messages take."""
    ways: Ways = attrs.field(factory=Ways)
    fragment_number: int = 0
    opened_at: float = 0.0
    received_at: float = 0.0
    sent_at: float = 0.0
    inputs_sent_at: float = 0.0

    @property
    def present(self) -> bool:
        """Whether messages can be exchanged with it."""
        state = self.state
        return state is _PLAYING or state is _GREETING or state is _LEAVING or state is _RETURNING

    @property
    def absent(self) -> bool:
        """Whether its player is away: others act for them, if anybody does, and no word of it counts."""
        state = self.state
        return state is PeerState.AWAY or (self.looks_on and (state is _GREETING or state is _RETURNING))

    @property
    def takes_part(self) -> bool:
        """Whether it is there, and its word counts: it holds what others may lack."""
        return self.present and not self.looks_on

    @property
    def greeted(self) -> bool:
        """Whether it is there, and has greeted us."""
        return self.present and self.state is not PeerState.GREETING

    @property
    def playing(self) -> bool:
        """Whether inputs are exchanged with it."""
        return self.state is _PLAYING or self.state is _LEAVING

    @property
    def plays_directly(self) -> bool:
        """Whether inputs are exchanged with it directly: it can be given what is for somebody else."""
        return self.playing and self.ways.now is DIRECT

    def opened(self, now: float) -> None:
        """Note that the link is open."""
        self.state = PeerState.GREETING
        self.opened_at = self.received_at = self.sent_at = self.inputs_sent_at = now
        self.pings.sent_at = now - PING_INTERVAL_S

    def received_something(self, now: float) -> float | None:
        """Note a sign of life; return for how long it had been silent if that had been noticed."""
        silent_s = now - self.received_at
        self.received_at = now
        if self.line_closed_at is not None and self.line_closed_at + UNDER_WAY_S < now:
            self.line_closed_at = None
        if not self.interrupted:
            return None
        self.interrupted, self.ways.carries_since = False, now
        return silent_s

    def restart_way(self) -> None:
        """Begin anew what belongs to a way: another one is taken, or the same once more."""
        self.control.held_back = True
        self.reassembler = Reassembler()

    def is_there(self) -> None:
        """Note that it has shown to be there, over a new link or another way."""
        self.line_closed_at = self.closed_at = self.closed_loss = None

    def begin_incarnation(self, incarnation: int, *, link_open: bool) -> None:
        """Forget what its process before held, and begin anew what belongs to it and its link."""
        self.incarnation, self.seated, self.looks_on = incarnation, False, False
        self.has_greeted = False
        self.control, self.reassembler = self.control.anew(), Reassembler()
        self.pings, self.ways = Pings(), Ways(link_open=link_open)
        self.ahead, self.received = FrameAdvantage(), [0] * self.players
        self.acknowledged, self.fragment_number, self.early = 0, 0, None
        self.interrupted = self.mismatch_told = self.refused = False
        self.is_there()

    def claim_seat(self) -> None:
        """Note that it is the one to give inputs from now on, and nobody else."""
        self.claimed = max(self.claimed, self.incarnation)
        self.looks_on = self.played_for = False

    def is_over(self, incarnation: int) -> None:
        """Note that its player's processes up to this one are over."""
        self.claimed = max(self.claimed, incarnation)
        self.incarnation = max(self.incarnation, incarnation)
        self.looks_on = self.looks_on and self.incarnation > self.claimed

    @property
    def _stays(self) -> bool:
        """Whether it stays, by all that is known."""
        return self.state is PeerState.PLAYING or self.state is PeerState.RETURNING

    @property
    def reconnects(self) -> bool:
        """Whether a new link is wanted once nothing arrives over this one."""
        return self.reconnect_s > 0 and self._stays

    @property
    def silence_limit_s(self) -> float:
        """For how long nothing may arrive, if the service sees it no otherwise."""
        timeout_s = self.sync.disconnect_timeout_s
        return max(timeout_s, self.reconnect_s) if self._stays else timeout_s

    @property
    def lost_at(self) -> float:
        """When it counts as lost, should nothing arrive before.

        Whose line to the service was closed, or whose end of the link, is mostly gone: as much time as for a
        path that is not rebuilt has to do.
        """
        ends = [at for at in (self.line_closed_at, self.closed_at) if at is not None]
        ends_at = [max(self.received_at, at) + self.sync.disconnect_timeout_s for at in ends]
        return min([self.received_at + self.silence_limit_s, *ends_at])

    def begin_episode(self, episode: int) -> None:
        """Forget the inputs of the episode before."""
        self.remote_inputs = RemoteInputs()
        self.acknowledged = 0
        self.received = [0] * self.players
        self.ready = {number: ready for number, ready in self.ready.items() if number >= episode}
        self.final = None if self.goodbye is None else self.promised(episode)
        self.hearsay = [one for one in self.hearsay if not isinstance(one, Share) or one.episode >= episode]
        self.told = None
        self.ahead = FrameAdvantage()

    def acknowledges(self, message: Inputs, local: int) -> None:
        """Take over what it reports to hold; counts only ever grow."""
        received, theirs = self.received, message.received
        received[: len(theirs)] = map(max, received, theirs)
        self.acknowledged = received[local]
        self.advantage = message.advantage
        self.delay = message.delay

    def lacks(self, held: Sequence[int]) -> bool:
        """Whether it has not reported to hold all that we hold, its own inputs excepted."""
        received = self.received
        return any(received[player] < count for player, count in enumerate(held) if player != self.index)

    def frames_ahead(self, given: int, delay: int) -> int:
        """Return by how many frames we seem ahead: too many by the time of its message on the way."""
        return (given - delay) - (self.remote_inputs.count - self.delay)

    def keep_hearsay(self, message: Share | Ready) -> None:
        """Keep what another holds of it until it is gone."""
        if len(self.hearsay) < HEARSAY_KEPT:
            self.hearsay.append(message)

    def promised(self, episode: int) -> int | None:
        """Return how many inputs it gave in an episode by its own words; ``None`` before it said so."""
        if (following := self.ready.get(episode + 1)) is not None:
            return following.frames
        if self.goodbye is None or self.goodbye.episode > episode:
            return None
        return self.goodbye.frames if self.goodbye.episode == episode else 0

    def goes_on_after(self, episode: int) -> bool:
        """Whether it was ready for a later episode."""
        return any(number > episode for number in self.ready)

    def has_handed_over(self, episode: int) -> bool:
        """Whether it said goodbye, and everything that it gave from this episode on is here."""
        goodbye = self.goodbye
        if goodbye is None or self.final is None or self.remote_inputs.count < self.final:
            return False
        return goodbye.episode <= episode or goodbye.frames == 0

    def fell_silent(self) -> Loss:
        """Return how it came to be gone, if nothing arrives from it any more, or never its greeting.

        A process that ends falls silent and loses its line at once. A line that is closed a while after the
        last message is of a player who has given us up, as we do them: the path is lost.
        """
        if self.state is PeerState.GREETING and self.away_at is None:
            return Loss(Cause.UNRESPONSIVE)
        if self.closed_loss is not None:
            return self.closed_loss
        at_once_s = min(UNDER_WAY_S, self.sync.disconnect_timeout_s / 2)
        closed_at = self.line_closed_at if self.line_cut_off else None
        if closed_at is not None and closed_at <= self.received_at + at_once_s:
            return Loss(Cause.CRASHED, Source.SERVICE)
        return Loss(Cause.LOST)

    def closed(self, *, we_leave: bool) -> Loss:
        """Return how it came to be gone, if the link is closed.

        From whom nothing arrived any more, the path was lost. Another's process closed the link, or we did.
        """
        if self.interrupted:
            return self.fell_silent()
        return Loss(Cause.LEFT if we_leave else Cause.CRASHED)

    def repeated_at(self, tick_s: float) -> float:
        """When an input that it has not acknowledged is sent again; later while our next one comes soon."""
        if self.interrupted:
            return self.inputs_sent_at + RESEND_INTERRUPTED_S
        after_s = 1.5 * (FIRST_RTT_S if self.pings.srtt_s is None else self.pings.srtt_s)
        after_s = min(RESEND_MOST_S, max(RESEND_LEAST_S, after_s))
        return self.inputs_sent_at + max(after_s, while_ticking_s(tick_s))

    def may_acknowledge(self, now: float, tick_s: float) -> bool:
        """Whether a bare acknowledgement may be sent already."""
        return self.inputs_sent_at + max(ACKNOWLEDGE_LEAST_S, while_ticking_s(tick_s)) <= now

    def times(
        self, held: Sequence[int], local: int, tick_s: float, unreported_since: float | None = None
    ) -> tuple[float, float, float, float]:
        """Return when a ping, the end of its silence, its handshake and our inputs are due, in this order.

        Args:
            held: how many inputs we hold of every player in this episode.
            local: our index.
            tick_s: the time between two of our inputs.
            unreported_since: since when inputs are here that were not reported to it.
        """
        interval_s = SUSPECT_INTERVAL_S if self.ways.suspect or self.state is _LEAVING else PING_INTERVAL_S
        ping = min(self.pings.sent_at + interval_s, self.sent_at + KEEP_ALIVE_S)
        if self.state is _GREETING:
            # Its link may open a whole round trip after ours: that is no silence yet.
            return ping, math.inf, self.opened_at + GREETING_TIMEOUT_S, math.inf
        silent_until = self.lost_at if self.interrupted else self.received_at + self.sync.disconnect_notice_s
        if self.state is _RETURNING:
            return ping, silent_until, math.inf, math.inf
        lacking = self.acknowledged < held[local] or (len(held) > 2 and held[local] and self.lacks(held))
        resend = self.repeated_at(tick_s) if lacking else math.inf
        if unreported_since is not None:
            resend = min(resend, unreported_since + report_after_s(tick_s))
        return ping, silent_until, math.inf, resend

    def due(self, times: tuple[float, float, float, float], now: float) -> list[Due]:
        """Return what is due by these times, of a peer who is present."""
        silent = Due.LOST if self.interrupted else Due.NOTICE
        kinds = (Due.PING, silent, Due.LOST, Due.RESEND)
        return [kind for kind, when in zip(kinds, times, strict=True) if when <= now]
