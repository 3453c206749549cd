"""``gym-p2p serve``: the service in the foreground, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from gym_p2p.cli.matchmakers import add_queue_options, make_matchmaker
from gym_p2p.cli.options import count, find_local_modules, whole
from gym_p2p.cli.secret import JOIN_SECRET, TURN_SECRET, secret
from gym_p2p.cli.surroundings import called_at_signals
from gym_p2p.config import DEFAULT_DATA_DIR, IceServer, MatchmakingConfig, ServiceConfig
from gym_p2p.config.names import load_named
from gym_p2p.core.matchmaking.strategy import Matchmaker
from gym_p2p.errors import ConfigurationError

if TYPE_CHECKING:
    from gym_p2p.server.app import Service

__all__ = ["DESCRIPTION", "EPILOG", "EXIT_CODES", "add_options", "run"]

_DEFAULTS = ServiceConfig()
_TURN_USERNAME = "GYM_P2P_TURN_USERNAME"
_TURN_CREDENTIAL = "GYM_P2P_TURN_CREDENTIAL"
DESCRIPTION = "Run the service where players meet, signal each other, and leave their documents."
EPILOG = f"""\
ICE servers: --ice-server stun:stun.example.org:3478 --ice-server turn:turn.example.org:3478
None is needed where the players reach each other directly (one machine, one local network).
A TURN server's credentials are made for each player from {TURN_SECRET}, which it shares with the
service (coturn: use-auth-secret, static-auth-secret); fixed ones are read from {_TURN_USERNAME}
and {_TURN_CREDENTIAL}.

Who may take part: with {JOIN_SECRET}, whoever has a join token ("gym-p2p token"); without it,
everybody who reaches the service, which then listens on this machine alone unless --open is given.
Secrets have at least 32 characters; NAME_FILE names a file that holds one.
"""


EXIT_CODES = {
    0: "ended by Ctrl-C or SIGTERM, in good order",
    1: "it could not listen on that address",
    130: "interrupted before it had begun",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    _add_access_options(parser)
    parser.add_argument(
        "--port", type=whole, default=_DEFAULTS.port, help="port, 0 for any free one (default: %(default)s)"
    )
    parser.add_argument(
        "--data-dir",
        default=DEFAULT_DATA_DIR,
        metavar="DIR",
        help="where the players' documents go (default: %(default)s)",
    )
    parser.add_argument(
        "--upload-quota-mb",
        type=count,
        metavar="MB",
        help="what the documents may take up there in all; who has more keeps it (default: the whole disk)",
    )
    _add_path_options(parser)
    add_queue_options(parser)
    parser.set_defaults(log_format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def _add_access_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides who reaches the service and may take part."""
    parser.add_argument(
        "--host",
        default=_DEFAULTS.host,
        help="address to listen on (default: %(default)s, this machine alone)",
    )
    parser.add_argument(
        "--open", action="store_true", help="a laboratory: let every machine that reaches --host take part"
    )
    parser.add_argument(
        "--experiment",
        default=_DEFAULTS.experiment,
        metavar="NAME",
        help="what join tokens have to be for (default: %(default)s)",
    )
    parser.add_argument(
        "--private-candidates",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="whether players learn each other's loopback and private addresses "
        "(default: yes without join tokens, no with them)",
    )
    parser.add_argument(
        "--pseudonyms",
        nargs="?",
        const=True,
        default=False,
        metavar="FILE",
        help="show players, and write into documents, pseudonyms alone: made with a key in --data-dir, or "
        'as a CSV (subject,pseudonym) or JSON file says; "gym-p2p exports subjects" tells who is who',
    )


def _add_path_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides how players and pages connect."""
    parser.add_argument(
        "--ice-server",
        action="append",
        default=[],
        metavar="URL",
        help="a STUN or TURN server handed to the players; may be repeated",
    )
    parser.add_argument(
        "--cors-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a web origin whose pages may connect; may be repeated",
    )
    parser.add_argument(
        "--relay-only", action="store_true", help="let the players connect through TURN alone"
    )
    parser.add_argument(
        "--no-relay-messages",
        dest="relay_messages",
        action="store_false",
        help="pass no messages of a match on between players who have no better way to each other",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from gym_p2p.server.app import new_event_loop  # noqa: PLC0415 - the service, which --help does not need

    config = _config(args)
    find_local_modules()
    matchmaker = make_matchmaker(args.matchmaker, args.set)
    hook = None if args.pre_match is None else load_named("pre_match", args.pre_match)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(config, matchmaker, hook))
    return 0


def _config(args: argparse.Namespace) -> ServiceConfig:
    try:
        return ServiceConfig(
            host=args.host,
            open=args.open,
            join_secret=secret(JOIN_SECRET),
            experiment=args.experiment,
            private_candidates=args.private_candidates,
            turn_secret=secret(TURN_SECRET),
            port=args.port,
            data_dir=args.data_dir,
            upload_quota_bytes=None if args.upload_quota_mb is None else args.upload_quota_mb * 1_000_000,
            ice_servers=tuple(_ice_server(text) for text in args.ice_server),
            relay_only=args.relay_only,
            relay_messages=args.relay_messages,
            cors_origins=args.cors_origin,
            pseudonyms=args.pseudonyms,
            matchmaking=MatchmakingConfig(give_up_after_s=args.give_up_after),
            log_decisions=args.decision_log,
        )
    except ConfigurationError as error:
        if error.option != "host" or not args.host:
            raise
        raise ConfigurationError("host", _TOO_OPEN.format(args.host)) from None


async def _serve(config: ServiceConfig, matchmaker: Matchmaker, hook: Callable[..., object] | None) -> None:
    from gym_p2p.server.app import Service  # noqa: PLC0415 - the same

    stopped = asyncio.Event()
    service = Service(config, matchmaker=matchmaker, pre_match=hook)
    with called_at_signals(stopped.set):
        await _run(service, config, stopped)


async def _run(service: Service, config: ServiceConfig, stopped: asyncio.Event) -> None:
    await service.start()
    try:
        print(f"gym_p2p service ready at {service.url}", flush=True)
        if (f"http://{service.addresses[0]}", *service.addresses[1:]) != (service.url,):
            print(f"listening on {' and '.join(service.addresses)}", flush=True)
        if config.open and not config.on_loopback:
            print(_OPEN_WARNING.format(config.host), file=sys.stderr, flush=True)
        if config.private_candidates is None and not config.passes_private_candidates:
            print(_PRIVATE_NOTE, file=sys.stderr, flush=True)
        await stopped.wait()
    finally:
        await service.stop()


def _ice_server(url: str) -> IceServer:
    """Build a server from its URL; a TURN server's credentials come from the environment, which ps hides."""
    if "@" in url:
        raise ConfigurationError("ice_server", f"credentials go into {_TURN_USERNAME} and {_TURN_CREDENTIAL}")
    if not url.startswith(("turn:", "turns:")):
        return IceServer(urls=(url,))
    return IceServer(
        urls=(url,), username=os.environ.get(_TURN_USERNAME), credential=os.environ.get(_TURN_CREDENTIAL)
    )


_TOO_OPEN = (
    "{} is reached by other machines. Either let in who has a token alone: put a secret into a file "
    f"(openssl rand -hex 32 > join.secret), start with {JOIN_SECRET}_FILE=join.secret, and make tokens with "
    "gym-p2p token. Or let everybody in, in a network that you trust: --open"
)

_PRIVATE_NOTE = (
    "note: with join tokens, loopback and private addresses are not passed on to the players. If these are "
    "in one network, start with --private-candidates; --no-private-candidates silences this."
)

_OPEN_WARNING = (
    "warning: listening on {}: every machine that reaches this address can take seats under any name, and "
    "nothing is encrypted between it and this service. Use it in a network that you trust, or put a TLS "
    "proxy in front."
)
