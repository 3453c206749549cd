"""The browser module without a browser: its types, and that it reckons as the Python side does."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gym_p2p.core.latency.series import LatencySeries, Poll
from gym_p2p.core.latency.webrtc_stats import PollStatus
from gym_p2p.core.probing.burst import Burst, PingBurst
from gym_p2p.core.probing.statistics import PingStatistics, median_interval
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
    assert theirs["series"] == ours.pop("series")
    assert theirs["overall"] == pytest.approx(ours.pop("overall"))
    assert theirs["truncated"] is ours.pop("truncated") is (max_samples < 100)
    assert {name: theirs[name] for name in ours} == pytest.approx(ours)


def test_reports_without_a_pair_are_counted_as_on_the_python_side(workplace: Path) -> None:
    series = LatencySeries()
    polls = [{"timestampMs": 1_000 * number, "rttMs": None, "status": "no_pair"} for number in range(3)]
    for poll in polls:
        series.add(Poll(poll["timestampMs"], None, PollStatus.NO_PAIR))  # type: ignore[arg-type]  # an int
    theirs = run_module(workplace, "latency", {"maxSamples": 600, "polls": polls})
    assert theirs == msgspec.to_builtins(series.unmeasured())
    assert theirs["withoutPair"] == 3


def test_a_page_says_once_that_the_reports_hold_no_pair(workplace: Path) -> None:
    pair = {"type": "candidate-pair", "id": "P", "currentRoundTripTime": 0.02, "responsesReceived": 1}
    with_pair = {"T": {"type": "transport", "selectedCandidatePairId": "P"}, "P": pair}
    found = run_module(workplace, "telemetry", [{}, {"T": {"type": "transport"}}, with_pair])
    assert found["statuses"] == ["no_pair", "no_pair", "fresh"]
    assert ["no selected candidate pair" in text for text in found["warnings"]] == [True]
    assert (found["statistics"]["withoutPair"], found["statistics"]["medianMs"]) == (2, 20.0)


# ---- bursts of pings


def run_burst(script: dict[str, Any]) -> dict[str, Any] | None:
    """Do as ``runBurst`` of ``run_module.mjs`` does, on the Python side."""
    burst, now, pongs = PingBurst(Burst(threshold_ms=script["thresholdMs"])), 0.0, []
    burst.start(now)
    for _ in range(1000):
        while (output := burst.poll()) is not None:
            if isinstance(output, PingStatistics):
                return in_their_words(output, now)
            rtt_ms = script["rttsMs"][output.seq]
            if rtt_ms is not None:
                message = {**json.loads(output.text), "type": "pong", "held_us": script["heldUs"]}
                pongs.append((now + rtt_ms / 1000, json.dumps(message)))
        pongs.sort()
        arrival = pongs[0][0] if pongs else math.inf
        due = burst.next_timeout()
        due = math.inf if due is None else due
        if script["stopMs"] is not None and script["stopMs"] / 1000 < min(due, arrival):
            burst.stop()
            measured = burst.poll()
            return (
                in_their_words(measured, script["stopMs"] / 1000)
                if isinstance(measured, PingStatistics)
                else None
            )
        now = max(now, min(due, arrival))
        if arrival <= due:
            burst.receive(pongs.pop(0)[1], now)
        else:
            burst.handle_timeout(now)
    pytest.fail("the burst does not end")


def in_their_words(found: PingStatistics, now: float) -> dict[str, Any]:
    """Return what was measured in the browsers' words."""
    return {
        "samplesMs": pytest.approx(list(found.samples_ms)),
        "count": found.count,
        "loss": pytest.approx(found.loss),
        "borderline": found.borderline,
        "medianMs": pytest.approx(found.median_ms) if found.samples_ms else None,
        "jitterMs": pytest.approx(found.mad_ms) if found.samples_ms else None,
        "tookMs": pytest.approx(now * 1000),
    }


def near_thresholds(count: int) -> list[dict[str, Any]]:
    """Draw paths whose median is about the threshold, with losses and late answers."""
    chance = random.Random(4)
    scripts: list[dict[str, Any]] = []
    for number in range(count):
        threshold_ms = chance.choice([None, 40.0, 100.0, 400.0])
        middle_ms = (threshold_ms or 80.0) * chance.choice([0.8, 0.95, 1.0, 1.05, 1.2])
        spread, loss = chance.choice([0.001, 0.02, 0.1, 0.4]), chance.choice([0.0, 0.0, 0.1, 0.5])
        rtts: list[float | None] = [
            None if chance.random() < loss else max(0.1, chance.gauss(middle_ms, spread * middle_ms))
            for _ in range(27)  # beyond fifteen there are warm-ups
        ]
        held_us = chance.choice([0, 0, 700])
        scripts.append({"name": f"drawn {number}", "thresholdMs": threshold_ms, "rttsMs": rtts})
        scripts[-1] |= {"heldUs": held_us, "stopMs": chance.choice([None, None, None, 321.123])}
    return scripts


def test_a_page_measures_by_the_rule_of_the_python_side(workplace: Path) -> None:
    scripts = json.loads((HERE / "bursts.json").read_text())
    scripts += near_thresholds(400)
    theirs = run_module(workplace, "bursts", scripts)
    ours = [run_burst(script) for script in scripts]
    differing = [s["name"] for s, our, their in zip(scripts, ours, theirs, strict=True) if our != their]
    assert differing == []
    ended = [found for found in ours if found is not None]
    assert {5, 9, 10, 15} <= {found["count"] for found in ended}
    assert None in ours, "no burst was stopped too early"
    assert any(found["borderline"] for found in ended)
    assert len(ended) > 300


def test_a_page_judges_samples_at_the_very_threshold_as_the_python_side_does(workplace: Path) -> None:
    chance = random.Random(5)
    cases: list[tuple[list[float], int, float | None]] = []
    for _ in range(2000):
        count = chance.choice([1, 4, 5, 6, 8, 9, 10, 12, 15])
        samples = [chance.choice([48.0, 49.0, 50.0, 51.0, 52.0]) for _ in range(chance.randint(0, count))]
        cases.append((samples, count, chance.choice([None, 49.0, 50.0, 51.0])))
    theirs = run_module(workplace, "judgements", cases)
    ours = []
    for samples, count, threshold_ms in cases:
        burst, interval = Burst(threshold_ms=threshold_ms), median_interval(samples)
        interval_ms = None if interval is None else list(interval)
        ours.append([interval_ms, burst.straddles(samples), burst.enough(samples, count)])
    assert theirs == ours
    assert {straddles for _, straddles, _ in ours} == {enough for _, _, enough in ours} == {True, False}
