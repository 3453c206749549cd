"""What a run is made of: the stage that it needs, the faults that are drawn, and what has to hold then.

Values alone; the kinds that there are stand in :mod:`tests.faults.kinds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs

from tests.faults.draws import Draw, Fault
from tests.lab import Nat

__all__ = ["Expected", "Game", "Kind", "Plan", "Stage"]

Game = Literal["rally", "pong", "tally", "tally4"]
Who = Literal["all", "others", "nobody"]
"""``others`` are the players whom the fault did not strike."""


@attrs.frozen(kw_only=True)
class Expected:
    """What has to hold of a kind.

    Attributes:
        plays_on: who plays to the last frame.
        struck: exit codes of ``gym-p2p join`` of the players it strikes; empty for those who are killed.
        others: exit codes of the others.
        exports: whose documents have to be there.
        newest_lost: whether documents of those struck may lack what came after their last checkpoint.
        naming: how documents name it, of :data:`tests.faults.naming.RULES`; ``None``: nobody can know of it.
        names: whose documents.
    """

    plays_on: Who = "all"
    struck: tuple[int, ...] = (0,)
    others: tuple[int, ...] = (0,)
    exports: Who = "all"
    newest_lost: bool = False
    naming: str | None = None
    names: Literal["pair", "struck", "others", "all"] = "pair"


@attrs.frozen(kw_only=True)
class Stage:
    """What a scene needs beside hosts and a service.

    Attributes:
        nat: the translator in front of hosts.
        behind: how many hosts are behind one.
        ice: which servers there are on the service's node, as schemes of their URLs; they are one coturn.
        roaming: whether the first host has a second interface.
        small_disk: whether the first host's exports are on a disk of 64 KB.
        own_clock: whether the first host's wall clock can be set.
        by_modes: whether files' modes count for the first player, who is root.
        spectator: whether somebody looks on.
        service_later: whether a service that was killed for good is there again once all have ended.
        join: further options of ``gym-p2p join``.
    """

    nat: Nat | None = None
    behind: int = 2
    ice: tuple[Literal["stun", "turn"], ...] = ()
    roaming: bool = False
    small_disk: bool = False
    own_clock: bool = False
    by_modes: bool = False
    spectator: bool = False
    service_later: bool = False
    join: tuple[str, ...] = ()

    @property
    def needs(self) -> Sequence[tuple[str, str]]:
        """The programs that it needs, each with the line that installs it."""
        relay = [("turnserver", "apt-get install coturn")] if self.ice else []
        modes = [("setpriv", "apt-get install util-linux")] if self.by_modes else []
        return relay + modes + ([("cc", "apt-get install gcc")] if self.own_clock else [])


@attrs.frozen(kw_only=True)
class Kind:
    """One row of the table."""

    about: str
    draw: Draw
    after_frames: int = 60
    """What is played after the last fault."""
    expected: Expected
    stage: Stage = Stage()
    games: tuple[Game, Game] = ("rally", "tally")
    """What is played, of four seeds in a row in the first two and in the others."""


@attrs.frozen(kw_only=True)
class Plan:
    """One run, all of which follows from ``kind`` and ``seed``."""

    kind: str
    seed: int
    sync: Literal["lockstep", "rollback"]
    game: Game
    hosts: tuple[str, ...]
    faults: tuple[Fault, ...]
    frames: int
    one_way_ms: float
