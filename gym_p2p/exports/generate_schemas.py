"""Writes the published JSON Schemas from their types: ``python -m gym_p2p.exports.generate_schemas``.

A key's description is its attribute's docstring, which only the source has. Hence this is for developers:
what users get are the files in ``gym_p2p/schemas``.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec.inspect import StructType, type_info

from gym_p2p.core.record.aggregate_document import Aggregate
from gym_p2p.core.record.documents import DOCUMENT_TYPES
from gym_p2p.core.record.parts import SCHEMA_VERSION
from gym_p2p.exports.documents import SCHEMAS

__all__ = ["generate", "main", "published_path"]

_TYPES: dict[str, type[msgspec.Struct]] = {**dict(DOCUMENT_TYPES.items()), "aggregate": Aggregate}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def generate(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a kind of document, or of the aggregate.

    Raises:
        ValueError: an attribute of a type has no docstring.
    """
    root = _TYPES[kind]
    definitions: dict[str, Any] = msgspec.json.schema(root)["$defs"]
    for struct in _structs(root):
        _describe(definitions[struct.__name__], struct)
    top = definitions.pop(root.__name__)
    title = top.pop("description").rstrip(".")
    return {
        "$schema": _DIALECT,
        "$id": f"urn:gym-p2p:schema:{kind}:{SCHEMA_VERSION}",
        **top,
        "title": title,
        "$defs": dict(sorted(definitions.items())),
    }


def published_path(kind: str) -> Path:
    """Return where the schema lies in the source."""
    return Path(__file__).parents[1] / "schemas" / f"{kind}.schema.json"


def as_text(schema: dict[str, Any]) -> str:
    """Return a schema as it is published."""
    return json.dumps(schema, indent=2) + "\n"


def main() -> None:
    """Write all of them."""
    for kind in SCHEMAS:
        path = published_path(kind)
        path.write_text(as_text(generate(kind)), encoding="utf-8")
        sys.stdout.write(f"{path}\n")


def _structs(root: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    """Yield every type of struct that a type is made of, each once."""
    seen: set[type] = set()
    waiting: list[Any] = [type_info(root)]
    while waiting:
        match waiting.pop():
            case StructType(cls=cls, fields=fields) if cls not in seen:
                seen.add(cls)
                waiting += [field.type for field in fields]
                yield cls
            case msgspec.inspect.UnionType(types=types):
                waiting += types
            case msgspec.inspect.ListType(item_type=item) | msgspec.inspect.Metadata(type=item):
                waiting.append(item)
            case msgspec.inspect.DictType(value_type=value):
                waiting.append(value)


def _describe(definition: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    """Put the docstrings in. A default does not make a key optional: every document has all of its keys."""
    texts = {name: text for cls in reversed(struct.__mro__) for name, text in _docstrings(cls).items()}
    if "description" in definition:
        definition["description"] = inspect.cleandoc(definition["description"])  # as Python 3.13 compiles it
    properties = definition["properties"]
    for name, key in zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True):
        if name not in texts:
            raise ValueError(f"{struct.__name__}.{name} has no docstring")
        properties[key].pop("default", None)
        properties[key] = {"description": texts[name], **properties[key]}
    definition["required"] = list(properties)


def _docstrings(cls: type) -> dict[str, str]:
    """Return the docstrings below a class's annotated attributes, by attribute."""
    if not issubclass(cls, msgspec.Struct) or cls is msgspec.Struct:
        return {}
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - it is the source of a class
    found = {}
    for attribute, below in zip(body.body, body.body[1:], strict=False):
        match attribute, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found


if __name__ == "__main__":
    main()
