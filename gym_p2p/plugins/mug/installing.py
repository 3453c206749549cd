"""Puts our coordinator and matchmaker into the framework, in one line of an experiment's script."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from gym_p2p.config import MatchmakingConfig
from gym_p2p.core.matchmaking.strategy import Matchmaker
from gym_p2p.errors import UsageError
from gym_p2p.plugins.mug.coordinator import ProbeCoordinator
from gym_p2p.plugins.mug.framework import framework
from gym_p2p.plugins.mug.seating import PreMatchHook, matchmaker
from gym_p2p.server.guard.client_log import client_log

__all__ = ["install"]

_LOG = client_log(__name__)
_PERSON = "human"
"""What the framework's ``policy_mapping`` has for a seat of a person."""


def install(
    app_or_settings: Any,
    strategy: Matchmaker | None = None,
    *,
    config: MatchmakingConfig | None = None,
    pre_match: PreMatchHook | None = None,
    decisions: str | os.PathLike[str] | None = None,
) -> Any:
    """Put our probes and a matchmaker of ours in place of the framework's; call it before its ``run()``.

    Every scene for two people that has no matchmaker of its own gets this one. One that has its own keeps
    it, on our probes.

    Args:
        app_or_settings: the module ``mug.server.app``, or the ``ExperimentConfig`` that will be run.
        strategy: any matchmaker of ours; ``None`` is a ``WideningMatchmaker``.
        config: how the waiting rooms are run; see :func:`~gym_p2p.plugins.mug.seating.matchmaker`.
        pre_match: a function that is asked before a match is made.
        decisions: where the decisions are appended; ``None``: ``decisions.jsonl`` beside the match logs.

    Returns:
        The matchmaker, as an object of the framework's class.

    Raises:
        UsageError: the framework is missing, is one that this does not know, or is running already.
        TypeError: an argument is something else.
    """
    theirs = framework()
    app = theirs.app
    if app_or_settings is not app and not hasattr(app_or_settings, "stager"):
        raise TypeError(
            f"wanted the module mug.server.app or an ExperimentConfig, got {type(app_or_settings).__name__}"
        )
    if app.PROBE_COORDINATOR is not None:
        raise UsageError("the framework's server is running already: call install() before run()")
    ours = matchmaker(strategy, config=config, pre_match=pre_match, decisions=decisions)

    def coordinator(**arguments: Any) -> ProbeCoordinator:
        """Make ours where ``run()`` makes its own, by when the experiment is complete."""
        _equip(app.CONFIG, ours)
        return ProbeCoordinator(**arguments)

    app.ProbeCoordinator = coordinator  # type: ignore[attr-defined]  # run() makes it from this name
    if app_or_settings is not app:
        _equip(app_or_settings, ours)
    return ours


def _scenes_of(stager: Any) -> Iterator[Any]:
    """Yield the scenes of a stager, and those in its wrappers, in which they are repeated or shuffled."""
    for scene in getattr(stager, "scenes", ()):
        yield scene
        yield from _scenes_of(scene)


def _equip(settings: Any, ours: Any) -> None:
    """Give a matchmaker to the scenes of an experiment that are for two, and have none."""
    gym_scene = framework().gym_scene.GymScene
    for scene in _scenes_of(settings.stager):
        if not isinstance(scene, gym_scene) or scene.matchmaker is not None:
            continue
        people = sum(policy == _PERSON for policy in scene.policy_mapping.values())
        if people == 2:
            scene.multiplayer(matchmaker=ours)
        elif people > 2:
            _LOG.warning(
                "scene %s has seats for %d people and keeps the framework's matchmaker: ours is for pairs",
                scene.scene_id,
                people,
            )
