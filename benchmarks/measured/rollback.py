"""Prints what ``bench rollback`` finds in one round: ``python rollback.py FRAMES``. By row, in its unit."""

from __future__ import annotations

import json
import sys

from gym_p2p.bench.rollback import bench_rollback

report = bench_rollback(rounds=1, frames=int(sys.argv[1]), progress=lambda _text: None)
sys.stdout.write(json.dumps({row.what: row.ours for row in report.rows}) + "\n")
