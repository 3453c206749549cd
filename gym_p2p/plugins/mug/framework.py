"""The framework, as far as we reach into it: its modules, the version, and every name of it that we need.

What is private there may be gone tomorrow, so it is looked for by name before anything is changed.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from types import ModuleType

import attrs

from gym_p2p.errors import UsageError

__all__ = ["Framework", "framework"]

DISTRIBUTION = "multi-user-gymnasium"
VERSIONS = frozenset({"0.1.3"})
"""That the tests have been run with."""
INSTALL = f'pip install "{DISTRIBUTION}[server]"'

_NEEDED = {
    "mug.server.app": (
        "CONFIG",
        "GAME_MANAGERS",
        "PROBE_COORDINATOR",
        "ProbeCoordinator",
        "get_socket_for_subject",
        "handle_probe_ready",
        "handle_probe_result",
        "handle_probe_signal",
        "run",
        "socketio.sockio_mw.flask_app",
    ),
    "mug.server.game_manager": (
        "GameManager._build_match_candidate",
        "GameManager._on_probe_complete",
        "GameManager._retry_matchmaking_for_waitroom",
        "GameManager._start_next_probe",
    ),
    "mug.server.matchmaker": (
        "Matchmaker.find_match",
        "Matchmaker.rank_candidates",
        "Matchmaker.should_reject_for_rtt",
    ),
    "mug.scenes.gym_scene": ("GymScene.matchmaker", "GymScene.multiplayer"),
}
_ATTRIBUTES = {
    ("mug.server.game_manager", "GameManager"): ("match_logger", "matchmaker", "waitroom_participants"),
    ("mug.scenes.gym_scene", "GymScene"): ("policy_mapping",),
}
"""What objects of these classes get when they are made."""


@attrs.frozen
class Framework:
    """The modules of the framework."""

    app: ModuleType
    matchmaker: ModuleType
    gym_scene: ModuleType


@functools.cache
def framework() -> Framework:
    """Return the installed framework.

    Raises:
        UsageError: it is not installed, of a version that is not known, or lacks a name that is needed.
    """
    try:
        version = importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        raise UsageError(f"{DISTRIBUTION} is not installed; install it with: {INSTALL}") from None
    if version not in VERSIONS:
        known = ", ".join(sorted(VERSIONS))
        raise UsageError(
            f"{DISTRIBUTION} {version} is not known to gym_p2p.plugins.mug, which reaches into {known}: "
            f"install one of those, or a newer gym_p2p"
        )
    try:
        modules = {name: importlib.import_module(name) for name in _NEEDED}
    except ImportError as error:
        raise UsageError(
            f"{DISTRIBUTION} cannot be imported ({error}); install it with: {INSTALL}"
        ) from error
    missing = missing_names(modules)
    if missing:
        lacking = ", ".join(missing)
        raise UsageError(f"{DISTRIBUTION} {version} lacks what gym_p2p.plugins.mug needs: {lacking}")
    return Framework(
        modules["mug.server.app"], modules["mug.server.matchmaker"], modules["mug.scenes.gym_scene"]
    )


def missing_names(modules: dict[str, ModuleType]) -> list[str]:
    """Return what these modules lack of what is needed, as dotted names."""
    missing = [
        f"{module}.{name}"
        for module, names in _NEEDED.items()
        for name in names
        if not _has(modules[module], name)
    ]
    for (module, class_name), attributes in _ATTRIBUTES.items():
        cls = getattr(modules[module], class_name, None)
        code = getattr(getattr(cls, "__init__", None), "__code__", None)
        given = () if code is None else code.co_names
        missing += [f"{module}.{class_name}().{name}" for name in attributes if name not in given]
    return missing


def _has(module: ModuleType, name: str) -> bool:
    found: object = module
    for part in name.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True
