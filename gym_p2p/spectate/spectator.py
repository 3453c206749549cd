"""A spectator of a running match: a copy of the environment, played with the confirmed actions.

It begins with an episode's first frame, catches up faster than real time, then follows. Whatever a spectator
does, the match does not change. How the actions arrive is :mod:`gym_p2p.spectate.watch_client`'s to know.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self

from gym_p2p.config import DEFAULT_SERVER_URL, P2PConfig, config_from_options
from gym_p2p.config.names import did_you_mean
from gym_p2p.core.api.spectators import WatchedMatch
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, ConnectFailed, MatchOver, UsageError, WatchDiverged
from gym_p2p.game.env.isolation import isolate_global_random
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.env.split import SeatsOption
from gym_p2p.game.outcome import Outcome, fresh
from gym_p2p.net.worker.backends import prepare_network
from gym_p2p.net.worker.messages import SpectatorPlan
from gym_p2p.play.paused import Paused
from gym_p2p.spectate.playback import STATE, ShownEpisode, comparing_snapshots
from gym_p2p.spectate.watch_client import ReceivedEpisode, WatchClient

__all__ = ["Spectator"]

_log = logging.getLogger(__name__)

CAUGHT_UP_FRAMES = 30
"""Frames come in batches: so many behind is as good as live. Half a second at 60 fps."""

_BySeat = dict[SeatId, Any]


class Spectator:
    """Watches a match of others in an environment of its own, as PettingZoo's ``ParallelEnv`` shows one.

    Some player of the match has to allow it (``spectators=N``). ``reset`` begins the running episode from its
    first frame (or waits for the next one), every ``step`` shows the next confirmed frame of all seats: at
    once as long as there are any, then as they come.

    Args:
        env: an environment like the players'; it is played here, and closed with this.
        watchers: as the players have it.
        seats: as the players have it.
        server_url: the service.
        room: the match's room.
        match_id: the match itself, instead of its room: one that came out of a queue has no other name.
        subject_id: who this is to the service; ``None`` makes up an anonymous one.
        token: what lets this spectator in, where the service asks for one.
        on_desync: whether ``step`` raises when this copy does not show what the players saw, or goes on.
        compare_states: whether states are compared too, where the players do. Not where the environment
            renders into its state. Once one differs at who has not seen all of the match before, that is
            logged and they are compared no more: an environment may keep something over a reset.
        snapshot_hooks: as the players have them, to compare states by.
        on_pause: called with what the match stands for (``Paused``) once everything before it is shown, and
            with ``None`` when it goes on.
        options: ``server_prefix``, ``server_namespace``, ``network`` (``"thread"`` by default),
            ``ice_servers``, ``relay_only``, ``connect_timeout_s``, ``emulation``, ``room_timeout_s`` (the
            longest wait for a match and for its next episode) and ``input_timeout_s`` (for the next frame),
            as :mod:`gym_p2p.config` has them.

    Attributes:
        seats: all seats, in the environment's order.
        agents: those that have not ended.
        actions: of every seat, in the frame shown last.
        frame: how many frames of this episode are shown.
        episode: its number, counted from 1; 0 before the first.
        checksums_agreed: how many of the players' checksums were the same here.
        desyncs: how many were not.

    Raises:
        ConfigurationError: an option is unknown or out of range.
        UnsupportedEnvironment: the environment has no seats.
    """

    def __init__(
        self,
        env: Any,
        *,
        watchers: int = 0,
        seats: SeatsOption = None,
        server_url: str = DEFAULT_SERVER_URL,
        room: str = "default",
        match_id: str | None = None,
        subject_id: str | None = None,
        token: str | None = None,
        on_desync: Literal["raise", "continue"] = "raise",
        compare_states: bool = True,
        snapshot_hooks: tuple[Any, Any] | None = None,
        on_pause: Callable[[Paused | None], object] | None = None,
        **options: Any,
    ) -> None:
        self._config = _config(options, server_url=server_url, room=room, token=token, subject_id=subject_id)
        if on_desync not in {"raise", "continue"}:
            raise ConfigurationError("on_desync", f"wanted raise or continue, got {on_desync!r}")
        self._game = make_game(env, watchers=watchers, seats=seats)
        self._match_id = match_id
        self._raises = on_desync == "raise"
        self._compare_states = compare_states
        self._hooks = snapshot_hooks
        self._on_pause = on_pause
        self._told: Paused | None = None
        self._client: WatchClient | None = None
        self._isolates = False
        self._running: ShownEpisode | None = None
        self._seen_all = True  # of the match, before the episode that is shown
        self._closed = False
        prepare_network(self._config.network)
        self.seats = self._game.seats
        self.agents: list[SeatId] = []
        self.actions: _BySeat = {}
        self.checksums_agreed = 0
        self.desyncs = 0

    # What is watched.

    @property
    def match(self) -> WatchedMatch | None:
        """The match, its players and who shows it; ``None`` before there is one."""
        return None if self._client is None else self._client.match

    @property
    def episode(self) -> int:
        """The episode's number, counted from 1; 0 before the first."""
        return 0 if self._running is None else self._running.received.begun.episode

    @property
    def frame(self) -> int:
        """How many frames of this episode are shown."""
        return 0 if self._running is None else self._running.frame

    @property
    def paused(self) -> Paused | None:
        """For whom the match stands here, everything before that being shown; ``None`` where it goes on."""
        client, running = self._client, self._running
        if client is None or (running is not None and running.received.frames):
            return None
        return client.paused

    @property
    def seed(self) -> int | None:
        """The seed that the players agreed on for this episode; ``None`` before the first."""
        return None if self._running is None else self._running.received.begun.seed

    @property
    def behind(self) -> int:
        """How many frames of this episode the players have that are not shown yet, as far as is known."""
        if self._client is not None and self._client.ended is None:
            self._client.drain()
        running = self._running
        return 0 if running is None else max(0, running.received.newest - running.frame)

    @property
    def catching_up(self) -> bool:
        """Whether the next frames are of some time ago, and there without waiting."""
        return self.behind > CAUGHT_UP_FRAMES

    # What a ParallelEnv has.

    def reset(self) -> tuple[_BySeat, dict[SeatId, dict[str, Any]]]:
        """Begin the next episode, the first time the running one; frames not shown yet are left out.

        Raises:
            NetworkError, PeerError: there is no match to watch; or, with ``HandshakeRefused``, one of
                another environment.
            MatchOver: the match is over, and with it this spectator.
            WatchDiverged: this copy does not show what the players saw.
        """
        self._refuse_if_closed()
        client = self._connected()
        self.agents = []
        with self._telling_pauses():
            received = self._next_episode(client)
        begun = received.begun
        follows = begun.episode == 1 if self._running is None else self._running.shown_before(begun)
        self._seen_all = self._seen_all and follows
        with self._game.shown():
            outcome = self._game.reset(begun.seed, dict(begun.options) or None)
        compares = self._compare_states and not self._game.screen.draws
        strategy = begun.snapshots if compares else None
        snapshots = comparing_snapshots(self._game, strategy, self._hooks)
        checked_every = None if client.terms is None else client.terms.checked_every
        self._running = ShownEpisode(received, outcome, checked_every, snapshots)
        self.agents = list(self.seats)
        self.actions = {}
        self._compare(self._running)
        return self._of(outcome.observations), self._of(outcome.infos)

    def step(
        self,
    ) -> tuple[_BySeat, dict[SeatId, float], dict[SeatId, bool], dict[SeatId, bool], dict[SeatId, Any]]:
        """Show the next confirmed frame: observations, rewards, terminations, truncations, infos by seat.

        Where the players end the episode, or the match, before the environment does, all seats are truncated
        and every info holds ``"p2p"`` with the ``reason``, beside what the environment said last.

        Raises:
            UsageError: no episode is running.
            WatchDiverged: this copy does not show what the players saw.
            NetworkError: the network half failed.
        """
        self._refuse_if_closed()
        running, client = self._running, self._client
        if running is None or client is None or not self.agents:
            raise UsageError("no episode is running: call reset() first")
        with self._telling_pauses():
            reason = self._wait_for_frame(client, running)
        if reason is not None:
            return self._shown(running.outcome.cut_short(reason, None))
        self.actions = self._of(running.play_next(self._game))
        client.shown(1)
        self._compare(running)
        return self._shown(running.outcome)

    def _shown(self, outcome: Outcome) -> tuple[Any, Any, Any, Any, Any]:
        living = [seat for index, seat in enumerate(self.seats) if not outcome.over_for(index)]
        self.agents = [] if outcome.ended else living
        return (
            self._of(outcome.observations),
            self._of(outcome.rewards),
            self._of(outcome.terminations),
            self._of(outcome.truncations),
            self._of(outcome.infos),
        )

    def render(self) -> Any:
        """Return what the environment renders."""
        return self._game.render()

    def close(self) -> None:
        """Leave, and close the environment; nothing is left running. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._client is not None:
            self._client.close()
        self._game.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # Meeting.

    def _connected(self) -> WatchClient:
        """Return the client; the first time wait for the match and see that it is one of this environment."""
        if self._client is not None:
            return self._client
        config = self._config
        plan = SpectatorPlan(
            config=config,
            subject_id=config.subject_id or f"anonymous-{secrets.token_hex(6)}",
            seats=len(self.seats),
            match_id=self._match_id,
        )
        client = WatchClient(plan)
        try:
            # The network half's own limits are those of its parts, and say more.
            terms = client.meet(2 * config.sync.room_timeout_s + 60)
            if terms.isolates_random and not self._isolates:
                self._game, self._isolates = isolate_global_random(self._game), True
            terms.check(self._game, source=None if client.match is None else client.match.source)
        except BaseException:
            client.close()
            raise
        self._client = client
        weakref.finalize(self, client.close)
        return client

    # Episodes.

    def _next_episode(self, client: WatchClient) -> ReceivedEpisode:
        """Leave the running episode, and wait for the one after it.

        What the players compared of the one before arrives until then, and is compared.
        """
        deadline = time.monotonic() + self._config.sync.room_timeout_s
        if self._running is not None:
            client.leave(self._running.received)
        while True:
            if self._running is not None:
                self._compare(self._running)
            if client.episodes:
                before = self._running
                if before is not None and before.outcome.ended and before.received.newest > before.frame:
                    self._diverged(before, before.frame, "frames", "the episode goes on", "it has ended")
                return client.episodes[0]
            if client.ended is not None:
                raise MatchOver(client.ended)
            if deadline <= time.monotonic():
                raise ConnectFailed(
                    "the next episode of the match",
                    waited_s=self._config.sync.room_timeout_s,
                    seen="the players have not begun one",
                    advice="Call reset() again to wait on.",
                )
            self._tell_pause(self.paused)
            client.wait()

    def _wait_for_frame(self, client: WatchClient, running: ShownEpisode) -> str | None:
        """Wait for the next frame; return why there will be none."""
        deadline = time.monotonic() + self._config.sync.input_limit_s(takes_turns=False)
        received = running.received
        while not received.frames:
            self._tell_pause(self.paused)
            if received.over is not None:
                if received.over.completed:
                    self._diverged(running, running.frame, "frames", "the episode has ended", "it goes on")
                return "peer_reset"
            if client.ended is not None:
                return client.ended
            if deadline <= time.monotonic():
                return "input_timeout"
            client.wait()
            self._compare(running)
        return None

    @contextlib.contextmanager
    def _telling_pauses(self) -> Iterator[None]:
        """Whatever a wait tells of a pause, it is over for who looks on once they see something again."""
        try:
            yield
        finally:
            self._tell_pause(None)

    def _tell_pause(self, paused: Paused | None) -> None:
        if paused == self._told or self._on_pause is None:
            return
        self._told = paused
        self._on_pause(paused)

    # What the players compared.

    def _compare(self, running: ShownEpisode) -> None:
        """Compare every digest that is known of both sides.

        Raises:
            WatchDiverged: they differ, where that is to be raised.
        """
        for frame, what, theirs, ours in running.compared():
            if theirs == ours:
                self.checksums_agreed += 1
            elif what == STATE and not self._seen_all:
                self._compare_no_states(running)
            else:
                self._diverged(running, frame, what, theirs, ours)

    def _compare_no_states(self, running: ShownEpisode) -> None:
        if self._compare_states:
            _log.warning(
                "states are not compared any more: this copy has not played all of the match before, and "
                "the environment keeps something over a reset"
            )
        self._compare_states, running.snapshots = False, None

    def _diverged(self, running: ShownEpisode, frame: int, what: str, theirs: str, ours: str) -> None:
        self.desyncs += 1
        episode = running.received.begun.episode
        error = WatchDiverged(episode, frame, what, theirs=theirs, ours=ours, seen_all=self._seen_all)
        if self._raises:
            self.agents = []
            raise error
        _log.warning("%s", error)

    def _of(self, values: Sequence[Any]) -> dict[SeatId, Any]:
        return dict(zip(self.seats, map(fresh, values), strict=True))

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise UsageError("this spectator is closed; make a new one")


_OPTIONS = frozenset(
    {
        *("network", "ice_servers", "relay_only", "connect_timeout_s", "emulation"),
        *("server_prefix", "server_namespace"),
        *("room_timeout_s", "input_timeout_s"),
    }
)


def _config(options: Mapping[str, Any], **named: Any) -> P2PConfig:
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        raise ConfigurationError(unknown[0], f"no such option{did_you_mean(unknown[0], _OPTIONS)}")
    return config_from_options({"network": "thread", **options, **named})
