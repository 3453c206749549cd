"""What the tests have a server fork: each process does the one thing that its work asks for."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import socket
import ssl
import sys
import threading
import time
import uuid
from pathlib import Path

from aiortc import RTCCertificate

from gym_p2p.processes.owner import Owner

__all__ = ["rehearse", "run"]

LIFETIME_S = 60
"""Longer than any test waits."""


def rehearse() -> None:
    """Draw from everything that a process might share with its siblings afterwards."""
    _draws()


def run(work: int, owner: Owner) -> None:
    """Answer one word, and do it."""
    with socket.socket(fileno=work) as line:
        word = line.recv(100).decode()
        line.sendall((json.dumps({"pid": os.getpid(), **_told(word, owner)}) + "\n").encode())
        if word == "wait":
            line.recv(1)
        elif word == "watch":
            while not owner.has_ended():
                time.sleep(0.01)
        elif word == "sleep":
            time.sleep(LIFETIME_S)
        elif word == "complain":
            sys.stderr.write("a complaint\n")
        elif word == "raise":
            raise ValueError("as it was told to")
        elif word == "die":
            os.kill(os.getpid(), signal.SIGKILL)


def _told(word: str, owner: Owner) -> dict[str, object]:
    if word == "draw":
        return {"draws": _draws()}
    return {
        "threads": [threading.active_count(), len(list(Path("/proc/self/task").iterdir()))],
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "owner ended": owner.has_ended(),
        "without": "mailbox" in sys.modules and sys.modules["mailbox"] is None,
    }


def _draws() -> list[str]:
    certificate = RTCCertificate.generateCertificate()
    return [
        str(random.random()),
        secrets.token_hex(),
        str(uuid.uuid4()),
        ssl.RAND_bytes(16).hex(),
        certificate.getFingerprints()[0].value,
    ]
