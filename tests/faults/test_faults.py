"""A short selection of the fault bench: as many different faults as possible in a few runs.

The whole is run by hand: ``gym-p2p bench faults``. With ``--kinds KIND --seed SEED --count 1`` that repeats
what has failed here.
"""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.faults.bench import judged
from tests.faults.kinds import KINDS, plan
from tests.requirements import require

pytestmark = [pytest.mark.netns, pytest.mark.quiet, pytest.mark.usefixtures("lab_possible")]


@pytest.mark.parametrize(
    ("kind", "seed"),
    [  # odd seeds are rollback; three of five have three players
        ("medley", 1),
        ("several", 2),
        ("path change", 4),
        ("NAT symmetric", 5),
        ("killed at barrier", 3),
    ],
)
def test_a_fault_costs_no_frame_and_no_document_and_is_named(kind: str, seed: int, tmp_path: Path) -> None:
    for program, install_line in KINDS[kind].stage.needs:
        require(program, install_line)
    found = judged(plan(kind, seed), tmp_path, threading.Event(), keep=True)
    assert list(found.findings) == []
    assert found.survived == found.injected >= 1
