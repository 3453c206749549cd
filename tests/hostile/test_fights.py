"""Attacks over real DataChannels, one of each kind: the same properties as on virtual time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Self

import attrs
import gymnasium
import jsonschema
import psutil
import pytest

from gym_p2p import P2PEnv, P2PError
from gym_p2p.exports import KINDS, schema
from tests.hostile.fighter import Fighter, fighter
from tests.hostile.scripts import BEGINS
from tests.players import Lobby, act, together
from tests.toys import BLEND
from tests.waiting import in_time

FPS = 60
FRAMES = 60
BOUND_S = 20.0
"""For a match of a second: what a player waits for one who gives nothing any more, and a busy machine."""

MEMORY_BYTES = 50 * 2**20
ENDINGS = {"ended", "protocol_error", "HandshakeRefused", "input_timeout", "excluded"}
"""What a match comes to, beside ``peer_…``: what a peer did."""

KIND_OF = {2: "multidiscrete", 3: "three"}

FIGHTS = [
    ("a state of a huge number", "rollback", 2),
    ("a state that never comes", "rollback", 2),
    ("a state of many lists", "rollback", 3),
    ("a flood of Ping", "rollback", 2),
    ("a flood of Ready", "lockstep", 3),
    ("unfinished fragments", "lockstep", 2),
    ("garbage", "rollback", 3),
    ("over acknowledge", "lockstep", 2),
    ("inputs out of the space", "rollback", 2),
    ("goodbye and on", "lockstep", 3),
    ("silence", "lockstep", 2),
    ("greet with much", "rollback", 2),
    ("greet with another game", "lockstep", 2),
    ("two faces", "rollback", 3),
]


@pytest.fixture(scope="module")
def attacker() -> Iterator[Fighter]:
    with fighter() as one:
        yield one


@attrs.define
class _Memory:
    """The most that this process takes, looked at now and then."""

    base_bytes: int = attrs.field(factory=lambda: psutil.Process().memory_info().rss)
    most_bytes: int = 0
    _over: threading.Event = attrs.field(factory=threading.Event)

    def watch(self) -> None:
        while not self._over.wait(0.02):
            self.most_bytes = max(self.most_bytes, psutil.Process().memory_info().rss)

    def __enter__(self) -> Self:
        threading.Thread(target=self.watch, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()


def _play(options: dict[str, Any], environment: dict[str, Any]) -> tuple[str, int]:
    """Play until the match ends; return why, and after how many frames."""
    env = P2PEnv(gymnasium.make(BLEND, **environment), **options)
    frame = 0
    try:
        env.reset(seed=1)
        while True:
            _, _, terminated, truncated, info = env.step(act(env.action_space, frame))
            frame += 1
            if terminated or truncated:
                return ("ended" if terminated else info["p2p"]["reason"]), frame
    except P2PError as error:
        return type(error).__name__, frame
    finally:
        env.close()


def _documents(folder: Path) -> Iterator[dict[str, Any]]:
    for kind in KINDS:
        (path,) = folder.glob(f"*/*.{kind}.json")
        document = json.loads(path.read_text())
        jsonschema.validate(document, schema(kind))
        yield document


@pytest.mark.parametrize(("script", "mode", "players"), FIGHTS)
def test_who_is_attacked_plays_on_or_ends_with_a_reason(
    script: str,
    mode: str,
    players: int,
    attacker: Fighter,
    lobby: Lobby,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    common: dict[str, Any] = {"fps": FPS, "sync": mode, "checksum_interval": 8, "upload": False}
    options = [
        {**lobby.options(exports=str(tmp_path / str(seat)), input_timeout_s=6.0, **common), "seat": seat}
        for seat in range(players)
    ]
    theirs, *own = options
    environment = {"kind": KIND_OF[players], "length": FRAMES}
    calls = [partial(_play, mine, environment) for mine in own]
    attacker.attack(script, environment=environment, options=theirs)
    with _Memory() as memory:
        began = time.monotonic()
        results = together(*calls, timeout_s=2 * BOUND_S)
        took_s = time.monotonic() - began
    attacker.join()
    for result in results:
        assert isinstance(result, tuple), results
        reason, frames = result
        assert reason in ENDINGS or reason.startswith("peer_")
        assert frames == FRAMES if reason == "ended" else frames >= BEGINS - 4 or "greet" in script
    with in_time():
        assert took_s < BOUND_S
    for victim in range(1, players):
        refused = results[victim - 1][0] == "HandshakeRefused"  # type: ignore[index]  # a tuple, as was seen
        assert refused or len(list(_documents(tmp_path / str(victim)))) == len(KINDS)
    assert "Traceback" not in capfd.readouterr().err
    assert memory.most_bytes - memory.base_bytes < MEMORY_BYTES
