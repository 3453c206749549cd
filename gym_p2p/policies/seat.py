"""A policy takes a seat: used beside an environment, as :class:`~gym_p2p.HumanSeat` is for a person."""

from __future__ import annotations

from typing import Any

from gym_p2p.errors import UsageError
from gym_p2p.game.outcome import fresh
from gym_p2p.play.local_seat import local_seat, session_of
from gym_p2p.policies.load import PolicyOption, load_policy
from gym_p2p.policies.reactions import ReactionLimits
from gym_p2p.policies.seat_policy import SeatPolicy

__all__ = ["PolicySeat"]


class PolicySeat:
    """Puts a policy on a seat of a match; the documents say which, and how fast it may react.

    ``action()`` is what the policy does in this frame. The environment is reset, stepped and closed as ever::

        policy = PolicySeat(env, "sb3:partner.zip", reaction_ms=200, actions_per_s=4)
        observation, info = env.reset()
        over = False
        while not over:
            observation, reward, terminated, truncated, info = env.step(policy.action())
            over = terminated or truncated

    Args:
        env: a ``P2PEnv`` or a ``P2PParallelEnv``, perhaps wrapped.
        policy: as for ``gym-p2p join --policy``, or what can be called as ``policy(observation, frame)``.
        agent: whose seat, where a ``P2PParallelEnv`` has several.
        seed: for ``random``, and for classes that take one; ``None`` is the seat's place among the seats.
        reaction_ms: from an observation to the first action that is chosen by it.
        actions_per_s: the most changes of the action in a second; ``None`` sets no limit.

    Raises:
        UsageError: there is no such policy, or it is for another seat.
        ConfigurationError: no such agent, or limits that cannot be kept: they need the environment's ``fps``.
    """

    def __init__(
        self,
        env: Any,
        policy: PolicyOption,
        *,
        agent: Any = None,
        seed: int | None = None,
        reaction_ms: float = 0.0,
        actions_per_s: float | None = None,
    ) -> None:
        session = session_of(env)
        if session is None:
            raise UsageError(f"a PolicySeat is for a P2PEnv or P2PParallelEnv, got {env!r}")
        self._session = session
        self._given = policy
        self._seed = seed
        self._limits = ReactionLimits(reaction_ms=reaction_ms, actions_per_s=actions_per_s)
        named = local_seat(session, agent, who="the policy")
        self._seat = session.game.seats[0] if named is None else named
        self._policy = self._loaded()  # an error comes early
        session.seated = session.seated.with_policy(named)

    def action(self) -> Any:
        """Return the action of this frame.

        Raises:
            UsageError: before ``reset``; or the policy raised an error, or gave what is no action of its
                seat, as an :class:`~gym_p2p.errors.InvalidAction`.
        """
        session = self._session
        outcome = session.outcome
        if (
            session.seats and self._seat not in session.seats
        ):  # any free one was wanted, and it became another
            self._seat = session.seat
            self._policy = self._loaded()
        recorder = session.recorder
        if recorder is not None and self._policy.record not in recorder.record.policies:
            recorder.record.policies.append(self._policy.record)
        index = session.game.seats.index(self._seat)
        return self._policy.act(
            fresh(outcome.observations[index]), fresh(outcome.infos[index]), session.progress.frame
        )

    def _loaded(self) -> SeatPolicy:
        session = self._session
        seed = session.game.seats.index(self._seat) if self._seed is None else self._seed
        fps = session.config.sync.fps
        return load_policy(self._given, session.game, self._seat, seed=seed, limits=self._limits, fps=fps)
