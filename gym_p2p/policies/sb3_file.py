"""Models of Stable-Baselines3 and of its contributions, from the ``.zip`` that ``model.save`` wrote.

Loading one unpickles it, which runs whatever whoever made the file put into it: a file is loaded because its
user named it, and for no other reason. Which algorithm it is of is read before, as plain JSON.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from gym_p2p.config.names import did_you_mean
from gym_p2p.errors import UsageError
from gym_p2p.game.env.load import own_words
from gym_p2p.game.spaces.masks import Mask
from gym_p2p.policies.model_files import import_library, inner_observation, inner_space, require_file
from gym_p2p.policies.tensors import mask_row

__all__ = ["Sb3Model", "algorithm_of", "load_sb3"]

_MOST_FACTS_BYTES = 16 << 20

_CONTRIBUTED = frozenset({"ARS", "CrossQ", "MaskablePPO", "QRDQN", "RecurrentPPO", "TQC", "TRPO"})
_OWN = frozenset({"A2C", "DDPG", "DQN", "PPO", "SAC", "TD3"})

_BY_POLICY = {
    "sb3_contrib.ars": "ARS",
    "sb3_contrib.common.maskable": "MaskablePPO",
    "sb3_contrib.common.recurrent": "RecurrentPPO",
    "sb3_contrib.crossq": "CrossQ",
    "sb3_contrib.qrdqn": "QRDQN",
    "sb3_contrib.tqc": "TQC",
    "stable_baselines3.dqn": "DQN",
    "stable_baselines3.sac": "SAC",
    "stable_baselines3.td3": "TD3",  # and DDPG's, which is that with other figures
}
"""The modules of policies of which one algorithm has them."""

_BY_FACT = (
    ("cg_max_steps", "TRPO"),
    ("clip_range", "PPO"),
    ("policy_delay", "TD3"),
    ("target_entropy", "SAC"),
    ("exploration_initial_eps", "DQN"),
    ("gae_lambda", "A2C"),
)
"""What is set of one algorithm alone, and of those below it in this table."""


def algorithm_of(facts: Mapping[str, Any]) -> str | None:
    """Return the algorithm that a file's facts are of; ``None`` where they do not say.

    Args:
        facts: the JSON that the file holds as ``data``.
    """
    described = facts.get("policy_class")
    module = described.get("__module__") if isinstance(described, Mapping) else None
    for prefix, algorithm in _BY_POLICY.items():
        if isinstance(module, str) and f"{module}.".startswith(f"{prefix}."):
            return algorithm
    return next((algorithm for fact, algorithm in _BY_FACT if fact in facts), None)


class Sb3Model:
    """A model of Stable-Baselines3 at a seat.

    Args:
        model: as its algorithm's ``load`` gave it.
        masks: whether it takes action masks.
        inner: whether it sees what there is beside a mask alone.
    """

    def __init__(self, model: Any, *, masks: bool, inner: bool) -> None:
        self._model = model
        self._masks = masks
        self._inner = inner
        self.reset()

    def reset(self) -> None:
        """Forget the episode."""
        self._state: Any = None
        self._begins = True

    def act(self, observation: Any, mask: Mask | None, _frame: int) -> Any:
        """Return what it does, without chance."""
        more: dict[str, Any] = {}
        if self._masks and mask is not None:
            more["action_masks"] = mask_row(mask)
        action, self._state = self._model.predict(
            inner_observation(observation) if self._inner else observation,
            state=self._state,
            episode_start=np.array([self._begins]),
            deterministic=True,
            **more,
        )
        self._begins = False
        return action


def load_sb3(
    path: Path, algorithm: str | None, observed: Space[Any], acted: Space[Any], *, name: str
) -> tuple[Sb3Model, str]:
    """Return the model of a file for a seat, and the algorithm that it is of.

    Args:
        path: the file.
        algorithm: as the user named it; ``None`` finds it in the file.
        observed: what the seat sees.
        acted: what it does.
        name: of the policy, for errors.

    Raises:
        UsageError: the extra is missing, there is no such file, it is none of this kind, or its model is for
            other spaces.
    """
    require_file(path, name=name)
    algorithm = algorithm or _found_algorithm(path, name)
    module = "sb3_contrib" if algorithm in _CONTRIBUTED else "stable_baselines3"
    library = import_library(module, name=name)
    kind = getattr(library, algorithm, None)
    if not callable(getattr(kind, "load", None)):
        near = did_you_mean(algorithm, _OWN | _CONTRIBUTED)
        raise UsageError(f"policy {name}: {module} has no algorithm {algorithm!r}{near}")
    try:
        model = kind.load(path, device="cpu")  # type: ignore[union-attr]  # it has that
    except Exception as error:
        raise UsageError(f"policy {name}: {path} is no model of {algorithm}: {own_words(error)}") from error
    inner = not _fits(model.observation_space, observed)
    if (inner and not _fits(model.observation_space, inner_space(observed))) or not _acts_alike(
        model.action_space, acted
    ):
        raise UsageError(
            f"policy {name} is for another seat: it sees {model.observation_space} and does "
            f"{model.action_space}; the seat sees {observed} and does {acted}"
        )
    return Sb3Model(model, masks=algorithm == "MaskablePPO", inner=inner), algorithm


def _found_algorithm(path: Path, name: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive, archive.open("data") as file:
            data = file.read(_MOST_FACTS_BYTES + 1)
            facts = json.loads(data) if len(data) <= _MOST_FACTS_BYTES else None
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, RecursionError, NotImplementedError) as error:
        raise UsageError(
            f"policy {name}: {path} is no model that Stable-Baselines3 saved: {error}"
        ) from error
    algorithm = algorithm_of(facts) if isinstance(facts, dict) else None
    if algorithm is None:
        raise UsageError(
            f"policy {name}: {path} does not say by which algorithm it was trained; write sb3:ALGORITHM:FILE"
        )
    return algorithm


def _fits(models: Space[Any], seats: Space[Any]) -> bool:
    """Whether a model that sees one space can be shown another: bounds do not matter, forms do."""
    if isinstance(models, spaces.Dict) and isinstance(seats, spaces.Dict):
        return models.spaces.keys() == seats.spaces.keys() and all(
            _fits(part, seats.spaces[key]) for key, part in models.spaces.items()
        )
    if isinstance(models, spaces.Box) and isinstance(seats, spaces.Box):
        # Pictures are trained on with their channels first, and turned by the model itself.
        turned = (*seats.shape[-1:], *seats.shape[:-1]) if len(seats.shape) == 3 else seats.shape
        return models.shape in {seats.shape, turned}
    return type(models) is type(seats) and models == seats


def _acts_alike(models: Space[Any], seats: Space[Any]) -> bool:
    if isinstance(models, spaces.Box) and isinstance(seats, spaces.Box):
        bounds = ((models.low, seats.low), (models.high, seats.high))
        return models.shape == seats.shape and all(np.allclose(one, other) for one, other in bounds)
    return type(models) is type(seats) and models == seats
