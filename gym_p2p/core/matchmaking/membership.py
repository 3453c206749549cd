"""Who is in a queue, for what, and whose place is kept: the members of one queue, and the places of all.

It knows tickets, what they must have in common, and of what parts a queue is made. It refuses to know how
anybody is matched.
"""

from __future__ import annotations

import itertools
from collections import deque

import attrs

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.queues import QueueAck
from gym_p2p.core.api.replies import Accepted, Answer, Code, Refused
from gym_p2p.core.matchmaking.acceptance import Acceptance
from gym_p2p.core.matchmaking.commands import QueueOutput
from gym_p2p.core.matchmaking.estimator import LatencyEstimator
from gym_p2p.core.matchmaking.planner import Planner
from gym_p2p.core.matchmaking.status import StatusUpdates
from gym_p2p.core.matchmaking.strategy import Matchmaker
from gym_p2p.core.matchmaking.tickets import Budget
from gym_p2p.core.wire.seats import SeatId

__all__ = ["PLACE_KEPT_S", "KeptPlaces", "MatchQueue", "QueueFactory"]

PLACE_KEPT_S = 30.0
"""For so long after their line broke somebody can come back to their place."""
_HOOK_MARGIN_S = 1.0
"""The planner's own deadline is above those of both steps of acceptance."""


@attrs.define(eq=False)
class MatchQueue:
    """One queue of a service.

    Attributes:
        seats: of everybody's environment, as the first member named them.
        plays: a digest of what its members play; ``None`` while nobody has named one.
        planner: who is in it, and who plays with whom.
        acceptance: who has to accept which match.
        status: what its members are sent of where they stand.
        empty_at: since when nobody is in it; ``None`` while somebody is.
    """

    seats: tuple[SeatId, ...]
    plays: str | None
    planner: Planner
    acceptance: Acceptance
    status: StatusUpdates
    empty_at: float | None = None

    @property
    def name(self) -> str:
        """The name by which it is joined."""
        return self.planner.name

    @property
    def members(self) -> int:
        """How many are in it."""
        return len(self.planner.tickets)

    def admits(self, wish: QueueTicket) -> bool:
        """Tell whether a wish is for what the members play; what it plays is then what they play.

        An empty queue takes whatever has the same seats.
        """
        if self.seats != wish.seats:
            return False
        if self.members and None not in (self.plays, wish.plays) and self.plays != wish.plays:
            return False
        self.plays = self.plays or wish.plays if self.members else wish.plays
        return True

    def refusal(self, wish: QueueTicket) -> Refused:
        """Return why a wish was not admitted."""
        if self.seats != wish.seats:
            theirs, yours = list(self.seats), list(wish.seats)
            message = f"in queue {self.name!r} the seats are {theirs}, yours are {yours}"
        else:
            message = (
                f"those who wait in queue {self.name!r} play something else than you: another environment or "
                "other arguments of it, another fps, or another version of gym_p2p"
            )
        return Refused(Code.QUEUE_MISMATCH, message)

    def ack(self, waiting: int) -> Accepted:
        """Return the answer to one who has joined."""
        return Accepted(QueueAck(queue=self.name, group_size=len(self.seats), waiting=waiting))

    def join_again(self, subject_id: str, wish: QueueTicket) -> Answer:
        """Take the wish of one who is a member already: ``asks`` can be changed, and no more."""
        ticket = self.planner.tickets[subject_id]
        before = ticket.wish
        if (before.queue, before.seats, before.take) != (wish.queue, wish.seats, wish.take):
            return Refused(Code.WRONG_STATE, f"already in queue {self.name!r}; leave it first")
        ticket.wish = attrs.evolve(before, asks=wish.asks, client=wish.client)
        return self.ack(waiting=self.members)

    def forget(self, subject_id: str, now: float) -> None:
        """Keep no more of one who has left the planner."""
        self.acceptance.forget(subject_id)
        self.status.forget(subject_id)
        self.empty_at = None if self.members else now


class QueueFactory:
    """Makes the queues of one service: under one policy, with one budget of probes, and numbers of their own.

    Args:
        matchmaker: the strategy.
        config: how the queues are run.
        estimator: what is known of distances.
        ask_hook: whether the service has a pre-match hook.
        log_decisions: whether decisions are recorded.
        outputs: where the proposals go that await players.
    """

    def __init__(
        self,
        matchmaker: Matchmaker,
        config: MatchmakingConfig,
        estimator: LatencyEstimator,
        *,
        ask_hook: bool,
        log_decisions: bool,
        outputs: deque[QueueOutput],
    ) -> None:
        self._matchmaker = matchmaker
        self._config = config
        self._estimator = estimator
        self._ask_hook = ask_hook
        self._log_decisions = log_decisions
        self._outputs = outputs
        self._serials = itertools.count(1)
        self._budget = Budget(config.probe_budget, config.probe_budget_window_s)

    def open(self, wish: QueueTicket) -> MatchQueue:
        """Return a new queue for what a ticket wishes, without anybody in it."""
        config, within_s = self._config, self._config.hook_timeout_s
        hook_s = 2 * within_s + _HOOK_MARGIN_S
        planner = Planner(
            self._matchmaker,
            name=wish.queue,
            config=attrs.evolve(config, group_size=len(wish.seats), hook_timeout_s=hook_s),
            estimator=self._estimator,
            ask_hook=True,
            log_decisions=self._log_decisions,
            serials=self._serials,
            budget=self._budget,
        )
        acceptance = Acceptance(hook=self._ask_hook, within_s=within_s, outputs=self._outputs)
        return MatchQueue(wish.seats, wish.plays, planner, acceptance, StatusUpdates(wish.queue))


class KeptPlaces:
    """Since when those have waited whose line broke, for as long as they can come back."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], tuple[float, float]] = {}  # since when, and kept until

    def keep(self, subject_id: str, queue: str, since: float, now: float) -> None:
        """Keep a place from now on."""
        self._places[(subject_id, queue)] = (since, now + PLACE_KEPT_S)

    def take(self, subject_id: str, queue: str) -> float | None:
        """Return since when somebody has waited in a queue who comes back; ``None``: no place is kept."""
        place = self._places.pop((subject_id, queue), None)
        return None if place is None else place[0]

    def handle_timeout(self, now: float) -> None:
        """Give up the places that nobody came back to in time."""
        self._places = {key: place for key, place in self._places.items() if now < place[1]}

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, or ``None``."""
        return min((until for _since, until in self._places.values()), default=None)
