"""A house of seats for ``bench human``: ``gym-p2p host``, and how the people in it do."""

from __future__ import annotations

import contextlib
import csv
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import psutil

from gym_p2p.bench.chromium import Chromium
from gym_p2p.bench.figures import Row, times_between
from gym_p2p.bench.processes import Worker
from gym_p2p.bench.run import Progress
from gym_p2p.errors import P2PError
from gym_p2p.hosting.capacity import HELD_S
from gym_p2p.human.messages import CLOSE_CODES
from gym_p2p.processes.python import python_command
from gym_p2p.processes.usage import seconds_below

__all__ = ["PEOPLE", "HostedPeople", "hosted_people", "hosted_rows", "hosting", "seat_bytes"]

_GAMES = {
    "Rally": ("gym_p2p.envs:gym_p2p/Rally-v0", "--env-arg=points=1000", "--env-arg=max_frames=30000"),
    "Pong": ("pettingzoo.atari.pong_v3", "--env-arg=obs_type=ram", "--env-arg=max_cycles=100000"),
}

PEOPLE = {"Rally": 12, "Pong": 20}
"""How many people are to be hosted on two cores."""

FPS = 30.0

_START_LIMIT_S = 60.0
_END_LIMIT_S = 60.0
_MEET_LIMIT_S = 90.0
_LOOK_EVERY_S = 0.1
_SILENCE_S = 0.1
_ON_PURPOSE = set(CLOSE_CODES.values()) - {CLOSE_CODES["full"]}
_ASKS_EVERY_S = 10.0
"""Who is asked to wait, as in the page."""
_COMES_EVERY_S = 0.3
"""From one person to the next."""
_SETTLED_S = 6.0
"""After its first frame a seat has loaded and made what it needs, and its countdown is over."""


@attrs.frozen(kw_only=True)
class HostedPeople:
    """How people do who come to one host, each to play with another one.

    Attributes:
        game: what they play.
        came: how many there were.
        asked_to_wait: how many of them the host let not in, and told why.
        on_time: share of frames that were on time, of each who played.
        share: processor time of a person's seat, as a share of a core, were all frames played in time.
        pages_share: the same of all pages together, which stand in for browsers elsewhere.
    """

    game: str
    came: int
    asked_to_wait: int
    on_time: Sequence[float]
    share: float
    pages_share: float


@contextlib.contextmanager
def hosting(game: str, people: int, *options: str) -> Iterator[tuple[list[str], int]]:
    """Host a game for so many people; yields their links, and the host's process id. All ends with it.

    Args:
        game: one of this bench's.
        people: how many links there are.
        options: of the command.

    Raises:
        P2PError: it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="gym_p2p-bench-", ignore_cleanup_errors=True) as folder:
        links = Path(folder, "links.csv")
        command = python_command("gym_p2p", "host", *_GAMES[game], "--fps", f"{FPS:g}", "--port", "0")
        command += ["--links", str(people), "--links-file", str(links), *options]
        said = Path(folder, "said.txt")
        with said.open("w") as out:
            house = subprocess.Popen(  # noqa: S603 - our own
                command, cwd=folder, stdout=subprocess.DEVNULL, stderr=out, process_group=0
            )
        try:
            until = time.monotonic() + _START_LIMIT_S
            while not links.exists():
                if house.poll() is not None or until <= time.monotonic():
                    told = said.read_text().strip().rpartition("\n")[2]
                    raise P2PError(f"gym-p2p host does not start: {told or 'it said nothing'}")
                time.sleep(_LOOK_EVERY_S)
            with links.open(newline="") as table:
                urls = [row["link"] for row in csv.DictReader(table)]
            yield urls, house.pid
        finally:
            house.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                house.wait(_END_LIMIT_S)
            house.kill()
            house.wait()


def seat_bytes(browser: Chromium, url: str, kind: str) -> int:
    """Return the unshared memory (USS) of what a person's seat takes: its process, and its network process.

    Args:
        browser: opens the page.
        url: of the seat.
        kind: of the page's link.
    """
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with browser.page(f"{url}?link={kind}") as page:
        page.until("Boolean(window.page?.screen.drawn)", _START_LIMIT_S)
        time.sleep(_SETTLED_S)
        found: dict[str, list[int]] = {}
        for process in psutil.Process().children(recursive=True):
            if process.pid not in before:
                with contextlib.suppress(psutil.Error):
                    found.setdefault(process.name(), []).append(process.memory_full_info().uss)
    try:  # of two seats the person's has the page, and is the larger one
        return max(found["gym_p2p-seat"]) + max(found["gym_p2p-network"])
    except KeyError as error:
        raise P2PError(f"the seat has no process {error}") from None


def hosted_people(game: str, people: int, seconds: float, progress: Progress) -> HostedPeople:
    """Have so many people come to a host and play with one another; its door decides how many may.

    Args:
        game: one of this bench's.
        people: how many come.
        seconds: how long is looked on.
        progress: is called with what goes on.

    Raises:
        P2PError: the game is not installed, or somebody neither plays nor is told why not.
    """
    progress(f"{people} people come to play {game}")
    with hosting(game, people) as (urls, house), Worker("pages") as pages:
        for url in urls:
            pages.request("open", url=url)
            time.sleep(_COMES_EVERY_S)
        standing = _settled(pages)
        progress(f"{sum(one['frames'] > 0 for one in standing)} of them play")
        time.sleep(_SETTLED_S)
        before, used, began = pages.request("took"), seconds_below(house) or {}, time.monotonic()
        time.sleep(seconds)
        after, used_then = pages.request("took"), seconds_below(house) or {}
        lasted_s = time.monotonic() - began
    playing = [at for at in after["frames_at"] if at]
    taken_s = sum(at - used[one] for one, at in used_then.items() if one in used)
    return HostedPeople(
        game=game,
        came=people,
        asked_to_wait=sum(one["code"] == CLOSE_CODES["full"] for one in standing),
        on_time=[times_between([*at, *_silence(at, after["at_s"])], FPS)[1] for at in playing],
        share=taken_s / max(1, sum(map(len, playing))) * FPS,
        pages_share=(after["cpu_s"] - before["cpu_s"]) / lasted_s,
    )


def _silence(frames_at: Sequence[float], until: float) -> list[float]:
    """Return the end of the time that was looked at, where nothing came before it for more than a moment."""
    return [until] if frames_at[-1] + _SILENCE_S <= until else []


def _settled(pages: Worker) -> list[dict[str, Any]]:
    """Wait until everybody plays, is told why not, or waits for nobody; return how all stand.

    Whoever is asked to wait asks again, as their page would, for as long as a door waits for what seats cost.
    """
    began = time.monotonic()
    until, asked_at = began + _MEET_LIMIT_S, began
    while True:
        standing: list[dict[str, Any]] = pages.request("standing")
        full = [place for place, one in enumerate(standing) if one["code"] == CLOSE_CODES["full"]]
        if full and asked_at < began + HELD_S:
            time.sleep(max(0.0, asked_at + _ASKS_EVERY_S - time.monotonic()))
            asked_at = time.monotonic()
            for place in full:
                pages.request("open_again", place=place)
            continue
        broken = False
        for place, one in enumerate(standing):
            if one["code"] in _ON_PURPOSE:
                raise P2PError(f"a page was closed with {one['code']} before the match began")
            if one["code"] not in {None, CLOSE_CODES["full"]}:  # its line broke: a page comes again then
                broken = True
                pages.request("open_again", place=place)
        odd = [one for one in standing if not one["frames"] and one["code"] is None]
        if not broken and (not odd or _is_one_left_over(odd, standing)):
            return standing
        if until <= time.monotonic():
            raise P2PError(f"{len(odd)} people have come, and are shown nothing")
        time.sleep(_LOOK_EVERY_S)


def _is_one_left_over(odd: Sequence[dict[str, Any]], standing: Sequence[dict[str, Any]]) -> bool:
    """Return whether who is shown nothing is one who waits, of an odd number who were let in."""
    let_in = sum(one["code"] is None for one in standing)
    return len(odd) == 1 and odd[0]["state"].get("phase") == "waiting" and let_in % 2 == 1


def hosted_rows(found: HostedPeople) -> list[Row]:
    """Return what a report says of hosted people."""
    name = f"{found.came} hosted people, {found.game}, {FPS:g} fps"
    return [
        Row(f"{name}: let in", "people", float(found.came - found.asked_to_wait), anchor=float(found.came)),
        Row(f"{name}: on time, all of them", "%", _percent(found.on_time), anchor=99.0),
        Row(f"{name}: on time, who had it worst", "%", _percent(sorted(found.on_time)[:1]), anchor=99.0),
        Row(f"{name}: processor time of a seat", "% of a core", 100 * found.share),
        Row(f"{name}: of all their pages", "% of a core", 100 * found.pages_share),
    ]


def _percent(shares: Sequence[float]) -> float | None:
    return 100 * sum(shares) / len(shares) if shares else None
