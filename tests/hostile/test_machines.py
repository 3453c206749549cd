"""The properties of the machines, on some examples; a fuzzer tries them for a minute in CI."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from gym_p2p.core.match.inbox import Inbox
from gym_p2p.core.service.rooms import Rooms
from tests.hostile.machines import PROPERTIES, property_named


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(400)  # it computes all the while, and others beside it may, too
@pytest.mark.parametrize("name", PROPERTIES)
def test_whatever_comes_in_it_holds(name: str) -> None:
    # By chance others are tried in every run of tests.hostile.fuzz.
    property_named(name, examples=2 * settings().max_examples, same=True)()


class _Found(BaseException):
    """A property does not hold."""


@pytest.mark.parametrize(
    ("name", "owner", "method"), [("channel", Inbox, "_on_refuse"), ("service", Rooms, "leave")]
)
def test_a_fault_is_found(name: str, owner: type, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_anything: object) -> None:
        raise KeyError

    holds, drawn = PROPERTIES[name]

    def found(**drawn: Any) -> None:
        try:
            holds(**drawn)
        except (KeyError, AssertionError) as error:
            raise _Found from error

    monkeypatch.setattr(owner, method, fail)
    monkeypatch.setitem(PROPERTIES, name, (found, drawn))
    with pytest.raises(_Found):
        property_named(name, examples=500, same=True)()
