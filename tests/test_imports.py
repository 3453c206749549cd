"""What a side never needs it does not load: held by names, for a time would depend on the machine."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Sequence

import gymnasium
import pytest

import gym_p2p
import gym_p2p.exports
from gym_p2p.cli.commands import COMMANDS
from gym_p2p.config import config_from_options
from gym_p2p.game.env.seats import make_game
from gym_p2p.play.handshake import make_plan
from gym_p2p.play.sync_mode import make_offer
from tests.players import Lobby
from tests.toys import BLEND
from tests.waiting import PATIENCE_S

NETWORK = ["aiohttp", "aioice", "aiortc", "asyncio", "av", "cryptography", "dns", "socketio", "uvloop"]
"""What a player whose network is a process has no use for."""

GAME = ["gymnasium", "numpy", "pettingzoo", "gym_p2p.game", "gym_p2p.play", "gym_p2p.study"]
"""What a network process has no use for."""

FFMPEG = ["av._core", "av.codec.context", "av.container"]
"""Of PyAV: the names that aiortc takes from it are there, and stand for nothing."""

ELSEWHERE = ["gym_p2p.bench", "gym_p2p.cli", "gym_p2p.server", "gym_p2p.simulation", "gym_p2p.study"]
"""What a player has no use for."""


def _loaded(program: str, *arguments: str, given: bytes = b"") -> list[str]:
    """Run a program; return the modules that it prints in its last line, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=False,  # below, with what it said
        input=given,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr.decode()
    loaded: list[str] = json.loads(done.stdout.splitlines()[-1])
    return loaded


def _of(loaded: Sequence[str], wanted: Sequence[str]) -> set[str]:
    return {name for name in wanted if name in loaded}


_PLAYS = """
import json, sys, threading
import gymnasium
from gym_p2p import P2PEnv
from tests.toys import BLEND

def play(env):
    env.reset()
    for _ in range(5):
        env.step(env.action_space.sample())
    env.close()

options = json.loads(sys.argv[1])
envs = [P2PEnv(gymnasium.make(BLEND), seat=seat, **options) for seat in "ab"]
made = set(sys.modules)
threads = [threading.Thread(target=play, args=[env]) for env in envs]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps([*sorted(sys.modules), "LATER", *sorted(set(sys.modules) - made)]))
"""


@pytest.mark.parametrize(("network", "unused"), [("process", NETWORK + ELSEWHERE), ("thread", ELSEWHERE)])
def test_a_player_loads_no_more_than_their_side_needs(
    network: str, unused: list[str], lobby: Lobby, tmp_path: object
) -> None:
    options = lobby.options(network=network, exports=str(tmp_path))
    loaded = _loaded(_PLAYS, json.dumps(options))
    assert "gym_p2p.play.session" in loaded
    assert _of(loaded, unused) == set()
    later = loaded[loaded.index("LATER") + 1 :]
    assert set(later) - {"encodings.idna", "stringprep"} == set()  # nothing that the others wait for


_SERVES = """
import asyncio, json, os, pickle, sys
sys.modules["requests"] = None
from gym_p2p.net.worker import light_child
light_child.rehearse()
ready = set(sys.modules)
tasks = os.listdir("/proc/self/task")
descriptors = len(os.listdir("/proc/self/fd"))

from gym_p2p.core.match.commands import Leave
from gym_p2p.core.match.events import Connected
from gym_p2p.net.loop import run_loop
from gym_p2p.net.worker.factory import make_worker

async def serve(plan, met):
    def emit(stamped):
        if isinstance(stamped[1], Connected):
            met.set()
    worker = make_worker(plan, emit)
    running = asyncio.ensure_future(worker.run())
    await asyncio.wait_for(met.wait(), 30)
    worker.command(Leave("normal"))
    await running

async def main():
    await asyncio.gather(*(serve(plan, asyncio.Event()) for plan in pickle.load(sys.stdin.buffer)))

run_loop(main())
later = sorted(set(sys.modules) - ready)
print(json.dumps([*sorted(sys.modules), "LATER", *later, "TASKS", *tasks, "DESCRIPTORS", descriptors]))
"""


def test_a_network_process_has_all_it_needs_before_it_is_forked_and_nothing_else(lobby: Lobby) -> None:
    game = make_game(gymnasium.make(BLEND))
    plans = []
    for seat in "ab":
        config = config_from_options({**lobby.options(network="process", subject_id=f"player-{seat}")})
        offer = make_offer(game, config.sync)
        plans.append(make_plan(game, config, take=(seat,), votes=False, offer=offer))
    loaded = _loaded(_SERVES, given=pickle.dumps(plans))
    later = loaded[loaded.index("LATER") + 1 : loaded.index("TASKS")]
    tasks = loaded[loaded.index("TASKS") + 1 : loaded.index("DESCRIPTORS")]
    assert "aiortc" in loaded
    assert later == []
    assert len(tasks) == 1  # a thread would not survive the fork, and what it holds would be held for ever
    assert loaded[-1] <= 4  # type: ignore[operator]  # standard ones, and the folder itself
    assert _of(loaded, [*GAME, *ELSEWHERE, *FFMPEG]) == set()


_SAYS_HELP = """
import json, sys
from gym_p2p.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print()
print(json.dumps(sorted(sys.modules)))
"""

HEAVY = [
    "gymnasium",
    "numpy",
    "rich",
    "attrs",
    "msgspec",
    "aiohttp",
    "aiortc",
    "gym_p2p.config",
    "gym_p2p.core",
]


@pytest.mark.parametrize("words", [["--help"], ["--version"], [], ["no-such-command"]])
def test_help_loads_no_command(words: list[str]) -> None:
    loaded = _loaded(_SAYS_HELP, *words)
    assert _of(loaded, HEAVY) == set()
    assert _of(loaded, [f"gym_p2p.cli.{name}" for name in COMMANDS]) == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_loads_none_of_the_others(command: str) -> None:
    loaded = _loaded(_SAYS_HELP, command, "--help")
    assert _of(loaded, [f"gym_p2p.cli.{name}" for name in COMMANDS]) == {f"gym_p2p.cli.{command}"}


_READ_FILES = {"check", "exports", "replay"}
"""Commands whose options need parts that Gymnasium comes with."""


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - _READ_FILES))
def test_help_of_a_command_loads_no_environment_and_no_network(command: str) -> None:
    assert _of(_loaded(_SAYS_HELP, command, "--help"), ["gymnasium", "numpy", "aiortc"]) == set()


def test_importing_the_package_imports_next_to_nothing() -> None:
    loaded = _loaded("import gym_p2p, json, sys; print(json.dumps(sorted(sys.modules)))")
    assert [name for name in loaded if name.startswith("gym_p2p")] == ["gym_p2p", "gym_p2p.version"]


@pytest.mark.parametrize("package", [gym_p2p, gym_p2p.exports])
def test_every_public_name_has_its_home(package: object) -> None:
    homes = package._HOMES  # type: ignore[attr-defined]  # both have one
    assert sorted({*homes, "__version__"}) == sorted({*package.__all__, "__version__"})  # type: ignore[attr-defined]
    for name in homes:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        package.no_such_name  # type: ignore[attr-defined]  # noqa: B018 - that is it


def test_one_name_brings_nothing_of_its_neighbours() -> None:
    program = "import json, sys; from gym_p2p import {}; print(json.dumps(sorted(sys.modules)))"
    assert _of(_loaded(program.format("P2PConfig")), ["gymnasium", "numpy", *NETWORK]) == set()
    assert _of(_loaded(program.format("P2PEnv")), NETWORK + ELSEWHERE) == set()
    assert _of(_loaded(program.format("ProbeManager")), GAME + ELSEWHERE) == set()
