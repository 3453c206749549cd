"""The test vectors of both wires: ``docs/vectors/peer.json``, and its fields as values of our classes.

``python -m tests.core.wire.vectors`` writes the bytes anew, after a change of the layout or of the examples.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs

from gym_p2p.core.spectating import messages as feed
from gym_p2p.core.spectating.messages import decode_feed, encode_feed
from gym_p2p.core.wire import acting, past
from gym_p2p.core.wire import messages as match
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.messages import decode, encode

PATH = Path(__file__).parents[3] / "docs" / "vectors" / "peer.json"

WIRES: dict[str, tuple[Any, Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    "match": (match, encode, decode),
    "feed": (feed, encode_feed, decode_feed),
}


@attrs.frozen
class Vector:
    """One message as it stands in the file."""

    wire: str
    name: str
    fields: dict[str, Any]
    data: bytes

    @property
    def message(self) -> Any:
        cls = class_named(self.wire, self.name)
        assert list(self.fields) == list(cls.__struct_fields__), "all fields, in the order of the wire"
        return cls(**{name: value_of(value) for name, value in self.fields.items()})

    def __str__(self) -> str:
        return f"{self.wire}-{self.name}-{self.data[:8].hex()}"


def class_named(wire: str, name: str) -> Any:
    """Return the class of a message."""
    return next(getattr(where, name) for where in (WIRES[wire][0], past, acting) if hasattr(where, name))


def value_of(value: Any) -> Any:
    """Return what stands for a value that JSON has no form for."""
    match value:
        case {"bytes": text}:
            return bytes.fromhex(text)
        case {"integer": text}:
            return int(text)
        case {"json": mapping}:
            return JsonObject(mapping)
        case list():
            return tuple(map(value_of, value))
    return value


def vectors() -> Iterator[Vector]:
    for wire in WIRES:
        for one in json.loads(PATH.read_text())[wire]["messages"]:
            yield Vector(wire, one["name"], one["fields"], bytes.fromhex(one["hex"]))


def refused() -> Iterator[tuple[str, str, bytes]]:
    """Yield the wire, the reason and the bytes of what has to be refused."""
    for wire in WIRES:
        for one in json.loads(PATH.read_text())[wire]["refused"]:
            yield wire, one["why"], bytes.fromhex(one["hex"])


def main() -> None:
    told = json.loads(PATH.read_text())
    for wire, (_, encode_one, _) in WIRES.items():
        for one in told[wire]["messages"]:
            one["hex"] = encode_one(Vector(wire, one["name"], one["fields"], b"").message).hex(" ")
    PATH.write_text(_laid_out(told))


def _laid_out(told: dict[str, Any]) -> str:
    """Return the file's text, with one line for every message."""
    lines = ["{", f'  "about": {json.dumps(told["about"], indent=4).replace(chr(10) + "]", chr(10) + "  ]")}']
    for wire in WIRES:
        lines[-1] += ","
        lines += [f'  "{wire}": {{', f'    "version": {told[wire]["version"]},']
        for part in ("messages", "refused"):
            rows = ",\n".join("      " + json.dumps(one) for one in told[wire][part])
            lines += [f'    "{part}": [', rows, "    ]" + ("," if part == "messages" else "")]
        lines.append("  }")
    return "\n".join([*lines, "}", ""])


if __name__ == "__main__":
    main()
