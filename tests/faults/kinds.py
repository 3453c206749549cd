"""The kinds of faults: when they strike whom, and what has to hold then. The one table of expectations.

Everything is drawn from the seed of the run, so that a run can be repeated; knows nothing of processes and
networks (:mod:`tests.faults.acts` carries faults out) and nothing of documents (:mod:`tests.faults.audit`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Literal

import attrs

from tests.faults.draws import (
    EPISODE_FRAMES,
    Draw,
    Fault,
    at,
    at_barrier,
    blackouts,
    clocks,
    frames_during,
    once,
    path,
    several,
)
from tests.lab import Nat

__all__ = ["KINDS", "Expected", "Kind", "Plan", "Stage", "plan"]

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
        join: further options of ``gym-p2p join``.
    """

    nat: Nat | None = None
    behind: int = 2
    ice: tuple[Literal["stun", "turn"], ...] = ()
    roaming: bool = False
    small_disk: bool = False
    own_clock: bool = False
    join: tuple[str, ...] = ()

    @property
    def needs(self) -> Sequence[tuple[str, str]]:
        """The programs that it needs, each with the line that installs it."""
        relay = [("turnserver", "apt-get install coturn")] if self.ice else []
        return relay + ([("cc", "apt-get install gcc")] if self.own_clock else [])


@attrs.frozen(kw_only=True)
class Kind:
    """One row of the table."""

    about: str
    draw: Draw
    after_frames: int = 60
    """What is played after the last fault."""
    expected: Expected
    stage: Stage = Stage()


@attrs.frozen(kw_only=True)
class Plan:
    """One run, all of which follows from ``kind`` and ``seed``."""

    kind: str
    seed: int
    sync: Literal["lockstep", "rollback"]
    game: Literal["rally", "tally"]
    hosts: tuple[str, ...]
    faults: tuple[Fault, ...]
    frames: int
    one_way_ms: float


def plan(kind: str, seed: int) -> Plan:
    """Return the run of a kind that a seed makes: any four seeds in a row have both modes, with 2 and 3."""
    rng = random.Random(f"{kind}/{seed}")
    three = seed // 2 % 2 == 1
    hosts = ("a", "b", "c") if three else ("a", "b")
    faults = KINDS[kind].draw(rng, hosts)
    last = max(fault.frame + frames_during(fault) for fault in faults)
    return Plan(
        kind=kind,
        seed=seed,
        sync="rollback" if seed % 2 else "lockstep",
        game="tally" if three else "rally",
        hosts=hosts,
        faults=tuple(faults),
        frames=max(last, EPISODE_FRAMES) + KINDS[kind].after_frames,
        one_way_ms=rng.choice([2.0, 10.0, 25.0]),
    )


_LOSES_ONE = Expected(
    plays_on="nobody", struck=(), others=(1,), newest_lost=True, naming="departure", names="others"
)
"""A player dies: the others end as ``on_peer_loss`` says, with everything that was played."""
_LOSES_BEFORE = Expected(plays_on="nobody", struck=(), others=(1, 3, 130), exports="nobody", newest_lost=True)
"""A player dies before there is a match: the others say so, or wait on for somebody else."""
_COMES_BACK = Expected(naming="rejoin", names="all")
_REJOIN = Stage(join=("--rejoin-timeout", "20"))
"""The others wait so long."""
_INTERRUPTED = attrs.evolve(_LOSES_ONE, struck=(130,), newest_lost=False)
_PAUSES = Expected(naming="pause")
_STANDS_STILL = Expected(naming="standstill", names="all")
_LACKS_SERVICE = Expected(naming="service outage", names="all")

KINDS: Mapping[str, Kind] = {
    "loss": Kind(
        about="loss of 1 to 40 %, for 2 s, four times",
        draw=path("loss", [0.01, 0.05, 0.1, 0.2, 0.3, 0.4], 2.0, 4),
        expected=Expected(),  # no document counts what was lost and repeated
    ),
    "jitter": Kind(
        about="jitter of up to 20 to 100 ms, for 2 s, four times",
        draw=path("jitter", [20.0, 50.0, 100.0], 2.0, 4),
        expected=Expected(naming="slower"),
    ),
    "one way": Kind(
        about="nothing gets through in one direction for 2 s, twice",
        draw=path("one way", [1.0], 2.0, 2),
        expected=_PAUSES,
    ),
    "blackout 0.2": Kind(
        about="nothing gets through for 0.2 s, four times", draw=blackouts(0.2, 4), expected=Expected()
    ),
    "blackout 1": Kind(about="the same for 1 s, three times", draw=blackouts(1.0, 3), expected=_PAUSES),
    "blackout 3": Kind(about="the same for 3 s, twice", draw=blackouts(3.0, 2), expected=_PAUSES),
    "blackout 8": Kind(about="the same for 8 s", draw=blackouts(8.0, 1), expected=_PAUSES),
    "blackout 20": Kind(
        about="the same for 20 s, twice as long as is waited where nobody passes messages on",
        draw=blackouts(20.0, 1),
        expected=_PAUSES,
    ),
    "blackout 20 alone": Kind(
        about="the same where nobody does",
        draw=blackouts(20.0, 1),
        expected=Expected(plays_on="nobody", struck=(1,), others=(1,), naming="departure"),
        stage=Stage(join=("--relay", "none")),
    ),
    "blackout at close": Kind(
        about="nothing gets through for 2 s from five frames before the last one",
        draw=blackouts(2.0, 1, first=EPISODE_FRAMES),
        after_frames=5,
        expected=_PAUSES,
    ),
    "several": Kind(
        about="two paths at once around a barrier, and a direction before another one",
        draw=several,
        expected=_PAUSES,
    ),
    "path change": Kind(
        about="another interface, with another address",
        draw=once("path change", first=True),
        expected=Expected(naming="new connection", names="struck"),
        stage=Stage(roaming=True),
    ),
    "NAT rebinding": Kind(
        about="a translator forgets, and maps to other ports, twice",
        draw=once("rebinding", first=True, count=2),
        expected=Expected(naming="pause or not", names="struck"),
        stage=Stage(nat=Nat.PORT_RESTRICTED, behind=1, ice=("stun",)),
    ),
    "NAT by address": Kind(
        about="all behind address-restricted translators with STUN; blackouts of 1 s",
        draw=blackouts(1.0, 2),
        expected=_PAUSES,
        stage=Stage(nat=Nat.ADDRESS_RESTRICTED, behind=16, ice=("stun",)),
    ),
    "NAT symmetric": Kind(
        about="all behind symmetric translators with TURN; blackouts of 1 s to the relay",
        draw=once("relay blackout", seconds=1.0, count=2),
        expected=Expected(naming="relayed pause", names="all"),
        stage=Stage(nat=Nat.SYMMETRIC, behind=16, ice=("stun", "turn")),
    ),
    "player killed": Kind(
        about="kill -9 of both halves of a player", draw=once("player killed"), expected=_LOSES_ONE
    ),
    "user half killed": Kind(
        about="kill -9 of the process that plays", draw=once("user half killed"), expected=_LOSES_ONE
    ),
    "network half killed": Kind(
        about="kill -9 of the process that has the network",
        draw=once("network half killed"),
        expected=attrs.evolve(_LOSES_ONE, struck=(1,), newest_lost=False),
    ),
    "killed connecting": Kind(
        about="kill -9 of a player on the way to the match",
        draw=at("starting", "player killed", 2.0),
        expected=_LOSES_BEFORE,
    ),
    "killed in handshake": Kind(
        about="kill -9 of a player within 0.3 s of their first socket to the others",
        draw=at("meeting", "player killed", 0.3),
        expected=_LOSES_BEFORE,
    ),
    "killed at barrier": Kind(
        about="kill -9 of a player within 0.15 s of an episode's end",
        draw=at_barrier("player killed"),
        expected=_LOSES_ONE,
    ),
    "killed at close": Kind(
        about="kill -9 of a player within 0.15 s of the last frame",
        draw=at("closing", "player killed", 0.15),
        expected=attrs.evolve(_LOSES_ONE, plays_on="others", others=(0, 1), naming=None),
    ),
    "killed and back": Kind(
        about="kill -9 of both halves of a player, who starts again after 2 s",
        draw=once("player killed", seconds=2.0),
        expected=_COMES_BACK,
        stage=_REJOIN,
    ),
    "user half killed and back": Kind(
        about="kill -9 of the process that plays, which is started again after 2 s",
        draw=once("user half killed", seconds=2.0),
        expected=_COMES_BACK,
        stage=_REJOIN,
    ),
    "killed at barrier and back": Kind(
        about="kill -9 of a player within 0.15 s of an episode's end, who starts again at once",
        draw=at_barrier("player killed", seconds=0.1),
        expected=_COMES_BACK,
        stage=_REJOIN,
    ),
    "service killed": Kind(
        about="kill -9 of the service, for good", draw=once("service killed"), expected=_LACKS_SERVICE
    ),
    "service restarted": Kind(
        about="kill -9 of the service, which is back after 3 s",
        draw=once("service killed", seconds=3.0),
        expected=_LACKS_SERVICE,
    ),
    "freeze": Kind(
        about="SIGSTOP of both halves of a player for 5 s",
        draw=once("player stopped", seconds=5.0),
        expected=_STANDS_STILL,
    ),
    "user half frozen": Kind(
        about="SIGSTOP of the process that plays, for 3 s",
        draw=once("user half stopped", seconds=3.0),
        expected=_STANDS_STILL,
    ),
    "network half frozen": Kind(
        about="SIGSTOP of the process that has the network, for 3 s",
        draw=once("network half stopped", seconds=3.0),
        expected=_STANDS_STILL,
    ),
    "clock": Kind(
        about="a player's wall clock jumps by an hour, ahead and back, in either order",
        draw=clocks,
        expected=Expected(naming="clock jump", names="struck"),
        stage=Stage(own_clock=True),
    ),
    "disk full": Kind(
        about="a disk of 64 KB for a player's exports, filled up in the middle",
        draw=once("disk full", first=True),
        expected=Expected(struck=(0, 1)),
        stage=Stage(small_disk=True),
    ),
    "SIGHUP": Kind(about="a player's terminal hangs up", draw=once("SIGHUP"), expected=_INTERRUPTED),
    "Ctrl-C": Kind(about="a player presses Ctrl-C", draw=once("SIGINT"), expected=_INTERRUPTED),
}
