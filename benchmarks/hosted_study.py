"""A study of pairs as it is really run: a ``gym-p2p host``, people with links, an audit of what they leave.

``python -m benchmarks.hosted_study [--pairs 20] [--keep DIR]``. People come in waves, with pages that are
no browsers (:mod:`gym_p2p.bench.pages`); who is asked to wait tries again, as a page does. They are
matched, play an episode, and are told a code. Some reload while they play, some while they wait; some
leave, by the button or by closing their page; the process of one is killed, and the network process of
another. Then the audit reads the documents by itself, without what writes them, and says what is missing
or mixed up.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
import psutil
from rich.console import Console
from rich.table import Table

from gym_p2p.bench.processes import Worker
from gym_p2p.human.messages import CLOSE_CODES
from gym_p2p.processes.python import python_command

__all__ = ["audit", "main"]

_FRAMES = 240
"""Of an episode: eight seconds."""
_HOLD_S = 2
_START_LIMIT_S, _WAVE_LIMIT_S, _END_LIMIT_S = 120.0, 240.0, 60.0
_LOOK_EVERY_S = 0.2
_MOST_TRIES = 4
_AGAIN_S = 3.0
"""After which a page that was asked to wait tries again."""
_OVER = {CLOSE_CODES["over"], CLOSE_CODES["dropped"]}

_HABITS = {
    1: "reloads",
    2: "cut off",
    3: "killed",
    4: "reloads waiting",
    7: "leaves",
    10: "shuts",
    16: "reloads",
}
"""What some people do, by the order in which they come."""

_KILLED = {"killed": "gym_p2p-seat", "cut off": "gym_p2p-network"}
"""Which process of a seat is killed."""


@attrs.define(eq=False)
class _Participant:
    """Somebody with a link.

    Attributes:
        code: of it.
        place: of their page.
        habit: what they do that others do not.
        did: whether they have.
        waited: how often they were asked to.
        tries: how often they came, for nothing was played before.
        process: of their seat, which is to be killed.
        asked_at: when they were asked last; ``None`` while they are not.
        seen: what their page was told last.
        over: whether it is over for them.
    """

    code: str
    place: int
    habit: str | None
    did: bool = False
    waited: int = 0
    tries: int = 1
    process: int | None = None
    asked_at: float | None = None
    seen: dict[str, Any] = attrs.field(factory=dict)
    over: bool = False


class _Host:
    """``gym-p2p host`` in a folder."""

    def __init__(self, folder: Path, people: int) -> None:
        command = python_command(
            "gym_p2p", "host", "gym_p2p.envs:gym_p2p/Rally-v0", "--fps", "30", "--port", "0"
        )
        command += [f"--env-arg=max_frames={_FRAMES}", "--links", str(people), "--exports", "pairs"]
        command += ["--hold", str(_HOLD_S), "--next", "https://survey.example.org/?who={code}&game={match}"]
        self.lines: list[str] = []
        self.process = subprocess.Popen(  # noqa: S603 - our own
            command, cwd=folder, stdout=subprocess.PIPE, text=True, process_group=0
        )
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        until = time.monotonic() + _START_LIMIT_S
        while not any("seats for" in line for line in self.lines):
            if self.process.poll() is not None or until <= time.monotonic():
                raise SystemExit("the host does not start")
            time.sleep(_LOOK_EVERY_S)

    def _read(self, stream: Iterable[str]) -> None:
        for line in stream:
            self.lines.append(line.rstrip())
            _say(f"  host: {self.lines[-1]}")

    def end(self) -> int:
        """End it; return its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(_END_LIMIT_S)

    def below(self, name: str) -> set[int]:
        """Return its processes of this name."""
        found = set()
        for one in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                found |= {one.pid} if one.name() == name else set()
        return found


def main(arguments: list[str] | None = None) -> int:
    """Run a study; return 0 where nothing is missing or mixed up."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hosted_study", description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--wave", type=int, default=8, help="people who come at a time (default: 8)")
    parser.add_argument("--keep", help="run in this folder, and leave it")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="gym_p2p-study-") as temporary:
        folder = Path(given.keep or temporary)
        folder.mkdir(exist_ok=True, parents=True)
        began = time.monotonic()
        people = _run(folder, 2 * given.pairs, given.wave)
        took_s = time.monotonic() - began
        problems = audit(folder / "pairs", {one.code: one.seen for one in people})
        _print(people, problems, took_s)
    return 1 if problems else 0


def _run(folder: Path, count: int, wave: int) -> list[_Participant]:
    """Have so many people come and play; return them, once the host has ended."""
    host = _Host(folder, count)
    try:
        with (folder / "pairs" / "links.csv").open(newline="") as table:
            links = [(row["code"], row["link"]) for row in csv.DictReader(table)]
        with Worker("pages") as pages:
            people: list[_Participant] = []
            for number, (code, url) in enumerate(links, 1):
                people.append(_come(host, pages, code, url, _HABITS.get(number)))
                if number % wave == 0 or number == count:
                    _let_play(pages, people)
    finally:
        code = host.end()
    _say(f"the host ended with exit code {code}; processes left of it: {_left_over(folder)}")
    return people


def _come(host: _Host, pages: Worker, code: str, url: str, habit: str | None) -> _Participant:
    """Open somebody's page."""
    name = _KILLED.get(habit or "")
    if name is not None:
        time.sleep(_AGAIN_S)  # until those before have their processes
    before = set() if name is None else host.below(name)
    one = _Participant(code, pages.request("open", url=url), habit)
    until = time.monotonic() + _START_LIMIT_S
    while name is not None and one.process is None:
        if until <= time.monotonic():
            raise SystemExit(f"no process is started for the seat of {code}")
        one.process = next(iter(host.below(name) - before), None)
        time.sleep(_LOOK_EVERY_S)
    return one


def _let_play(pages: Worker, people: list[_Participant]) -> None:
    """Wait until it is over for all who have come, of whom each does what they do."""
    until = time.monotonic() + _WAVE_LIMIT_S
    while not all(one.over for one in people):
        if until <= time.monotonic():
            left = ", ".join(f"{one.code} ({one.seen.get('phase')})" for one in people if not one.over)
            raise SystemExit(f"it does not end for {left}")
        for one, stands in zip(people, pages.request("standing"), strict=True):
            if not one.over:
                _look_after(pages, one, stands)
        time.sleep(_LOOK_EVERY_S)


def _look_after(pages: Worker, one: _Participant, stands: dict[str, Any]) -> None:
    """Do what somebody does who sees this."""
    now = time.monotonic()
    one.seen = stands["state"] or one.seen
    code, phase = stands["code"], one.seen.get("phase")
    if code is None:
        one.asked_at = None
        if not one.did and one.habit is not None and _is_time(one.habit, phase, stands["frames"]):
            one.did = True
            _act(pages, one)
    elif code in _OVER and one.seen.get("again") and one.tries < _MOST_TRIES:
        one.tries += 1
        pages.request("open_again", place=one.place)  # the button
    elif code in _OVER:
        one.over = True
    elif code == CLOSE_CODES["full"] and one.asked_at is None:
        one.asked_at, one.waited = now, one.waited + 1
    elif one.asked_at is None or one.asked_at + _AGAIN_S <= now:
        one.asked_at = None
        pages.request("open_again", place=one.place)  # as a page does whose line broke


def _is_time(habit: str, phase: object, frames: int) -> bool:
    if habit == "reloads waiting":
        return phase == "waiting"
    return phase == "playing" and frames > _FRAMES // 4


def _act(pages: Worker, one: _Participant) -> None:
    match one.habit:
        case "leaves":
            pages.request("leave", place=one.place)
        case "shuts":
            pages.request("shut", place=one.place)
            one.over = True
        case _ if one.process is not None:
            os.kill(one.process, signal.SIGKILL)
        case _:
            pages.request("open_again", place=one.place)


def _left_over(folder: Path) -> int:
    count = 0
    for one in psutil.process_iter(["name", "cwd"]):
        ours = str(one.info["name"]).startswith("gym_p2p")
        count += ours and str(one.info["cwd"]).startswith(str(folder))
    return count


def audit(exports: Path, seen: dict[str, dict[str, Any]]) -> list[str]:
    """Return what is missing in the documents of a study, or mixed up.

    Args:
        exports: their folder.
        seen: what each person's page was told last, by the code of their link.
    """
    problems: list[str] = []
    folders = sorted(exports.glob("*T*Z-*"))
    matches = Counter(path.name.rpartition("-")[2] for path in folders)
    problems += [f"{count} folders of the match {match}" for match, count in matches.items() if count > 1]
    played: dict[str, list[str]] = {}
    for folder in folders:
        problems += _audit_match(folder, exports / "service" / folder.name, played)
    for code, state in seen.items():
        told = state.get("code")
        if told is None:
            problems.append(f"{code} was told no code of a match")
        elif played.get(code) != [told]:
            problems.append(f"{code} was told {told}, and stands in the documents of {played.get(code)}")
    problems += [f"{code} is nobody's" for code in played.keys() - seen.keys()]
    return problems


def _audit_match(folder: Path, service: Path, played: dict[str, list[str]]) -> list[str]:
    """Add who played a match; return what is wrong with its documents."""
    name, problems = folder.name, []
    found = {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    wanted = {
        f"{seat}.{kind}.json"
        for seat in ("left", "right")
        for kind in ("multiplayer", "session", "validation")
    }
    if set(found) != wanted:
        problems.append(f"{name} has {sorted(found)}")
    if len(list(folder.glob("*.p2preplay"))) != 2:
        problems.append(f"{name} has no recording of both")
    if not (service / "aggregate.json").exists() or len(list(service.glob("*.multiplayer.json"))) != 2:
        problems.append(f"{name} is not whole at the service")
    games = {document["gameId"] for document in found.values() if "gameId" in document}
    if len(games) != 1 or not all(game.endswith(name.rpartition("-")[2]) for game in games):
        problems.append(f"{name} has documents of {sorted(games)}")
    teams = {
        tuple((one["seats"][0], one["subjectId"]) for one in document["players"])
        for document in found.values()
        if "players" in document
    }
    if len(teams) != 1:
        problems.append(f"{name}: its documents name different players: {sorted(teams)}")
    for _, code in next(iter(teams), ()):
        played.setdefault(str(code), []).append(name.rpartition("-")[2])
    for path, document in found.items():
        own = [one["seats"][0] for one in document.get("players", ()) if one["local"]]
        if own and own != [path.partition(".")[0]]:
            problems.append(f"{name}/{path} is {own}'s account")
    return problems


def _print(people: list[_Participant], problems: list[str], took_s: float) -> None:
    table = Table("who", "did", "asked to wait", "match", "how it ended")
    for one in people:
        ending = one.seen.get("ending") or {}
        how = ending.get("reason") or ending.get("result") or one.seen.get("gone") or one.seen.get("phase")
        table.add_row(
            one.code, one.habit or "", str(one.waited or ""), str(one.seen.get("code") or "-"), str(how)
        )
    Console().print(table)
    matches = len({one.seen.get("code") for one in people} - {None})
    _say(f"{len(people)} people, {matches} matches, {took_s:.0f} s; missing or mixed up: {len(problems)}")
    for problem in problems:
        _say(f"  {problem}")


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
