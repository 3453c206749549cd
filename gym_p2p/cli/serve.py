"""``gym-p2p serve``: the service in the foreground, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
import os
import signal
import sys

from gym_p2p.config import IceServer, ServiceConfig
from gym_p2p.errors import ConfigurationError

__all__ = ["EXIT_CANNOT_START", "add_parser", "run"]

EXIT_CANNOT_START = 2
"""As argparse's own for a wrong option."""

_DEFAULTS = ServiceConfig()
_TURN_USERNAME = "GYM_P2P_TURN_USERNAME"
_TURN_CREDENTIAL = "GYM_P2P_TURN_CREDENTIAL"
_EPILOG = f"""\
ICE servers: --ice-server stun:stun.example.org:3478 --ice-server turn:turn.example.org:3478
None is needed where the players reach each other directly (one machine, one local network).
A TURN server's credentials are read from {_TURN_USERNAME} and {_TURN_CREDENTIAL}.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the ``serve`` command."""
    parser = subparsers.add_parser(
        "serve",
        help="run the service where players meet",
        description="Run the service where players meet, signal each other, and leave their documents.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--host",
        default=_DEFAULTS.host,
        help="address to listen on (default: %(default)s, this machine alone)",
    )
    parser.add_argument(
        "--port", type=int, default=_DEFAULTS.port, help="port, 0 for any free one (default: %(default)s)"
    )
    parser.add_argument(
        "--data-dir",
        default=_DEFAULTS.data_dir,
        metavar="DIR",
        help="where the players' documents go (default: %(default)s)",
    )
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
        "--relay-only", action="store_true", help="tell the players to connect through TURN alone"
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="warning",
        help="what is logged to stderr (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("gym_p2p").setLevel(args.log_level.upper())
    try:
        config = ServiceConfig(
            host=args.host,
            port=args.port,
            data_dir=args.data_dir,
            ice_servers=tuple(_ice_server(text) for text in args.ice_server),
            relay_only=args.relay_only,
            cors_origins=args.cors_origin,
        )
        return _serve(config)
    except ConfigurationError as error:
        print(f"gym-p2p serve: {error}", file=sys.stderr)
        return EXIT_CANNOT_START


def _serve(config: ServiceConfig) -> int:
    from gym_p2p.server.app import Service, new_event_loop  # noqa: PLC0415  # keeps --help fast

    async def main() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        service = Service(config)
        await service.start()
        try:
            print(f"gym_p2p service ready at {service.url}", flush=True)
            if not _is_loopback(config.host):
                print(_open_warning(config.host), file=sys.stderr, flush=True)
            await stopped.wait()
        finally:
            await service.stop()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())
    return 0


def _ice_server(url: str) -> IceServer:
    """Build a server from its URL; a TURN server's credentials come from the environment, which ps hides."""
    if "@" in url:
        raise ConfigurationError("ice_server", f"credentials go into {_TURN_USERNAME} and {_TURN_CREDENTIAL}")
    if not url.startswith(("turn:", "turns:")):
        return IceServer(urls=(url,))
    return IceServer(
        urls=(url,), username=os.environ.get(_TURN_USERNAME), credential=os.environ.get(_TURN_CREDENTIAL)
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _open_warning(host: str) -> str:
    return (
        f"warning: listening on {host}: every machine that reaches this address can take seats under any "
        "name, and nothing is encrypted between it and this service. Use it in a network that you trust, or "
        "put a TLS proxy in front."
    )
