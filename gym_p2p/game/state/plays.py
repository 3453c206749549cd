"""Short plays of a game that are compared: who plays them, and what they gave out as digests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gym_p2p.game.checksum import checksum
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.random_policy import RandomPolicy
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.spaces.masks import mask_of

__all__ = ["Actor", "outcome_digests", "random_actor"]

Actor = Callable[[Outcome, int], Sequence[Any]]
"""``actor(outcome, frame) -> actions``: every seat's canonical action of a frame, in seat order."""


def random_actor(game: Game, seed: int = 0) -> Actor:
    """Return an actor that plays every seat at random, minding action masks. Equal seeds, equal actions."""
    policies = [RandomPolicy(game.action_space(seat), seed + i) for i, seat in enumerate(game.seats)]
    codecs = [game.codec(seat) for seat in game.seats]

    def act(outcome: Outcome, _frame: int) -> list[Any]:
        seen = zip(policies, codecs, outcome.observations, outcome.infos, strict=True)
        return [codec.check(policy.act(mask_of(codec.space, o, i))) for policy, codec, o, i in seen]

    return act


def outcome_digests(game: Game, outcome: Outcome) -> dict[str, str]:
    """Return a digest of each thing that an outcome gives to each seat, by what it is."""
    digests = {"the end": str(outcome.ended)}
    for index, seat in enumerate(game.seats):
        digests[f"the observation of {seat!r}"] = checksum(outcome.observations[index]).hex()
        digests[f"the reward of {seat!r}"] = checksum(outcome.rewards[index]).hex()
        ends = (outcome.terminations[index], outcome.truncations[index])
        digests[f"the end of {seat!r}"] = checksum(ends).hex()
    return digests
