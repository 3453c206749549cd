"""Lines that clients cause: a few of a kind, then their number."""

from __future__ import annotations

import importlib
import logging
import pkgutil

import pytest

import gym_p2p.server
from gym_p2p.server.guard.client_log import LINES_AT_ONCE, LINES_PER_S, FewOfAKind


def line(text: str, *filled: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("gym_p2p.server.x", level, __file__, 1, text, filled, None)


def test_of_one_kind_a_few_are_written_and_the_next_one_says_how_many_there_were() -> None:
    clock = [0.0]
    few = FewOfAKind(lambda: clock[0])
    written = sum(few.filter(line("socket %s dropped", number)) for number in range(1000))
    assert written == LINES_AT_ONCE
    clock[0] = 1 / LINES_PER_S
    later = line("socket %s dropped", "b")
    assert few.filter(later)
    assert (
        later.getMessage()
        == f"socket b dropped (and {1000 - LINES_AT_ONCE} lines like this one that were left out)"
    )


def test_what_a_client_fills_in_makes_no_new_kind_and_other_kinds_are_written() -> None:
    few = FewOfAKind(lambda: 0.0)
    for number in range(LINES_AT_ONCE):
        assert few.filter(line("refused: %s", f"text {number}"))
    assert not few.filter(line("refused: %s", "another text"))
    assert few.filter(line("something else"))
    assert few.filter(line("refused: %s", level=logging.DEBUG))


def modules() -> list[str]:
    found = pkgutil.walk_packages(gym_p2p.server.__path__, "gym_p2p.server.")
    return [module.name for module in found if not module.ispkg]


@pytest.mark.parametrize("name", modules())
def test_every_logger_of_the_service_is_bounded(name: str) -> None:
    module = importlib.import_module(name)
    loggers = [value for value in vars(module).values() if isinstance(value, logging.Logger)]
    for logger in loggers:
        assert any(isinstance(one, FewOfAKind) for one in logger.filters), logger.name
