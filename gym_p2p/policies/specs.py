"""What people write of a policy: ``random``, ``scripted``, ``module:function``, ``sb3:FILE``, ``onnx:FILE``.

Reads the text alone: nothing is imported or opened here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import attrs

from gym_p2p.config.names import did_you_mean
from gym_p2p.errors import UsageError

__all__ = ["FORMS", "PolicySpec", "read_spec"]

FORMS = "random, scripted, module:function, sb3:FILE.zip or onnx:FILE.onnx"
"""What may be written, for help and errors."""

_BY_SUFFIX = {".zip": "sb3", ".onnx": "onnx"}
_ALGORITHM = re.compile(r"([A-Za-z][A-Za-z0-9]+):(.*)", re.DOTALL)
"""Of two letters and more: a single one before a colon is a drive."""


@attrs.frozen(kw_only=True)
class PolicySpec:
    """A policy as it was written.

    Attributes:
        kind: what it is.
        module: of a ``function``; else ``None``.
        function: its name in there, ``Class.method`` too; else ``None``.
        file: of ``sb3`` and ``onnx``; else ``None``.
        algorithm: that the file's model was trained with, where that was said; else ``None``.
    """

    kind: Literal["random", "scripted", "function", "sb3", "onnx"]
    module: str | None = None
    function: str | None = None
    file: Path | None = None
    algorithm: str | None = None

    def __str__(self) -> str:
        """Return it as documents and errors have it: a file by its name, without the folder."""
        match self.kind:
            case "function":
                return f"{self.module}:{self.function}"
            case "sb3" | "onnx":
                parts = (self.kind, self.algorithm, self.file and self.file.name)
                return ":".join(part for part in parts if part)
            case _:
                return self.kind


def read_spec(text: str) -> PolicySpec:
    """Read what somebody wrote.

    >>> read_spec("sb3:PPO:models/rally.zip")
    PolicySpec(kind='sb3', module=None, function=None, file=PosixPath('models/rally.zip'), algorithm='PPO')
    >>> str(read_spec("onnx:models/rally.onnx")), str(read_spec("my_lab.agents:greedy"))
    ('onnx:rally.onnx', 'my_lab.agents:greedy')

    Raises:
        UsageError: it is none of :data:`FORMS`.
    """
    if text in {"random", "scripted"}:
        return PolicySpec(kind="random" if text == "random" else "scripted")
    kind, colon, rest = text.partition(":")
    if colon and kind in {"sb3", "onnx"}:
        return _of_file(text, "sb3" if kind == "sb3" else "onnx", rest)
    module, _, function = text.rpartition(":")
    if module and all(part.isidentifier() for part in (*module.split("."), *function.split("."))):
        return PolicySpec(kind="function", module=module, function=function)
    prefix = _BY_SUFFIX.get(Path(text).suffix.lower())
    near = did_you_mean(text, ("random", "scripted"), list_all=False)
    if prefix is not None:
        near = f"; did you mean {f'{prefix}:{text}'!r}?"
    raise UsageError(f"no policy {text!r}; wanted {FORMS}{near}")


def _of_file(text: str, kind: Literal["sb3", "onnx"], rest: str) -> PolicySpec:
    algorithm = None
    if kind == "sb3" and (found := _ALGORITHM.fullmatch(rest)) is not None:
        algorithm, rest = found.groups()
    if not rest:
        raise UsageError(f"no policy {text!r}: which file? Wanted {FORMS}")
    return PolicySpec(kind=kind, file=Path(rest), algorithm=algorithm)
