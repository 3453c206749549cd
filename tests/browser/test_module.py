"""The browser module without a browser: its types, and that it reckons as the Python side does."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gym_p2p.core.latency.series import LatencySeries, Poll
from gym_p2p.core.latency.webrtc_stats import PollStatus
from gym_p2p.core.signaling.offerer import initiates
from tests.browser.chromium import HERE, STATIC

TIMEOUT_S = 60
ID_CHARACTERS = "abcABCzZ0129._:@+- "


@pytest.fixture(scope="module")
def workplace(node_modules: Path) -> Path:
    """A folder with the module, what checks it, and what they need."""
    folder = node_modules.parent
    shutil.copytree(STATIC, folder / "static", dirs_exist_ok=True)
    for name in ("tsconfig.json", "run_module.mjs"):
        shutil.copy(HERE / name, folder)
    return folder


def run_module(workplace: Path, task: str, argument: object) -> Any:
    done = subprocess.run(
        ["node", "run_module.mjs"],
        cwd=workplace,
        input=json.dumps({"task": task, "argument": argument}),
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
    )
    return json.loads(done.stdout)


def some_ids(count: int) -> list[str]:
    chance = random.Random(1)
    drawn = ["".join(chance.choices(ID_CHARACTERS, k=chance.randint(1, 4))) for _ in range(count)]
    return [*drawn, "1", "01", "0x1", "1e3", "1000", "-5", ".5", "Infinity", "-Infinity", "agent_0", "Alice"]


def test_the_types_of_the_module_are_right(workplace: Path) -> None:
    done = subprocess.run(
        ["node_modules/.bin/tsc", "--project", "tsconfig.json"],
        cwd=workplace,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_python_and_the_browsers_agree_on_who_offers(workplace: Path) -> None:
    ids = some_ids(60)
    pairs = [(one, other) for one in ids for other in ids]
    answers = run_module(workplace, "initiates", pairs)
    assert {True, False, None} == set(answers)
    differing = [p for p, answer in zip(pairs, answers, strict=True) if initiates(*p) is not answer]
    assert differing == []


def test_of_two_pages_exactly_one_keeps_its_offer(workplace: Path) -> None:
    ids: list[str | int] = [*dict.fromkeys(some_ids(20)), 1, 7, 10]
    pairs = [(one, other) for i, one in enumerate(ids) for other in ids[:i]]
    one_way = run_module(workplace, "keeps", pairs)
    other_way = run_module(workplace, "keeps", [pair[::-1] for pair in pairs])
    assert one_way == [not answer for answer in other_way]


@pytest.mark.parametrize("max_samples", [1, 4, 600])
def test_the_statistics_are_those_of_the_python_side(workplace: Path, max_samples: int) -> None:
    chance = random.Random(2)
    series, polls = LatencySeries(max_samples), []
    for number in range(300):
        status = chance.choice(list(PollStatus))
        rtt_ms = chance.expovariate(1 / 40) if status is PollStatus.FRESH else None
        series.add(Poll(1_000_000 + 1000 * number, rtt_ms, status))
        polls.append({"timestampMs": 1_000_000 + 1000 * number, "rttMs": rtt_ms, "status": str(status)})
    theirs = run_module(workplace, "latency", {"maxSamples": max_samples, "polls": polls})
    ours = msgspec.to_builtins(series.statistics())
    assert ours["outages"]
    assert theirs["outages"] == ours.pop("outages")
    assert theirs["samples"] == ours.pop("samples")
    assert {name: theirs[name] for name in ours} == pytest.approx(ours)
