"""Matches on virtual time in which one player attacks: what becomes of the others."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import attrs
import jsonschema

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.commands import Leave
from gym_p2p.core.record.documents import KINDS
from gym_p2p.core.sync.patience import Patience
from gym_p2p.errors import ProtocolError
from gym_p2p.exports.documents import schema
from gym_p2p.exports.encoding import encode
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.seats import make_game
from gym_p2p.net.links.memory import MemoryNetwork, Path, VirtualClock
from gym_p2p.play.sync_mode import SyncChoice
from gym_p2p.simulation import player as simulated
from gym_p2p.simulation.arguments import BySeat, Setting
from gym_p2p.simulation.match import _choices
from gym_p2p.simulation.player import VirtualPlayer
from tests.hostile.attacker import Script, hook
from tests.simulation.test_simulation import Blends

__all__ = ["FPS", "Fought", "fight"]

FPS = 30.0
_CHECKED_EVERY = 8


@attrs.frozen
class Fought:
    """What became of one player beside whom another one attacked.

    Attributes:
        ending: how the match ended for them.
        frames: how many frames of theirs are final.
        seconds: when it ended, on the virtual clock.
        documents: their three documents as they would be read from their files.
    """

    ending: str
    frames: int
    seconds: float
    documents: dict[str, Any]


class _Victim(VirtualPlayer):
    """A virtual player; what the wrapper makes of an input that is none, this makes too."""

    def _play(self) -> None:
        if self.ending is not None:
            return
        try:
            super()._play()
        except ProtocolError as error:
            self._recorder.record.protocol_error(error.problem)
            self._finish("protocol_error")

    def _handle(self, event: Any) -> None:
        if self.ending is None:
            super()._handle(event)

    def _finish(self, ending: str) -> None:
        super()._finish(ending)
        if ending != "frames":  # whoever plays closes then, and the others are not left waiting
            self._driver.command(Leave(ending))


class _Attacker(_Victim):
    """They have all the time in the world: it is the others' own patience that ends what they hold up."""

    def __init__(self, *player: Any, **among: Any) -> None:
        super().__init__(*player, **among)
        self._patience = Patience(math.inf, paced=False)


@functools.cache
def _table(mode: str, players: int) -> tuple[Sequence[Game], Sequence[SyncChoice], SyncConfig]:
    """Return every player's game, which all matches have one after the other, and how they agree to play."""
    config = SyncConfig(mode=mode, fps=FPS, checksum_interval=_CHECKED_EVERY)  # type: ignore[arg-type]  # a literal
    games = [make_game(Blends(players)) for _ in range(players)]
    return games, _choices(games, config), config


def fight(
    script: Script, *, mode: str, players: int, frames: int, limit_s: float, seed: int = 1
) -> list[Fought]:
    """Play a match in which the first player attacks by a script; return what became of the others.

    Args:
        script: the attack.
        mode: lockstep or rollback.
        players: how many there are.
        frames: the match is over after so many.
        limit_s: of virtual time; whoever has not ended by then is ``unfinished``.
        seed: of the network.
    """
    games, choices, config = _table(mode, players)
    seats = games[0].seats
    by_seat = BySeat(leave={}, clock_drift={}, input_delay={})
    policies = {seat: _policy(index) for index, seat in enumerate(seats)}
    setting = Setting(seats, policies, config, by_seat, frames, seed)
    clock = VirtualClock()
    network = MemoryNetwork(clock, seed=seed, path=Path(one_way_ms=20, jitter_ms=5, loss=0.01))
    with patch.object(simulated, "Match", hook(script, [0])):
        everybody = [
            (_Victim if index else _Attacker)(setting, index, game, choice, clock=clock, network=network)
            for index, (game, choice) in enumerate(zip(games, choices, strict=True))
        ]
    for player in everybody:
        player.connect()
    victims = everybody[1:]
    clock.run_until(limit_s, done=lambda: all(victim.ending is not None for victim in victims))
    return [_fought(victim, clock) for victim in victims]


def _policy(index: int) -> Callable[[Any, int], int]:
    return lambda _observation, frame: (frame // 3 * (index + 2) + index) % 7


@functools.cache
def _validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema(kind))


def _fought(victim: VirtualPlayer, clock: VirtualClock) -> Fought:
    result = victim.result()
    documents: dict[str, Any] = {}
    for kind in KINDS:
        document = json.loads(b"".join(encode(result.exports[kind])))
        _validator(kind).validate(document)
        documents[kind] = document
    return Fought(result.ending, len(result.confirmed), victim.ended_at or clock.time(), documents)
