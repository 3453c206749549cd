"""The terms on which a match is played: what a player brings to the others, and what they agree on.

Knows games, configuration and what travels with the handshake; refuses to know how it travels.
"""

from __future__ import annotations

import json
import numbers
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, SupportsIndex

import attrs

from gym_p2p.config import P2PConfig, SyncConfig
from gym_p2p.config.names import compared_name
from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.core.link.game_records import GameTransport
from gym_p2p.core.match.terms import Term
from gym_p2p.core.record.building import unique_names
from gym_p2p.core.record.player_identity import PlayedBy
from gym_p2p.core.wire.bounded_json import IN_MESSAGE, decode_json
from gym_p2p.core.wire.codec import MAX_SEED
from gym_p2p.core.wire.messages import MAX_OPTIONS_BYTES
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, NetworkError, ProtocolError, UnsupportedEnvironment
from gym_p2p.game.env.game import Game
from gym_p2p.game.stand_ins import InformedStandIn
from gym_p2p.net.worker.messages import PlayerPlan
from gym_p2p.play.exported import introduction
from gym_p2p.play.kept_match import KeptMatch
from gym_p2p.play.sync_mode import SyncChoice, SyncOffer, agree
from gym_p2p.version import __version__

__all__ = ["agreed", "as_before", "game_terms", "holders", "make_plan", "seed_of", "travelled"]


@attrs.frozen
class Seated:
    """Who acts for a player.

    Attributes:
        played_by: a person or a policy, for the documents; ``None`` where nobody says.
        page_rtt_ms: the round trip between the process that plays and a person's page; ``None`` without one.
        seats: who acts at those of the player's seats of which that is known in particular.
    """

    played_by: PlayedBy | None = None
    page_rtt_ms: float | None = None
    seats: Mapping[SeatId, PlayedBy] = attrs.field(factory=dict)

    def with_person(self, seat: SeatId | None, page_rtt_ms: float | None = None) -> Seated:
        """Return this with a person, for whom the whole player counts as one.

        Args:
            seat: theirs; ``None`` while any free one is wanted.
            page_rtt_ms: to their page; ``None`` while it is not known.
        """
        return Seated("person", page_rtt_ms, self._with(seat, "person"))

    def with_policy(self, seat: SeatId | None) -> Seated:
        """Return this with a policy at a seat; ``None`` while any free one is wanted."""
        return Seated(self.played_by or "policy", self.page_rtt_ms, self._with(seat, "policy"))

    def others(self) -> dict[SeatId, PlayedBy]:
        """Return at which seats somebody else acts than for the player."""
        return {seat: who for seat, who in self.seats.items() if who != self.played_by}

    def _with(self, seat: SeatId | None, who: PlayedBy) -> dict[SeatId, PlayedBy]:
        return dict(self.seats) if seat is None else {**self.seats, seat: who}


NOBODY_SAYS = Seated()


def make_plan(
    game: Game,
    config: P2PConfig,
    *,
    take: tuple[SeatId, ...] | None,
    votes: bool,
    offer: SyncOffer,
    seated: Seated = NOBODY_SAYS,
    kept: KeptMatch | None = None,
) -> PlayerPlan:
    """Return what the network half is to do, with what the others have to agree on.

    Args:
        game: the local copy.
        config: as configured.
        take: the seats of this player; ``None`` takes any free one.
        votes: whether this player votes on a queue's match before it is made.
        offer: the sync modes that this player can play in.
        seated: who acts for this player.
        kept: the match that is taken up again; ``None`` where one is looked for.

    Raises:
        ConfigurationError: a stand-in does not say what it does.
    """
    sync = config.sync
    must = {
        **game_terms(game),
        Term.FPS.value: _pace(sync.fps),
        Term.CHECKSUM_INTERVAL.value: f"{sync.checked_every} frames",
        Term.ABSENT_PLAYERS.value: _gone(game, sync),
        Term.WHILE_AWAY.value: sync.while_away,
        Term.STAND_IN.value: _stand_in(sync),
    }
    names = unique_names(game.seats)
    by_seat = {names[seat]: who for seat, who in seated.others().items()}
    about = {
        **introduction(played_by=seated.played_by, played_by_seat=by_seat),
        "input_delay": sync.input_delay,
        "fps": sync.fps,
        "sync": offer.as_sent(),
        "files": _file_names(game, sync),
        "game_transport": [way.value for way in GameTransport],
    }
    plan = PlayerPlan(
        config=_without_callables(config),
        subject_id=config.subject_id or f"anonymous-{secrets.token_hex(6)}",
        seats=game.seats,
        take=take,
        votes=votes,
        description={"must": must, "about": about},
        page_rtt_ms=seated.page_rtt_ms,
    )
    if kept is None:
        return plan
    return attrs.evolve(plan, subject_id=kept.subject_id, secret=kept.secret, returns=kept.returns)


def game_terms(game: Game) -> dict[str, Any]:
    """Return what binds everybody who plays the game, or watches it: the game itself, and our release."""
    return {Term.GAME.value: game.describe(), Term.RELEASE.value: __version__}


def as_before(offer: SyncOffer, sent: Mapping[str, Any] | None) -> SyncOffer:
    """Return what this player offers, who offered something to the others before their process ended.

    Args:
        offer: what this process can do.
        sent: what that one stated of itself.

    Raises:
        UnsupportedEnvironment: this one cannot save the game as that one did.
    """
    before = SyncOffer.received((sent or {}).get("sync"))
    if before.able and before.strategy != offer.strategy:
        raise UnsupportedEnvironment(
            f"the match is played with states saved by {before.strategy}; here the game is saved by "
            f"{offer.strategy or 'nothing'} ({offer.why})"
        )
    return attrs.evolve(
        before,
        snapshots=offer.snapshots,
        window=offer.window,
        save_every=offer.save_every,
        save_again_every=offer.save_again_every,
    )


def agreed(found: MatchFound, about: Sequence[Mapping[str, Any] | None], offer: SyncOffer) -> SyncChoice:
    """Return the sync mode that all players come to.

    Args:
        found: the match.
        about: what every player sent about themselves, in the match's order.
        offer: our own.

    Raises:
        HandshakeRefused: one insists on what another one cannot, or does not want to, do.
    """
    others = {
        player.player_id: SyncOffer.received((theirs or {}).get("sync"))
        for player, theirs in zip(found.players, about, strict=True)
        if player.player_id != found.player_id
    }
    return agree(offer, others)


def holders(game: Game, found: MatchFound) -> list[int]:
    """Return for every seat of the game, in its order, the index of its player.

    Raises:
        NetworkError: the service seated other seats than the game has.
    """
    by_seat = {seat: index for index, player in enumerate(found.players) for seat in player.seats}
    if set(by_seat) != set(game.seats):
        raise NetworkError(f"the service seated {list(by_seat)}, the game has {list(game.seats)}")
    return [by_seat[seat] for seat in game.seats]


def seed_of(seed: SupportsIndex | None) -> int | None:
    """Return a seed as it travels; another library's whole number is one, too.

    Raises:
        ConfigurationError: it is none.
    """
    if seed is None:
        return None
    whole = isinstance(seed, numbers.Integral) and not isinstance(seed, bool)
    if not whole or not 0 <= int(seed) <= MAX_SEED:
        raise ConfigurationError("seed", f"wanted None or a whole number from 0 to 2**64 - 1, got {seed!r}")
    return int(seed)


def travelled(options: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the options of a reset as the peers get them, after JSON: so everybody resets with the same.

    Raises:
        ConfigurationError: they cannot travel.
    """
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise ConfigurationError("options", f"wanted None or a mapping, got {options!r}")
    try:
        text = json.dumps(dict(options), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            "options", f"they travel to the peers as JSON, and cannot: {error}"
        ) from None
    if len(text) > MAX_OPTIONS_BYTES:
        raise ConfigurationError(
            "options", f"they are {len(text)} bytes as JSON, and {MAX_OPTIONS_BYTES} can travel to the peers"
        )
    try:
        plain: dict[str, Any] = decode_json(text, IN_MESSAGE)
    except ProtocolError as error:
        raise ConfigurationError("options", f"no peer would take them: {error.problem}") from None
    return plain


def _pace(fps: float | None) -> str:
    """Return the frame rate to its last digit: 30 and 30.0 are one, 59.94 and 60 are two."""
    if fps is None:
        return "None (not paced: as fast as everybody can)"
    return repr(float(fps)).removesuffix(".0")


def _gone(game: Game, sync: SyncConfig) -> str:
    """Return how the others play on without a player, which has to be the same for all of them.

    Also where the episode ends with who is gone, it goes on without those whose seats were over.
    """
    goes_on = sync.on_peer_loss in {"default_action", "stand_in"}
    how = sync.on_peer_loss if goes_on else "truncate or raise (the episode ends)"
    defaults = {str(s): game.codec(s).to_json(game.default_action(s)) for s in game.seats}
    return f"{how}, default actions {json.dumps(defaults)}"


def _stand_in(sync: SyncConfig) -> str:
    """Return who stands in, which has to be the same for all."""
    return compared_name("stand_in", sync.stand_in) if callable(sync.stand_in) else str(sync.stand_in)


def _file_names(game: Game, sync: SyncConfig) -> dict[str, str]:
    """Return the names of files whose contents are compared, for people to read where these differ."""
    name = sync.stand_in.file_name if isinstance(sync.stand_in, InformedStandIn) else None
    return dict(game.files) | ({} if name is None else {Term.STAND_IN.value: name})


def _without_callables(config: P2PConfig) -> P2PConfig:
    """Return the configuration as the network half gets it: callables cannot travel, and need not."""
    sync = config.sync
    if sync.stand_in is not None:
        without: dict[str, Any] = {"stand_in": None}
        for option in ("on_peer_loss", "while_away"):
            if getattr(sync, option) == "stand_in":
                without[option] = "default_action"
        sync = attrs.evolve(sync, **without)
    return attrs.evolve(config, pre_match=None, on_pause=None, sync=attrs.evolve(sync, snapshot_hooks=None))
