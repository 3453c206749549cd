"""Models in ONNX at a seat, whatever they were trained with.

An input is shown the part of a ``Dict`` observation that goes by its name, or the whole observation where it
is the only one; ``action_mask`` is shown the mask. An input ``NAME_in`` whose model has an output
``NAME_out`` is what it remembers: zeros when an episode begins. The action is the output ``logits``,
``action`` or ``actions``, or else the first. What becomes of the numbers is
:mod:`gym_p2p.policies.tensors`'.

A file of this kind is numbers and operations on them: loading it runs nothing of whoever made it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from gymnasium import Space, spaces

from gym_p2p.errors import UsageError
from gym_p2p.game.env.load import own_words
from gym_p2p.game.spaces.masks import Mask, mask_of
from gym_p2p.policies.model_files import import_library, inner_space, require_file
from gym_p2p.policies.tensors import Misfit, Shape, as_action, as_tensor, mask_row

__all__ = ["OnnxModel", "load_onnx"]

_ACTIONS = ("logits", "action", "actions")
_MASK = "action_mask"
_TYPES = {
    "float": np.float32,
    "double": np.float64,
    "float16": np.float16,
    **{name: getattr(np, name) for name in ("int8", "int16", "int32", "int64")},
    **{name: getattr(np, name) for name in ("uint8", "uint16", "uint32", "uint64")},
    "bool": np.bool_,
}
"""ONNX Runtime's names of types, as in ``tensor(float)``."""


@attrs.frozen
class _Tensor:
    """An input or output of a model."""

    name: str
    type: str
    shape: Shape

    @classmethod
    def of(cls, node: Any) -> _Tensor:
        return cls(node.name, node.type, [one if isinstance(one, int) else None for one in node.shape])

    @property
    def dtype(self) -> np.dtype[Any]:
        name = self.type.removeprefix("tensor(").removesuffix(")")
        if name not in _TYPES:
            raise Misfit(f"{self.name} is a {self.type}, which is no number")
        found: np.dtype[Any] = np.dtype(_TYPES[name])
        return found

    def __str__(self) -> str:
        dimensions = ", ".join("any" if one is None else str(one) for one in self.shape)
        return f"{self.name} ({dimensions}) {self.type}"


class OnnxModel:
    """A model in ONNX at a seat.

    Args:
        session: of ONNX Runtime.
        observed: what the seat sees.
        acted: what it does.

    Raises:
        Misfit: the model wants to be shown what the seat does not see.
    """

    def __init__(self, session: Any, observed: Space[Any], acted: Space[Any]) -> None:
        self._session = session
        self._acted = acted
        inputs = [_Tensor.of(node) for node in session.get_inputs()]
        outputs = [_Tensor.of(node) for node in session.get_outputs()]
        given = {one.name for one in outputs}
        self._remembered = {
            one.name: one.name.removesuffix("_in") + "_out"
            for one in inputs
            if one.name.endswith("_in") and one.name.removesuffix("_in") + "_out" in given
        }
        self._memory = {one.name: one for one in inputs if one.name in self._remembered}
        self._mask = next((one for one in inputs if one.name == _MASK and not _has(observed, _MASK)), None)
        shown = [one for one in inputs if one.name not in self._remembered and one is not self._mask]
        self._parts = _parts_of(shown, observed)
        named = [name for name in _ACTIONS if name in given]
        free = [one.name for one in outputs if one.name not in self._remembered.values()]
        if not (named or free):
            raise Misfit("it gives no action")
        self._asked = [*(named or free)[:1], *self._remembered.values()]
        self.reset()

    def reset(self) -> None:
        """Forget the episode."""
        self._state = {
            name: np.zeros([1 if one is None else one for one in tensor.shape], tensor.dtype)
            for name, tensor in self._memory.items()
        }

    def act(self, observation: Any, mask: Mask | None, _frame: int) -> Any:
        """Return what it does."""
        feeds = dict(self._state)
        for tensor, key, space in self._parts:
            value = observation if key is None else observation[key]
            feeds[tensor.name] = as_tensor(value, space, tensor.shape, tensor.dtype)
        if self._mask is not None:
            row = np.ones(_choices_of(self._acted), np.int8) if mask is None else mask_row(mask)
            space = spaces.MultiBinary(row.size)
            feeds[_MASK] = as_tensor(row, space, self._mask.shape, self._mask.dtype)
        action, *memory = self._session.run(self._asked, feeds)
        self._state = dict(zip(self._remembered, memory, strict=True))
        return as_action(np.asarray(action), self._acted, mask)


def load_onnx(path: Path, observed: Space[Any], acted: Space[Any], *, name: str) -> OnnxModel:
    """Return the model of a file for a seat, tried out with an observation, so that an error comes early.

    Args:
        path: the file.
        observed: what the seat sees.
        acted: what it does.
        name: of the policy, for errors.

    Raises:
        UsageError: the extra is missing, there is no such file, it is none of this kind, or its model is for
            other spaces.
    """
    require_file(path, name=name)
    library = import_library("onnxruntime", name=name)
    options = library.SessionOptions()
    # A frame's worth of work is done sooner so.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = library.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UsageError(f"policy {name}: {path} is no ONNX model: {own_words(error)}") from error
    try:
        model = OnnxModel(session, observed, acted)
        example = copy.deepcopy(observed)
        example.seed(0)
        seen = example.sample()
        model.act(seen, mask_of(acted, seen, {}), 0)
        model.reset()
    except Exception as error:
        why = str(error) if isinstance(error, Misfit) else own_words(error)
        shown, given = (
            ", ".join(str(_Tensor.of(node)) for node in nodes)
            for nodes in (session.get_inputs(), session.get_outputs())
        )
        raise UsageError(
            f"policy {name} is for another seat ({why}): it sees {shown} and gives {given}; "
            f"the seat sees {observed} and does {acted}"
        ) from error
    return model


def _has(space: Space[Any], key: str) -> bool:
    return isinstance(space, spaces.Dict) and key in space.spaces


def _parts_of(shown: list[_Tensor], observed: Space[Any]) -> list[tuple[_Tensor, Any, Space[Any]]]:
    """Return for each input the part of an observation that it is shown: its key, ``None`` for all of it."""
    if isinstance(observed, spaces.Dict):
        by_name: Mapping[str, Any] = {str(key): key for key in observed.spaces}
        if all(one.name in by_name for one in shown):
            return [(one, by_name[one.name], observed.spaces[by_name[one.name]]) for one in shown]
        inner = inner_space(observed)
        if inner is not observed and len(shown) == 1:
            return [(shown[0], "observation", inner)]
        stranger = next(one.name for one in shown if one.name not in by_name)
        raise Misfit(f"no part of the observation is called {stranger!r}; there are {', '.join(by_name)}")
    if len(shown) != 1:
        raise Misfit(f"wanted one input for the observation, found {len(shown)}")
    return [(shown[0], None, observed)]


def _choices_of(space: Space[Any]) -> int:
    counts = space.nvec if isinstance(space, spaces.MultiDiscrete) else getattr(space, "n", 0)
    return int(np.sum(counts))
