"""Playing a recorded match again, and saying whether the same comes of it.

The actions are given to a fresh environment, one for the whole match as it was then. Rewards and ends are
compared after every frame, observations and digests at every checked one. What differs is named by the
episode, the frame and what it is; nothing of an episode is believed from there on.
"""

from __future__ import annotations

import contextlib
import functools
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from gym_p2p.errors import P2PError, ProtocolError, UsageError
from gym_p2p.game.checksum import OutcomeChecksum, checksum
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.isolation import isolate_global_random
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.outcome import Outcome
from gym_p2p.game.replay.header import ReplayHeader, here
from gym_p2p.game.replay.reader import LATE_STATES, Replay, ReplayEpisode
from gym_p2p.game.replay.records import Check, Frames
from gym_p2p.game.replay.writer import ends_of
from gym_p2p.game.state.compared import word_of_version_1
from gym_p2p.game.state.fields import fields_checksum
from gym_p2p.game.state.snapshot import Snapshot, Snapshots, snapshots_named

__all__ = ["Difference", "ReplayStep", "Verification", "game_of", "verify_replay"]

_NAN = struct.pack("<d", float("nan"))


@attrs.frozen(kw_only=True)
class Difference:
    """The first thing of an episode that did not come out as recorded.

    Attributes:
        episode: which one of the recording's, from 0; in words it counts from 1, as in the documents.
        frame: the frame; -1 is what ``reset`` gave.
        what: ``observations``, ``rewards``, ``ends``, ``actions`` (one cannot be decoded), ``state``,
            ``digest`` (the actions are not those that were compared then), ``error`` (the environment
            raised one), or ``frames`` (not all of them, or too many).
        recorded: as it is in the file, in words.
        here: as it came out here, in words.
        checked: the newest frame before at which everything agreed; None if there was none. What is wrong
            happened after it.
    """

    episode: int
    frame: int
    what: str
    recorded: str
    here: str
    checked: int | None

    def __str__(self) -> str:
        at = "reset" if self.frame < 0 else f"frame {self.frame}"
        since = "" if self.checked is None else f"; all agreed up to frame {self.checked}"
        return (
            f"episode {self.episode + 1}, {at}: {self.what} differ: recorded {self.recorded}, "
            f"here {self.here}{since}"
        )


@attrs.frozen(kw_only=True)
class Verification:
    """What came of playing a recorded match again.

    Attributes:
        replay: the recording.
        frames: how many frames were played again and agreed.
        checks: at how many of them all was compared: digests and observations too.
        differences: the first one of each episode that has one.
        warnings: in what this installation and environment are not those of then.
    """

    replay: Replay
    frames: int
    checks: int
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]

    @property
    def agreed(self) -> bool:
        """Whether all that is recorded came out again."""
        return not self.differences

    @property
    def ok(self) -> bool:
        """Whether all came out again, and nothing is missing."""
        return self.agreed and self.replay.missing is None


@attrs.frozen(kw_only=True)
class ReplayStep:
    """One frame as it was played again, and agreed with the recording.

    Attributes:
        game: the game, just after this frame.
        episode: which one of the recording's, from 0; the documents count from 1.
        frame: the frame's number, from 0.
        actions: every seat's action.
        before: what was seen before it.
        outcome: what came of it.
        last: whether the recording has no later frame of this episode.
    """

    game: Game
    episode: int
    frame: int
    actions: Sequence[Any]
    before: Outcome
    outcome: Outcome
    last: bool

    def handed_out(self) -> ReplayStep:
        """Return a copy for somebody who may change what is in it."""
        return attrs.evolve(self, before=self.before.handed_out(), outcome=self.outcome.handed_out())


def game_of(header: ReplayHeader, make_env: Callable[[], Any] | None = None, *, trust: bool = False) -> Game:
    """Make the game of a recorded match.

    Args:
        header: the recording's.
        make_env: makes the environment; None: it is made from what the file says.
        trust: make whatever the file names; False: only environments of installed packages.

    Raises:
        UsageError: the file does not name the environment, or something that is none; or it cannot be made
            here, or has other seats.
    """
    if make_env is None:
        if header.environment is None:
            raise UsageError(
                "the file does not say how its environment is made "
                f"({header.description.get('environment', 'nothing is known of it')}): name it "
                "(--env, or make_env)"
            )
        if not trust:
            header.environment.refuse_untrusted()
        make_env = header.environment.make
    env = make_env()
    game = make_game(env, watchers=header.watchers, seats=header.split)
    if game.seats != header.seats:
        game.close()
        raise UsageError(f"the match had the seats {list(header.seats)}, this game has {list(game.seats)}")
    return isolate_global_random(game) if header.isolated else game


def verify_replay(
    replay: Replay,
    make_env: Callable[[], Any] | None = None,
    *,
    trust: bool = False,
    watch: Callable[[ReplayStep], None] | None = None,
    compare_states: bool = True,
) -> Verification:
    """Play a recorded match again in a fresh environment and compare all that was recorded of it.

    Args:
        replay: the recording.
        make_env: makes the environment, where the file does not name it; see :func:`game_of`.
        trust: make whatever the file names, also what no installed package offers as an environment.
        watch: is given every frame that agreed, as soon as it was played.
        compare_states: also compare the digests of states, where some were recorded. Do not where the
            environment was made to render: its state has pictures in it then.

    Raises:
        UsageError: the environment cannot be made.
    """
    game = game_of(replay.header, make_env, trust=trust)
    try:
        run = _Playback(game, replay.header, _snapshots(replay, game) if compare_states else None)
        warnings = tuple(_warnings(replay.header, game))
        differences = [
            found for episode in replay.episodes if (found := run.play(episode, watch)) is not None
        ]
        return Verification(
            replay=replay,
            frames=run.frames,
            checks=run.checks,
            differences=tuple(differences),
            warnings=warnings,
        )
    finally:
        game.close()


def _snapshots(replay: Replay, game: Game) -> Snapshots | None:
    taken = any(episode.has_states for episode in replay.episodes)
    name = replay.header.snapshots
    return snapshots_named(game, name) if taken and name is not None and name != "hooks" else None


def _warnings(header: ReplayHeader, game: Game) -> Iterator[str]:
    description, versions = here(game)
    for name in sorted(header.versions.keys() | versions.keys()):
        then, now = header.versions.get(name), versions.get(name)
        if then != now:
            yield f"{name}: recorded with {then or 'none'}, here is {now or 'none'}"
    for topic in sorted(header.description.keys() | description.keys()):
        was, is_now = header.description.get(topic), description.get(topic)
        if was != is_now:
            yield f"{topic}: recorded {was or 'nothing'}, here {is_now or 'nothing'}"


@attrs.frozen
class _Stopped(Exception):
    """An episode cannot be played on: something differs."""

    frame: int
    what: str
    recorded: str = attrs.field(converter=str)
    here: str = attrs.field(converter=str)


class _Playback:
    """Plays the episodes of one match again, one after the other."""

    def __init__(self, game: Game, header: ReplayHeader, snapshots: Snapshots | None) -> None:
        self._game = game
        self._state_digest = _fields_digest if header.version == 1 else Snapshots.checksum
        self._snapshots = snapshots
        self._checked: int | None = None
        self._unchecked: dict[int, tuple[str | None, int | None]] = {}
        self.frames = 0
        self.checks = 0

    def play(self, episode: ReplayEpisode, watch: Callable[[ReplayStep], None] | None) -> Difference | None:
        """Play an episode; return what differed first, None if nothing did."""
        self._checked = None
        try:
            with contextlib.nullcontext() if watch is None else self._game.shown():
                for step in self._steps(episode):
                    if watch is not None:
                        watch(step.handed_out())
        except _Stopped as stopped:
            found = attrs.asdict(stopped)
            return Difference(episode=episode.number, **found, checked=self._checked)
        return None

    def _steps(self, episode: ReplayEpisode) -> Iterator[ReplayStep]:
        game, begun = self._game, episode.begun()
        before = _called(-1, lambda: game.reset(begun.seed, dict(begun.options) or None))
        _compare(-1, "observations", begun.observations, checksum(before.observations).hex())
        self._checked = -1
        self._unchecked.clear()
        digests = OutcomeChecksum(len(game.seats))
        for part in episode.parts():
            checks = {check.frame: check for check in part.checks}
            for frame, inputs in enumerate(part.inputs, part.first):
                if before.ended:
                    raise _Stopped(
                        frame, "frames", f"{episode.frames} frames", f"{frame}, then the episode ended"
                    )
                actions = self._actions(frame, inputs)
                outcome = _called(frame, functools.partial(game.step, actions))
                _compare_frame(frame, part, outcome)
                digests.update(frame, inputs, outcome)
                if frame in checks:
                    if episode.has_states:
                        self._note_state(frame)
                    self._check(checks[frame], digests, outcome)
                self.frames += 1
                yield ReplayStep(
                    game=game,
                    episode=episode.number,
                    frame=frame,
                    actions=actions,
                    before=before,
                    outcome=outcome,
                    last=frame == episode.frames - 1,
                )
                before = outcome
            self._check_states(part)
        if episode.completed and not before.ended:
            raise _Stopped(episode.frames, "frames", "the episode ended here", "the episode goes on")

    def _actions(self, frame: int, inputs: Sequence[bytes]) -> list[Any]:
        try:
            seats = self._game.seats
            return [self._game.codec(seat).decode(data) for seat, data in zip(seats, inputs, strict=True)]
        except ProtocolError:
            shown = [data.hex() for data in inputs]
            raise _Stopped(frame, "actions", shown, "not all of these are actions of their seats") from None

    def _note_state(self, frame: int) -> None:
        """Keep the state's digest until the recorded one comes, and what was checked by then."""
        if self._snapshots is not None:
            snapshot = self._snapshots.save()
            self._unchecked[frame] = (self._state_digest(self._snapshots, snapshot), self._checked)
            self._snapshots.free(snapshot)
            if len(self._unchecked) > LATE_STATES:
                del self._unchecked[next(iter(self._unchecked))]

    def _check_states(self, part: Frames) -> None:
        for state in part.states if self._snapshots is not None else ():
            now, checked = self._unchecked.pop(state.frame)
            if now != state.digest:
                self._checked = checked
                raise _Stopped(state.frame, "state", state.digest, now or "none")

    def _check(self, check: Check, digests: OutcomeChecksum, outcome: Outcome) -> None:
        frame = check.frame
        _compare(frame, "observations", check.observations, checksum(outcome.observations).hex())
        _compare(frame, "digest", check.digest, digests.digest(outcome))
        self._checked = frame
        self.checks += 1


def _fields_digest(snapshots: Snapshots, snapshot: Snapshot) -> str | None:
    """Return the digest of a state as recordings of version 1 have it."""
    fields = snapshots.fields(snapshot, word=word_of_version_1)
    return None if fields is None else fields_checksum(fields)


def _called(frame: int, call: Callable[[], Outcome]) -> Outcome:
    try:
        return call()
    except P2PError:
        raise
    except Exception as error:  # whatever it is, it was not raised then
        raise _Stopped(frame, "error", "none", f"{type(error).__name__}: {error}") from error


def _compare(frame: int, what: str, recorded: object, now: object) -> None:
    if recorded != now:
        raise _Stopped(frame, what, recorded, now)


def _compare_frame(frame: int, part: Frames, outcome: Outcome) -> None:
    ends, rewards = ends_of(outcome), part.rewards[frame - part.first]
    recorded = part.ends[frame - part.first]
    if ends != recorded:
        raise _Stopped(frame, "ends", _named_ends(recorded), _named_ends(ends))
    if list(map(_bits, rewards)) != list(map(_bits, outcome.rewards)):
        raise _Stopped(frame, "rewards", list(rewards), list(outcome.rewards))


def _bits(number: float) -> bytes:
    return struct.pack("<d", number) if number == number else _NAN  # noqa: PLR0124 - false for NaN alone


def _named_ends(ends: bytes) -> list[str]:
    names = ("none", "terminated", "truncated", "both")
    return [names[end] if end < len(names) else f"unknown ({end})" for end in ends]
