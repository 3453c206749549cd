"""Runs a service of the bench until its input ends; prints its address."""

from __future__ import annotations

import sys

from gym_p2p.bench.run import service

with service() as url:
    sys.stdout.write(url + "\n")
    sys.stdout.flush()
    sys.stdin.read()
