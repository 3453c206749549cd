"""How a document names a fault: by which of its fields, and when it says that was.

Each rule looks into one player's documents for what tells of one fault; ``None`` is that nothing does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from tests.faults.reading import Evidence, Left

__all__ = ["RULES", "Told"]

_EARLY_MS = 250.0
"""Documents' clocks and the scene's are one; what they round is less."""
_LATE_MS = 5_000.0
"""Later than this it tells of something else."""
_GONE_LATE_MS = 20_000.0
"""Who is lost is waited for first."""
_BACK_LATE_MS = 45_000.0
"""Who may come back is waited for 40 s, from when that they are away is known."""
_NOTICE_S = 0.5
"""The product's: a shorter silence is none."""
_HOUR_MS = 3_600_000.0
_ENDS = 2
"""Of a path; a fault of one host struck that player."""


@attrs.frozen
class Told:
    """Documents tell of a fault.

    Attributes:
        at_ms: when they say that it was noticed, in Unix milliseconds; ``None`` if they give no time.
    """

    at_ms: float | None


Rule = Callable[[Evidence, Mapping[str, Any], Left], "Told | None"]


def _first(
    evidence: Evidence, fault: Mapping[str, Any], times: Iterable[float], late_ms: float = _LATE_MS
) -> Told | None:
    """Return the first of these times that can be a fault's."""
    begin = evidence.unix_ms(fault["from"]) - _EARLY_MS
    end = (begin if fault["to"] is None else evidence.unix_ms(fault["to"])) + late_ms
    first = min((time for time in times if begin <= time <= end), default=None)
    return None if first is None else Told(first)


def _others(evidence: Evidence, fault: Mapping[str, Any], left: Left) -> set[Any]:
    """Return the seats of the other end of the path, or of whom the fault struck."""
    seats = {evidence.players[host].facts["seat"] for host in fault["hosts"] if host in evidence.players}
    return seats - {left.facts["seat"]}


def _pause(evidence: Evidence, fault: Mapping[str, Any], left: Left) -> Told | None:
    """A path to the other player that was found broken, or a pause, or another way that was taken.

    A pause began with their silence: where the path was found broken, that is when it was noticed. Of a path
    that is not in use nobody can tell more than that.
    """
    session, others = left.documents["session"], _others(evidence, fault, left)
    broken = session["reconnection"]["disconnections"]
    found = _first(evidence, fault, (one["timestamp"] for one in broken if one["otherPeer"] in others))
    paused = (one["timestamp"] for one in session["pauses"] if others & set(one["playerIds"]))
    return found or _first(evidence, fault, paused) or _way_round(evidence, fault, left)


def _cut_off(evidence: Evidence, fault: Mapping[str, Any], left: Left) -> Told | None:
    """A pause for the player whose paths were all cut; their own for anybody."""
    if left.host not in fault["hosts"]:
        return _pause(evidence, fault, left)
    session = left.documents["session"]
    return _first(evidence, fault, (one["timestamp"] for one in session["pauses"]))


def _way_round(evidence: Evidence, fault: Mapping[str, Any], left: Left) -> Told | None:
    """Another way that was taken to the other end of a path, or that was in use throughout the fault.

    Of a player who was struck themselves every way tells: none in use explains that nothing was noticed.
    """
    others = _others(evidence, fault, left)
    ways = [one for one in left.documents["session"]["waysTaken"] if one["otherPeer"] in others]
    taken = _first(evidence, fault, (one["timestamp"] for one in ways if one["way"] != "direct"))
    if taken is not None or len(fault["hosts"]) < _ENDS or not others:
        return taken
    by_end = ([one for one in ways if one["otherPeer"] == end] for end in others)
    used = all(_is_gone_round(evidence, fault, to_end) for to_end in by_end)
    return Told(None) if used else None


def _is_gone_round(evidence: Evidence, fault: Mapping[str, Any], ways: Sequence[Mapping[str, Any]]) -> bool:
    """Whether messages to a player went by others from before a fault until it was over."""
    begin = evidence.unix_ms(fault["from"])
    before = [one["way"] for one in ways if one["timestamp"] < begin]
    end = math.inf if fault["to"] is None else evidence.unix_ms(fault["to"])
    meanwhile = [one["way"] for one in ways if begin <= one["timestamp"] <= end]
    return bool(before) and "direct" not in {before[-1], *meanwhile}


def _departure(evidence: Evidence, fault: Mapping[str, Any], left: Left) -> Told | None:
    """A departure, other than by a goodbye at the end."""
    struck = {evidence.players[host].facts["seat"] for host in fault["hosts"]}
    times = [
        gone["timestamp"]
        for gone in left.documents["session"]["departures"]
        if struck & {gone["playerId"], gone["lostPlayerId"]} and gone["statedReason"] != "normal"
    ]
    return _first(evidence, fault, times, _GONE_LATE_MS)


def _rejoin(evidence: Evidence, fault: Mapping[str, Any], left: Left) -> Told | None:
    """A player whose process ended, and who came back."""
    struck = {evidence.players[host].facts["seat"] for host in fault["hosts"]}
    session = left.documents["session"]
    back = [one["timestamp"] for one in session.get("rejoins", ()) if one["playerId"] in struck]
    if _first(evidence, fault, back, _BACK_LATE_MS) is None:
        return None
    paused = (one["timestamp"] for one in session["pauses"] if struck & set(one["playerIds"]))
    return _first(evidence, fault, paused) or Told(None)


def _service_outage(evidence: Evidence, fault: Mapping[str, Any], left: Left) -> Told | None:
    """A time in which the service could not be reached."""
    return _first(evidence, fault, (one["start"] for one in left.documents["session"]["serviceOutages"]))


def _clock_jump(evidence: Evidence, fault: Mapping[str, Any], left: Left) -> Told | None:
    """A wall clock that was set by about an hour."""
    jumps = left.documents["session"].get("clockJumps", ())
    times = (one["timestamp"] for one in jumps if abs(abs(one["jumpMs"]) - _HOUR_MS) < _LATE_MS)
    return _first(evidence, fault, times)


def _standstill(evidence: Evidence, fault: Mapping[str, Any], left: Left) -> Told | None:
    """A pause of their own, with its cause, where a player stood still themselves; else as for a path."""
    if left.host not in fault["hosts"]:
        return _pause(evidence, fault, left)
    pauses = left.documents["session"]["pauses"]
    own = (one["timestamp"] for one in pauses if one.get("cause") == "frozen")
    return Told(None) if _first(evidence, fault, own) else None


def _slower(evidence: Evidence, fault: Mapping[str, Any], left: Left) -> Told | None:
    """A round trip well above the path's, or another way to the other end (its round trips are told then)."""
    well_above = 2 * evidence.scene["one_way_ms"] + fault["amount"] / 8
    times = [
        sample["timestamp"]
        for told in left.documents["session"]["latencyByPeer"].values()
        for sample in (told or {}).get("samples", ())
        if sample["rttMs"] > well_above
    ]
    return _first(evidence, fault, times) or _way_round(evidence, fault, left)


def _new_connection(evidence: Evidence, fault: Mapping[str, Any], left: Left) -> Told | None:
    """A connection that was made in place of the old one, or a way round until the match was over."""
    session = left.documents["session"]
    made = [
        one["timestamp"] for one in session["reconnection"]["attempts"] if one["over"] != "old_connection"
    ]
    broken = [one["timestamp"] for one in session["reconnection"]["disconnections"]]
    return _first(evidence, fault, made, _GONE_LATE_MS) and _first(evidence, fault, broken)


def _pause_or_not(evidence: Evidence, fault: Mapping[str, Any], left: Left) -> Told | None:
    """A pause, unless play went on within the time after which a path counts as broken."""
    begin = fault["from"]
    times = [begin, *(at for at in left.account.step_times if at > begin)]
    longest_s = max((after - before for before, after in itertools.pairwise(times)), default=0.0)
    if longest_s < _NOTICE_S:
        return Told(None)
    session, at_ms = left.documents["session"], evidence.unix_ms(begin)
    found = _first(evidence, fault, (pause["timestamp"] for pause in session["pauses"]))
    if found is None and any(
        pause["timestamp"] <= at_ms <= pause["timestamp"] + pause["durationMs"] for pause in session["pauses"]
    ):
        return Told(None)  # it stood already
    return found


def _relayed_pause(evidence: Evidence, fault: Mapping[str, Any], left: Left) -> Told | None:
    """A relayed connection, and a pause for whoever's way to the relay was cut."""
    if left.documents["session"]["connection"]["type"] != "relay":
        return None
    return (_pause_or_not if left.host in fault["hosts"] else _pause)(evidence, fault, left)


RULES: Mapping[str, Rule] = {
    "pause": _pause,
    "cut off": _cut_off,
    "way round": _way_round,
    "departure": _departure,
    "rejoin": _rejoin,
    "service outage": _service_outage,
    "clock jump": _clock_jump,
    "standstill": _standstill,
    "slower": _slower,
    "new connection": _new_connection,
    "pause or not": _pause_or_not,
    "relayed pause": _relayed_pause,
}
