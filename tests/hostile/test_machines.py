"""The properties of the machines, on some examples; a fuzzer tries them for a minute in CI."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

from gym_p2p.core.match.match import Match
from gym_p2p.core.service.rooms import Rooms
from tests.hostile.machines import PROPERTIES, property_named


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", PROPERTIES)
def test_whatever_comes_in_it_holds(name: str) -> None:
    property_named(name, examples=4 * settings().max_examples)()


@pytest.mark.parametrize(
    ("name", "owner", "method"), [("channel", Match, "_on_refuse"), ("service", Rooms, "leave")]
)
def test_a_fault_is_found(name: str, owner: type, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_anything: object) -> None:
        raise KeyError

    monkeypatch.setattr(owner, method, fail)
    with pytest.raises((KeyError, AssertionError)):
        property_named(name, examples=500)()
