"""``gym-p2p host``: seats for people who have nothing but a link, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from gym_p2p.cli.host_options import add_links_options, add_meeting_options, add_page_options
from gym_p2p.cli.host_setting import capacity_of, house_of, part_of, require_fitting, setting_of
from gym_p2p.cli.options import add_match_options, find_local_modules, require_places
from gym_p2p.cli.reaching import reach
from gym_p2p.cli.surroundings import called_at_signals
from gym_p2p.config import ServiceConfig
from gym_p2p.files.private import check_directory, check_place
from gym_p2p.human.invitation import require_next_url
from gym_p2p.processes.progress import doing

if TYPE_CHECKING:
    from gym_p2p.hosting.capacity import Capacity
    from gym_p2p.hosting.door import Address
    from gym_p2p.hosting.links import Link

_T = TypeVar("_T")

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

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
    add_match_options(parser, fps="the game's own rate")


def run(arguments: argparse.Namespace) -> int:
    """Host until interrupted."""
    find_local_modules()
    require_places(arguments)
    require_fitting(arguments)
    require_next_url(arguments.next)
    if arguments.links and arguments.links_file is not None:
        check_place(Path(arguments.links_file).parent, option="links_file")
    asyncio.run(_host(arguments))
    return 0


async def _host(arguments: argparse.Namespace) -> None:
    from gym_p2p.hosting.door import Address, Door, listen  # noqa: PLC0415 - the pages, which --help does not need
    from gym_p2p.hosting.hall import Hall  # noqa: PLC0415 - the same
    from gym_p2p.hosting.link_file import link_for_visitor, note_spent, read_spent  # noqa: PLC0415 - the same
    from gym_p2p.hosting.links import Links  # noqa: PLC0415 - the same
    from gym_p2p.hosting.trial import tried  # noqa: PLC0415 - the same

    path = Path(arguments.links_file or Path(arguments.exports) / "links.csv")
    links, spent = _links(arguments, path), read_spent(path)
    stopped = asyncio.Event()
    with called_at_signals(stopped.set), contextlib.ExitStack() as stack:
        listening = stack.enter_context(listen(arguments.host, arguments.port))
        address = Address(arguments.host, listening.getsockname()[1], arguments.public_url)
        part = part_of(arguments)
        with doing(f"trying {arguments.env}"):
            processes, measured = await _unless(stopped, tried(part))
        stack.callback(processes.close)
        setting = setting_of(arguments, part, measured, address)
        house, capacity = house_of(arguments, setting), capacity_of(arguments, setting, measured)
        for code, state in spent.items():
            house.spend(code, state)
        check_directory(arguments.exports)  # now: wrong usage leaves no folder
        if arguments.server is not None:
            await _unless(stopped, reach(arguments.server))
        else:
            part.options["server_url"] = stack.enter_context(_own_service(arguments))
        hall = Hall(
            setting=setting,
            house=house,
            capacity=capacity,
            processes=processes,
            say=_say,
            spent=partial(note_spent, path),
        )
        door = Door(hall, Links(links, link_for_visitor), address)
        try:
            await door.open(listening)
            hall.begin_measuring()
            _tell(arguments, path, links, address)
            _tell_seats(arguments, capacity, spent=sum(link.code in spent for link in links))
            await stopped.wait()
            _say("ending: everybody is told, and the documents are written")
        finally:
            await hall.close()
            await door.close()


def _links(arguments: argparse.Namespace, path: Path) -> list[Link]:
    """Return the links that were made before, and those that are made now."""
    from gym_p2p.hosting.link_file import new_door, new_links, read_links  # noqa: PLC0415 - as above

    links = read_links(path, arguments.env)
    links += new_links(links, arguments.links, expires_at=time.time() + arguments.links_last * 3600)
    return [*links, new_door()] if arguments.open or not links else links


async def _unless(stopped: asyncio.Event, work: Coroutine[Any, Any, _T]) -> _T:
    """Return what some work comes to.

    Raises:
        KeyboardInterrupt: it was stopped before; the work is cancelled.
    """
    doing_it, stopping = asyncio.create_task(work), asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({doing_it, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not doing_it.done():
            raise KeyboardInterrupt
        return doing_it.result()
    finally:
        doing_it.cancel()
        stopping.cancel()
        await asyncio.gather(doing_it, stopping, return_exceptions=True)


@contextlib.contextmanager
def _own_service(arguments: argparse.Namespace) -> Iterator[str]:
    from gym_p2p.server import serve_in_thread  # noqa: PLC0415 - as above

    data_dir = str(Path(arguments.exports) / "service")
    with serve_in_thread(ServiceConfig(port=0, data_dir=data_dir)) as service:
        yield service.url


# What is said.


def _tell(arguments: argparse.Namespace, path: Path, links: Sequence[Link], address: Address) -> None:
    """Say where the pages are."""
    from gym_p2p.hosting.link_file import write_links  # noqa: PLC0415 - as above

    own = [link for link in links if not link.door]
    if own:
        write_links(path, own, address.of, arguments.env)
        print(f"{_links_for(len(own))}: {path}", flush=True)
    for link in links:
        if link.door:
            print(f"a link for everybody: {address.of(link)}", flush=True)
    if urlsplit(address.base).scheme == "http" and not _is_loopback(arguments.host):
        print(_OPEN_NOTE, file=sys.stderr, flush=True)


def _links_for(people: int) -> str:
    return "a link for one person" if people == 1 else f"links for {people} people"


def _tell_seats(arguments: argparse.Namespace, capacity: Capacity, *, spent: int) -> None:
    """Say for how many there is room."""
    if spent:
        print(f"{spent} of these links are spent: their matches were played", flush=True)
    seats, first, room = (
        capacity.fixed or capacity.expected_seats,
        capacity.first_seats,
        capacity.expected_room,
    )
    if seats > room:
        _say(f"note: {seats} people are more than this machine has room for at this rate (about {room})")
    held = f", for {first} until it is measured what they cost" if capacity.is_held(time.monotonic()) else ""
    print(f"seats for {seats} at once{held}; documents go to {arguments.exports}", flush=True)


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


_OPEN_NOTE = (
    "note: links and keys travel unencrypted to this port. Use it in a network that you trust, or put a TLS "
    "proxy in front, and give its address as --public-url."
)
