"""What becomes of a desync: both states, and the fields in which they differ.

Knows the running episode's kept states, how states travel, and the record; refuses to know what follows for
the match. A player can provoke it with one wrong checksum, and send as a state whatever they like: so it is
done beside the play, by a thread that gives way, and what they sent is read by a process of its own. What
becomes of it stands in the record when it is done.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

from gym_p2p.core.match.commands import GiveState
from gym_p2p.core.match.events import Desynced, StateArrived
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.game.state.dumps import MAX_PLAIN_BYTES, Comparison, NoStateError, compare, pack
from gym_p2p.game.state.fields import Fields
from gym_p2p.play.state_comparer import StateComparer
from gym_p2p.processes.threads import OwnThread

__all__ = ["AtOnce", "Beside", "StateExchange", "Workplace"]

_log = logging.getLogger(__name__)

COMPARE_LIMIT_S = 10.0
"""Two states as large as they may be take a second or two."""

KEPT_BYTES = 4 * MAX_PLAIN_BYTES
"""Of states, over a match: those of one player, both as large as they may be, twice. Of later ones only the
differences are kept."""

_WORK_S, _REST_S = 0.0005, 0.002
"""Packing rests after a moment's work: no step waits longer than that for the interpreter lock."""

_END_S = 2.0
"""For what is given up to end: a process that is killed, and a state of ours that is being packed."""

_NO_STATE_YET = "the other player has sent no state"
_BEING_COMPARED = "the states are still being compared"

Job = Callable[[], None]


class Workplace(Protocol):
    """Where the work of an exchange is done."""

    def compare(self, ours: bytes, theirs: bytes) -> Comparison:
        """Compare two packed states; raises ``NoStateError``."""

    def breathe(self) -> None:
        """Give way to others for a moment, now and then."""

    def submit(self, job: Job) -> None:
        """Have something done, after what was submitted before."""

    def finish(self, limit_s: float) -> None:
        """Wait until all is done, or give it up."""


class AtOnce:
    """Everything is done by whoever wants it, at once: where nothing waits, and all players are ours."""

    def compare(self, ours: bytes, theirs: bytes) -> Comparison:
        """Compare two packed states; raises ``NoStateError``."""
        return compare(ours, theirs)

    def breathe(self) -> None:
        """Do nothing."""

    def submit(self, job: Job) -> None:
        """Do it."""
        job()

    def finish(self, limit_s: float) -> None:
        """Do nothing: all is done."""


class Beside:
    """Everything is done by a thread of its own, which starts when there is something to do."""

    def __init__(self) -> None:
        self._comparer = StateComparer()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._worked_since = 0.0

    def compare(self, ours: bytes, theirs: bytes) -> Comparison:
        """Compare two packed states; raises ``NoStateError``."""
        return self._comparer.compare(ours, theirs, limit_s=COMPARE_LIMIT_S)

    def breathe(self) -> None:
        """Rest after a moment's work."""
        if self._worked_since + _WORK_S <= time.monotonic():
            time.sleep(_REST_S)
            self._worked_since = time.monotonic()

    def submit(self, job: Job) -> None:
        """Have it done."""
        if self._thread is None:
            self._thread = OwnThread(target=self._work, name="gym_p2p desync", daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def finish(self, limit_s: float) -> None:
        """Wait until all is done, for so long; then give it up. Idempotent."""
        if self._thread is None:
            return
        self._jobs.put(None)
        self._thread.join(limit_s)
        self._comparer.stop()
        self._thread.join(_END_S)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._worked_since = time.monotonic()
            try:
                job()
            except Exception:  # noqa: BLE001 - a thread has nobody to raise to, and the others' states wait
                _log.exception("comparing states failed")


class StateExchange:
    """One match's exchange of states: of the first frame that differs from a player's, once with each.

    Args:
        record: gets both states and the differences, or why there are none.
        command: gives the network half a command, from any thread.
        workplace: where all of it is done.
    """

    def __init__(
        self, record: MatchRecord, command: Callable[[GiveState], None], workplace: Workplace
    ) -> None:
        self._record = record
        self._command = command
        self._workplace = workplace
        self._episode = 0
        self._fields: Callable[[int], Fields | None] = lambda _frame: None
        self._ours: dict[tuple[int, int], bytes | NoStateError] = {}
        """Packed, or why not, by episode and frame."""
        self._waiting: dict[int, tuple[int, int]] = {}
        """Whose state is waited for, and of which frame."""
        self._sent: set[int] = set()
        self._giving: set[int] = set()
        """To whom our state is still to be given."""
        self._kept_bytes = 0

    def begin_episode(self, episode: int, fields: Callable[[int], Fields | None]) -> None:
        """Take the states of another episode from now on.

        Args:
            episode: its number among the players.
            fields: returns the state after a compared frame of it, if it is kept; that changes no more.
        """
        self._episode, self._fields = episode, fields

    def receive(self, event: object) -> None:
        """Take in an event of the network half: send our state at a desync, compare theirs."""
        match event:
            case Desynced(episode, frame, player, _, _):
                self._send(player, (episode, frame))
            case StateArrived(player, episode, frame, data) if self._waiting.get(player) == (episode, frame):
                del self._waiting[player]
                self._note((episode, frame), _BEING_COMPARED)
                self._workplace.submit(partial(self._compare, player, (episode, frame), data))

    @property
    def waits(self) -> bool:
        """Whether somebody's state may still come, or ours has still to be given to somebody."""
        return bool(self._waiting or self._giving)

    def finish(self, limit_s: float) -> None:
        """Wait until what is here is compared, for so long at most; what is not by then is given up."""
        self._workplace.finish(limit_s)

    def _send(self, player: int, key: tuple[int, int]) -> None:
        """Send our state of a frame to a player, unless they got one before."""
        episode, frame = key
        if player in self._sent or episode != self._episode:
            return
        fields = self._fields(frame)
        if fields is None:
            return
        self._sent.add(player)
        self._giving.add(player)
        self._waiting[player] = key
        self._note(key, _NO_STATE_YET)
        self._workplace.submit(partial(self._give, player, key, fields))

    # What follows is done at the workplace, one thing after the other.

    def _give(self, player: int, key: tuple[int, int], fields: Fields) -> None:
        try:
            if key not in self._ours:
                self._ours[key] = self._packed(fields)
            if (ours := self._our_state(key)) is not None:
                self._command(GiveState(player, *key, ours))
        finally:
            self._giving.discard(player)

    def _packed(self, fields: Fields) -> bytes | NoStateError:
        try:
            return pack(fields, breathe=self._workplace.breathe)
        except NoStateError as error:
            return error

    def _our_state(self, key: tuple[int, int]) -> bytes | None:
        """Return our packed state; ``None`` where there is none, and say why."""
        ours = self._ours.get(key)
        if isinstance(ours, NoStateError):
            self._note(key, f"our state cannot be sent: {ours}")
            return None
        return ours

    def _compare(self, player: int, key: tuple[int, int], theirs: bytes) -> None:
        ours = self._our_state(key)
        if ours is None:
            return
        try:
            found = self._workplace.compare(ours, theirs)
        except NoStateError as error:
            _log.warning("player %d sent no state that can be compared: %s", player, error)
            self._note(key, f"what the other player sent was not compared: {error}")
            return
        episode, frame = key
        for path, one, other in found.differences:
            _log.warning("desync at frame %d: %s is %s here and %s there", frame, path, one, other)
        record = self._record.called(episode)
        if record is not None:
            self._kept_bytes += len(found.ours) + len(found.theirs)
            keeps = self._kept_bytes <= KEPT_BYTES
            record.state_difference(
                frame,
                found.differences,
                ours=found.ours if keeps else None,
                theirs=found.theirs if keeps else None,
            )

    def _note(self, key: tuple[int, int], problem: str) -> None:
        episode, frame = key
        record = self._record.called(episode)
        if record is not None:
            record.state_problem(frame, problem)
