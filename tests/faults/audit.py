"""The audit of a run: is everything there, valid, the same for all, true, and does it say what happened?

It judges documents by the players' own accounts and by an oracle, a plain environment that plays what the
players say they did. It imports nothing of the package but the games (a test holds that): who wrote the
documents must not be who checks them. Fields are read by the names that the published schemas have.
"""

from __future__ import annotations

import collections
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import jsonschema

from tests.faults.draws import EPISODE_FRAMES, FPS
from tests.faults.games import SEATS, digest, plain
from tests.faults.naming import RULES
from tests.faults.reading import KINDS, Evidence, Left

__all__ = ["Finding", "Verdict", "What", "audit", "came_too_late"]

SCHEMAS = Path(__file__).parents[2] / "gym_p2p" / "schemas"

What = Literal[
    "frame lost",
    "frame doubled",
    "export lost",
    "invalid",
    "disagreement",
    "untrue",
    "unnamed",
    "left over",
    "ending",
]

_GUESSED = 10
"""Frames that a player in rollback may have been asked for beyond the last one that their document has: the
prediction window, the one that waits, and one of which the last input has just come."""
_CHECKPOINT_FRAMES = 10 * FPS
"""What a killed player may lack: what came since the last checkpoint, ten seconds of them."""


@attrs.frozen
class Finding:
    """One thing that is wrong."""

    what: What
    text: str
    count: int = 1


@attrs.frozen
class Verdict:
    """What came of a run.

    Attributes:
        findings: everything that is wrong.
        noticed_s: of each fault that documents name, after how long they say so.
        resumed_s: of each fault that was over, after how long all played on.
    """

    findings: list[Finding]
    noticed_s: list[float]
    resumed_s: list[float]

    def count(self, *what: What) -> int:
        """Return how much was found of some kinds."""
        return sum(finding.count for finding in self.findings if finding.what in what)


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
    newest = max(
        (max(left.account.step_times, default=0.0) for left in evidence.players.values()), default=0.0
    )
    return any(fault["when"] == "playing" and fault["from"] > newest for fault in evidence.scene["faults"])


def _expected(evidence: Evidence) -> Mapping[str, Any]:
    expected: Mapping[str, Any] = evidence.scene["expected"]
    return expected


def _is_among(who: str, left: Left) -> bool:
    return who == "all" or (who == "others" and not left.facts["struck"])


def _endings(evidence: Evidence) -> Iterator[Finding]:
    if len(evidence.scene["faults"]) < len(evidence.scene["planned"]):
        yield Finding("ending", "not every fault could be injected")
    expected = _expected(evidence)
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
    wanted = _is_among(_expected(evidence)["exports"], left) and left.account.frames > 0
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
        yield from _frames(evidence, left, left.documents["multiplayer"])


@functools.cache
def _validator(kind: str) -> Any:
    schema = json.loads((SCHEMAS / f"{kind}.schema.json").read_text())
    return jsonschema.Draft202012Validator(schema)


Joint = dict[int, dict[str, Any]]
"""By frame, by seat, the action."""


def _episodes(document: Mapping[str, Any]) -> dict[int, Joint]:
    found: dict[int, Joint] = collections.defaultdict(lambda: collections.defaultdict(dict))
    for row in document["validation"]["allActions"]:
        found[row["episode"]][row["frame"]][row["playerId"]] = row["action"]
    return found


def _frames(evidence: Evidence, left: Left, document: Mapping[str, Any]) -> Iterator[Finding]:
    """Hold a document's frames against the player's own account, and the oracle's."""
    rows = document["validation"]["allActions"]
    often = collections.Counter((row["episode"], row["frame"], row["playerId"]) for row in rows)
    if doubled := sum(count - 1 for count in often.values()):
        yield Finding("frame doubled", f"{left.host}: {doubled} rows are there twice", doubled)
    episodes = _episodes(document)
    seats = SEATS[evidence.scene["game"]]
    for episode, joint in episodes.items():
        holes = [frame for frame in range(max(joint) + 1) if set(joint.get(frame, ())) != set(seats)]
        if holes:
            yield Finding("frame lost", f"{left.host}: episode {episode} lacks {holes[:5]}", len(holes))
    yield from _against_account(evidence, left, episodes)
    told = {one["episode"]: one for one in document["episodes"]}
    for episode, joint in episodes.items():
        if episode in told and set(range(len(joint))) == set(joint):
            yield from _against_oracle(evidence, left, told[episode], joint)


def _against_account(evidence: Evidence, left: Left, episodes: Mapping[int, Joint]) -> Iterator[Finding]:
    seat = left.facts["seat"]
    for number, asked in enumerate(left.account.episodes, start=1):
        joint = episodes.get(number, {})
        frames = [frame for frame, _, _ in asked]
        # Where a match is cut off, what was played beyond on guesses is void, and may have been asked twice.
        again = sum(count - 1 for frame, count in collections.Counter(frames).items() if frame in joint)
        if again > (_guessed(evidence) if _comes_back(evidence, left) else 0):
            yield Finding("frame doubled", f"{left.host} was asked twice in episode {number}", again)
        if skipped := set(range(max(frames) + 1)) - set(frames):
            yield Finding(
                "frame lost", f"{left.host} was never asked for {sorted(skipped)[:5]}", len(skipped)
            )
        is_last = number == len(left.account.episodes)
        lacking = sorted({frame for frame in frames if frame not in joint})
        if len(lacking) > _may_lack(evidence, left, is_last=is_last):
            yield Finding(
                "frame lost", f"{left.host}'s document lacks {lacking[:5]} of episode {number}", len(lacking)
            )
        wrong = [f for f, action, _ in asked if f in joint and joint[f].get(seat) != action]
        if wrong:
            yield Finding("untrue", f"{left.host} did something else in {wrong[:5]} of episode {number}")


def _comes_back(evidence: Evidence, left: Left) -> bool:
    """Whether a player is to come back in another process: it is asked for what the first one took along."""
    return bool(left.facts["struck"]) and _expected(evidence)["naming"] == "rejoin"


def _lost_somebody(evidence: Evidence) -> bool:
    """Whether a player was killed for good: what was guessed of them beyond their last word is void."""
    expected = _expected(evidence)
    return not expected["struck"] and expected["naming"] != "rejoin"


def _may_lack(evidence: Evidence, left: Left, *, is_last: bool) -> int:
    """Return how many frames a document may lack that its player was asked for."""
    if left.facts["struck"] and _expected(evidence)["newest_lost"]:
        return _CHECKPOINT_FRAMES
    played_all = left.account.frames >= evidence.scene["frames"]
    if not is_last or (played_all and not _lost_somebody(evidence)):
        return 0
    return _guessed(evidence)


def _against_oracle(
    evidence: Evidence, left: Left, told: Mapping[str, Any], joint: Joint
) -> Iterator[Finding]:
    """Play a plain environment with the joint actions: the player's own steps have to be its steps."""
    game, seed = evidence.scene["game"], told["seed"]
    env = plain(game, EPISODE_FRAMES)
    env.reset(seed=seed)
    returns = dict.fromkeys(SEATS[game], 0.0)
    for frame in range(len(joint)):
        seen, _, _, _, info = env.step(joint[frame])
        for seat, reward in info["rewards"].items():
            returns[seat] += reward
        own = left.account.steps.get((seed, frame))
        expected = {seat: digest(one) for seat, one in seen.items()}
        if own is None:
            yield Finding(
                "frame lost", f"{left.host} never played frame {frame} of episode {told['episode']}"
            )
            return
        if own["actions"] != joint[frame] or own["seen"] != expected or own["rewards"] != info["rewards"]:
            yield Finding("untrue", f"{left.host} played another frame {frame} of episode {told['episode']}")
            return
    if {seat: told["returns"].get(seat) for seat in returns} != returns:
        yield Finding("untrue", f"{left.host}: returns {told['returns']}, the oracle's {returns}")
    if told["frames"] != len(joint):
        yield Finding(
            "untrue",
            f"{left.host}: episode {told['episode']} has {len(joint)} frames, and says {told['frames']}",
        )


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
    if any(evidence.players[host].facts["struck"] for host in hosts):
        return _CHECKPOINT_FRAMES
    if _expected(evidence)["plays_on"] != "nobody":
        return 0
    cut = {host for fault in evidence.scene["faults"] for host in fault["hosts"]}
    return _guessed(evidence) if cut & set(hosts) else 0


def _guessed(evidence: Evidence) -> int:
    return _GUESSED if evidence.scene["sync"] == "rollback" else 1


def _length(document: Mapping[str, Any]) -> int:
    return sum(map(len, _episodes(document).values()))


def _pairs(documents: Mapping[str, Any]) -> Iterator[tuple[tuple[str, Any], tuple[str, Any]]]:
    items = list(documents.items())
    for number, item in enumerate(items):
        for other in items[number + 1 :]:
            yield item, other


def _same_rows(
    one: str, other: str, first: Mapping[str, Any], second: Mapping[str, Any]
) -> Iterator[Finding]:
    theirs = _episodes(second)
    for episode, joint in _episodes(first).items():
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
    who, frames = _expected(evidence)["plays_on"], evidence.scene["frames"]
    for host, left in evidence.players.items():
        if not _is_among(who, left):
            continue
        if left.account.frames < frames:
            yield Finding("ending", f"{host} played {left.account.frames} of {frames} frames")
            continue
        document = left.documents.get("multiplayer")
        void = _guessed(evidence) if _lost_somebody(evidence) else 0
        if document is not None and (lacking := left.account.frames - _length(document)) > void:
            yield Finding("frame lost", f"{host}'s document lacks {lacking} frames", lacking)


def _naming(evidence: Evidence) -> tuple[list[Finding], list[float]]:
    """Look in documents for every fault."""
    expected = _expected(evidence)
    if expected["naming"] is None:
        return [], []
    findings, noticed_s = [], []
    for fault in evidence.scene["faults"]:
        for left in _who_can_know(evidence, fault, expected["names"]):
            if not left.documents:
                continue  # which is counted as lost, or is not to be expected
            told = RULES[expected["naming"]](evidence, fault, left)
            if not told:
                findings.append(Finding("unnamed", f"{left.host} does not tell of {_in_words(fault)}"))
            elif told.at_ms is not None:
                noticed_s.append(max(0.0, (told.at_ms - evidence.unix_ms(fault["from"])) / 1e3))
    return findings, noticed_s


def _who_can_know(evidence: Evidence, fault: Mapping[str, Any], names: str) -> Sequence[Left]:
    struck = set(fault["hosts"])
    return [
        left
        for host, left in evidence.players.items()
        if names == "all" or (host in struck) == (names in {"pair", "struck"})
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
