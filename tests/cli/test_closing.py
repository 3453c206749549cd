"""What a command that plays does with a Ctrl-C that comes when it is about to end by itself."""

from __future__ import annotations

import os
import signal
import threading
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import gym_p2p.envs  # noqa: F401 - registers the bundled game
from gym_p2p import P2PEnv
from gym_p2p.cli.play import Part, play
from gym_p2p.play.session import Session
from tests.players import Lobby, auto_peers

RALLY = "gym_p2p/Rally-v0"


def _right(lobby: Lobby) -> P2PEnv:
    return P2PEnv(gymnasium.make(RALLY), seat="right", **lobby.options(fps=60))


def test_ctrl_c_while_the_documents_of_a_match_that_is_over_are_written_loses_none(
    lobby: Lobby, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = Session.close
    presses: list[int] = []

    def interrupted(session: Session, *given: Any, **more: Any) -> Any:
        if threading.current_thread() is threading.main_thread() and not presses:
            presses.append(1)
            os.kill(os.getpid(), signal.SIGINT)
        return close(session, *given, **more)

    options = lobby.options(fps=60, exports=str(tmp_path), record=True)
    with auto_peers([partial(_right, lobby)]):
        monkeypatch.setattr(Session, "close", interrupted)
        summary = play(
            Part(env=RALLY, env_args={}, seat="left", frames=20, options=options), lambda _status: None
        )
        assert presses
    assert summary.ending == "done"
    assert {*summary.exports} == {"session", "validation", "multiplayer"}
    assert summary.recording is not None
    assert Path(summary.recording).exists()
