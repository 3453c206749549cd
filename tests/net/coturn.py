"""A real TURN server, coturn, on 127.0.0.1."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.requirements import require
from tests.waiting import PATIENCE_S, lasting_port, listens, until

__all__ = ["SECRET", "coturn", "coturn_command"]

SECRET = "a secret of the tests that the service shares with its relay"  # noqa: S105  # not a secret


@contextlib.contextmanager
def coturn(
    folder: Path, *, port: int | None = None, forgets_after_s: int = 600, user_quota: int = 0
) -> Iterator[str]:
    """Run it, and yield its URL; credentials are made from ``SECRET``.

    Args:
        folder: for its files.
        port: where it listens; ``None``: at one that is free.
        forgets_after_s: how long a nonce, a permission and a channel last that nobody renews.
        user_quota: how many allocations a subject may have; 0 is no bound.
    """
    require("turnserver", "apt-get install coturn")
    port = lasting_port() if port is None else port
    command = coturn_command(
        folder, "127.0.0.1", port, forgets_after_s=forgets_after_s, user_quota=user_quota
    )
    log = folder / "turn.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_for(process, port, log)
            yield f"turn:127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait(timeout=PATIENCE_S)


def coturn_command(
    folder: Path, address: str, port: int, *, forgets_after_s: int = 600, user_quota: int = 0
) -> list[str]:
    """Return what runs it at an address; the other arguments are those of :func:`coturn`."""
    options = {
        "listening-ip": address,
        "relay-ip": address,
        "listening-port": port,
        "static-auth-secret": SECRET,
        "realm": "test",
        "stale-nonce": forgets_after_s,
        "channel-lifetime": forgets_after_s,
        "permission-lifetime": forgets_after_s,
        "max-allocate-lifetime": max(60, forgets_after_s),
        "userdb": folder / "turn.sqlite",
        "pidfile": folder / "turn.pid",
        "relay-threads": 1,
        "user-quota": user_quota,
    }
    flags = (
        "use-auth-secret",
        "allow-loopback-peers",
        "no-cli",
        "no-tls",
        "no-dtls",
        "no-software-attribute",
    )
    command = ["turnserver", "-n", "--log-file=stdout", *(f"--{flag}" for flag in flags)]
    return command + [f"--{name}={value}" for name, value in options.items()]


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until(lambda: process.poll() is not None or listens(port))
    if process.poll() is not None:
        raise AssertionError(f"coturn does not serve: {log.read_text()}")
