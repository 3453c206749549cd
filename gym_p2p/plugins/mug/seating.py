"""A matchmaker of ours, as one of the framework's.

The framework asks its matchmaker when somebody arrives, never again as time passes, and never again about a
pair that was once turned down. So it is not asked: :class:`Seating` looks into the waiting rooms itself, on
the ticks of our coordinator, lets a planner of ours decide
(:mod:`gym_p2p.plugins.mug.waiting_room`), and gives in to the framework's question only for a pair that is
to play. The probe that the framework then asks for is answered from what was measured.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.matchmaking.commands import (
    CancelProbe,
    LogDecision,
    ProposedMatch,
    RequestProbe,
    as_verdict,
)
from gym_p2p.core.matchmaking.estimator import LatencyEstimator
from gym_p2p.core.matchmaking.memory import Partners
from gym_p2p.core.matchmaking.planner import Planner
from gym_p2p.core.matchmaking.strategy import Matchmaker, require_matchmaker
from gym_p2p.core.matchmaking.widening import WideningMatchmaker
from gym_p2p.core.presence.rate_limits import SlidingWindow
from gym_p2p.core.probing.outcome import ProbeOutcome
from gym_p2p.errors import UsageError
from gym_p2p.plugins.mug.coordinator import ProbeCoordinator
from gym_p2p.plugins.mug.framework import framework
from gym_p2p.plugins.mug.waiting_room import Arrival, RoomOutput, Seat, WaitingRoom
from gym_p2p.server.handlers.decision_log import DecisionLog

__all__ = ["Seating", "matchmaker"]

PreMatchHook = Callable[[ProposedMatch], object]
"""Says what becomes of a proposed match: a ``Verdict``, or True or False."""

DECISIONS = "decisions.jsonl"


def matchmaker(
    strategy: Matchmaker | None = None,
    *,
    config: MatchmakingConfig | None = None,
    pre_match: PreMatchHook | None = None,
    decisions: str | os.PathLike[str] | None = None,
) -> Any:
    """Return an object of the framework's ``Matchmaker`` class, for ``scene.multiplayer(matchmaker=…)``.

    It is for scenes with two people, and works with our :class:`ProbeCoordinator` alone
    (:func:`~gym_p2p.plugins.mug.installing.install`). Every copy of it is itself.

    Args:
        strategy: any matchmaker of ours; ``None`` is a ``WideningMatchmaker``.
        config: how the waiting rooms are run; ``give_up_after_s`` does not count, for the scene says how long
            anybody waits.
        pre_match: a function that is asked before a match is made; it may block its own task alone.
        decisions: where the decisions are appended; ``None``: ``decisions.jsonl`` beside the match logs.

    Raises:
        TypeError: ``strategy`` is none, or ``pre_match`` is no plain function.
        UsageError: the framework is not installed, or is one that this does not know.
    """
    from gym_p2p.server.handlers.hooks import is_async  # noqa: PLC0415 - it brings asyncio

    strategy = require_matchmaker(WideningMatchmaker() if strategy is None else strategy)
    if pre_match is not None and (not callable(pre_match) or is_async(pre_match)):
        raise TypeError(f"pre_match: wanted a function that is no coroutine function, got {pre_match!r}")
    path = None if decisions is None else Path(decisions)
    seating = Seating(strategy, config or MatchmakingConfig(), pre_match, path)
    theirs = framework()

    class OfTheirs(theirs.matchmaker.Matchmaker):  # type: ignore[name-defined,misc]  # known when it runs
        """What the framework asks."""

        def find_match(self, arriving: Any, waiting: Sequence[Any], group_size: int) -> list[Any] | None:
            partner = seating.partner_of(arriving.subject_id, [one.subject_id for one in waiting], group_size)
            return None if partner is None else [waiting[partner], arriving]

        def rank_candidates(self, arriving: Any, waiting: Sequence[Any], group_size: int) -> list[Any]:
            partner = seating.partner_of(arriving.subject_id, [one.subject_id for one in waiting], group_size)
            return [] if partner is None else [waiting[partner]]

        def should_reject_for_rtt(self, _measured_rtt_ms: float | None) -> bool:
            return False  # what may not play is never handed over; and a rejected pair is banned for ever

        def __deepcopy__(self, _memo: object) -> Any:
            return self

        def __copy__(self) -> Any:
            return self

    OfTheirs.__name__ = OfTheirs.__qualname__ = type(strategy).__name__  # it stands in the match log
    limit_ms = strategy.max_p2p_rtt_ms
    made = OfTheirs(max_p2p_rtt_ms=float("inf") if limit_ms is None else limit_ms)  # None turns probes off
    made.seating = seating
    seating.serves = made
    return made


@attrs.define(eq=False)
class _Scene:
    """One waiting room with what belongs to it."""

    manager: Any
    room: WaitingRoom
    log: DecisionLog
    probes: dict[int, str] = attrs.field(factory=dict)
    """The coordinator's id, by the number of the planner's request."""


class Seating:
    """Looks into the waiting rooms of one matchmaker, and has the framework seat whom the planner matches.

    Args:
        strategy: decides.
        config: how the rooms are run.
        pre_match: asked before a match is made.
        decisions: the file for all of them; ``None``: one beside each scene's match logs.
        now: monotonic seconds.

    Attributes:
        serves: the framework's matchmaker that this one is behind.
    """

    def __init__(
        self,
        strategy: Matchmaker,
        config: MatchmakingConfig,
        pre_match: PreMatchHook | None = None,
        decisions: Path | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._strategy = strategy
        self._config = attrs.evolve(config, group_size=2, give_up_after_s=None)
        self._pre_match = pre_match
        self._decisions = decisions
        self._now = now
        self._estimator = LatencyEstimator()
        self._serials = itertools.count(1)
        self._budget = SlidingWindow(self._config.probe_budget, self._config.probe_budget_window_s)
        self._partners = Partners()
        self._lock = threading.Lock()
        self._scenes: list[_Scene] = []
        self._coordinator: ProbeCoordinator | None = None
        self.serves: Any = None

    # ---- what the framework asks

    def partner_of(self, arriving: str, waiting: Sequence[str], group_size: int) -> int | None:
        """Return which of those waiting the arriving one is to play with; ``None``: nobody yet.

        Raises:
            UsageError: the scene is not for two, or our coordinator is not in place.
        """
        if group_size != 2:
            raise UsageError(
                f"this matchmaker is for scenes with two people, and this scene has seats for {group_size}: "
                "the framework never starts a larger group that was probed; give it another matchmaker"
            )
        self._wake()
        with self._lock:
            for scene in self._scenes:
                partner = scene.room.partner_of(arriving, waiting)
                if partner is not None:
                    return waiting.index(partner)
        return None

    # ---- ticks

    def _wake(self) -> None:
        """Have the coordinator's ticks look into the rooms, as long as anybody is in one."""
        if self._coordinator is None:
            coordinator = framework().app.PROBE_COORDINATOR
            if not isinstance(coordinator, ProbeCoordinator):
                raise UsageError(
                    "this matchmaker works with gym_p2p's probe coordinator, which is not in place: "
                    "call gym_p2p.plugins.mug.install(…) before run()"
                )
            coordinator.answer_by(self._outcome_of)
            self._coordinator = coordinator
        self._coordinator.call_on_ticks(self.tick)

    def tick(self) -> bool:
        """Compare the waiting rooms with what is known of them; return whether anybody is in one."""
        self._enter()
        busy = False
        for scene in tuple(self._scenes):
            present = tuple(scene.manager.waitroom_participants)
            # The framework's code may pause this task, so it is not asked while the lock is held.
            new = [one for one in present if not scene.room.knows(one)]
            arrivals = {one: _arrival(scene.manager, one) for one in new}
            with self._lock:
                scene.room.compare(present, arrivals, self._now())
                busy |= bool(present) or not scene.room.is_idle
            self._carry_out(scene)
        return busy

    def _enter(self) -> None:
        """Take up the rooms of scenes that have been opened since."""
        known = {id(scene.manager) for scene in self._scenes}
        for name, manager in tuple(framework().app.GAME_MANAGERS.items()):
            if manager.matchmaker is not self.serves or id(manager) in known:
                continue
            planner = Planner(
                self._strategy,
                name=name,
                config=self._config,
                estimator=self._estimator,
                ask_hook=self._pre_match is not None,
                serials=self._serials,
                budget=self._budget,
            )
            path = self._decisions or Path(manager.match_logger.match_logs_dir) / DECISIONS
            room = WaitingRoom(name, planner, self._partners)
            self._scenes.append(_Scene(manager, room, DecisionLog(path)))

    def _outcome_of(self, one: str, other: str) -> ProbeOutcome | None:
        with self._lock:
            outcomes = (scene.room.outcome_of(one, other) for scene in self._scenes)
            return next((outcome for outcome in outcomes if outcome is not None), None)

    # ---- what a room wants done

    def _carry_out(self, scene: _Scene) -> None:
        """Do what a room wants, outside the lock: every part of it may call back."""
        while True:
            with self._lock:
                output = scene.room.poll()
            if output is None:
                return
            self._do(scene, output)

    def _do(self, scene: _Scene, output: RoomOutput) -> None:
        coordinator = self._coordinator
        assert coordinator is not None  # noqa: S101  # rooms are looked into on its ticks alone
        match output:
            case RequestProbe():
                scene.probes[output.probe_no] = coordinator.measure(
                    *output.subjects,
                    lambda outcome: self._probed(scene, output, outcome),
                    threshold_ms=output.threshold_ms,
                )
            case CancelProbe(request):
                coordinator.cancel(scene.probes.pop(request.probe_no, ""))
            case ProposedMatch():
                coordinator.socketio.start_background_task(self._consult, scene, output)
            case LogDecision(record):
                scene.log.append(record)
            case Seat():
                coordinator.socketio.start_background_task(scene.manager._retry_matchmaking_for_waitroom)  # noqa: SLF001  # the only way in; `framework` has checked that it is there

    def _probed(self, scene: _Scene, request: RequestProbe, outcome: ProbeOutcome) -> None:
        scene.probes.pop(request.probe_no, None)
        with self._lock:
            scene.room.probe_ended(request, outcome, self._now())
        self._carry_out(scene)

    def _consult(self, scene: _Scene, proposed: ProposedMatch) -> None:
        from gym_p2p.server.handlers.hooks import rejected  # noqa: PLC0415 - it brings asyncio

        assert self._pre_match is not None  # noqa: S101  # without one the planner proposes nothing
        try:
            verdict, reason = as_verdict(self._pre_match(proposed)), "hook"
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a plug-in's bug must not stop the queue
            verdict, reason = rejected(error, self._config.hook_timeout_s)
        with self._lock:
            scene.room.hook_decided(proposed, verdict, reason, self._now())
        self._carry_out(scene)


def _arrival(manager: Any, subject_id: str) -> Arrival:
    """Return what the framework knows of somebody in its waiting room."""
    candidate = manager._build_match_candidate(subject_id)  # noqa: SLF001  # the same
    history = candidate.group_history
    return Arrival(
        subject_id,
        None if candidate.rtt_ms is None else float(candidate.rtt_ms),
        () if history is None else tuple(history.previous_partners),
    )
