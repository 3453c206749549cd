"""``gym-p2p check``: can this environment be played by peers, and in which mode?"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys

from gym_p2p.cli.options import (
    add_env_argument,
    add_seats_argument,
    count,
    env_arguments,
    find_local_modules,
    whole,
)
from gym_p2p.errors import UsageError
from gym_p2p.game.determinism.check import check_env_determinism
from gym_p2p.game.determinism.report_card import PLAYABLE

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

DESCRIPTION = (
    "Run copies of an environment against each other, here and in fresh processes, and try "
    "how its state can be saved and restored. Nothing leaves this machine."
)
EPILOG = """\
examples:
  gym-p2p check CartPole-v1
  gym-p2p check pettingzoo.atari.pong_v3 --env-arg obs_type=ram
  gym-p2p check my_module:make_env --save get_snapshot --load set_snapshot --json

The verdict is ROLLBACK, LOCKSTEP (both: exit code 0) or UNFIT (exit code 1). An environment that raises an
error is none of these (exit code 2).
"""


EXIT_CODES = {
    0: "ROLLBACK or LOCKSTEP: it can be played by peers",
    1: "UNFIT",
    2: "wrong usage, or the environment raises an error",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "env", metavar="ENV", help="a Gymnasium or PettingZoo id, a module with parallel_env, module:function"
    )
    add_env_argument(parser)
    add_seats_argument(parser)
    parser.add_argument(
        "--steps", type=count, default=100, metavar="N", help="frames of each run (default: %(default)s)"
    )
    parser.add_argument(
        "--seed",
        type=whole,
        action="append",
        metavar="N",
        help="an episode's seed; may be repeated (default: 1 and 2)",
    )
    parser.add_argument("--save", metavar="METHOD", help="the environment's method that returns its state")
    parser.add_argument("--load", metavar="METHOD", help="its method that takes such a state back")
    parser.add_argument(
        "--isolate-global-random",
        action="store_true",
        help="give it its own streams of the global random generators",
    )
    parser.add_argument("--no-fresh-process", action="store_true", help="stay in this process")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Check, and print the card."""
    if (arguments.save is None) != (arguments.load is None):
        raise UsageError("--save and --load belong together: name both methods")
    if any(seed < 0 for seed in arguments.seed or ()):
        raise UsageError("--seed wants a whole number from 0")
    find_local_modules()
    # Some packages greet on standard output when they are imported.
    with contextlib.redirect_stdout(sys.stderr):
        card = check_env_determinism(
            arguments.env,
            env_args=env_arguments(arguments.env_arg),
            seats=arguments.seats,
            steps=arguments.steps,
            seeds=arguments.seed or (1, 2),
            snapshots=None if arguments.save is None else (arguments.save, arguments.load),
            isolate_global_random=arguments.isolate_global_random,
            fresh_process=not arguments.no_fresh_process,
            on_progress=lambda what: print(f"{what} ...", file=sys.stderr, flush=True),
        )
    print(json.dumps(card.to_json(), allow_nan=False) if arguments.json else card)
    if any(check.name == PLAYABLE and check.passed is False for check in card.checks):
        raise UsageError(f"{arguments.env} cannot be played: {card.check(PLAYABLE).detail}")
    return 1 if card.verdict == "unfit" else 0
