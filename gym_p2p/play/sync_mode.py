"""Which sync mode a match is played in: what this player can do, and what all of them agree on.

Every player tries out whether their copy of the game can be saved and restored exactly, and offers that with
the handshake. All then come to the same choice from the same offers. Knows configuration and games; refuses
to know the network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.config import SyncConfig
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.errors import HandshakeRefused, UnsupportedEnvironment
from gym_p2p.game.env.game import Game
from gym_p2p.game.state.proof import SnapshotChoice, choose_snapshots
from gym_p2p.game.state.rehearsal import Rehearsal, listed, unlike
from gym_p2p.game.state.snapshot import Snapshots

__all__ = ["SyncChoice", "SyncOffer", "agree", "how_often_to_save", "make_offer"]


@attrs.frozen(kw_only=True)
class SyncChoice:
    """How a match's frames are kept together, as all its players agreed.

    Attributes:
        mode: ``lockstep`` or ``rollback``.
        why: in words.
        window: how many frames this player predicts; 0 in lockstep.
        snapshots: how the game is saved; ``None`` where nothing is.
        compares_states: whether checksums cover the state as well as what ``step`` returned.
        save_every: frames between two saved states: 1 unless saving is dearer than playing a frame.
        save_again_every: the same where frames are played again.
        left_out: what of the states is not compared, as paths without indices: the players differed in it
            when they tried the game, and no outcome did.
    """

    mode: str
    why: str
    window: int = 0
    snapshots: Snapshots | None = None
    compares_states: bool = False
    save_every: int = 1
    save_again_every: int = 1
    left_out: tuple[str, ...] = ()

    @property
    def compared_by(self) -> str | None:
        """The name of the strategy by which others can compare states; ``None`` where they cannot.

        Who plays a recording again or looks on compares whole states; what is left out is for players alone.
        """
        whole = self.compares_states and not self.left_out
        return self.snapshots.name if whole and self.snapshots is not None else None

    def to_export(self) -> dict[str, Any]:
        """Return it as it stands in the exports."""
        name = None if self.snapshots is None else self.snapshots.name
        return {
            "mode": self.mode,
            "why": self.why,
            "window": self.window,
            "snapshots": name,
            "comparesStates": self.compares_states,
            "saveEvery": self.save_every,
            "leftOut": list(self.left_out),
        }


@attrs.frozen(kw_only=True)
class SyncOffer:
    """What one player wants and can do.

    Attributes:
        wants: ``auto``, ``lockstep`` or ``rollback``.
        able: whether they can play with rollback.
        why: why, or why not, in words.
        strategy: how they save the game; ``None`` where they do not.
        snapshots: the same, at the player's own side.
        window: how many frames they predict at most.
        save_every: frames between two states that they save.
        save_again_every: the same where frames are played again.
        rehearsal: what trying it came to; ``None`` where the state cannot be read.
    """

    wants: str
    able: bool
    why: str
    strategy: str | None = None
    snapshots: Snapshots | None = None
    window: int = 0
    save_every: int = 1
    save_again_every: int = 1
    rehearsal: Rehearsal | None = None

    def as_sent(self) -> dict[str, Any]:
        """Return what the others receive."""
        tried = None if self.rehearsal is None else self.rehearsal.as_sent()
        offer = {"wants": self.wants, "able": self.able, "why": self.why, "strategy": self.strategy}
        return {**offer, "rehearsal": tried}

    @classmethod
    def received(cls, data: object) -> SyncOffer:
        """Read what another player sent; who sends nothing sensible plays in lockstep."""
        fields = data if isinstance(data, Mapping) else {}
        wants, why, strategy = fields.get("wants"), fields.get("why"), fields.get("strategy")
        return cls(
            wants=printable(wants) if isinstance(wants, str) else "lockstep",
            able=fields.get("able") is True,
            why=printable(why) if isinstance(why, str) else "no reason was given",
            strategy=strategy if isinstance(strategy, str) else None,
            rehearsal=Rehearsal.received(fields.get("rehearsal")),
        )


def make_offer(game: Game, config: SyncConfig, *, real_time: bool = True) -> SyncOffer:
    """Find out what this player can do; plays the game for a moment where that has to be tried.

    Args:
        game: the local copy; to be reset before it is used.
        config: what is asked for.
        real_time: whether what it costs counts; on virtual time it does not.

    Raises:
        UnsupportedEnvironment: rollback is insisted on, and the game cannot be saved and restored exactly.
    """
    if config.mode == "lockstep":
        return SyncOffer(wants="lockstep", able=False, why="lockstep was asked for")
    if config.mode == "auto" and config.fps is None:
        why = "frames are not paced (fps=None), so that nothing is gained by predicting"
        return SyncOffer(wants="auto", able=False, why=why)
    if config.mode == "auto" and game.takes_turns:
        return SyncOffer(wants="auto", able=False, why="its agents take turns, and a turn cannot be guessed")
    found = choose_snapshots(game, hooks=config.snapshot_hooks)
    if found.snapshots is None:
        if config.mode == "rollback":
            raise UnsupportedEnvironment(
                f"sync='rollback' needs a game that can be saved and restored exactly: {found.reason}. "
                "Use sync='lockstep', or give snapshot_hooks; `gym-p2p check` tells more"
            )
        return SyncOffer(wants="auto", able=False, why=found.reason)
    window, cost, save_every, save_again_every = config.prediction_window, "", 1, 1
    if real_time:
        depth = window if config.fps is None else found.rollback_depth(config.fps)
        if config.mode == "auto" and depth < 1:
            why = f"not even one frame can be played again within a frame at {config.fps:g} frames a second"
            return SyncOffer(wants="auto", able=False, why=why)
        window = window if config.mode == "rollback" else min(window, depth)
        save_every, save_again_every = how_often_to_save(found, window)
        cost = "" if config.fps is None else f", {depth} frames can be played again within one"
    return SyncOffer(
        wants=config.mode,
        able=True,
        why=f"exact by {found.snapshots.name}{cost}",
        strategy=found.snapshots.name,
        snapshots=found.snapshots,
        window=window,
        save_every=save_every,
        save_again_every=save_again_every,
        rehearsal=found.rehearsal,
    )


def how_often_to_save(found: SnapshotChoice, window: int) -> tuple[int, int]:
    """Return how many frames lie between two saved states: of frames that are new, and that are played again.

    With states ``s`` apart a rollback of a whole window saves ``window / s`` of them, and one that begins
    among these frames plays ``(s - 1) / 2`` more. Both together are least where ``s`` is the root of
    ``2 * window * save / step``, which is half of a window of 8 where a save is as dear as a step.
    Between rollbacks every state is saved unless that is so: the next one then plays no frame more.
    """
    save_us, step_us = found.save_us, found.step_us
    if save_us is None or not step_us:
        return 1, 1
    most = max(2, window // 2)
    if save_us > step_us:
        return most, most
    return 1, min(most, max(1, round(math.sqrt(2 * window * save_us / step_us))))


def agree(own: SyncOffer, others: Mapping[Any, SyncOffer]) -> SyncChoice:
    """Return how the match is played; every player comes to the same mode.

    Raises:
        HandshakeRefused: one insists on rollback, and another one on lockstep or cannot do it.
    """
    everyone = [own, *others.values()]
    strict = next((offer for offer in everyone if offer.wants == "rollback"), None)
    against = _against(own, others)
    if strict is not None and against is not None:
        player, offer = against
        ours, theirs = f"{own.wants} ({own.why})", f"{offer.wants} ({offer.why})"
        raise HandshakeRefused(player, (("sync", ours, theirs),))
    same = len({offer.strategy for offer in everyone}) == 1
    if all(offer.able for offer in everyone):
        left_out = unlike([offer.rehearsal for offer in everyone]) if same else ()
        return SyncChoice(
            mode="rollback",
            why=f"every player can save and restore the game: {own.why}{_said_of(left_out)}",
            window=own.window,
            snapshots=own.snapshots,
            compares_states=same,
            save_every=own.save_every,
            save_again_every=own.save_again_every,
            left_out=left_out,
        )
    unable = [f"{'we' if offer is own else 'a peer'}: {offer.why}" for offer in everyone if not offer.able]
    return SyncChoice(mode="lockstep", why="; ".join(dict.fromkeys(unable)))


def _said_of(left_out: tuple[str, ...]) -> str:
    if not left_out:
        return ""
    return (
        "; left out of the comparison of states, because players differ in it and their outcomes did not: "
        f"{listed(left_out)}"
    )


def _against(own: SyncOffer, others: Mapping[Any, SyncOffer]) -> tuple[Any, SyncOffer] | None:
    """Return another player whose offer does not go with ours, or with a third one's."""
    differing = [(player, offer) for player, offer in others.items() if not offer.able]
    if differing:
        return differing[0]
    wanting = [(player, offer) for player, offer in others.items() if offer.wants == "rollback"]
    return wanting[0] if wanting and not own.able else None
