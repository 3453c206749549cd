"""The audit of a run: is everything there, valid, the same for all, true, and does it say what happened?

It judges documents by the players' own accounts and by an oracle, a plain environment that plays what the
players say they did. It imports nothing of the package but the games (a test holds that): who wrote the
documents must not be who checks them. Fields are read by the names that the published schemas have.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema

from tests.faults.findings import Finding, Verdict
from tests.faults.frames import check_frames, episodes_of, guessed, lost_somebody, since_checkpoint
from tests.faults.naming import RULES
from tests.faults.reading import KINDS, Evidence, Left

__all__ = ["audit", "came_too_late"]

_LATE_FRAMES = 10
"""What is played while a fault is injected, at most: it was meant for the end then."""

SCHEMAS = Path(__file__).parents[2] / "gym_p2p" / "schemas"


def audit(evidence: Evidence) -> Verdict:
    """Judge a run."""
    findings = [
        *_endings(evidence),
        *_left_over(evidence),
        *(finding for left in evidence.players.values() for finding in _of_player(evidence, left)),
        *_agreement(evidence),
        *_played_on(evidence),
    ]
    unnamed, noticed_s = _naming(evidence)
    return Verdict(findings + unnamed, noticed_s, list(_resumed(evidence)))


def came_too_late(evidence: Evidence) -> bool:
    """Whether a fault was injected when the match was over: the bench itself was late, and shows nothing."""
    scene = evidence.scene
    newest = max(
        (max(left.account.step_times, default=0.0) for left in evidence.players.values()), default=0.0
    )
    return any(
        fault["from"] > newest or fault["frame"] + _LATE_FRAMES < scene["frames"] <= fault["played"]
        for fault in scene["faults"]
        if fault["when"] == "playing"
    )


def _is_among(who: str, left: Left) -> bool:
    return who == "all" or (who == "others" and not left.facts["struck"])


def _endings(evidence: Evidence) -> Iterator[Finding]:
    if len(evidence.scene["faults"]) < len(evidence.scene["planned"]):
        yield Finding("ending", "not every fault could be injected")
    expected = evidence.scene["expected"]
    for host, left in evidence.players.items():
        code = left.facts["exit"]
        allowed = expected["struck"] if left.facts["struck"] else expected["others"]
        if code is None:
            yield Finding("ending", f"{host} still ran at the end")
        elif allowed and code not in allowed:
            yield Finding("ending", f"{host} ended with {code}, wanted {allowed}")


def _left_over(evidence: Evidence) -> Iterator[Finding]:
    for kind, names in evidence.scene["left"].items():
        for name in names:
            yield Finding("left over", f"{kind}: {name}")
    for host, left in evidence.players.items():
        for name in left.unfinished:
            yield Finding("left over", f"file of {host}: {name}")


def _of_player(evidence: Evidence, left: Left) -> Iterator[Finding]:
    for text in left.unreadable:
        yield Finding("invalid", f"{left.host}: {text}")
    if left.doubled:
        yield Finding("disagreement", f"{left.host} has two different documents of {left.doubled}")
    wanted = _is_among(evidence.scene["expected"]["exports"], left) and left.account.frames > 0
    for kind in KINDS:
        document = left.documents.get(kind)
        if document is None:
            if wanted or left.documents:
                yield Finding("export lost", f"{left.host} has no {kind} document")
            continue
        for error in _validator(kind).iter_errors(document):
            yield Finding("invalid", f"{left.host}.{kind} {error.json_path}: {error.message[:200]}")
        if document["playerId"] != left.facts["seat"]:
            yield Finding("untrue", f"{left.host}.{kind} is of {document['playerId']}")
    if wanted and not left.handed_in and evidence.scene["service"] is not None:
        yield Finding("export lost", f"the service does not have {left.host}'s document")
    if "multiplayer" in left.documents:
        yield from check_frames(evidence, left, left.documents["multiplayer"])


@functools.cache
def _validator(kind: str) -> Any:
    schema = json.loads((SCHEMAS / f"{kind}.schema.json").read_text())
    return jsonschema.Draft202012Validator(schema)


def _agreement(evidence: Evidence) -> Iterator[Finding]:
    """Hold all players' documents against each other."""
    documents = {
        host: left.documents["multiplayer"]
        for host, left in evidence.players.items()
        if "multiplayer" in left.documents
    }
    for host, document in documents.items():
        if document["validation"]["totalDesyncs"]:
            yield Finding("disagreement", f"{host} tells of desyncs")
    for (one, first), (other, second) in _pairs(documents):
        if first["gameId"] != second["gameId"]:
            yield Finding("disagreement", f"{one} and {other} have documents of different matches")
            continue
        yield from _same_rows(one, other, first, second)
        longer = max(_length(first), _length(second))
        lacks = longer - min(_length(first), _length(second))
        if lacks > _may_differ(evidence, one, other):
            yield Finding("frame lost", f"{one} and {other} differ by {lacks} frames", lacks)


def _may_differ(evidence: Evidence, *hosts: str) -> int:
    """Return by how many frames documents of two players may differ.

    Players whom a broken path has parted for good each have what had reached them.
    """
    expected = evidence.scene["expected"]
    killed = [left for left in map(evidence.players.__getitem__, hosts) if left.facts["struck"]]
    if killed and expected["newest_lost"]:
        return max(map(since_checkpoint, killed))
    if killed and expected["plays_on"] != "all":
        return guessed(evidence)
    if expected["plays_on"] != "nobody":
        return 0
    cut = {host for fault in evidence.scene["faults"] for host in fault["hosts"]}
    return guessed(evidence) if cut & set(hosts) else 0


def _length(document: Mapping[str, Any]) -> int:
    return sum(map(len, episodes_of(document).values()))


def _pairs(documents: Mapping[str, Any]) -> Iterator[tuple[tuple[str, Any], tuple[str, Any]]]:
    items = list(documents.items())
    for number, item in enumerate(items):
        for other in items[number + 1 :]:
            yield item, other


def _same_rows(
    one: str, other: str, first: Mapping[str, Any], second: Mapping[str, Any]
) -> Iterator[Finding]:
    theirs = episodes_of(second)
    for episode, joint in episodes_of(first).items():
        differ = [f for f in joint if f in theirs.get(episode, {}) and joint[f] != theirs[episode][f]]
        if differ:
            yield Finding("disagreement", f"{one} and {other}: actions of {differ[:5]} of episode {episode}")
    hashes = {(row["episode"], row["frame"]): row["hash"] for row in second["validation"]["allHashes"]}
    unlike = [
        (row["episode"], row["frame"])
        for row in first["validation"]["allHashes"]
        if hashes.get((row["episode"], row["frame"]), row["hash"]) != row["hash"]
    ]
    if unlike:
        yield Finding("disagreement", f"{one} and {other}: checksums of {unlike[:5]}")


def _played_on(evidence: Evidence) -> Iterator[Finding]:
    who, frames = evidence.scene["expected"]["plays_on"], evidence.scene["frames"]
    for host, left in evidence.players.items():
        if not _is_among(who, left):
            continue
        if left.account.frames < frames:
            yield Finding("ending", f"{host} played {left.account.frames} of {frames} frames")
            continue
        document = left.documents.get("multiplayer")
        void = guessed(evidence) if lost_somebody(evidence) else 0
        if document is not None and (lacking := left.account.frames - _length(document)) > void:
            yield Finding("frame lost", f"{host}'s document lacks {lacking} frames", lacking)


def _naming(evidence: Evidence) -> tuple[list[Finding], list[float]]:
    """Look in documents for every fault."""
    findings, noticed_s = [], []
    for fault in evidence.scene["faults"]:
        if fault["naming"] is None:
            continue
        for left in _who_can_know(evidence, fault, fault["names"]):
            if not left.documents:
                continue  # which is counted as lost, or is not to be expected
            told = RULES[fault["naming"]](evidence, fault, left)
            if not told:
                findings.append(Finding("unnamed", f"{left.host} does not tell of {_in_words(fault)}"))
            elif told.at_ms is not None:
                noticed_s.append(max(0.0, (told.at_ms - evidence.unix_ms(fault["from"])) / 1e3))
    return findings, noticed_s


def _who_can_know(evidence: Evidence, fault: Mapping[str, Any], names: str) -> Sequence[Left]:
    """Return whose documents have to tell of it: not those of a process that came later."""
    struck = set(fault["hosts"])
    began_anew = {
        host
        for later in evidence.scene["faults"]
        if later["naming"] == "rejoin" and (later["to"] or later["from"]) > fault["from"]
        for host in later["hosts"]
    }
    return [
        left
        for host, left in evidence.players.items()
        if (names == "all" or (host in struck) == (names in {"pair", "struck"}))
        and (host not in began_anew or (fault["naming"] == "rejoin" and host in struck))
    ]


def _resumed(evidence: Evidence) -> Iterator[float]:
    """Yield, of each fault that was over while a match went on, how long it took until all played on."""
    for fault in evidence.scene["faults"]:
        if fault["seconds"] is not None and fault["to"] is None:
            continue  # the match was over before it
        since = fault["begun"] if fault["to"] is None or fault["what"] == "service killed" else fault["to"]
        after = []
        for left in evidence.players.values():
            news = [at for at in left.account.step_times if at > since]
            if not news:
                break
            after.append(min(news) - since)
        else:
            yield max(after)


def _in_words(fault: Mapping[str, Any]) -> str:
    return f"{fault['what']} of {', '.join(fault['hosts'])} at frame {fault['frame']}"
