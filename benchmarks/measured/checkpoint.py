"""Prints what steps with checkpoints cost at the end of a match of 36,000 frames, in microseconds."""

from __future__ import annotations

import json
import sys

from gym_p2p.bench.checkpoint import checkpoint_rows

found = {}
for row in checkpoint_rows(progress=lambda _text: None):
    found[row.what.partition(", with")[0]] = row.ours
    if row.what.startswith("step, 99th percentile"):
        break
sys.stdout.write(json.dumps(found) + "\n")
