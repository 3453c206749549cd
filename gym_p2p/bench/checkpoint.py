"""What a checkpoint costs after one, ten and sixty minutes, beside writing the documents again as before."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium

import gym_p2p.envs  # noqa: F401 - registers the bundled game
from gym_p2p.bench.figures import Row
from gym_p2p.bench.made_study import action_of, made_inputs, made_record, make_study
from gym_p2p.config import ExportConfig
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.exports.account import Account
from gym_p2p.exports.encoding import encode
from gym_p2p.exports.exporter import Exporter
from gym_p2p.exports.journal import Journal
from gym_p2p.files.whole import write_bytes

__all__ = ["checkpoint_rows"]

_FPS = 60.0
_EVERY_S = 10
_MINUTES = (1, 10, 60)
_OFTEN_S = 0.1
"""A hundred times as often as by default, so that checkpoints are met at all."""


def checkpoint_rows(*, progress: Callable[[str], None], longest: int = 60) -> Iterator[Row]:
    """Measure, with the disk of the temporary folder.

    Args:
        progress: told what is being measured.
        longest: minutes of the longest match.
    """
    with tempfile.TemporaryDirectory(prefix="gym-p2p-bench-") as name:
        folder = Path(name)
        for minutes in _MINUTES:
            if minutes <= longest:
                progress(f"a checkpoint after {minutes} minutes")
                yield from _cost(folder / str(minutes), minutes)
        progress("steps with checkpoints")
        yield from _steps(folder / "steps" / "match", frames=600 * longest, lasts_s=longest / 20)
        progress(f"{longest} minutes of play")
        now, before = (
            make_study(folder / kind, matches=1, minutes=longest, fps=_FPS, kind=kind) / 2e6
            for kind in ("now", "before")
        )
        yield Row(
            f"a player's {longest} minutes of two seats at 60 Hz",
            "MB",
            now,
            floor=before,
            anchor=longest / 10,
        )


def _cost(folder: Path, minutes: int) -> Iterator[Row]:
    record = _record(round(_FPS * (60 * minutes - _EVERY_S)))
    account = Account(record, action_of, lambda: 0)
    journal = Journal(folder / "left.journal.jsonl", account.journal(), account.now_ms)
    journal.append()
    for joint in made_inputs(round(_FPS * _EVERY_S), random.Random(1)):
        record.episode.frame(joint)
    size_bytes = journal.path.stat().st_size
    spent, began = time.process_time(), time.perf_counter()
    journal.append()
    took_s, spent_s = time.perf_counter() - began, time.process_time() - spent
    added = journal.path.stat().st_size - size_bytes
    spent, began = time.process_time(), time.perf_counter()
    written = 0
    for kind, document in account.documents().items():
        path = folder / f"left.{kind}.json"
        write_bytes(path, encode(document))
        written += path.stat().st_size
    before_s, before_spent_s = time.perf_counter() - began, time.process_time() - spent
    journal.close()
    after = f"a checkpoint after {minutes} min"
    yield Row(after, "ms", took_s * 1e3, floor=before_s * 1e3)
    yield Row(f"{after}: the processor's time", "ms", spent_s * 1e3, floor=before_spent_s * 1e3)
    yield Row(f"{after}: bytes written", "kB", added / 1e3, floor=written / 1e3)


def _steps(folder: Path, *, frames: int, lasts_s: float) -> Iterator[Row]:
    """Step a game whose record grows, with a journal that has many frames already, and without one."""
    found = {}
    for checkpoints in (False, True):
        record = _record(frames)
        where = str(folder.parent) if checkpoints else None
        config = ExportConfig(directory=where, checkpoint_interval_s=_OFTEN_S)
        account = Account(record, action_of, lambda: 0)
        exporter = Exporter(config, account=account, folder=folder if checkpoints else None)
        exporter.begin()
        found[checkpoints] = _stepped(record, lasts_s)
        exporter.finish(0.0)
    with_them, without = (statistics.quantiles(found[kind], n=100) for kind in (True, False))
    every = f"with a checkpoint every {_OFTEN_S:g} s after {frames} frames, before: without"
    yield Row(f"step, median, {every}", "us", with_them[49], floor=without[49])
    yield Row(
        f"step, 99th percentile, {every}", "us", with_them[98], floor=without[98], anchor=4 * with_them[49]
    )


def _stepped(record: MatchRecord, lasts_s: float) -> list[float]:
    env = gymnasium.make("gym_p2p/Rally-v0")
    env.reset(seed=1)
    action = env.action_space.sample()
    took_us = []
    over_at = time.perf_counter() + lasts_s
    while (began := time.perf_counter()) < over_at:
        env.step(action)
        record.episode.frame((b"\1", b"\2"))
        took_us.append((time.perf_counter() - began) * 1e6)
        time.sleep(0)
    env.close()
    return took_us


def _record(frames: int) -> MatchRecord:
    chance = random.Random(frames)
    return made_record("left", made_inputs(frames, chance), _FPS, chance)
