"""Gymnasium environments that speak in mappings over agents as games; RLlib's are of this form.

A ``Dict`` of actions and a ``Dict`` of observations over the same agents, or ``action_spaces`` and
``observation_spaces`` by agent. What such an environment returns may hold only who acts next, and its flags
may have the key ``"__all__"``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium
import msgspec
from gymnasium import spaces

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.game.env.game import Game
from gym_p2p.game.env.joint import by_acting_seat, joint_spaces, per_seat
from gym_p2p.game.env.lives import Lives, Returned, copy_of_info
from gym_p2p.game.env.returned import ALL, after_reset, after_step, flag
from gym_p2p.game.env.split import Split, split_actions
from gym_p2p.game.outcome import Outcome, fresh

__all__ = ["AgentsGame", "agent_spaces"]

_COMMON = "__common__"
"""The key of RLlib's infos that are for everybody."""

_MAPPING = (dict, Mapping)
"""What mappings are; the usual one is told in a tenth of the time that the others take."""

_BySeat = dict[SeatId, gymnasium.Space[Any]]


def agent_spaces(env: gymnasium.Env[Any, Any]) -> tuple[Split, _BySeat] | None:
    """Return the agents' action and observation spaces; ``None`` if the environment is not of this form."""
    acted, observed = getattr(env, "action_space", None), getattr(env, "observation_space", None)
    if isinstance(acted, spaces.Dict) and isinstance(observed, spaces.Dict):
        split = split_actions(acted)
        if observed.spaces.keys() == split.spaces.keys():
            return split, dict(observed.spaces.items())
    acted, observed = _attribute(env, "action_spaces"), _attribute(env, "observation_spaces")
    if not (_is_table(acted) and _is_table(observed) and acted.keys() <= observed.keys()):
        return None
    own = dict(acted.items())
    return Split(own, partial(_by_agent, tuple(own))), {a: observed[a] for a in own}


def _by_agent(agents: Sequence[SeatId], actions: Sequence[Any]) -> dict[SeatId, Any]:
    return dict(zip(agents, actions, strict=True))


def _attribute(env: gymnasium.Env[Any, Any], name: str) -> Any:
    return env.get_wrapper_attr(name) if env.has_wrapper_attr(name) else None


def _is_table(table: Any) -> bool:
    return (
        isinstance(table, Mapping)
        and len(table) > 0
        and all(isinstance(key, str | int) and not isinstance(key, bool) for key in table)
        and all(isinstance(space, gymnasium.Space) for space in table.values())
    )


# Such an environment may hold everybody in every mapping and want everybody's action, as Gymnasium's ``Dict``
# spaces say; or only who acts, and want only their actions, as RLlib says. The spaces do not tell which. What
# it returns does: as soon as an observation leaves a seat out, or a flag is of ``"__all__"``, only those who
# are in the newest observation, and are not over, are handed on.


class AgentsGame(Game):
    """A ``gymnasium.Env`` that returns mappings over its agents; see :class:`~gym_p2p.game.env.lives.Lives`.

    Rewards, flags and infos that are no mappings over agents are split as for
    :class:`~gym_p2p.game.env.joint.JointGame`. Those who watch see what all agents saw last.
    """

    env: gymnasium.Env[Any, Any]
    progress: Lives

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        found: tuple[Split, _BySeat],
        *,
        watchers: int,
        default_actions: Any,
    ) -> None:
        split, observed = found
        self._acting = tuple(split.spaces)
        self._everybody = frozenset(self._acting)
        self._info_keys = self._everybody | {_COMMON}
        self._told_by_one = {over: dict.fromkeys(self._acting, over) for over in (False, True)}
        whole = spaces.Dict({str(seat): space for seat, space in observed.items()})
        table = joint_spaces(split, observed, whole, watchers)
        super().__init__(env, table, by_acting_seat(default_actions, self._acting))
        self._watchers = watchers
        self._unborn = Lives.unborn(self._acting, observed)
        self.progress = self._unborn

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Outcome:
        """Begin an episode; see :class:`Game`."""
        observation, info = after_reset(self.env.reset(seed=seed, options=options))
        self.progress = self._unborn
        return self._outcome(observation, {}, ({}, {}), info)

    def step(self, actions: Sequence[Any]) -> Outcome:
        """Advance one frame with the actions of who acts; see :class:`Game`."""
        joint = dict(zip(self._acting, actions))  # noqa: B905 the last ones are of who watches
        acting = self.progress.acting
        if acting is not None:
            joint = {seat: action for seat, action in joint.items() if seat in acting}
        observation, rewards, terminated, truncated, info = after_step(self.env.step(joint))
        own = info.get("rewards") if isinstance(info, _MAPPING) else None
        if own is not None and isinstance(own, _MAPPING) and own.keys() == self._everybody:
            rewards = own
        ends = terminated, truncated
        usual = self._all_go_on(observation, rewards, ends, info)
        return self._outcome(observation, rewards, ends, info) if usual is None else usual

    def comparable(self, progress: Lives) -> Lives | None:
        """Return nothing where the environment returns everybody: it remembers all of this itself."""
        return None if progress.acting is None else progress

    def _outcome(self, observation: Any, rewards: Any, ends: tuple[Any, Any], info: Any) -> Outcome:
        seats, before = self._acting, self.progress
        terminations, names_all, all_terminated = self._flags(ends[0])
        truncations, names_all_too, all_truncated = self._flags(ends[1])
        observations = {seat: observation[seat] for seat in seats if seat in observation}
        returned = Returned(
            observations, self._by_seat(rewards), terminations, truncations, self._infos(info)
        )
        sparse = before.acting is not None or len(observations) < len(seats) or names_all or names_all_too
        # Nobody is dropped in silence here: who is left out of a mapping does not act now, and may later.
        alive = frozenset() if all_terminated or all_truncated else self._everybody
        appeared = self._everybody if len(observations) == len(seats) else frozenset(observations)
        after, outcome = before.after(seats, returned, alive, appeared=appeared)
        if sparse:
            over = {seat for index, seat in enumerate(seats) if outcome.over_for(index)}
            after = msgspec.structs.replace(after, acting=appeared - over)
        self.progress = after
        return self._with_watchers(outcome, info) if self._watchers else outcome

    def _all_go_on(self, observation: Any, rewards: Any, ends: tuple[Any, Any], info: Any) -> Outcome | None:
        """Return the outcome of nearly every frame; ``None`` where it takes more to find it out."""
        before, seats = self.progress, self._acting
        if ends[0] is not False or ends[1] is not False or type(observation) is not dict:
            return None
        if before.acting is not None or self._watchers:
            return None
        is_for_all = type(info) is dict and not info.keys() <= self._info_keys
        if is_for_all:
            infos = (fresh(info),) * len(seats)
        else:
            infos = tuple(map(copy_of_info, self._infos(info).values()))
        rewarded = rewards if type(rewards) is dict else self._by_seat(rewards)
        usual = before.going_on(seats, observation, rewarded, infos)
        if usual is None:
            return None
        self.progress, outcome = usual
        return outcome

    def _flags(self, end: Any) -> tuple[Mapping[Any, Any], bool, bool]:
        """Return a flag by seat, whether it says anything of everybody at once, and whether all are over."""
        if end is False or end is True:  # nearly every frame
            return self._told_by_one[end], False, False
        if not isinstance(end, _MAPPING) or ALL not in end:
            return self._by_seat(end), False, False
        all_over = flag(end[ALL], ALL)
        return self._told_by_one[True] if all_over else end, True, all_over

    def _by_seat(self, value: Any) -> Mapping[Any, Any]:
        if isinstance(value, _MAPPING):
            return value
        parts = per_seat(value, self._acting)
        parts = [value] * len(self._acting) if parts is None else parts
        return dict(zip(self._acting, parts, strict=True))

    def _infos(self, info: Any) -> Mapping[Any, Any]:
        info = info or {}
        if info and info.keys() <= self._info_keys and all(isinstance(one, dict) for one in info.values()):
            common = info.get(_COMMON, {})
            return {seat: {**common, **info.get(seat, {})} for seat in self._acting}
        return dict.fromkeys(self._acting, info)

    def _with_watchers(self, outcome: Outcome, info: Any) -> Outcome:
        count, seats = self._watchers, self._acting
        seen = {str(seat): observation for seat, observation in zip(seats, outcome.observations, strict=True)}
        return Outcome(
            observations=(*outcome.observations, *(seen,) * count),
            rewards=(*outcome.rewards, *[0.0] * count),
            terminations=(*outcome.terminations, *[all(outcome.terminations)] * count),
            truncations=(*outcome.truncations, *[outcome.ended and not all(outcome.terminations)] * count),
            infos=(*outcome.infos, *(fresh(dict(info or {})),) * count),
            ended=outcome.ended,
            unborn=outcome.unborn,
        )
