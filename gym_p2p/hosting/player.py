"""Plays one seat of the host's: a person's, at their page, or a program's beside them.

Runs on the main thread of a process of its own; who wants it to end interrupts that.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import NetworkEnded, NetworkError, PersonGone
from gym_p2p.game.drawing import own_rate
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.recipe import named_recipe
from gym_p2p.hosting.capacity import Punctuality
from gym_p2p.hosting.messages import Began, Dying, Ended, Frames, FromProcess, Over, Part, PersonsPart
from gym_p2p.human.entrance import Entrance
from gym_p2p.human.seat import HumanSeat
from gym_p2p.play.whole_match import play_whole_match
from gym_p2p.policies.seat import PolicySeat
from gym_p2p.policies.stand_in import PolicyStandIn
from gym_p2p.wrapper import P2PEnv

if TYPE_CHECKING:
    from gym_p2p.wrapper import P2POptions

__all__ = ["Player", "make_environment", "seat_person", "seat_policy"]

_OURS = frozenset(
    {
        "interrupted",
        "failed",
        "environment_failed",
        "network_failed",
        "desync",
        "protocol_error",
        "peer_crashed",
    }
)
"""How a match ends that no person has ended: the program that plays had a fault, or the host was stopped."""

MOST_TRIES = 3
"""To meet others, with a network half that ends by itself: one that has a fault would go on having it."""

OPEN_LIMIT_S = 30.0
"""A page has asked for its seat before there is one: if it does not come any more, it is gone."""

_log = logging.getLogger(__name__)

Tell = Callable[[FromProcess], None]


def make_environment(part: Part) -> P2PEnv:
    """Return what a part is played in.

    Raises:
        P2PError: there is no such environment, or it cannot be played so.
    """
    drawn = {} if part.person is None else {"render_mode": "rgb_array"}
    made = load_environment(part.env, {**part.env_args, **drawn})
    options: dict[str, Any] = dict(part.options)
    if options.get("fps") is None:
        options["fps"] = own_rate(made)
    if part.stand_in is not None:
        options["stand_in"] = PolicyStandIn(part.stand_in)
    env = P2PEnv(
        made, seat=part.seat, watchers=part.watchers, seats=part.split, **cast("P2POptions", options)
    )
    env.p2p.environment = named_recipe(part.env, part.env_args)
    return env


def seat_policy(env: P2PEnv, part: Part) -> PolicySeat:
    """Return the program that plays a part.

    Raises:
        UsageError: there is no such program.
    """
    return PolicySeat(env, part.policy, reaction_ms=part.reaction_ms, actions_per_s=part.actions_per_s)


def seat_person(env: P2PEnv, person: PersonsPart, entrance: Entrance | None = None) -> HumanSeat:
    """Return a person's seat.

    Args:
        env: what they play.
        person: their part.
        entrance: where their page comes from; ``None`` where nobody will come, and the seat is not entered.

    Raises:
        ConfigurationError: their part cannot be.
    """
    return HumanSeat(
        env,
        keys=person.keys,
        title=person.title,
        browser=False,
        announce=lambda _url: None,
        entrance=entrance,
        open_limit_s=OPEN_LIMIT_S,
        hold_s=person.hold_s,
        countdown_s=person.countdown_s,
        next_url=person.next_url,
    )


@contextlib.contextmanager
def _to_its_end(_ending: str) -> Iterator[None]:
    """Let nobody interrupt the block, on the main thread: documents that are half written are none."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Player:
    """One player, from their environment to their documents.

    Args:
        part: what is played.
        entrance: where a person's page comes from.
        tell: is told how it goes.
    """

    def __init__(self, part: Part, entrance: Entrance | None, tell: Tell) -> None:
        self._part = part
        self._entrance = entrance
        self._tell = tell
        self._env = make_environment(part)

    def play(self) -> None:
        """Play to the end, and write the documents.

        Raises:
            P2PError: there was no match.
            KeyboardInterrupt: nor had there been one when it was broken off.
        """
        play = self._play if self._part.person is None else self._play_for_person
        ending, finished = play_whole_match(self._env.p2p, play, _to_its_end)
        problems = [] if finished is None else list(finished.problems)
        self._tell(Ended(ending=ending, problems=problems, spends=self._spends(ending)))

    def _spends(self, ending: str) -> bool:
        """Return whether a match that ended so was a try: played to its end, or ended by a person."""
        gone = self._env.p2p.ending
        if ending in _OURS or (gone is not None and gone.stated_reason in _OURS):
            return False
        return gone is None or gone.player is None or not self._is_program(gone.player)

    def _is_program(self, player: SeatId) -> bool:
        recorder = self._env.p2p.recorder
        known = () if recorder is None else recorder.record.identities
        return any(one.player_id == str(player) and one.played_by == "policy" for one in known)

    def _play_for_person(self) -> str:
        person = self._part.person
        assert person is not None  # noqa: S101 - the caller has looked
        seat = seat_person(self._env, person, self._entrance)
        try:
            with seat:
                return self._told_if_again(seat)
        finally:
            self._tell(Over(seat.told))

    def _told_if_again(self, seat: HumanSeat) -> str:
        """Play; have the page offer another match where this one was none of the person's tries."""
        try:
            ending = self._episodes(seat.action)
        except Exception as error:
            seat.again = not isinstance(error, PersonGone)
            raise
        seat.again = ending not in {"interrupted", "done"} and not self._spends(ending)
        return ending

    def _play(self) -> str:
        return self._episodes(seat_policy(self._env, self._part).action)

    def _die_without_network(self) -> None:
        """End this process where its network half has: who takes it up again, comes back to the match.

        A goodbye would reach nobody. Documents would be of a match that goes on, and what is kept of it to
        come back with would be gone; where nobody waits, this returns.
        """
        ending, waited_for = self._env.p2p.ending, self._part.options.get("rejoin_timeout_s")
        if waited_for and ending is not None and ending.reason == "network_failed":
            self._tell(Dying("its network process has ended"))
            os._exit(1)

    def _reset(self) -> None:
        """Begin an episode; a network half that ends by itself before there is a match has a successor."""
        session = self._env.p2p
        for tries_left in reversed(range(MOST_TRIES)):
            try:
                self._env.reset(seed=self._part.seed)
            except NetworkError as error:
                self._die_without_network()
                if session.ending is not None or not isinstance(error, NetworkEnded) or not tries_left:
                    raise
                _log.warning("%s: another one is started", error)
            else:
                return

    def _episodes(self, act: Callable[[], Any]) -> str:
        session, part = self._env.p2p, self._part
        punctuality = Punctuality(session.config.sync.fps or 1.0)
        began = False
        while True:
            self._reset()
            if not began:
                began = True
                self._tell(Began(str(session.progress.match_id), session.seat))
            over = False
            while not over:
                if part.frames is not None and session.progress.frames_total == part.frames:
                    return "done"
                _, _, terminated, truncated, _ = self._env.step(act())
                if (frames := punctuality.frame(time.monotonic())) is not None:
                    self._tell(Frames(*frames))
                over = terminated or truncated
                ending = session.ending
                if ending is not None and ending.reason != "peer_reset":
                    self._die_without_network()
                    return ending.reason
            if session.progress.episode == part.episodes:  # of the match: who came back has not played all
                return "done"
