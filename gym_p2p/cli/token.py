"""``gym-p2p token``: a join token for one participant."""

from __future__ import annotations

import argparse
import secrets
import time

from gym_p2p.cli.options import NAMES, count, name
from gym_p2p.cli.secret import JOIN_SECRET, secret
from gym_p2p.config import ServiceConfig
from gym_p2p.errors import ConfigurationError
from gym_p2p.server.guard.tokens import JoinClaims, TokenSigner

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

DESCRIPTION = "Make a token that lets one participant take part, for a while, under one name."
EPILOG = f"""\
The secret is the service's: {JOIN_SECRET}, or the file that {JOIN_SECRET}_FILE names.
The participant's program finds the token in GYM_P2P_TOKEN; a web page passes it on as
io(url, {{auth: {{token}}}}).

{NAMES}
"""


EXIT_CODES = {0: "done: the token is printed"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument(
        "subject", type=name, metavar="SUBJECT", help="who the player is to the service and the others"
    )
    parser.add_argument(
        "--experiment",
        default=ServiceConfig().experiment,
        metavar="NAME",
        help="the service's --experiment (default: %(default)s)",
    )
    parser.add_argument(
        "--ttl",
        type=count,
        default=3600,
        metavar="S",
        help="seconds in which the player may connect (default: %(default)s); who is connected stays",
    )


def run(args: argparse.Namespace) -> int:
    """Print a token.

    Raises:
        ConfigurationError: there is no secret, or no such subject can be.
    """
    config = ServiceConfig(join_secret=secret(JOIN_SECRET), experiment=args.experiment)
    if config.join_secret is None:
        raise ConfigurationError(JOIN_SECRET, "is not set; it has to be the service's")
    claims = JoinClaims(
        experiment=config.experiment,
        subject_id=args.subject,
        expires_at=time.time() + args.ttl,
        token_id=secrets.token_urlsafe(12),
    )
    print(TokenSigner(config.join_secret.reveal().encode(), JoinClaims).issue(claims))
    return 0
