"""A document's frames, held against the player's own account and an oracle's: all there, once, and true.

An oracle is a plain environment that plays what the document says was done. How many frames a document may
lack stands here, with why.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Mapping
from typing import Any

from tests.faults.draws import EPISODE_FRAMES
from tests.faults.findings import Finding
from tests.faults.games import SEATS, digest, plain, played
from tests.faults.reading import Evidence, Left

__all__ = ["check_frames", "episodes_of", "guessed", "lost_somebody", "since_checkpoint"]

_WINDOW = 8
"""Frames that are played on guesses at most (``prediction_window``)."""
_UNDER_WAY = 2
"""Frames whose inputs a player has without knowing that the others have them: who has lost their network half
does not learn it any more, nor agrees with anybody on an end."""
_CHECKPOINT_S = 10.0
"""A killed player may lack what came since their last checkpoint: so often there is one."""
_CHECKPOINT_LATE_S = 1.5
"""For a checkpoint to be on the disk, on a machine that has other things to do."""


Joint = dict[int, dict[str, Any]]
"""By frame, by seat, the action."""


def episodes_of(document: Mapping[str, Any]) -> dict[int, Joint]:
    found: dict[int, Joint] = collections.defaultdict(lambda: collections.defaultdict(dict))
    for row in document["validation"]["allActions"]:
        found[row["episode"]][row["frame"]][row["playerId"]] = row["action"]
    return found


def check_frames(evidence: Evidence, left: Left, document: Mapping[str, Any]) -> Iterator[Finding]:
    """Hold a document's frames against the player's own account, and the oracle's."""
    rows = document["validation"]["allActions"]
    often = collections.Counter((row["episode"], row["frame"], row["playerId"]) for row in rows)
    if doubled := sum(count - 1 for count in often.values()):
        yield Finding("frame doubled", f"{left.host}: {doubled} rows are there twice", doubled)
    episodes = episodes_of(document)
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
        if again > guessed(evidence) * _returns(evidence, left):
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


def _returns(evidence: Evidence, left: Left) -> int:
    """Return how often a player is to come back: another process is asked for what one took along."""
    return sum(
        fault["naming"] == "rejoin" and left.host in fault["hosts"] for fault in evidence.scene["faults"]
    )


def lost_somebody(evidence: Evidence) -> bool:
    """Whether a player was killed for good: what was guessed of them beyond their last word is void."""
    return not evidence.scene["expected"]["struck"]


def _may_lack(evidence: Evidence, left: Left, *, is_last: bool) -> int:
    """Return how many frames a document may lack that its player was asked for."""
    if left.facts["struck"] and evidence.scene["expected"]["newest_lost"]:
        return since_checkpoint(left)
    played_all = left.account.frames >= evidence.scene["frames"]
    if not is_last or (played_all and not lost_somebody(evidence)):
        return 0
    return guessed(evidence) + (_UNDER_WAY if left.facts["struck"] else 0)


def since_checkpoint(left: Left) -> int:
    """Return how many frames a killed player was asked for since the checkpoint that has to be there."""
    times = left.account.asked_times
    since = max(times, default=0.0) - _CHECKPOINT_S - _CHECKPOINT_LATE_S
    return sum(at >= since for at in times)


def _against_oracle(
    evidence: Evidence, left: Left, told: Mapping[str, Any], joint: Joint
) -> Iterator[Finding]:
    """Play a plain environment with the joint actions: the player's own steps have to be its steps."""
    game, seed = evidence.scene["game"], told["seed"]
    env = plain(game, EPISODE_FRAMES)
    env.reset(seed=seed)
    returns = dict.fromkeys(SEATS[game], 0.0)
    for frame in range(len(joint)):
        seen, rewards = played(env, joint[frame])
        for seat, reward in rewards.items():
            returns[seat] += reward
        own = left.account.steps.get((seed, frame))
        expected = {seat: digest(one) for seat, one in seen.items()}
        if own is None:
            yield Finding(
                "frame lost", f"{left.host} never played frame {frame} of episode {told['episode']}"
            )
            return
        if own["actions"] != joint[frame] or own["seen"] != expected or own["rewards"] != rewards:
            yield Finding("untrue", f"{left.host} played another frame {frame} of episode {told['episode']}")
            return
    if {seat: told["returns"].get(seat) for seat in returns} != returns:
        yield Finding("untrue", f"{left.host}: returns {told['returns']}, the oracle's {returns}")
    if told["frames"] != len(joint):
        yield Finding(
            "untrue",
            f"{left.host}: episode {told['episode']} has {len(joint)} frames, and says {told['frames']}",
        )


def guessed(evidence: Evidence) -> int:
    """Return how many frames beyond their document's last one a player may have been asked for.

    Those that were played on guesses, and the one that waits.
    """
    return _WINDOW + 1 if evidence.scene["sync"] == "rollback" else 1
