"""What the three documents are built of alike.

Building changes nothing, and may go on while another thread appends to the record: see
:mod:`gym_p2p.core.record.episode`. It refuses to know how actions are encoded (``decode`` is passed in),
where documents go, and what time it is.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from gym_p2p.core.latency.statistics import LatencyStatistics
from gym_p2p.core.record.episode_view import EpisodeView
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.core.record.parts import InputCounts, StateDifference
from gym_p2p.core.record.plain import plain
from gym_p2p.core.wire.seats import SeatId

__all__ = [
    "Decode",
    "actions",
    "input_counts",
    "latency_by_peer",
    "pause_ms",
    "state_differences",
    "unique_names",
]

Decode = Callable[[int, bytes], Any]
"""``decode(seat index, input)``: an action in the JSON form that its space turns back into the action."""

_MAX_CACHED_ACTIONS = 4096


def actions(episode: EpisodeView, seat: int, frames: int, decode: Decode) -> Iterator[Any]:
    """Yield a seat's actions of so many frames. Equal inputs are decoded once, for most games have few."""
    known: dict[bytes, Any] = {}
    for data in islice(episode.seat_inputs[seat], frames):
        if data in known:
            yield known[data]
            continue
        action = plain(decode(seat, data))
        if len(known) < _MAX_CACHED_ACTIONS:
            known[data] = action
        yield action


def unique_names(
    players: Iterable[SeatId], *, quoted: Callable[[SeatId], str] = json.dumps
) -> dict[SeatId, str]:
    """Return every player's JSON key: the id as text; ``quoted`` where ``1`` and ``"1"`` both play."""
    players = list(players)
    texts = collections.Counter(str(player) for player in players)
    return {player: str(player) if texts[str(player)] == 1 else quoted(player) for player in players}


def latency_by_peer(record: MatchRecord) -> dict[str, LatencyStatistics | None]:
    """Return every link's statistics."""
    keys = unique_names(record.links)
    return {keys[player]: link.series.statistics() for player, link in record.links.items()}


def input_counts(record: MatchRecord) -> InputCounts:
    """Return how many inputs travelled."""
    return InputCounts(
        sent_via_p2p=record.inputs_sent,
        sent_via_socket_io=record.inputs_sent_by_service,
        received_via_p2p=record.inputs_received,
        received_via_socket_io=record.inputs_received_by_service,
    )


def pause_ms(record: MatchRecord) -> float:
    """Return how long the match paused for links that broke; for several players at once it paused once."""
    attempts = record.attempts.copy()
    if len({attempt.other_peer for attempt in attempts}) < 2:
        return sum((attempt.duration for attempt in attempts), record.unlisted_pause_ms)
    paused_ms, until = record.unlisted_pause_ms, float("-inf")
    for start, end in sorted((one.timestamp - one.duration, float(one.timestamp)) for one in attempts):
        paused_ms += max(0.0, end - max(start, until))
        until = max(until, end)
    return paused_ms


def state_differences(episode: EpisodeView, frame: int) -> list[StateDifference] | None:
    """Return in which fields the states of a frame differ; ``None`` where they were not exchanged."""
    dump = episode.dumps.get(frame)
    return None if dump is None else [StateDifference(*difference) for difference in dump.differences]
