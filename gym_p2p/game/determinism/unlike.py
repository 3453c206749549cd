"""In what runs differ although they gave out the same: keys of their infos, fields of their states.

That is no judgement yet. What differs may be a label (the time at which it began, an address), hang on clocks
or chance, and be of no consequence; or it may be a game that goes another way, and has not shown it yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from gym_p2p.game.checksum import checksum
from gym_p2p.game.determinism.trial import Run, bag_digest, is_shuffled
from gym_p2p.game.state.fields import Fields, differences
from gym_p2p.game.state.rehearsal import Rehearsal, leaves, pattern_of

__all__ = ["Unlike"]


@attrs.frozen
class Unlike:
    """In what runs differ.

    Attributes:
        infos: by the info's key, where that was seen.
        states: by the field without its indices, an example: the path, and both values.
        shuffled: those of them that hold the same things in another order.
    """

    infos: Mapping[str, str]
    states: Mapping[str, str]
    shuffled: frozenset[str] = frozenset()

    @classmethod
    def between(cls, originals: Sequence[Run], others: Iterable[Run]) -> Unlike:
        """Compare runs with the originals of the same seeds."""
        by_seed = {run.seed: run for run in originals}
        infos: dict[str, str] = {}
        states: dict[str, str] = {}
        shuffled: set[str] = set()
        for other in others:
            one = by_seed[other.seed]
            for key, where in _unlike_infos(one, other):
                infos.setdefault(key, where)
            unlike = dict(_unlike_states(one.state, other.state))
            states = {**unlike, **states}
            shuffled |= _shuffled_infos(one, other)
            shuffled |= unlike.keys() & _shuffled_states(one.state, other.state)
        return cls(infos, states, frozenset(shuffled))

    @classmethod
    def of_all(cls, several: Iterable[Unlike]) -> Unlike:
        """Return what is in any of them."""
        infos: dict[str, str] = {}
        states: dict[str, str] = {}
        shuffled: frozenset[str] = frozenset()
        for one in several:
            infos, states = {**one.infos, **infos}, {**one.states, **states}
            shuffled |= one.shuffled
        return cls(infos, states, shuffled)

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.infos or self.states)

    def without(self, other: Unlike) -> Unlike:
        """Return what is not in another one."""
        infos, states = _minus(self.infos, other.infos), _minus(self.states, other.states)
        return attrs.evolve(self, infos=infos, states=states)

    def within(self, other: Unlike) -> Unlike:
        """Return what is in another one too."""
        return self.without(self.without(other))

    def labels(self, runs: Sequence[Run]) -> Unlike:
        """Return what of it stays as it was in every one of these runs, from the reset on.

        But for the same things in another order, which a game goes by: a set's, say.
        """
        moved_infos = {key for run in runs for key in self.infos if _moves(run, key)} | self.shuffled
        moved_states = {pattern for run in runs for pattern in _moved(run)} | self.shuffled
        return Unlike(
            {key: where for key, where in self.infos.items() if key not in moved_infos},
            {pattern: text for pattern, text in self.states.items() if pattern not in moved_states},
        )


def _minus(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in ours.items() if key not in theirs}


def _unlike_infos(one: Run, other: Run) -> Iterable[tuple[str, str]]:
    for frame, (ours, theirs) in enumerate(zip(one.infos, other.infos, strict=False)):
        for key in ours.keys() | theirs.keys():
            if ours.get(key, "") != theirs.get(key, ""):
                yield key, f"at frame {frame} with seed {one.seed}"


def _unlike_states(one: Fields | None, other: Fields | None) -> Iterable[tuple[str, str]]:
    if one is None or other is None or not differences(one, other, most=1):
        return
    ours, theirs = dict(leaves(one)), dict(leaves(other))
    for path in ours | theirs:
        if path not in ours or path not in theirs or checksum(ours[path]) != checksum(theirs[path]):
            present = ({path: side[path]} if path in side else {} for side in (ours, theirs))
            inner, mine, yours = differences(*present, most=1)[0]
            yield pattern_of(path), f"{inner}: {mine} and {yours}"


def _shuffled_infos(one: Run, other: Run) -> set[str]:
    pairs = zip(one.infos, other.infos, strict=False)
    return {key for ours, theirs in pairs for key in ours if is_shuffled(ours[key], theirs.get(key))}


def _shuffled_states(one: Fields | None, other: Fields | None) -> set[str]:
    """Return the patterns under which both states have the same."""
    if one is None or other is None:
        return set()
    ours, theirs = (_bags(side) for side in (one, other))
    return {pattern for pattern, bag in ours.items() if bag == theirs.get(pattern)}


def _bags(fields: Fields) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path, value in leaves(fields):
        found.setdefault(pattern_of(path), []).append(bag_digest(value))
    return {pattern: sorted(bag) for pattern, bag in found.items()}


def _moves(run: Run, key: str) -> bool:
    return len({info[key] for info in run.infos if key in info}) > 1


def _moved(run: Run) -> set[str]:
    """Return the fields in which the last state of a run is not the first one."""
    first, last = (Rehearsal.of((), fields) for fields in (run.first_state, run.state))
    if first is None or last is None:
        return set()
    every = first.digests.keys() | last.digests.keys()
    return {pattern for pattern in every if first.digests.get(pattern) != last.digests.get(pattern)}
