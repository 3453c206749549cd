"""What ``gym-p2p demo`` plays, by its options: who sits where, at which rate, and the command of each player.

What a player would refuse is refused here, before any of them is started.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from gym_p2p.cli.drawing import load_drawn
from gym_p2p.cli.options import MATCH_OPTIONS, env_arguments, environment_in_words, match_options
from gym_p2p.cli.seat_options import reactions
from gym_p2p.config import config_from_options
from gym_p2p.core.api.rooms import MAX_PLAYERS
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, UsageError
from gym_p2p.game.drawing import own_rate
from gym_p2p.processes.python import python_command

if TYPE_CHECKING:
    from gym_p2p.game.env.game import Game

__all__ = ["BUNDLED", "FPS", "FRAMES", "DemoSetting", "command_of", "setting_of"]

BUNDLED = "gym_p2p/Rally-v0"

FRAMES = 300
FPS = 30.0
"""Ten seconds of the bundled game."""


@attrs.frozen(kw_only=True)
class DemoSetting:
    """Who plays.

    Attributes:
        acting: the seats that play, the person's first, if there is one.
        watching: the seats that only watch.
        fps: frames a second.
        frames: after which everybody leaves; ``None`` where a person plays to the end.
    """

    acting: tuple[SeatId, ...]
    watching: tuple[SeatId, ...]
    fps: float
    frames: int | None

    @property
    def seats(self) -> tuple[SeatId, ...]:
        """All of them."""
        return (*self.acting, *self.watching)


def setting_of(arguments: argparse.Namespace) -> DemoSetting:
    """Return who plays, where everybody can play as they are told to.

    Raises:
        UsageError: there is no such environment, policy or number of players.
        ConfigurationError: an option of the match has a value that it cannot have, or a table of keys does
            not fit.
    """
    config_from_options(match_options(arguments))
    # What an environment or a policy prints is none of our output.
    with contextlib.redirect_stdout(sys.stderr), environment_in_words(arguments.env):
        return _setting(arguments)


def _setting(arguments: argparse.Namespace) -> DemoSetting:
    from gym_p2p.game.env.seats import make_game  # noqa: PLC0415 - Gymnasium, which --help does not need

    mode = "rgb_array" if arguments.human else None
    env = load_drawn(arguments.env, env_arguments(arguments.env_arg), mode=mode, option="--human")
    game = make_game(env, seats=arguments.seats)
    try:
        rate = own_rate(env) if arguments.human else FPS
        setting = DemoSetting(
            acting=tuple(game.seats),
            watching=_watching(game, arguments.players),
            fps=rate if arguments.fps is None else arguments.fps,
            frames=arguments.frames or (None if arguments.human else FRAMES),
        )
        _require_number(arguments, setting.seats)
        _require_players(game, arguments, fps=setting.fps)
    finally:
        game.close()
    return setting


def _watching(game: Game, wanted: int | None) -> tuple[SeatId, ...]:
    """Return who watches the only player there is."""
    if len(game.seats) > 1:
        return ()
    return tuple(f"watcher_{number}" for number in range(1, wanted or 2))


def _require_players(game: Game, arguments: argparse.Namespace, *, fps: float) -> None:
    """Pass where there are keys for the seat of the person, and a policy for each of the others.

    Raises:
        ConfigurationError: a table of keys does not fit, or nobody says which keys play the seat; or a policy
            is to react in what has no pace.
        UsageError: there is no such policy, or it is for another seat.
    """
    from gym_p2p.human.keys.tables import seat_controls  # noqa: PLC0415 - Gymnasium, as above
    from gym_p2p.policies.load import load_policy  # noqa: PLC0415 - the same
    from gym_p2p.policies.reactions import ReactionLimits  # noqa: PLC0415 - the same

    limits = ReactionLimits(**reactions(arguments))
    for number, seat in enumerate(game.seats):
        if arguments.human and number == 0:
            seat_controls(game, seat, keys=arguments.keys, fps=fps)
        else:
            with _of_policies():
                load_policy(_policy(arguments), game, seat, seed=number, limits=limits, fps=fps)


@contextlib.contextmanager
def _of_policies() -> Iterator[None]:
    """Have an error say which option it is about, where it does not."""
    try:
        yield
    except ConfigurationError:
        raise
    except UsageError as error:
        raise UsageError(f"--policy: {error}") from error


def _require_number(arguments: argparse.Namespace, seats: tuple[SeatId, ...]) -> None:
    wanted = arguments.players
    if not 2 <= len(seats) <= MAX_PLAYERS:
        had = f"{len(seats)} seats" if wanted is None else f"--players {wanted}"
        raise UsageError(f"a match has 2 to {MAX_PLAYERS} players, and the demo one on each seat; got {had}")
    if wanted is not None and wanted != len(seats):
        raise UsageError(
            f"{arguments.env} has the seats {', '.join(map(str, seats))}: --players {len(seats)}"
        )


def _policy(arguments: argparse.Namespace) -> str:
    return arguments.policy or ("scripted" if arguments.env == BUNDLED else "random")


def command_of(arguments: argparse.Namespace, setting: DemoSetting, seat: SeatId, *, url: str) -> list[str]:
    """Return the command of the player on a seat.

    Args:
        arguments: of the demo.
        setting: who plays.
        seat: theirs.
        url: of the service.
    """
    persons = arguments.human and seat == setting.acting[0]
    command = python_command("gym_p2p", "join", arguments.env, "--lines", "--server", url)
    command += ["--seat", str(seat), "--watchers", str(len(setting.watching))]
    if persons:
        command += ["--human", *([] if arguments.browser else ["--no-browser"])]
        command += [] if arguments.keys is None else ["--keys", arguments.keys]
    elif seat in setting.acting:
        command += ["--policy", _policy(arguments), "--reaction-ms", str(arguments.reaction_ms)]
        if arguments.actions_per_second is not None:
            command += ["--actions-per-second", str(arguments.actions_per_second)]
    if arguments.human:
        command += ["--episodes", "1"]
    if isinstance(arguments.record, str):
        command += ["--record", _recording(arguments.record, seat)]
    elif not arguments.record:
        command += ["--no-record"]
    if isinstance(arguments.exports_fallback, str):
        command += ["--exports-fallback", arguments.exports_fallback]
    told: dict[str, Any] = {**vars(arguments), "fps": setting.fps, "frames": setting.frames}
    for name in (*MATCH_OPTIONS, "log_level"):
        if told[name] is not None:
            command += [f"--{name.replace('_', '-')}", str(told[name])]
    if arguments.seats is not None:
        command += ["--seats", json.dumps(arguments.seats)]
    for pair in arguments.env_arg:
        command += ["--env-arg", pair]
    return [*command, "--picture"] if arguments.env == BUNDLED and not persons else command


def _recording(path: str, seat: SeatId) -> str:
    """Return where a player records: a folder is for all of them, a file becomes one for each."""
    from gym_p2p.game.replay.header import SUFFIX  # noqa: PLC0415 - as above

    name = Path(path)
    return path if name.suffix != SUFFIX else str(name.with_name(f"{name.stem}.{seat}{SUFFIX}"))
