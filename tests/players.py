"""Players for the tests of the wrappers: real sessions over real channels on loopback, all of them bounded.

Whatever a player does is a function of the frame, so that two runs of a test can be compared, and a plain
environment can be played with the same joint actions (the oracle).
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import gymnasium
import psutil

from gym_p2p import P2PEnv, P2PError, P2PParallelEnv
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.game.env.game import Game
from gym_p2p.game.outcome import Outcome
from gym_p2p.wrapper import P2POptions
from tests.waiting import PATIENCE_S, Late

__all__ = [
    "Episode",
    "Lobby",
    "Wrapped",
    "act",
    "assert_all_played_the_same",
    "auto_peers",
    "fork_servers",
    "left_running",
    "network_processes",
    "play_episode",
    "play_oracle",
    "together",
]

Wrapped = P2PEnv | P2PParallelEnv
_T = TypeVar("_T")
_rooms = itertools.count()


@attrs.frozen
class Lobby:
    """A service, a room of its own for one test, and a folder for everybody's exports."""

    url: str
    exports: Path
    room: str = attrs.field(factory=lambda: f"room-{next(_rooms)}")

    def options(self, **changes: Any) -> P2POptions:
        """Return a wrapper's options."""
        told: P2POptions = {
            "server_url": self.url,
            "room": self.room,
            "network": "thread",
            "exports": str(self.exports),
            "input_timeout_s": 20.0,
            "room_timeout_s": 20.0,
        }
        told.update(changes)  # type: ignore[typeddict-item]  # the names are the caller's
        return told

    def count(self, what: str) -> int:
        """Return how many ``connections``, ``rooms`` or ``matches`` the service has."""
        with urllib.request.urlopen(f"{self.url}/healthz", timeout=PATIENCE_S) as answer:  # noqa: S310  # ours
            return int(json.load(answer)[what])


def act(space: gymnasium.Space[Any], frame: int, salt: int = 0) -> Any:
    """Return the action of a frame: always the same one."""
    chosen = copy.deepcopy(space)
    chosen.seed(1000 * salt + frame)
    return chosen.sample()


@attrs.define
class Episode:
    """What one player did and saw in one episode; for several agents by agent."""

    first: Any = None
    actions: list[Any] = attrs.field(factory=list)
    results: list[tuple[Any, Any, Any, Any, Any]] = attrs.field(factory=list)

    @property
    def info(self) -> Any:
        """The newest frame's info."""
        return self.results[-1][4]


def play_episode(
    env: Wrapped,
    *,
    seed: int | None = None,
    frames: int = 10_000,
    salt: int = 0,
    options: dict[str, Any] | None = None,
) -> Episode:
    """Play an episode to its end, or for so many frames."""
    episode = Episode(env.reset(seed=seed, options=options))
    for frame in range(frames):
        if _step(env, episode, frame, salt):
            break
    return episode


def _step(env: Wrapped, episode: Episode, frame: int, salt: int) -> bool:
    """Play a frame; return whether the episode is over."""
    if isinstance(env, P2PParallelEnv):
        actions = {agent: act(env.action_space(agent), frame, salt) for agent in env.agents}
        episode.actions.append(actions)
        episode.results.append(env.step(actions))
        return not env.agents
    assert isinstance(env.action_space, gymnasium.Space)
    action = act(env.action_space, frame, salt)
    episode.actions.append(action)
    episode.results.append(env.step(action))
    return bool(episode.results[-1][2] or episode.results[-1][3])


def play_oracle(game: Game, seed: int, document: Mapping[str, Any], episode: int) -> Iterator[Outcome]:
    """Play a plain environment with the actions of a multiplayer document; yield every outcome."""
    yield game.reset(seed)
    played: dict[int, dict[SeatId, Any]] = {}
    for row in json.loads(json.dumps(document["validation"]["allActions"])):
        if row["episode"] == episode:
            played.setdefault(row["frame"], {})[row["playerId"]] = row["action"]
    assert list(played) == list(range(len(played)))
    for by_seat in played.values():
        yield game.step([game.codec(seat).from_json(by_seat[seat]) for seat in game.seats])


def assert_all_played_the_same(documents: Sequence[Mapping[str, Any]]) -> None:
    """Check that all players' multiplayer documents hold equal actions and checksums, and some of both."""
    first, *others = [document["validation"] for document in documents]
    assert first["allActions"]
    assert first["allHashes"]
    assert first["totalDesyncs"] == 0
    for other in others:
        assert other["allActions"] == first["allActions"]
        assert other["allHashes"] == first["allHashes"]


def together(*calls: Callable[[], _T], timeout_s: float = PATIENCE_S) -> list[_T | BaseException]:
    """Call all at the same time, each in a thread; return what each returned or raised.

    Raises:
        Late: one of them found itself late: the test is tried again.
    """
    results: list[_T | BaseException] = [TimeoutError("it did not end") for _ in calls]

    def run(index: int) -> None:
        try:
            results[index] = calls[index]()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            results[index] = error

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    for result in results:
        if isinstance(result, Late):
            raise result
    return results


@contextlib.contextmanager
def auto_peers(makers: Sequence[Callable[[], Wrapped]]) -> Iterator[None]:
    """Keep players in the other seats for a match: each mirrors every reset and plays on."""
    stop = threading.Event()
    envs = [make() for make in makers]  # here, for not every environment can be made on another thread
    threads = [threading.Thread(target=_mirror, args=(env, stop), daemon=True) for env in envs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for env in envs:
            env.close()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def _mirror(env: Wrapped, stop: threading.Event) -> None:
    with contextlib.suppress(P2PError):  # the match is over
        while not stop.is_set():
            play_episode(env, salt=7)
    env.close()


def left_running() -> list[str]:
    """Return the package's threads, without the service's, and its network processes."""
    threads = [
        t.name for t in threading.enumerate() if t.name.startswith("gym_p2p") and "service" not in t.name
    ]
    return threads + [str(process.pid) for process in network_processes()]


def network_processes(of: int | None = None) -> list[psutil.Process]:
    """Return the network processes that play for a process, by its id; for this one."""
    return _ours(of, "gym_p2p-network")


def fork_servers(of: int | None = None) -> list[psutil.Process]:
    """Return the servers of a process that fork its network processes: one, or none."""
    return _ours(of, "gym_p2p-warm")


def _ours(of: int | None, name: str) -> list[psutil.Process]:
    return [process for process in psutil.Process(of).children(recursive=True) if _name(process) == name]


def _name(process: psutil.Process) -> str:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:  # it has ended, though somebody has yet to take note
            return ""
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""
