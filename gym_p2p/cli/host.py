"""``gym-p2p host``: seats for people who have nothing but a link, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from gym_p2p.cli.host_options import add_links_options, add_meeting_options, add_page_options
from gym_p2p.cli.options import add_match_options, env_arguments, find_local_modules, match_options
from gym_p2p.cli.seat_options import reactions
from gym_p2p.cli.surroundings import called_at_signals
from gym_p2p.config import ServiceConfig
from gym_p2p.errors import P2PError, ServiceUnreachable, UsageError
from gym_p2p.files.private import check_directory
from gym_p2p.human.invitation import require_next_url
from gym_p2p.processes.progress import doing

if TYPE_CHECKING:
    from gym_p2p.hosting.door import Address
    from gym_p2p.hosting.hall import Setting
    from gym_p2p.hosting.house import House
    from gym_p2p.hosting.links import Link
    from gym_p2p.hosting.messages import Measured, Part
    from gym_p2p.hosting.processes import SeatProcesses

_T = TypeVar("_T")

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

_REACH_LIMIT_S = 10.0

DESCRIPTION = (
    "Host seats for people: whoever opens a link plays in a page of their browser, and a process on this "
    "machine plays their seat as an ordinary peer."
)
EPILOG = """\
examples:
  gym-p2p host gym_p2p/Rally-v0                                    a link for everybody; two meet and play
  gym-p2p host gym_p2p/Rally-v0 --partner scripted                 everybody plays against a program
  gym-p2p host gym_p2p/Rally-v0 --links 40 --public-url https://play.example.org/rally
  gym-p2p host pettingzoo.atari.pong_v3 --env-arg obs_type=ram --partner my_package.agents:greedy

A link is for one person and one match; its code stands in the documents as the subject. Behind a proxy that
speaks TLS, --public-url is what the links begin with; docs/hosting.md has such a proxy.
"""

EXIT_CODES = {
    0: "ended by Ctrl-C or SIGTERM, everybody in good order",
    1: "it could not listen on that address, or the environment failed",
    2: "wrong usage, or an environment that people cannot play",
    3: "no service at --server",
    130: "interrupted before it had begun",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("env", help="as for join")
    add_meeting_options(parser.add_argument_group("who plays with whom"))
    add_links_options(parser.add_argument_group("links"))
    add_page_options(parser.add_argument_group("the page"))
    add_match_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Host until interrupted."""
    find_local_modules()
    _require_partner(arguments)
    require_next_url(arguments.next)
    asyncio.run(_host(arguments))
    return 0


def _require_partner(arguments: argparse.Namespace) -> None:
    """Pass where what is for programs comes with some.

    Raises:
        UsageError: it does not.
    """
    if arguments.partner is not None:
        return
    if arguments.people is not None or arguments.seat is not None:
        raise UsageError("--people and --seat want --partner: people who meet in a queue take any free seat")
    if arguments.reaction_ms or arguments.actions_per_second is not None:
        raise UsageError("--reaction-ms and --actions-per-second want --partner: people react as they do")


async def _host(arguments: argparse.Namespace) -> None:
    from gym_p2p.hosting.door import Address, Door, listen  # noqa: PLC0415 - the pages, which --help does not need
    from gym_p2p.hosting.hall import Hall  # noqa: PLC0415 - the same
    from gym_p2p.hosting.links import Links  # noqa: PLC0415 - the same

    links = _links(arguments)
    stopped = asyncio.Event()
    with called_at_signals(stopped.set), contextlib.ExitStack() as stack:
        listening = stack.enter_context(listen(arguments.host, arguments.port))
        address = Address(arguments.host, listening.getsockname()[1], arguments.public_url)
        part = _part(arguments)
        with doing(f"trying {arguments.env}"):
            processes, measured = await _tried(part, stopped)
        stack.callback(processes.close)
        setting = _setting(arguments, part, measured, address)
        house = _house(arguments, setting, measured)
        check_directory(arguments.exports)
        if arguments.server is not None:
            await _reach(arguments.server)
        else:
            part.options["server_url"] = stack.enter_context(_own_service(arguments))
        hall = Hall(setting, house, processes, _say)
        door = Door(hall, Links(links, _link_for_visitor), address)
        try:
            await door.open(listening)
            _tell(arguments, links, address, house.seats)
            await stopped.wait()
            _say("ending: everybody is told, and the documents are written")
        finally:
            await hall.close()
            await door.close()


# What is played.


def _part(arguments: argparse.Namespace) -> Part:
    from gym_p2p.hosting.messages import Part, PersonsPart  # noqa: PLC0415 - as above

    options = {**match_options(arguments), "room_timeout_s": arguments.wait}
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
        **reactions(arguments),
    )


async def _tried(part: Part, stopped: asyncio.Event) -> tuple[SeatProcesses, Measured]:
    """Play the environment for a moment, in a process of its own; return what it costs, and who starts more.

    Raises:
        P2PError: it cannot be played so.
        KeyboardInterrupt: it was stopped before that was known.
    """
    from gym_p2p.hosting.messages import Failed, FromProcess, Measure, Measured  # noqa: PLC0415 - as above
    from gym_p2p.hosting.processes import SeatProcesses  # noqa: PLC0415 - the same

    answer: asyncio.Future[FromProcess | None] = asyncio.get_running_loop().create_future()

    def hear(message: FromProcess | None) -> None:
        if not answer.done():
            answer.set_result(message)

    trying = SeatProcesses(part.env)
    try:
        process = trying.start(Measure(part), hear=hear, gone=lambda: hear(None))
        try:
            found = await _unless(stopped, answer)
        finally:
            process.kill()
            await process.let_go()
    finally:
        trying.close()
    match found:
        case Measured():
            return SeatProcesses(part.env, *found.modules), found
        case Failed(problem, usage):
            raise (UsageError if usage else P2PError)(problem)
        case _:
            raise P2PError(f"{part.env} ended its process while it was tried")


async def _unless(stopped: asyncio.Event, answer: asyncio.Future[_T]) -> _T:
    """Return an answer.

    Raises:
        KeyboardInterrupt: it was stopped before.
    """
    stopping = asyncio.create_task(stopped.wait())
    try:
        waiting: set[asyncio.Future[Any]] = {stopping, answer}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
    if stopped.is_set():
        raise KeyboardInterrupt
    return answer.result()


def _setting(arguments: argparse.Namespace, part: Part, measured: Measured, address: Address) -> Setting:
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
    return Setting(
        part=part,
        seats=tuple(seats),
        queue=arguments.queue if arguments.partner is None else None,
        people=people,
        policy=arguments.partner or "random",
        url=address.of,
    )


def _house(arguments: argparse.Namespace, setting: Setting, measured: Measured) -> House:
    from gym_p2p.hosting.cost import free_bytes, room_for  # noqa: PLC0415 - as above
    from gym_p2p.hosting.house import House  # noqa: PLC0415 - the same

    programs = 0 if setting.queue is not None else len(setting.seats) - setting.people
    room = room_for(
        measured,
        policies_each=programs / setting.people,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=free_bytes(),
    )
    if arguments.seats is not None and arguments.seats > room:
        _say(f"note: at {measured.fps:g} frames a second there is room for about {room} people here")
    return House(
        seats=arguments.seats or room,
        people=None if setting.queue is not None else setting.people,
        room_prefix=f"{arguments.queue}.{secrets.token_hex(3)}",
    )


async def _reach(url: str) -> None:
    """Pass where something listens at a service's address: else everybody would wait there in vain.

    Raises:
        ServiceUnreachable: nothing does.
    """
    where = urlsplit(url)
    try:
        port = where.port or {"https": 443}.get(where.scheme, 80)
        async with asyncio.timeout(_REACH_LIMIT_S):
            _, line = await asyncio.open_connection(where.hostname or "", port)
        line.close()
    except (OSError, ValueError) as error:
        raise ServiceUnreachable(url, str(error) or "no answer") from None


@contextlib.contextmanager
def _own_service(arguments: argparse.Namespace) -> Iterator[str]:
    from gym_p2p.server import serve_in_thread  # noqa: PLC0415 - as above

    data_dir = str(Path(arguments.exports) / "service")
    with serve_in_thread(ServiceConfig(port=0, data_dir=data_dir)) as service:
        yield service.url


# Links.


def _links(arguments: argparse.Namespace) -> list[Link]:
    """Return the links that were made before, and those that are made now."""
    from gym_p2p.hosting.link_file import read_links  # noqa: PLC0415 - as above
    from gym_p2p.hosting.links import Link  # noqa: PLC0415 - the same

    links = read_links(_file(arguments))
    taken = {link.code for link in links}
    codes = (f"p{number:03}" for number in itertools.count(1))
    expires_at = time.time() + arguments.links_last * 3600
    while len(links) < arguments.links:
        code = next(code for code in codes if code not in taken)
        links.append(Link(code=code, token=secrets.token_urlsafe(24), expires_at=expires_at))
    if arguments.open or not links:
        links.append(Link(code="open", token=secrets.token_urlsafe(24), door=True))
    return links


def _file(arguments: argparse.Namespace) -> Path:
    return Path(arguments.links_file or Path(arguments.exports) / "links.csv")


def _link_for_visitor() -> Link:
    from gym_p2p.hosting.links import Link  # noqa: PLC0415 - as above

    return Link(code=f"v-{secrets.token_hex(5)}", token=secrets.token_urlsafe(24))


# What is said.


def _tell(arguments: argparse.Namespace, links: Sequence[Link], address: Address, seats: int) -> None:
    """Say where the pages are."""
    from gym_p2p.hosting.link_file import write_links  # noqa: PLC0415 - as above

    own = [link for link in links if not link.door]
    if own:
        write_links(_file(arguments), own, address.of)
        print(f"links for {len(own)} people: {_file(arguments)}", flush=True)
    for link in links:
        if link.door:
            print(f"a link for everybody: {address.of(link)}", flush=True)
    print(f"seats for {seats} at once; documents go to {arguments.exports}", flush=True)
    if urlsplit(address.base).scheme == "http" and not _is_loopback(arguments.host):
        print(_OPEN_NOTE, file=sys.stderr, flush=True)


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


_OPEN_NOTE = (
    "note: links and keys travel unencrypted to this port. Use it in a network that you trust, or put a TLS "
    "proxy in front, and give its address as --public-url."
)
