from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from gym_p2p.core.record.documents import KINDS, Kind
from gym_p2p.exports import schema
from gym_p2p.exports.generate_schemas import as_text, generate, published_path


@pytest.mark.parametrize("kind", KINDS)
def test_the_published_schema_is_the_one_of_the_types(kind: Kind) -> None:
    """Else: ``python -m gym_p2p.exports.generate_schemas``."""
    assert published_path(kind).read_text(encoding="utf-8") == as_text(generate(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_described_and_required_and_no_other_is_allowed(kind: Kind) -> None:
    published = schema(kind)
    jsonschema.Draft202012Validator.check_schema(published)
    objects = list(_objects(published))
    assert len(objects) > 10
    for definition in objects:
        assert definition["additionalProperties"] is False
        assert definition["required"] == list(definition["properties"])
        assert all(part["description"] for part in definition["properties"].values())


def _objects(published: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield published
    yield from (definition for definition in published["$defs"].values() if "properties" in definition)
