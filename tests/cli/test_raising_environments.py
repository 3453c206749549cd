"""An environment's own error is told in one line with its words and its place, whatever the command."""

from __future__ import annotations

from typing import Any, Self

import pytest

from gym_p2p.cli.commands import main
from gym_p2p.game.env.seats import make_game

_CHECK = ["check", "--no-fresh-process", "--steps", "60"]
_SIMULATE = ["simulate", "--frames", "60", "--one-way-ms", "0", "--sync", "lockstep"]
_JOIN = ["join", "--server", "http://127.0.0.1:9", "--frames", "60"]

_MADE = [
    ("MadeWrong", "raised TypeError: MadeWrong._load() takes 1 positional argument but 2 were given"),
    ("ExitsWhenMade", "raised SystemExit: 1"),
]
_PLAYED = [
    ("InReset", "raised FileNotFoundError: no map 'dungeon.tmx' (raising.py, line "),
    ("InStep", "raised ZeroDivisionError: friction is zero for 2 (raising.py, line "),
    ("OfAnOlderApi", "step returned 4 things, and wanted is (observation, reward, terminated, "),
    ("LateInStep", "raised RuntimeError: boss has no path (raising.py, line "),
]


def _last_line(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.err.strip().splitlines()[-1]


@pytest.mark.parametrize("command", [_CHECK, _SIMULATE, _JOIN], ids=lambda command: command[0])
@pytest.mark.parametrize(("env", "words"), _MADE)
def test_raised_while_it_is_made(
    command: list[str], env: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command[0], f"tests.game.raising:{env}", *command[1:]]) == 2
    line = _last_line(capsys)
    assert words in line
    assert "(raising.py, line " in line
    assert "with these arguments" not in line


@pytest.mark.parametrize("command", [_CHECK, _SIMULATE], ids=lambda command: command[0])
@pytest.mark.parametrize(("env", "words"), _PLAYED)
def test_raised_while_it_is_played(
    command: list[str], env: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command[0], f"tests.game.raising:{env}", *command[1:]]) == 2
    assert words in _last_line(capsys)


class _Beside:
    """Looks on at a match that is played right here."""

    match, frame, behind, catching_up, checksums_agreed, desyncs = None, 0, 0, False, 0, 0

    def __init__(self, env: Any, **_options: Any) -> None:
        self._game = make_game(env)
        self.agents = list(self._game.seats)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._game.close()

    def reset(self) -> None:
        self._game.reset(seed=1)

    def step(self) -> Any:
        self._game.step([0 for _ in self._game.seats])
        return {}, {}, {}, {}, {"left": {}}


@pytest.mark.parametrize(("env", "words"), _PLAYED)
def test_raised_while_it_is_watched(
    env: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gym_p2p.spectate.spectator.Spectator", _Beside)
    assert main(["watch", f"tests.game.raising:{env}"]) == 2
    assert words in _last_line(capsys)


def test_raised_before_anybody_is_met(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["join", "tests.game.raising:InReset", *_JOIN[1:], "--sync", "rollback", "--fps", "60"]
    assert main(command) == 2
    assert _PLAYED[0][1] in _last_line(capsys)
