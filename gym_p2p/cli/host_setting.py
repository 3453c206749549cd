"""What ``gym-p2p host`` hosts, by its options: what is played, who plays beside whom, how many at once."""

from __future__ import annotations

import argparse
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from gym_p2p.cli.options import env_arguments, match_options
from gym_p2p.cli.seat_options import reactions, require_keys, stand_in_of
from gym_p2p.errors import UsageError

if TYPE_CHECKING:
    from gym_p2p.hosting.capacity import Capacity
    from gym_p2p.hosting.door import Address
    from gym_p2p.hosting.hall import Setting
    from gym_p2p.hosting.house import House
    from gym_p2p.hosting.messages import Measured, Part

__all__ = ["capacity_of", "house_of", "part_of", "require_fitting", "setting_of"]


def require_fitting(arguments: argparse.Namespace) -> None:
    """Pass where what is for programs comes with some, and what is for one player not to a host of many.

    Raises:
        UsageError: it does not.
    """
    stand_in_of(arguments)
    require_keys(arguments)
    if isinstance(arguments.record, str) and arguments.record.endswith(".p2preplay"):
        raise UsageError("--record: a host has many matches: name a folder, not one file")
    if arguments.partner is not None:
        return
    if arguments.people is not None or arguments.seat is not None:
        raise UsageError("--people and --seat want --partner: people who meet in a queue take any free seat")
    if arguments.reaction_ms or arguments.actions_per_second is not None:
        raise UsageError("--reaction-ms and --actions-per-second want --partner: people react as they do")


def part_of(arguments: argparse.Namespace) -> Part:
    """Return what a person plays, but for who they are and where they meet."""
    from gym_p2p.hosting.messages import Part, PersonsPart  # noqa: PLC0415 - which --help does not need

    options = {
        **match_options(arguments),
        "room_timeout_s": arguments.wait,
        "rejoin_timeout_s": arguments.rejoin_timeout,
        "while_away": arguments.while_away,
    }
    if arguments.server is not None:
        options["server_url"] = arguments.server
    person = PersonsPart(
        url="",
        keys=None if arguments.keys is None else str(Path(arguments.keys).absolute()),
        title=arguments.title,
        hold_s=arguments.hold,
        next_url=arguments.next,
    )
    return Part(
        env=arguments.env,
        env_args=env_arguments(arguments.env_arg),
        options=options,
        split=arguments.split,
        episodes=arguments.episodes,
        frames=arguments.frames,
        seed=arguments.seed,
        person=person,
        policy=arguments.partner or "random",
        stand_in=stand_in_of(arguments),
        **reactions(arguments),
    )


def setting_of(arguments: argparse.Namespace, part: Part, measured: Measured, address: Address) -> Setting:
    """Return who plays beside whom.

    Raises:
        UsageError: the environment has no such seats, or too few for a match.
    """
    from gym_p2p.hosting.hall import Setting  # noqa: PLC0415 - as above

    seats = list(measured.seats)
    if arguments.seat is not None:
        if arguments.seat not in seats:
            raise UsageError(f"--seat: {arguments.env} has the seats {', '.join(map(str, seats))}")
        seats.remove(arguments.seat)
        seats.insert(0, arguments.seat)
    people = arguments.people or 1
    if arguments.partner is not None and people >= len(seats):
        raise UsageError(f"--people: of {len(seats)} seats a program plays one at least, with --partner")
    setting = Setting(
        part=part,
        seats=tuple(seats),
        queue=arguments.queue if arguments.partner is None else None,
        people=people,
        policy=arguments.partner or "random",
        url=address.of,
    )
    others_elsewhere = arguments.partner is None and arguments.server is not None
    if not others_elsewhere and (arguments.seats or setting.together) < setting.together:
        raise UsageError(f"--seats: a match takes {setting.together} people, who would wait for each other")
    return setting


def house_of(arguments: argparse.Namespace, setting: Setting) -> House:
    """Return a house that nobody sits in yet."""
    from gym_p2p.hosting.house import House  # noqa: PLC0415 - as above

    return House(
        seats=arguments.seats or 1,
        people=None if setting.queue is not None else setting.people,
        room_prefix=f"{arguments.queue}.{secrets.token_hex(3)}",
    )


def capacity_of(arguments: argparse.Namespace, setting: Setting, measured: Measured) -> Capacity:
    """Return for how many there is room, by what the environment cost when it was tried."""
    from gym_p2p.hosting.capacity import Capacity  # noqa: PLC0415 - as above
    from gym_p2p.hosting.cost import cost_of, free_bytes, seats_in_memory  # noqa: PLC0415 - the same

    programs = 0 if setting.queue is not None else len(setting.seats) - setting.people
    each = programs / setting.people
    return Capacity(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        fps=measured.fps,
        expected=cost_of(measured, policies_each=each),
        most=seats_in_memory(policies_each=each, memory_bytes=free_bytes()),
        together=setting.together,
        fixed=arguments.seats,
    )
