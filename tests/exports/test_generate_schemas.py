from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from gym_p2p.exports import schema
from gym_p2p.exports.documents import SCHEMAS
from gym_p2p.exports.generate_schemas import as_text, generate, published_path


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_published_schema_is_the_one_of_the_types(kind: str) -> None:
    """Else: ``python -m gym_p2p.exports.generate_schemas``."""
    assert published_path(kind).read_text(encoding="utf-8") == as_text(generate(kind))


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_key_is_described_and_required_and_no_other_is_allowed(kind: str) -> None:
    published = schema(kind)
    jsonschema.Draft202012Validator.check_schema(published)
    objects = list(_objects(published))
    assert len(objects) > 10
    for definition in objects:
        assert definition["additionalProperties"] is False
        assert definition["required"] == list(definition["properties"])
        assert all(part["description"] for part in definition["properties"].values())


UNITS = ("milliseconds", "percent", "frame", "episode", "how many", "how often", "seed", "version")


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_number_has_a_unit_and_every_null_a_meaning(kind: str) -> None:
    described = list(_properties(schema(kind)))
    assert len(described) > (50 if kind == "aggregate" else 100)
    for name, key in described:
        types = set(_types(key))
        text = key["description"].lower()
        if types & {"integer", "number"} and "string" not in types:  # with texts it is somebody's id
            assert any(unit in text for unit in UNITS), f"{name} has no unit: {text}"
        if "null" in types:
            assert "null" in text, f"{name} does not say what null means: {text}"


def test_the_keys_of_older_scripts_say_what_they_mean_here() -> None:
    described = dict(_properties(schema("multiplayer"))) | dict(_properties(schema("session")))
    for name, words in {
        "InputCounts.sentViaSocketIO": "through the service",
        "SessionQuality.p2pFallbackTriggered": "through the service",
        "focusLoss": "cannot lose focus",
        "FrameAction.isFocused": "always",
        "EpisodeResult.endedBy": "terminated",
        "environment.sourceHash": "SHA-256",
        "probe.pairs.reports.samplesMs": "this side",
        "SessionSync.chosen.window": "predicts",
    }.items():
        assert words in described[name]["description"], name


def _properties(published: dict[str, Any], name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every key with its name, also those within keys."""
    for key, described in published.get("properties", {}).items():
        yield f"{name}{key}", described
        for inner in _objects_in(described):
            yield from _properties(inner, f"{name}{key}.")
    for title, definition in published.get("$defs", {}).items():
        yield from _properties(definition, f"{title}.")


def _objects_in(described: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what may stand under a key, or within what stands there."""
    yield described
    inner = [*described.get("anyOf", []), described.get("items"), described.get("additionalProperties")]
    for schema_of in inner:
        if isinstance(schema_of, dict):
            yield from _objects_in(schema_of)


def _types(described: dict[str, Any]) -> Iterator[str]:
    """Yield the types of a key's own values."""
    kinds = described.get("type", [])
    yield from [kinds] if isinstance(kinds, str) else kinds
    for alternative in described.get("anyOf", []):
        yield from _types(alternative)


def _objects(published: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield published
    yield from (definition for definition in published["$defs"].values() if "properties" in definition)
