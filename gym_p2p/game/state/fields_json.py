"""The fields of a state as JSON, for the documents of a match and for other processes.

Every type survives: a float is its exact value, an array its dtype, shape and bytes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from gym_p2p.game.checksum import checksum
from gym_p2p.game.state.fields import Fields

__all__ = ["fields_from_json", "fields_to_json", "value_to_json"]

_MAX_DEPTH = 100  # fields are flat; below what checksum() takes

_DTYPE = re.compile(r"[<>|=][biufcSUVmM]\d{1,8}(\[\d{0,8}[a-zA-Z]{1,2}\])?")
"""As ``dtype.str`` has it: NumPy's own reader of dtypes takes much more, and evaluates some of it."""


def fields_to_json(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields as plain JSON data, which :func:`fields_from_json` turns back exactly."""
    return {path: value_to_json(value) for path, value in fields.items()}


def fields_from_json(data: Mapping[str, Any]) -> Fields:
    """Return the fields of a JSON form.

    Raises:
        ValueError: it is none.
    """
    try:
        return {str(path): _from_json(value) for path, value in data.items()}
    except (ArithmeticError, AttributeError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"no fields of a state: {error}") from error


def value_to_json(value: Any) -> Any:  # noqa: PLR0911 one for each kind of data
    """Return the JSON form of one field."""
    if isinstance(value, np.ndarray | np.generic):  # first: numpy's text is Python's too, and not the same
        data = np.asarray(value)
        data = data.astype(data.dtype.newbyteorder("<"))
        kind = "array" if isinstance(value, np.ndarray) else "number"
        return {kind: [data.dtype.str, list(data.shape), _base64(data.tobytes())]}
    if isinstance(value, str):
        return {"text": _base64(value.encode("utf-8", "surrogatepass"))} if _has_surrogates(value) else value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return {"int": str(int(value))} if abs(value) >= 2**53 else int(value)
    if isinstance(value, float):
        return {"float": float(value).hex()}
    if isinstance(value, bytes | bytearray):
        return {"bytes": _base64(value)}
    if isinstance(value, dict):
        return {"dict": [[value_to_json(key), value_to_json(item)] for key, item in value.items()]}
    if isinstance(value, set | frozenset):
        return {"set": [value_to_json(item) for item in sorted(value, key=checksum)]}
    return [value_to_json(item) for item in value]


def _has_surrogates(text: str) -> bool:
    """Whether a text is one that UTF-8 has no form for."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _base64(data: bytes | bytearray) -> str:
    return base64.b64encode(data).decode()


def _from_json(data: Any, depth: int = 0) -> Any:  # noqa: PLR0911 one for each kind of data
    if depth > _MAX_DEPTH:
        raise ValueError("no fields of a state: nested too deeply")
    if data is None or isinstance(data, bool | str | int):
        return data
    if isinstance(data, list):
        return [_from_json(item, depth + 1) for item in data]
    ((kind, body),) = data.items()
    match kind:
        case "array" | "number":
            dtype, shape, text = body
            if _DTYPE.fullmatch(dtype) is None:
                raise ValueError(f"no dtype: {dtype!r}")
            array = np.frombuffer(base64.b64decode(text), np.dtype(dtype)).reshape(shape)
            return array if kind == "array" else array[()]
        case "int":
            return int(body)
        case "float":
            return float.fromhex(body)
        case "bytes":
            return base64.b64decode(body)
        case "text":
            return base64.b64decode(body).decode("utf-8", "surrogatepass")
        case "dict":
            return {_as_key(_from_json(key, depth + 1)): _from_json(item, depth + 1) for key, item in body}
        case "set":
            return frozenset(_as_key(_from_json(item, depth + 1)) for item in body)
    raise ValueError(f"no fields of a state: {kind!r}")


def _as_key(value: Any) -> Any:
    return tuple(map(_as_key, value)) if isinstance(value, list) else value
