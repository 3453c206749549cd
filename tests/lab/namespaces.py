"""Network namespaces: make, find, empty and remove them, with ``ip``. Knows nothing of paths or hosts.

Names carry the maker's process id (``p2plab-4711-0-a``), so that a later run can remove what a killed one
left. Only namespaces of such names are ever touched.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from tests.lab.forwarder import NAMESPACES

_NAME = re.compile(r"p2plab-(\d+)-\d+-\w+")
_COMMAND_TIMEOUT_S = 20.0
_counter = itertools.count()


def why_not() -> str | None:
    """Return why there can be no laboratory on this machine, with the way out; ``None`` if there can."""
    missing = [tool for tool in ("ip", "nft") if not shutil.which(tool)]
    if missing:
        return f"{' and '.join(missing)} not found: apt-get install iproute2 nftables"
    if os.geteuid() != 0:
        return "making network namespaces needs root: run the tests as root"
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"/dev/net/tun cannot be opened ({error.strerror}): run modprobe tun"
    return _refusal()


def _refusal() -> str | None:
    name = fresh_names(["trial"])["trial"]
    try:
        ip(f"netns add {name}")
        inside(name, "true")
    except subprocess.CalledProcessError as error:
        return f"network namespaces are refused ({error.stderr.strip()}): run the container privileged"
    finally:
        remove([name])
    return None


def fresh_names(nodes: Iterable[str]) -> dict[str, str]:
    """Return a namespace name for each node, never used before in this process."""
    prefix = f"p2plab-{os.getpid()}-{next(_counter)}"
    return {node: f"{prefix}-{node}" for node in nodes}


def ip(*commands: str, namespace: str | None = None) -> None:
    """Run ``ip`` commands in one go, in a namespace if one is named.

    Raises:
        subprocess.CalledProcessError: one failed; its ``stderr`` says which line.
    """
    where = ["-n", namespace] if namespace else []
    _run(["ip", *where, "-batch", "-"], "\n".join(commands))


def inside(namespace: str, *argv: str, stdin: str = "") -> None:
    """Run a short command inside a namespace to its end.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    _run(["ip", "netns", "exec", namespace, *argv], stdin)


def udp_ports(namespace: str) -> list[int]:
    """Return the ports of all UDP sockets in a namespace."""
    told = _run(["ip", "netns", "exec", namespace, "ss", "-Hlun"], "")
    return sorted({int(line.split()[3].rsplit(":", 1)[1]) for line in told.splitlines()})


def _run(argv: list[str], stdin: str) -> str:
    done = subprocess.run(
        argv, input=stdin, text=True, capture_output=True, check=True, timeout=_COMMAND_TIMEOUT_S
    )
    return done.stdout


def existing() -> set[str]:
    """Return the names of all laboratories' namespaces on this machine, whoever made them."""
    with contextlib.suppress(FileNotFoundError):
        return {entry.name for entry in NAMESPACES.iterdir() if _NAME.fullmatch(entry.name)}
    return set()


def processes(namespaces: Iterable[str]) -> set[int]:
    """Return the ids of all processes in these namespaces, this one excepted."""
    wanted = set()
    for name in namespaces:
        with contextlib.suppress(OSError):
            wanted.add((NAMESPACES / name).stat().st_ino)
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):  # it ended meanwhile
                if (entry / "ns/net").stat().st_ino in wanted:
                    found.add(int(entry.name))
    return found


def remove(namespaces: Iterable[str], *, patience_s: float = 5.0) -> None:
    """Kill every process in these namespaces, then remove them. Those that are not there are passed over."""
    there = existing().intersection(namespaces)
    give_up = time.monotonic() + patience_s
    while there and (alive := processes(there)) and time.monotonic() < give_up:
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    with contextlib.suppress(subprocess.CalledProcessError):  # another run swept one of them meanwhile
        _run(["ip", "-force", "-batch", "-"], "\n".join(f"netns del {name}" for name in there))


def sweep() -> None:
    """Remove what laboratories of dead processes left behind."""
    stale = []
    for name in existing():
        match = _NAME.fullmatch(name)
        if match and not Path("/proc", match[1]).exists():
            stale.append(name)
    remove(stale)
