"""A study as it would lie on the disk after many matches: made, and not played.

The documents are built of records as a player's are, so they have all that real ones have; the recordings
have the frames of a match that nobody played, and are good for reading alone.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import msgspec

from gym_p2p.core.latency.series import Poll
from gym_p2p.core.latency.webrtc_stats import PollStatus
from gym_p2p.core.record.documents import KINDS, Kind, build_document
from gym_p2p.core.record.episode import Begin
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.exports.documents import LARGE_BYTES
from gym_p2p.game.replay import records
from gym_p2p.game.replay.header import SUFFIX, ReplayHeader

__all__ = ["Format", "action_of", "made_inputs", "made_record", "make_study"]

Format = Literal["now", "before"]
"""``before``: plain JSON of version 1, without times, results, series and recordings."""

_START_MS = 1_790_000_000_000
_SEATS = ("left", "right")
_VARIANTS = 4
"""Matches that are really built; the others are these under other ids."""
_FRAMES_A_RECORD = 256
_MARK = "match-template"
_NEW_KEYS = (
    *("players", "episodes", "clockOffsets", "connectionPaths", "departures", "pauses"),
    *("checkpointsLate", "upload", "human", "policies", "rejoins"),
    *("serviceOutages", "clockJumps", "waysTaken", "passedOn"),
)
_NEW_IN_PARTS = (
    *(("connection", "gameTransport"), ("connection", "gameTransportCounts")),
    *(("connection", "relayedBy"), ("connection", "relayingPlayerId")),
    ("rollbacks", "wrongGuesses"),
)
_NEW_OF_A_LINK = ("series", "overall", "truncated", "totalOutages", "withoutPair")


@attrs.frozen
class _Files:
    """The files of a match, by their names, with the template's id in them."""

    documents: dict[str, bytes]
    inputs: list[tuple[bytes, ...]]


def make_study(
    folder: Path,
    *,
    matches: int,
    minutes: float,
    fps: float,
    kind: Format = "now",
    made: Callable[[int], None] = lambda _matches: None,
) -> int:
    """Write the files of so many matches of two players; return how many bytes they have.

    Args:
        folder: where to.
        matches: how many.
        minutes: of each.
        fps: frames a second.
        kind: the format.
        made: told after each match how many there are by then.
    """
    frames = round(minutes * 60 * fps)
    variants = [_variant(number, frames, fps, kind) for number in range(min(_VARIANTS, matches))]
    total = 0
    for number in range(matches):
        match = f"match-{number:032x}"
        files = variants[number % len(variants)]
        for name, data in _named(files, match, kind):
            path = folder / match / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            total += len(data)
        made(number + 1)
    return total


def _named(files: _Files, match: str, kind: Format) -> Iterator[tuple[str, bytes]]:
    for name, text in files.documents.items():
        data = text.replace(_MARK.encode(), match.encode())
        if kind == "now" and len(data) > LARGE_BYTES:
            yield f"{name}.gz", gzip.compress(data, 6)
        else:
            yield name, data
    if kind == "now":
        for player in _SEATS:
            yield f"{player}{SUFFIX}", _recording(match, player, files.inputs)


def _variant(number: int, frames: int, fps: float, kind: Format) -> _Files:
    chance = random.Random(number)
    inputs = made_inputs(frames, chance)
    documents = {}
    for player in _SEATS:
        record = made_record(player, inputs, fps, chance)
        for one in KINDS:
            data = msgspec.json.encode(build_document(one, record, 0, action_of))
            documents[f"{player}.{one}.json"] = data if kind == "now" else _as_before(one, data)
    return _Files(documents, inputs)


def made_inputs(frames: int, chance: random.Random) -> list[tuple[bytes, ...]]:
    """Return two seats' inputs of so many frames: keys that are held for a while."""
    held = 0
    inputs: list[tuple[bytes, ...]] = []
    for _ in range(frames):
        if chance.random() < 0.1:
            held = chance.randrange(6)
        inputs.append((bytes([held]), bytes([chance.randrange(6) if chance.random() < 0.1 else held])))
    return inputs


def made_record(
    player: str, inputs: Sequence[tuple[bytes, ...]], fps: float, chance: random.Random
) -> MatchRecord:
    """Return a player's record of a match with these inputs: what a real one would have, and ended."""
    (peer,) = [seat for seat in _SEATS if seat != player]
    record = MatchRecord(
        game_id=_MARK,
        player_id=player,
        players=_SEATS,
        peers=[peer],
        session_start_ms=_START_MS,
        environment={"environment": "gym_p2p/Rally-v0", "gym_p2p": "bench"},
        config={"sync": {"fps": fps}, "room": "bench"},
    )
    episode = record.begin_episode(Begin(at_ms=_START_MS + 250, seed=7))
    nothing = (False, False)
    infos: tuple[dict[str, Any], ...] = ({}, {})
    for frame, joint in enumerate(inputs):
        at_ms = round(frame * 1e3 / fps + chance.random())
        episode.played_up_to(frame + 1, at_ms)
        episode.frame(joint)
        episode.outcome(
            at_ms + chance.randrange(20, 60),
            rewards=(0.0, 0.0),
            terminations=nothing,
            truncations=nothing,
            infos=infos,
        )
        if frame % 15 == 14:
            episode.checksum(frame, f"{frame:032x}")
        if frame % 20 == 19:
            now_ms = _START_MS + 250 + at_ms
            episode.guessed_wrong(frame, _SEATS.index(peer))
            episode.rollback(
                frame=frame,
                current_frame=frame + 2,
                player=peer,
                predicted=b"\0",
                actual=b"\1",
                now_ms=now_ms,
            )
    end_ms = _START_MS + round(len(inputs) * 1e3 / fps)
    link = record.links[peer]
    for at_ms in range(_START_MS, end_ms, 1000):
        link.polled(Poll(at_ms, 40 + chance.expovariate(0.1), PollStatus.FRESH), frame=0)
    episode.confirmed(len(inputs) - 1)
    episode.verified(len(inputs) - 1)
    episode.complete(end_ms)
    record.terminate("normal", partial=False, now_ms=end_ms)
    return record


def action_of(_seat: int, data: bytes) -> Any:
    """Return the action of an input."""
    return data[0]


def _as_before(kind: Kind, data: bytes) -> bytes:
    """Return a document as version 1 had it."""
    whole: dict[str, Any] = msgspec.json.decode(data)
    whole["schemaVersion"] = 1
    for key in (*_NEW_KEYS, *(["environment"] if kind != "multiplayer" else [])):
        whole.pop(key, None)
    for part, key in _NEW_IN_PARTS:
        whole.get(part, {}).pop(key, None)
    for link in (whole["latency"], *whole["latencyByPeer"].values()):
        for key in _NEW_OF_A_LINK:
            link.pop(key, None)
    return msgspec.json.encode(whole)


def _recording(match: str, player: str, inputs: list[tuple[bytes, ...]]) -> bytes:
    header = ReplayHeader(
        match_id=match,
        player_id=player,
        seats=_SEATS,
        players=tuple(
            {"player_id": seat, "subject_id": f"{match}-{seat}", "seats": [seat]} for seat in _SEATS
        ),
        environment=None,
        watchers=0,
        isolated=False,
        snapshots=None,
        description={"environment": "gym_p2p/Rally-v0"},
        versions={},
        sync={},
        recorded_ms=_START_MS,
    )
    fields = {"format": records.FORMAT, "version": header.version, **attrs.asdict(header)}
    line = msgspec.json.encode(fields) + b"\n"
    whole, digest = [line], records.digest_of_header(line)
    for value in _recorded(inputs):
        written, digest = records.encode(value, digest)
        whole.append(written)
    return b"".join(whole)


def _recorded(inputs: list[tuple[bytes, ...]]) -> Iterator[records.Record]:
    yield None
    yield records.Begun(seed=7, options={}, observations="00")
    for first in range(0, len(inputs), _FRAMES_A_RECORD):
        part = inputs[first : first + _FRAMES_A_RECORD]
        checks = [
            records.Check(frame=frame, digest=f"{frame:032x}", observations=f"{frame:032x}")
            for frame in range(first, first + len(part))
            if frame % 15 == 14
        ]
        rewards: list[tuple[float, ...]] = [(0.0, 0.0)] * len(part)
        ends = [b"\0\0"] * len(part)
        yield records.Frames(first=first, inputs=part, rewards=rewards, ends=ends, checks=checks)
    yield records.Ended(frames=len(inputs), completed=True)
    yield records.Closed(episodes=1, frames=len(inputs), reason="normal")
