"""Prints what ``bench rollback`` finds in one round: ``python rollback.py FRAMES``. By row, in its unit.

What it is held against is there as well, as ``... floor``. A state's ``checksum`` was called ``hash`` before.
"""

from __future__ import annotations

import json
import sys

from gym_p2p.bench.rollback import bench_rollback

report = bench_rollback(rounds=1, frames=int(sys.argv[1]), progress=lambda _text: None)
found: dict[str, float | None] = {}
for row in report.rows:
    what = row.what.replace(": hash", ": checksum")
    found |= {what: row.ours, f"{what} floor": row.floor}
sys.stdout.write(json.dumps(found) + "\n")
