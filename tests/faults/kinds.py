"""The kinds of faults: when they strike whom, and what has to hold then. The one table of expectations.

Everything is drawn from the seed of the run, so that a run can be repeated; knows nothing of processes and
networks (:mod:`tests.faults.acts` carries faults out) and nothing of documents (:mod:`tests.faults.audit`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import attrs

from tests.faults.draws import (
    EPISODE_FRAMES,
    FPS,
    at,
    at_barrier,
    at_once,
    blackouts,
    clocks,
    coming_back,
    frames_during,
    medley,
    once,
    path,
    several,
)
from tests.faults.games import SEATS
from tests.faults.scenario import Expected, Kind, Plan, Stage
from tests.lab import Nat

__all__ = ["KINDS", "plan"]


def plan(kind: str, seed: int) -> Plan:
    """Return the run of a kind that a seed makes: any four seeds in a row have both modes with both games."""
    rng = random.Random(f"{kind}/{seed}")
    game = KINDS[kind].games[seed // 2 % 2]
    hosts = tuple("abcd"[: len(SEATS[game])])
    faults = KINDS[kind].draw(rng, hosts)
    last = max(fault.frame + frames_during(fault) for fault in faults)
    return Plan(
        kind=kind,
        seed=seed,
        sync="rollback" if seed % 2 else "lockstep",
        game=game,
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
_REJOIN = ("--rejoin-timeout", "40")
"""The others wait so long."""
_PLAYERS_PROCESSES = ("player killed", "user half killed", "network half killed")
_INTERRUPTED = attrs.evolve(_LOSES_ONE, struck=(130,), newest_lost=False)
_PAUSES = Expected(naming="pause")
_STANDS_STILL = Expected(naming="standstill", names="all")
_LACKS_SERVICE = Expected(naming="service outage", names="all")
_WATCHED = Stage(spectator=True, join=("--spectators", "2"))
_OLDER_THAN_CHECKPOINT = 12 * FPS
"""What a killed player has written down by itself is ten seconds old at most."""

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
    "bad path": Kind(
        about="loss of 55 % for 10 s, which is round a path's limit for long",
        draw=path("loss", [0.55], 10.0, 1),
        after_frames=60,
        expected=Expected(naming="way round"),
    ),
    "cut off": Kind(
        about="nothing gets through between a player and everybody, the service too, for 3 s",
        draw=once("cut off", seconds=3.0),
        expected=Expected(naming="cut off", names="all"),
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
    "NAT symmetric alone": Kind(
        about="the same without TURN: all goes through the service; blackouts of 1 s to that",
        draw=once("relay blackout", seconds=1.0, count=2),
        expected=Expected(naming="relayed pause", names="all"),
        stage=Stage(nat=Nat.SYMMETRIC, behind=16, ice=("stun",)),
    ),
    "player killed": Kind(
        about="kill -9 of both halves of a player, after 12 s",
        draw=once("player killed", later=_OLDER_THAN_CHECKPOINT),
        expected=_LOSES_ONE,
    ),
    "power cut": Kind(
        about="a player's processes and link are gone at once, after 12 s: no FIN, no ICMP",
        draw=once("power cut", later=_OLDER_THAN_CHECKPOINT),
        expected=_LOSES_ONE,
    ),
    "power cut and back": Kind(
        about="the same; the machine is back after 4 s, and the player starts again",
        draw=once("power cut", seconds=4.0),
        expected=_COMES_BACK,
        stage=Stage(join=_REJOIN),
    ),
    "user half killed": Kind(
        about="kill -9 of the process that plays", draw=once("user half killed"), expected=_LOSES_ONE
    ),
    "network half killed": Kind(
        about="kill -9 of the process that has the network",
        draw=once("network half killed"),
        expected=attrs.evolve(_LOSES_ONE, struck=(1,), newest_lost=False),
    ),
    "warm server killed": Kind(
        about="kill -9 of the process that forks network halves: a match does not need it",
        draw=once("warm server killed"),
        expected=Expected(),
    ),
    "error in step": Kind(
        about="a player's environment raises an error",
        draw=once("error in step"),
        expected=attrs.evolve(_LOSES_ONE, struck=(2,), newest_lost=False),
    ),
    "killed connecting": Kind(
        about="kill -9 of a player, or of one half of it, on the way to the match",
        draw=at("starting", _PLAYERS_PROCESSES, 2.0),
        # A network half that nobody uses yet is replaced, and all play.
        expected=attrs.evolve(_LOSES_BEFORE, others=(0, *_LOSES_BEFORE.others)),
    ),
    "killed in handshake": Kind(
        about="the same within 0.3 s of their first socket to the others",
        draw=at("meeting", _PLAYERS_PROCESSES, 0.3),
        expected=_LOSES_BEFORE,
    ),
    "killed at barrier": Kind(
        about="the same within 0.15 s of an episode's end",
        draw=at_barrier(*_PLAYERS_PROCESSES),
        expected=_LOSES_ONE,
    ),
    "killed at close": Kind(
        about="the same within 0.15 s of the last frame",
        draw=at("closing", _PLAYERS_PROCESSES, 0.15),
        expected=attrs.evolve(_LOSES_ONE, plays_on="others", others=(0, 1), naming=None),
    ),
    "killed and back": Kind(
        about="kill -9 of both halves of a player, who starts again after 2 s",
        draw=once("player killed", seconds=2.0),
        expected=_COMES_BACK,
        stage=Stage(join=_REJOIN),
    ),
    "user half killed and back": Kind(
        about="kill -9 of the process that plays, which is started again after 2 s",
        draw=once("user half killed", seconds=2.0),
        expected=_COMES_BACK,
        stage=Stage(join=_REJOIN),
    ),
    "killed at barrier and back": Kind(
        about="kill -9 of a player within 0.15 s of an episode's end, who starts again at once",
        draw=at_barrier("player killed", seconds=0.1),
        expected=_COMES_BACK,
        stage=Stage(join=_REJOIN),
    ),
    "killed and back twice": Kind(
        about="kill -9 of a player, and within 0.8 s of its first socket of the process that comes back",
        draw=coming_back("player killed", seconds=1.0),
        expected=_COMES_BACK,
        stage=Stage(join=_REJOIN),
    ),
    "two killed and back": Kind(
        about="kill -9 of two players of three or four at once, who start again one after the other",
        draw=at_once("player killed", seconds=1.0),
        expected=_COMES_BACK,
        stage=Stage(join=_REJOIN),
        games=("tally", "tally4"),
    ),
    "killed as another comes back": Kind(
        about="kill -9 of one of three players, and of another one within 0.8 s of the first socket of the "
        "process that comes back, where nobody passes messages on; both start again",
        draw=coming_back("player killed", seconds=1.0, another=True),
        expected=_COMES_BACK,
        stage=Stage(join=(*_REJOIN, "--relay", "none")),
        games=("tally", "tally"),
    ),
    "Pong": Kind(
        about="PettingZoo's Pong: a blackout of 3 s, and kill -9 of a player, who starts again",
        draw=medley(
            ("blackout 3", blackouts(3.0, 1)), ("killed and back", once("player killed", seconds=1.0))
        ),
        expected=Expected(),
        stage=Stage(join=_REJOIN),
        games=("pong", "pong"),
    ),
    "service killed": Kind(
        about="kill -9 of the service, which is back when all have ended, and gets their documents then",
        draw=once("service killed"),
        expected=_LACKS_SERVICE,
        stage=Stage(service_later=True),
    ),
    "service killed connecting": Kind(
        about="kill -9 of the service within 0.5 s of a player's first socket, back after 1 s",
        draw=at("meeting", ["service killed"], 0.5, seconds=1.0),
        expected=Expected(),  # nothing may have been wanted of it meanwhile
    ),
    "service killed at close": Kind(
        about="kill -9 of the service within 0.15 s of the last frame, back when all have ended",
        draw=at("closing", ["service killed"], 0.15),
        expected=Expected(),  # a document may be whole by then
        stage=Stage(service_later=True),
    ),
    "service frozen 5": Kind(
        about="SIGSTOP of the service for 5 s, which is shorter than what counts as an outage",
        draw=once("service stopped", seconds=5.0),
        expected=Expected(),
    ),
    "service frozen 20": Kind(
        about="the same for 20 s", draw=once("service stopped", seconds=20.0), expected=_LACKS_SERVICE
    ),
    "line cut": Kind(
        about="nothing gets through between one player and the service for 20 s",
        draw=once("line cut", seconds=20.0),
        expected=Expected(naming="service outage", names="struck"),
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
    "folder deleted": Kind(
        about="a player's folder of exports is deleted in the middle",
        draw=once("folder deleted", first=True),
        expected=Expected(),
    ),
    "read-only": Kind(
        about="nothing in a player's folder of exports can be written any more, from the middle on",
        draw=once("read-only", first=True),
        expected=Expected(),
        stage=Stage(by_modes=True),
    ),
    "chdir": Kind(
        about="a player's program goes into a folder that is deleted then; its exports are named from here",
        draw=once("chdir"),
        expected=Expected(),
    ),
    "spectator killed": Kind(
        about="kill -9 of who looks on", draw=once("spectator killed"), expected=Expected(), stage=_WATCHED
    ),
    "SIGHUP": Kind(about="a player's terminal hangs up", draw=once("SIGHUP"), expected=_INTERRUPTED),
    "Ctrl-C": Kind(about="a player presses Ctrl-C", draw=once("SIGINT"), expected=_INTERRUPTED),
    "medley": Kind(
        about="in one match: a blackout, a freeze, a service that is back, a player who is killed at a "
        "barrier and back, a folder that is deleted, a warm server that is killed",
        draw=medley(
            ("blackout 1", blackouts(1.0, 1)),
            ("network half frozen", once("network half stopped", seconds=2.0)),
            ("service restarted", once("service killed", seconds=2.0)),
            ("killed at barrier and back", at_barrier("player killed", seconds=0.1)),
            ("folder deleted", once("folder deleted", first=True)),
            ("warm server killed", once("warm server killed")),
        ),
        after_frames=30,
        expected=Expected(),
        stage=Stage(join=_REJOIN),
    ),
    "medley of paths": Kind(
        about="in one match: two paths at once around a barrier, a direction, jitter, and another address",
        draw=medley(
            ("several", several),
            ("jitter", path("jitter", [100.0], 2.5, 1)),  # one round trip a second tells of it
            ("path change", once("path change", first=True)),
        ),
        after_frames=30,
        expected=Expected(),
        stage=Stage(roaming=True),
    ),
}
