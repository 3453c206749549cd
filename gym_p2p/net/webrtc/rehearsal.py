"""Loads what a first connection would load, before there is one.

Nothing of it is used again: a process that is forked afterwards makes its own keys, from randomness of its
own (OpenSSL seeds itself anew in a fork, and Python's ``secrets`` asks the operating system).
"""

from __future__ import annotations

import cryptography.hazmat.primitives.serialization  # noqa: F401 - OpenSSL's wrapper loads it for a certificate
from aiortc import RTCCertificate

import gym_p2p.net.webrtc.plain  # noqa: F401 - telemetry loads it with its first link

__all__ = ["rehearse"]


def rehearse() -> None:
    """Load it."""
    RTCCertificate.generateCertificate()
