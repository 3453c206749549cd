"""How large a match is on disk: an hour of two seats at 60 Hz, discrete actions, is at most 6 MB a player.

Ten minutes are played here, in a moment; nothing in the files grows faster than the match.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gym_p2p.core.latency.clock import ClockEstimate
from gym_p2p.core.record.documents import KINDS, build_document
from gym_p2p.core.record.episode import Begin
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.game.checksum import OutcomeChecksum
from gym_p2p.game.env.load import load_environment
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.replay.writer import ReplayWriter
from tests.core.record.records import START_MS, fresh, new_record, poll
from tests.replays import header_of

FPS = 60
FRAMES = 10 * 60 * FPS
HOUR_BYTES = 6_000_000
ACTIONS = [bytes([action]) for action in range(6)]


def _frames(hold: float) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield two seats' actions, held for a while or not, and the milliseconds at which they are played."""
    chance = random.Random(3)
    left = right = ACTIONS[0]
    at_ms = 0.0
    for _ in range(FRAMES):
        left = left if chance.random() < hold else chance.choice(ACTIONS)
        right = right if chance.random() < hold else chance.choice(ACTIONS)
        yield left, right, int(at_ms)
        at_ms += 1000 / FPS + chance.gauss(0, 1)


def _played(hold: float) -> MatchRecord:
    """Return the record of one long episode over a path of 40 ms, with a rollback every second or so."""
    record = new_record()
    chance = random.Random(4)
    episode = record.begin_episode(Begin(at_ms=START_MS, seed=7, input_delays=(2, 2)))
    record.links[1].clock.base_ms = 0.0
    infos: tuple[dict[str, int], ...] = ({"score": 3}, {"score": 4})
    for frame, (left, right, at_ms) in enumerate(_frames(hold)):
        episode.played_up_to(frame + 1, at_ms)
        episode.frame([left, right])
        late_ms = at_ms + 40 + int(chance.gauss(0, 4))
        flags = (False, False)
        episode.outcome(late_ms, rewards=(0.1, -0.1), terminations=flags, truncations=flags, infos=infos)
        if frame % 15 == 0:
            episode.checksum(frame, f"{chance.getrandbits(128):032x}")
        if frame % FPS == 0:
            poll(record, 1, fresh(40 + chance.gauss(0, 4), frame // FPS))
            offset_s = chance.gauss(0, 0.002)
            clock = ClockEstimate(offset_s, 0.02, 0.04, 0.02, 0.02)
            record.links[1].pinged(40.0, now_ms=START_MS + at_ms, clock=clock)
            guess = {"predicted": left, "actual": right}
            episode.rollback(frame=frame, current_frame=frame + 3, player=1, now_ms=START_MS + at_ms, **guess)
    return record


def _recorded(path: Path, hold: float) -> None:
    game = make_game(load_environment("gym_p2p/Rally-v0"))
    first = game.reset(7)
    game.close()
    flags = (False, False)
    outcome = Outcome(first.observations, (0.1, -0.1), flags, flags, ({}, {}), ended=False)
    writer = ReplayWriter(path, header_of(game), checked_every=15)
    digests = OutcomeChecksum(2)
    writer.begin_episode(7, None, first)
    for frame, (left, right, _) in enumerate(_frames(hold)):
        digests.update(frame, (left, right), outcome)
        writer.frame((left, right), outcome)
        if frame % 15 == 14:
            writer.checksum(frame, digests.digest(outcome))
    writer.close()
    assert writer.problem is None


@pytest.mark.parametrize("hold", [0.9, 0.0], ids=["held actions", "random actions"])
def test_an_hour_of_play_is_a_few_megabytes(tmp_path: Path, hold: float) -> None:
    record = _played(hold)
    sizes: dict[str, int] = {}
    for kind in KINDS:
        document: Any = build_document(kind, record, START_MS, lambda _seat, data: data[0])
        sizes[kind] = len(gzip.compress(msgspec.json.encode(document), 6))
    path = tmp_path / "match.p2preplay"
    _recorded(path, hold)
    sizes["recording"] = path.stat().st_size
    assert 6 * sum(sizes.values()) <= HOUR_BYTES, sizes
    assert min(sizes.values()) > 10_000, sizes  # all of it was there


def test_an_hour_of_round_trips_is_below_twenty_kilobytes() -> None:
    record = new_record()
    chance = random.Random(5)
    for second in range(3600):
        poll(record, 1, fresh(abs(60 + chance.gauss(0, 20)), second))
    statistics = record.links[1].series.statistics()
    assert statistics is not None
    assert statistics.series.samples == 3600
    assert len(msgspec.json.encode(statistics.series)) < 20_000
