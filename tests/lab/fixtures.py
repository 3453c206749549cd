"""Pytest's door to the laboratory: ``make_lab`` starts one, ``lab_possible`` only asks for the means.

Where the machine cannot have one the test is skipped with the reason, or fails if ``GYM_P2P_REQUIRE_ALL=1``
says that nothing may be skipped. Mark such tests ``netns``, and import the fixtures into a ``conftest.py``.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn, Protocol, Unpack

import pytest

from tests.lab.namespaces import why_not
from tests.lab.nat import Nat
from tests.lab.network import Conditions, Lab

__all__ = ["MakeLab", "lab_possible", "make_lab"]

_why_not = functools.cache(why_not)


class MakeLab(Protocol):
    """Starts a laboratory that ends with the test; the arguments are those of :class:`Lab`."""

    def __call__(
        self,
        hosts: Sequence[str] = ...,
        *,
        nats: Mapping[str, Nat] | None = None,
        dead_interfaces: int = 0,
        roaming: Sequence[str] = (),
        seed: int = 1,
        **conditions: Unpack[Conditions],
    ) -> Lab:
        """Return it, running."""


@pytest.fixture
def lab_possible() -> None:
    """Skip the test where there can be no laboratory, or fail it if nothing may be skipped."""
    if reason := _why_not():
        refuse(reason)


def refuse(reason: str) -> NoReturn:
    """Skip the running test for this reason, or fail it if nothing may be skipped."""
    if os.environ.get("GYM_P2P_REQUIRE_ALL") == "1":
        pytest.fail(f"network laboratory: {reason}", pytrace=False)
    pytest.skip(f"network laboratory: {reason}")


@pytest.fixture
def make_lab(lab_possible: None) -> Iterator[MakeLab]:  # noqa: ARG001 - asked for its effect
    """Yield a function that starts laboratories."""
    with contextlib.ExitStack() as stack:

        def make(
            hosts: Sequence[str] = ("a", "b"),
            *,
            nats: Mapping[str, Nat] | None = None,
            dead_interfaces: int = 0,
            roaming: Sequence[str] = (),
            seed: int = 1,
            **conditions: Unpack[Conditions],
        ) -> Lab:
            lab = Lab(
                hosts, nats=nats, dead_interfaces=dead_interfaces, roaming=roaming, seed=seed, **conditions
            )
            return stack.enter_context(lab)

        yield make
