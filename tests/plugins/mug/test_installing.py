from __future__ import annotations

import importlib
import importlib.metadata
import operator
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gym_p2p import FIFOMatchmaker
from gym_p2p.errors import UsageError
from gym_p2p.plugins import mug
from gym_p2p.plugins.mug import ProbeCoordinator
from gym_p2p.plugins.mug.framework import framework

HUMAN, RANDOM = "human", "random"


class Scene:
    """The framework's scene with a game, as far as it counts here."""

    def __init__(self, *policies: str, own: object = None) -> None:
        self.policy_mapping = dict(enumerate(policies))
        self.scene_id = "scene"
        self._matchmaker = own

    @property
    def matchmaker(self) -> object:
        return self._matchmaker

    def multiplayer(self, *, matchmaker: object) -> None:
        self._matchmaker = matchmaker


class Manager:
    def __init__(self) -> None:
        self.matchmaker = self.match_logger = self.waitroom_participants = None

    def _build_match_candidate(self) -> None: ...
    def _on_probe_complete(self) -> None: ...
    def _retry_matchmaking_for_waitroom(self) -> None: ...
    def _start_next_probe(self) -> None: ...


class TheirMatchmaker:
    def __init__(self, max_p2p_rtt_ms: float | None = None) -> None:
        self.max_p2p_rtt_ms = max_p2p_rtt_ms

    def find_match(self) -> None: ...
    def rank_candidates(self) -> None: ...
    def should_reject_for_rtt(self) -> None: ...


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The framework's modules, with what we need of them."""
    app: dict[str, Any] = dict.fromkeys(
        ["CONFIG", "PROBE_COORDINATOR", "ProbeCoordinator", "get_socket_for_subject", "run"]
    )
    app["socketio"] = SimpleNamespace(sockio_mw=SimpleNamespace(flask_app=None))
    app |= {f"handle_probe_{event}": None for event in ("ready", "result", "signal")}
    modules = {
        "mug.server.app": {**app, "GAME_MANAGERS": {}},
        "mug.server.game_manager": {"GameManager": Manager},
        "mug.server.matchmaker": {"Matchmaker": TheirMatchmaker},
        "mug.scenes.gym_scene": {"GymScene": Scene},
    }
    made: dict[str, Any] = {}
    for name, content in modules.items():
        made[name] = ModuleType(name)
        vars(made[name]).update(content)
        monkeypatch.setitem(sys.modules, name, made[name])
    monkeypatch.setattr(importlib, "import_module", lambda name: sys.modules[name])
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "0.1.3")
    framework.cache_clear()
    yield made
    framework.cache_clear()


def settings(*scenes: Scene) -> Any:
    return SimpleNamespace(stager=SimpleNamespace(scenes=list(scenes)))


def test_scenes_for_two_get_the_matchmaker_and_others_keep_theirs(theirs: dict[str, Any]) -> None:
    own = object()
    pair, with_bot = Scene(HUMAN, HUMAN), Scene(HUMAN, HUMAN, RANDOM)
    three, alone, chosen = Scene(HUMAN, HUMAN, HUMAN), Scene(HUMAN, RANDOM), Scene(HUMAN, HUMAN, own=own)
    ours = mug.install(settings(pair, with_bot, three, alone, chosen), FIFOMatchmaker())
    assert pair.matchmaker is with_bot.matchmaker is ours
    assert (three.matchmaker, alone.matchmaker, chosen.matchmaker) == (None, None, own)
    assert theirs["mug.server.app"].PROBE_COORDINATOR is None  # run() makes it


def test_scenes_in_wrappers_are_found(theirs: dict[str, Any]) -> None:
    assert theirs
    scene = Scene(HUMAN, HUMAN)
    wrapper: Any = SimpleNamespace(scenes=[SimpleNamespace(scenes=[scene])])
    ours = mug.install(settings(wrapper))
    assert scene.matchmaker is ours


def test_with_the_module_alone_the_scenes_are_those_that_are_run(theirs: dict[str, Any]) -> None:
    app, scene = theirs["mug.server.app"], Scene(HUMAN, HUMAN)
    ours = mug.install(app)
    app.CONFIG = settings(scene)  # as run() does
    made = app.ProbeCoordinator(
        socketio=None, get_socket_for_subject=dict[str, str]().get, turn_username=None, turn_credential=None
    )
    assert isinstance(made, ProbeCoordinator)
    assert scene.matchmaker is ours


def test_a_server_that_runs_is_left_alone(theirs: dict[str, Any]) -> None:
    theirs["mug.server.app"].PROBE_COORDINATOR = object()
    with pytest.raises(UsageError, match=r"before run\(\)"):
        mug.install(settings())


def test_what_is_neither_app_nor_settings_is_refused(theirs: dict[str, Any]) -> None:
    assert theirs
    with pytest.raises(TypeError, match="ExperimentConfig, got str"):
        mug.install("app")


def test_versions_that_are_not_known_are_refused_by_name(
    theirs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert theirs
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "0.2.0")
    with pytest.raises(UsageError, match=r"0\.2\.0 is not known .* 0\.1\.3"):
        mug.install(settings())


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("mug.server.app", "PROBE_COORDINATOR"),
        ("mug.server.app", "socketio.sockio_mw.flask_app"),
        ("mug.server.game_manager", "GameManager._retry_matchmaking_for_waitroom"),
        ("mug.server.game_manager", "GameManager().waitroom_participants"),
        ("mug.scenes.gym_scene", "GymScene.multiplayer"),
    ],
)
def test_names_that_are_missing_are_named_and_nothing_is_changed(
    theirs: dict[str, Any], monkeypatch: pytest.MonkeyPatch, module: str, name: str
) -> None:
    holder, _, last = name.rpartition(".")
    if holder.endswith("()"):
        monkeypatch.setattr(Manager, "__init__", lambda _self: None)
    elif holder:
        monkeypatch.delattr(operator.attrgetter(holder)(theirs[module]), last)
    else:
        delattr(theirs[module], name)
    before = theirs["mug.server.app"].ProbeCoordinator
    with pytest.raises(UsageError, match=f"lacks .*{module}.{name}".replace("()", r"\(\)")):
        mug.install(settings())
    assert theirs["mug.server.app"].ProbeCoordinator is before


def test_without_the_framework_the_line_that_installs_it_is_in_the_error() -> None:
    framework.cache_clear()
    with pytest.raises(UsageError, match=r'pip install "multi-user-gymnasium\[server\]"'):
        mug.install(settings())


def test_importing_it_brings_no_server_and_no_framework() -> None:
    program = (
        "import sys, gym_p2p.plugins.mug; print([one for one in ('flask', 'mug', 'socketio', 'uvicorn', "
        "'starlette', 'aiohttp', 'asyncio', 'numpy') if one in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"
