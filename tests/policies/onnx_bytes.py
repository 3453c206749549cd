"""Small models in ONNX for tests, written byte by byte (onnx.proto, IR version 8): no package is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Dims", "linear", "write_model"]

Dims = Sequence[int | str]
"""Of a tensor; a text is an axis of any length."""

_ELEMENTS = {"float32": 1, "uint8": 2, "int64": 7, "bool": 9, "float64": 11}


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _value_info(name: str, dtype: str, dims: Dims) -> bytes:
    shape = b"".join(_field(1, _field(1, one) if isinstance(one, int) else _field(2, one)) for one in dims)
    tensor = _field(1, _ELEMENTS[dtype]) + _field(2, shape)
    return _field(1, name) + _field(2, _field(1, tensor))


def _initializer(name: str, array: np.ndarray[Any, Any]) -> bytes:
    dims = b"".join(_field(1, size) for size in array.shape)
    return dims + _field(2, _ELEMENTS[array.dtype.name]) + _field(8, name) + _field(9, array.tobytes())


def write_model(
    path: Path,
    *,
    inputs: Mapping[str, tuple[str, Dims]],
    outputs: Mapping[str, tuple[str, Dims]],
    nodes: Sequence[tuple[str, Sequence[str], Sequence[str]]],
    constants: Mapping[str, np.ndarray[Any, Any]] | None = None,
) -> Path:
    """Write a model: nodes are an operation's type, its inputs and its outputs."""
    graph = b"".join(
        _field(1, b"".join([*(_field(1, n) for n in takes), *(_field(2, n) for n in gives), _field(4, kind)]))
        for kind, takes, gives in nodes
    )
    graph += _field(2, "made for a test")
    graph += b"".join(_field(5, _initializer(name, array)) for name, array in (constants or {}).items())
    graph += b"".join(_field(11, _value_info(name, *how)) for name, how in inputs.items())
    graph += b"".join(_field(12, _value_info(name, *how)) for name, how in outputs.items())
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13)))
    return path


def linear(path: Path, weights: Any, *, seen: str = "obs", given: str = "logits") -> Path:
    """Write a model whose output is its input times a matrix."""
    matrix = np.asarray(weights, np.float32)
    return write_model(
        path,
        inputs={seen: ("float32", ("batch", matrix.shape[0]))},
        outputs={given: ("float32", ("batch", matrix.shape[1]))},
        nodes=[("MatMul", (seen, "w"), (given,))],
        constants={"w": matrix},
    )
