"""A player comes back: what was played is learnt from the others, played again, and the seat is taken.

Where others act for who is away they play on meanwhile. So what they have played until then is learnt next,
and so on; each stretch is shorter, for playing again is faster than playing. They wait only for the last one.

Runs on the user's thread, with the network half of :mod:`gym_p2p.play.match_client`. Knows what is waited for
and for how long; refuses to know how an episode goes on from there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import attrs

from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.core.match.commands import LearnMore, TakeSeat
from gym_p2p.core.match.events import EXCLUDED, HandshakeMismatch, PlayerGone
from gym_p2p.core.match.return_events import (
    SUPERSEDED,
    PastComplete,
    PastEpisode,
    PastSoFar,
    ReturnFailed,
    SeatTaken,
)
from gym_p2p.errors import ConnectFailed, HandshakeRefused, NetworkError
from gym_p2p.net.worker.messages import LinkOpened, WorkerEvent, WorkerFailed, WorkerStopped
from gym_p2p.play.ending import SUPERSEDED_WORDS
from gym_p2p.play.kept_match import KeptMatch
from gym_p2p.play.match_client import SIGN_IN_LIMIT_S, MatchClient
from gym_p2p.play.recorder import Recorder

__all__ = ["ComeBack", "Stretch", "learn_past", "stretches", "take_seat"]

_log = logging.getLogger(__name__)

_MARGIN_S = 5.0
"""Above the time for which the others wait, so that their word arrives first."""

SHORT_S = 0.1
"""What took no longer to play again is followed by so little that the others may wait for it."""

_STRETCHES_MOST = 8
"""Then they wait, however much it is: where a game is played again hardly faster than the others play."""

_ADVICE = "The others wait for rejoin_timeout_s, from when this player's process ended."

_ANEW = "what was kept of it is removed: started again, this player joins anew"


@attrs.frozen
class Stretch:
    """What was played, beyond what was told before.

    Attributes:
        episodes: in order; the first one may have been told in part.
        complete: how far all of it goes; ``None`` where the others play on.
    """

    episodes: tuple[PastEpisode, ...]
    complete: PastComplete | None


@attrs.frozen
class ComeBack:
    """A match that a player has come back to.

    Attributes:
        first: what was played until then.
        began: when this process asked for it, on ``time.monotonic``'s clock.
    """

    first: Stretch
    began: float


def learn_past(client: MatchClient, kept: KeptMatch, limit_s: float) -> tuple[Recorder, ComeBack]:
    """Meet those again who are there, and learn from them what was played.

    Args:
        client: whose plan says that a match is taken up.
        kept: of that match.
        limit_s: how long the others wait.

    Raises:
        NetworkError, PeerError: there is no way back.
    """
    began = time.monotonic()
    found = kept.returns.found
    _log.info(
        "coming back to the match %s as %s, whose process was there %.0f s ago",
        found.match_id,
        found.player_id,
        kept.seen_s,
    )
    signed_in_s = SIGN_IN_LIMIT_S + limit_s  # the service may be away, too
    client.wait_for(MatchFound, signed_in_s, "signing in", "Check the service's address.")
    _log.debug("signed in")
    first = _learn(client, began, limit_s)
    frames = sum(map(_frames_of, first.episodes))
    _log.info("the others tell what was played: %s frames, to be played again", f"{frames:,}")
    return client.recorder, ComeBack(first, began)


def stretches(client: MatchClient, come_back: ComeBack, limit_s: float) -> Iterator[Stretch]:
    """Yield what is to be played again, stretch by stretch: each once the one before was played.

    Args:
        client: of the match.
        come_back: what was learnt first.
        limit_s: how long the others wait.

    Raises:
        NetworkError: there is no way back.
    """
    stretch, count = come_back.first, 1
    while True:
        began = time.monotonic()
        yield stretch
        if stretch.complete is not None:
            return
        took_s = time.monotonic() - began
        _log.debug("stretch %d was played again in %.2f s", count, took_s)
        client.command(LearnMore(claims=took_s <= SHORT_S or count >= _STRETCHES_MOST))
        stretch, count = _learn(client, time.monotonic(), limit_s), count + 1


def _learn(client: MatchClient, began: float, limit_s: float) -> Stretch:
    episodes: list[PastEpisode] = []
    deadline = began + limit_s + _MARGIN_S
    while time.monotonic() < deadline:
        event = client.receive()
        match event:
            case LinkOpened(player):
                _log.info("reached %r again", client.player_id(player))
            case PastEpisode():
                episodes.append(event)
            case PastSoFar():
                return Stretch(tuple(episodes), None)
            case PastComplete():
                return Stretch(tuple(episodes), event)
            case HandshakeMismatch(player, differences):
                raise HandshakeRefused(client.player_id(player), differences)
            case _:
                _raise_if_failed(event)
    raise ConnectFailed(
        "the others of the match", waited_s=limit_s, seen="nobody who knows what was played", advice=_ADVICE
    )


def _frames_of(episode: PastEpisode) -> int:
    """Return how many frames of it can be played: those of which everybody's inputs are known."""
    known = min(map(len, episode.inputs))
    return known if episode.frames is None else min(known, episode.frames)


def take_seat(client: MatchClient, caught_up: int, limit_s: float) -> SeatTaken:
    """Let the others go on, once everything was played again; return where the seat was taken.

    Args:
        client: of the match.
        caught_up: how many frames that were.
        limit_s: how long the others wait.

    Raises:
        NetworkError: something came out otherwise, or the others do not wait any more.
    """
    _log.debug("played %d frames again", caught_up)
    client.command(TakeSeat(caught_up))
    deadline = time.monotonic() + limit_s + _MARGIN_S
    while time.monotonic() < deadline:
        event = client.receive()
        if isinstance(event, SeatTaken):
            _log.info(
                "back at frame %d of episode %d: played %d frames again",
                event.frame,
                event.episode,
                caught_up,
            )
            return event
        _raise_if_failed(event)
    raise ConnectFailed("the seat", waited_s=limit_s, seen="no answer of the network half", advice=_ADVICE)


def _raise_if_failed(event: WorkerEvent | None) -> None:
    match event:
        case ReturnFailed(why):
            raise NetworkError(f"there is no way back into the match: {why}; {_ANEW}")
        case PlayerGone(_, reason) if reason == SUPERSEDED:
            raise NetworkError(f"there is no way back into the match: {SUPERSEDED_WORDS}")
        case PlayerGone(_, reason) if reason == EXCLUDED:
            message = "there is no way back into the match: the others play on without this player"
            raise NetworkError(f"{message}; {_ANEW}")
        case WorkerFailed(error):
            raise error
        case WorkerStopped():
            raise NetworkError("the network half stopped by itself")
