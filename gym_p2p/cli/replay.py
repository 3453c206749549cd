"""``gym-p2p replay``: a recorded match played again: verified, shown, turned into data."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import attrs
import numpy as np
from rich.text import Text

from gym_p2p.cli.drawing import render_modes
from gym_p2p.cli.options import add_env_argument, between, env_arguments, find_local_modules
from gym_p2p.cli.pictures import Pace, Pictures, Window, enlarged, open_video, require_display
from gym_p2p.cli.tables import output_console
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.errors import ConfigurationError, DamagedReplay, UsageError
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.replay.reader import Replay, read_replay
from gym_p2p.game.replay.transitions import TransitionFile
from gym_p2p.game.replay.verify import ReplayStep, Verification, game_of, verify_replay
from gym_p2p.processes.progress import doing

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

_DEFAULT_FPS = 30.0

DESCRIPTION = "Play a recorded match again in this fresh process, and compare all that was recorded."
EPILOG = """\
examples:
  gym-p2p replay match.p2preplay                          play it again, compare everything
  gym-p2p replay match.p2preplay --video match.gif        and write what it looked like
  gym-p2p replay match.p2preplay --to match.parquet       and write the transitions, for learning
  gym-p2p replay match.p2preplay --env my_games:arena     where the file does not name the environment

What --to writes is one row a frame and seat, with the columns episode, frame, seat, action, observation,
reward, terminated, truncated, next_observation, last. Where an episode is a number, there and in what
--json prints, episodes count from 0; in words, also in the texts of --json (damage, missing), and in the
documents, from 1.
"""


EXIT_CODES = {
    0: "done: what was played again is what was recorded",
    1: "it is not, or the recording does not go on to its end",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("file", metavar="FILE", help="a recording (NAME.p2preplay)")
    parser.add_argument("--env", help="the environment, as for join, where the file does not name it")
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run whatever the file names as its environment, also from the working directory; "
        "without it, only environments of installed packages",
    )
    add_env_argument(parser)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--render", action="store_true", help="show it in a window")
    shown.add_argument("--video", metavar="FILE", help="write a .gif or .mp4, one picture a frame")
    parser.add_argument(
        "--fps", type=between(0.1, 1000), metavar="F", help="frames a second (default: as it was played)"
    )
    parser.add_argument("--to", metavar="FILE", help="write the transitions to a .jsonl, .csv or .parquet")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Play it again."""
    if arguments.env is not None or arguments.trust:
        find_local_modules()
    try:
        with doing(f"reading {arguments.file}"):
            replay = read_replay(arguments.file)
    except DamagedReplay as error:
        if not arguments.json:
            raise
        damage = {"where": error.where, "problem": error.problem}
        print(json.dumps({"file": error.path, "ok": False, "damage": damage}))
        return 1
    if not arguments.json:
        _print_header(replay)
    with contextlib.redirect_stdout(sys.stderr):  # what an environment prints is none of our output
        verification = _play(replay, arguments)
    if arguments.json:
        print(json.dumps(_document(verification)))
    else:
        _print_verdict(verification, arguments)
    return 0 if verification.ok else 1


def _play(replay: Replay, arguments: argparse.Namespace) -> Verification:
    """Verify the recording, and hand every frame to whoever wants it."""
    make = _maker(replay, arguments)
    mode = _render_mode(replay, make, arguments)
    outputs: list[Callable[[ReplayStep], None]] = []
    agreed = False

    def watch(step: ReplayStep) -> None:
        for output in outputs:
            output(step)

    # Whatever was opened is closed, also when another one cannot be, or its disk is full.
    with contextlib.ExitStack() as closing:
        pictures = _pictures(replay, mode, arguments)
        if pictures is not None:
            closing.callback(lambda: pictures.close(keep=agreed))
            outputs.append(lambda step: _show(step, pictures))
        elif mode == "human":
            pace = Pace(_fps_of(replay, arguments))  # it draws into a window of its own
            outputs.append(lambda _step: pace.wait())
        if arguments.to is not None:
            file = TransitionFile(arguments.to, replay)
            closing.callback(lambda: file.close(keep=agreed))
            outputs.append(file.write)
        outputs.append(closing.enter_context(_progress(replay)))
        verification = verify_replay(
            replay, lambda: make(mode), watch=watch, compare_states=mode is None and arguments.env is None
        )
        agreed = verification.agreed
    return verification


def _maker(replay: Replay, arguments: argparse.Namespace) -> Callable[[str | None], Any]:
    """Return what makes the environment for a render mode."""
    recipe = replay.header.environment
    given = env_arguments(arguments.env_arg)
    if arguments.env is None:
        if given:
            raise UsageError("--env-arg goes with --env: the file knows its own environment's arguments")
        if recipe is not None:
            if not arguments.trust:
                recipe.refuse_untrusted()
            return lambda mode: recipe.make(render_mode=mode)
        game_of(replay.header)  # raises, for there is no recipe
    if recipe is not None and recipe.name == arguments.env:
        given = {**recipe.kwargs, **given}
    name: str = arguments.env
    return lambda mode: load_environment(name, given if mode is None else {**given, "render_mode": mode})


def _render_mode(
    replay: Replay, make: Callable[[str | None], Any], arguments: argparse.Namespace
) -> str | None:
    """Return how the environment has to draw for these arguments; None if it need not.

    Raises:
        UsageError: it cannot.
    """
    if not arguments.render and arguments.video is None:
        return None
    if arguments.render:
        require_display()
    offered = render_modes(make(None))
    for mode in ("rgb_array", "human"):
        if mode in offered and (mode == "rgb_array" or arguments.render):
            return mode
    name = replay.header.description.get("environment", "this environment")
    wanted = "--render" if arguments.render else "--video"
    raise UsageError(f"{wanted}: {name} draws no pictures; it offers {', '.join(offered) or 'none at all'}")


def _pictures(replay: Replay, mode: str | None, arguments: argparse.Namespace) -> Pictures | None:
    fps = _fps_of(replay, arguments)
    if arguments.video is not None:
        return open_video(arguments.video, fps)
    return Window(f"match {replay.header.match_id}", fps) if mode == "rgb_array" else None


def _show(step: ReplayStep, pictures: Pictures) -> None:
    if isinstance(pictures, Window) and not pictures.open:
        return
    picture = step.game.render()
    if not isinstance(picture, np.ndarray) or picture.ndim != 3 or picture.shape[2] != 3:
        kind = f"an array of shape {picture.shape}" if isinstance(picture, np.ndarray) else type(picture)
        raise ConfigurationError("render", f"wanted a picture of (height, width, 3), got {kind}")
    pictures.add(enlarged(picture.astype(np.uint8, copy=False)))


def _fps_of(replay: Replay, arguments: argparse.Namespace) -> float:
    played = replay.header.sync.get("fps")
    return float(arguments.fps or played or _DEFAULT_FPS)


@contextlib.contextmanager
def _progress(replay: Replay) -> Iterator[Callable[[ReplayStep], None]]:
    with doing("playing again") as say:
        frames = itertools.count(1)
        yield lambda _step: say(f"playing again: {next(frames):,} of {replay.frames:,} frames")


def _document(verification: Verification) -> dict[str, Any]:
    replay = verification.replay
    return {
        "file": replay.path,
        "ok": verification.ok,
        "fingerprint": replay.fingerprint,
        "reason": replay.reason,
        "missing": replay.missing,
        "episodes": [
            {"seed": episode.begun().seed, "frames": episode.frames, "completed": episode.completed}
            for episode in replay.episodes
        ],
        "frames": replay.frames,
        "framesAgreed": verification.frames,
        "checksAgreed": verification.checks,
        "differences": [attrs.asdict(difference) for difference in verification.differences],
        "warnings": list(verification.warnings),
        "header": attrs.asdict(replay.header),
    }


def _print_header(replay: Replay) -> None:
    header = replay.header
    recorded = datetime.fromtimestamp(header.recorded_ms / 1e3, UTC).strftime("%Y-%m-%d %H:%M UTC")
    whose = "" if header.player_id is None else f" by {header.player_id}"
    players = ", ".join(f"{p.get('player_id')} ({p.get('subject_id')})" for p in header.players)
    lines = [
        f"match        {header.match_id}, recorded {recorded}{whose}",
        f"environment  {header.description.get('environment', 'unknown')}",
        f"made by      {header.environment or 'the file does not say'}",
        f"players      {players or ', '.join(map(str, header.seats))}",
        f"episodes     {len(replay.episodes)}, {replay.frames} frames; the end: {replay.reason or 'missing'}",
        f"fingerprint  {replay.fingerprint}",
    ]
    for line in lines:
        print(printable(line))


def _print_verdict(verification: Verification, arguments: argparse.Namespace) -> None:
    replay, console = verification.replay, output_console(soft_wrap=True)
    for warning in verification.warnings:
        console.print(Text(printable(f"not as then: {warning}"), "yellow"))
    for difference in verification.differences:
        console.print(Text(printable(str(difference)), "red"))
    if replay.missing is not None:
        console.print(Text(f"not whole: {replay.missing}", "red"))
    verdict = (
        f"Played again: {verification.frames} frames and {verification.checks} checksums agree"
        if verification.agreed
        else f"NOT the same: {verification.frames} of {replay.frames} frames agree"
    )
    console.print(verdict + ".", highlight=False)
    for path in filter(None, (arguments.video, arguments.to)):
        written = "written" if verification.agreed else "not written, for the match is not as recorded"
        console.print(f"{path}: {written}", highlight=False, markup=False)
