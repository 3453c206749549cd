"""The page has words for everything that it can be told, and for every way in which it can be closed."""

from __future__ import annotations

import re
import typing
from importlib import resources

import pytest

from gym_p2p.config import SyncConfig
from gym_p2p.core.latency.quality import Quality
from gym_p2p.core.match.events import EXCLUDED
from gym_p2p.core.match.return_events import SUPERSEDED
from gym_p2p.core.wire.messages import Cause
from gym_p2p.human.messages import CLOSE_CODES, VERSION
from gym_p2p.human.page_files import OURS, PAGE_HEADERS
from gym_p2p.human.seat import _WORDS as GONE
from gym_p2p.human.standing import _GOODBYES as GOODBYES
from gym_p2p.play.ending import Ending
from gym_p2p.play.paused import PauseReason

PAGE = resources.files("gym_p2p.human").joinpath("page")
TEXTS, LINK = (PAGE.joinpath(name).read_text() for name in ("texts.js", "link.js"))


def _keys(part: str) -> set[str]:
    """Return the keys of an object in the page's texts."""
    found = re.search(rf"^  {part}: \{{\n(.*?)^  \}},", TEXTS, re.MULTILINE | re.DOTALL)
    assert found is not None
    return set(re.findall(r"^    (\w+):", found[1], re.MULTILINE))


def _reasons() -> set[str]:
    """Return the reasons that the docstring of an ending has for it."""
    assert Ending.__doc__ is not None
    about = Ending.__doc__.split("reason: ", 1)[1].split("player: ", 1)[0]
    return set(re.findall(r"``(?:\")?(\w+)(?:\")?``", about))


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("gone", set(GONE)),
        ("partner", set(typing.get_args(PauseReason))),
        ("away", set(typing.get_args(typing.get_type_hints(SyncConfig)["while_away"])) - {"pause"}),
        ("before", {"won", "lost", "drawn"}),
        ("quality", {str(one) for one in Quality}),
        ("reasons", {*Cause, EXCLUDED, SUPERSEDED}),
        ("reasons", _reasons()),
        ("reasons", set(GOODBYES.values())),
    ],
)
def test_there_is_a_text_for_everything_that_is_told(part: str, told: set[str]) -> None:
    assert told
    assert told <= _keys(part)


def test_the_page_knows_every_code_that_it_is_closed_with_and_the_version() -> None:
    assert f"const VERSION = {VERSION};" in LINK
    found = re.search(r"CLOSED = \{(.*?)\n\};", LINK, re.DOTALL)
    assert found is not None
    known = {int(code): why for code, why in re.findall(r"(\d+): \"(\w+)\"", found[1])}
    assert known.keys() == set(CLOSE_CODES.values())
    for why in known.values():
        assert re.search(rf"^  {why}: \[", TEXTS, re.MULTILINE)


def test_the_page_knows_the_header_of_the_games_own_answers() -> None:
    assert f'const OURS = "{OURS}";' in PAGE.joinpath("main.js").read_text()
    assert OURS in PAGE_HEADERS


def test_there_is_a_text_for_everything_that_gamepads_tell() -> None:
    told = set(
        re.findall(r'tell\((?:.*\? )?"(\w+)"(?: : "(\w+)")?\)', PAGE.joinpath("gamepads.js").read_text())
    )
    words = {word for pair in told for word in pair if word}
    assert words == _keys("gamepad") == {"connected", "disconnected", "unknown"}
