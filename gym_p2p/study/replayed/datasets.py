"""A study as Minari datasets: for every environment and seat what its players saw, did and earned.

Every recording is played again for it (:mod:`gym_p2p.study.replayed.frames` says under which conditions), and
compared on the way: what does not come out as recorded is in no dataset.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import gymnasium
import numpy as np
from gymnasium import spaces

from gym_p2p.config.extras import install_extra
from gym_p2p.errors import NotWritten, P2PError, UsageError
from gym_p2p.files.private import make_folder
from gym_p2p.files.problems import telling_the_disk
from gym_p2p.game.replay.reader import Replay, read_replay
from gym_p2p.game.replay.verify import ReplayStep, verify_replay
from gym_p2p.study.recovered import spec_of
from gym_p2p.version import __version__

if TYPE_CHECKING:
    from gym_p2p.study.study import Study

__all__ = ["to_minari"]

_log = logging.getLogger(__name__)

_WRITABLE = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary, spaces.Text)


@attrs.define(eq=False)
class _Episode:
    """A seat's part of an episode."""

    number: int
    seed: int | None = None
    observations: list[Any] = attrs.field(factory=list)
    actions: list[Any] = attrs.field(factory=list)
    rewards: list[float] = attrs.field(factory=list)
    terminations: list[bool] = attrs.field(factory=list)
    truncations: list[bool] = attrs.field(factory=list)
    ended: bool = False


@attrs.define(eq=False)
class _Dataset:
    """A dataset while it is written."""

    name: str
    storage: Any
    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]


def to_minari(study: Study, directory: Path, *, trust: bool, say: Callable[[str], None]) -> list[str]:
    """Write the datasets; see :meth:`gym_p2p.study.study.Study.to_minari`."""
    try:
        import minari  # noqa: F401, PLC0415 - an optional extra
        from minari.dataset.minari_storage import MinariStorage  # noqa: PLC0415 - of it
    except ImportError as error:
        raise UsageError(f"datasets need minari: {install_extra('data')}") from error
    writer = _Writer(directory, MinariStorage)
    done = False
    try:
        for row in study.matches:
            if row["recording"] is None:
                _log.warning("match %s is in no dataset: there is no recording of it", row["match"])
                continue
            say(f"playing again: {row['match']}")
            path = study.path / row["recording"] if study.path.is_dir() else study.path
            try:
                replay = read_replay(path)
                episodes = _play(replay, writer, trust=trust)
                writer.add(replay, episodes, _latency(study, row["match"]))
            except NotWritten:
                raise
            except P2PError as error:
                _log.warning("match %s is in no dataset: %s", row["match"], error)
        writer.drop_empty()
        if not writer.datasets:
            raise UsageError(f"no match of {study.path} could be played again for a dataset")
        done = True
    finally:
        if not done:
            writer.undo()
    return [dataset.name for dataset in writer.datasets.values()]


def _play(replay: Replay, writer: _Writer, *, trust: bool) -> dict[str, list[_Episode]]:
    """Return what every seat saw, did and earned, in the episodes that came out as recorded."""
    found: dict[str, list[_Episode]] = {}

    def watch(step: ReplayStep) -> None:
        writer.prepare(step, replay)
        for index, seat in enumerate(step.game.seats):
            if step.before.terminations[index] or step.before.truncations[index]:
                continue
            episodes = found.setdefault(str(seat), [])
            if not episodes or episodes[-1].number != step.episode:
                episodes.append(_Episode(step.episode, replay.episodes[step.episode].begun().seed))
                episodes[-1].observations.append(copy.deepcopy(step.before.observations[index]))
            _note(episodes[-1], step, index)

    verification = verify_replay(replay, trust=trust, watch=watch)
    for difference in verification.differences:
        _log.warning("match %s: %s: the episode is in no dataset", replay.header.match_id, difference)
    wrong = {difference.episode for difference in verification.differences}
    return {seat: [one for one in own if one.number not in wrong] for seat, own in found.items()}


def _note(episode: _Episode, step: ReplayStep, index: int) -> None:
    outcome = step.outcome
    terminated, truncated = outcome.terminations[index], outcome.truncations[index]
    episode.actions.append(copy.deepcopy(step.actions[index]))
    episode.observations.append(copy.deepcopy(outcome.observations[index]))
    episode.rewards.append(float(outcome.rewards[index]))
    episode.terminations.append(terminated)
    # The match was broken off there: for who learns from it, that is a truncation.
    episode.truncations.append(truncated or (step.last and not terminated))
    episode.ended = terminated or truncated


def _latency(study: Study, match: str) -> dict[str, dict[str, Any]]:
    columns = ("subject", "rtt_median_ms", "rtt_p95_ms", "jitter_ms")
    found: dict[str, dict[str, Any]] = {}
    for row in study.players:
        if row["match"] == match:
            for seat in json.loads(row["seats"] or "[]"):
                found[seat] = {"player": row["player"], **{name: row[name] for name in columns}}
    return found


class _Writer:
    """Writes datasets, each begun when it has its first episode."""

    def __init__(self, directory: Path, storage: Any) -> None:
        self._directory = directory
        self._storage = storage
        self.datasets: dict[tuple[str, str], _Dataset] = {}
        self._made: list[Path] = []

    def prepare(self, step: ReplayStep, replay: Replay) -> None:
        """Begin the datasets of a game's seats, unless that was done."""
        game, header = step.game, replay.header
        for seat in game.seats:
            key = _key(replay, str(seat))
            if key in self.datasets:
                continue
            observed, acted = game.observation_space(seat), game.action_space(seat)
            for space in (observed, acted):
                _require_writable(space)
            name = f"{_slug(str(header.description.get('environment')))}-{_slug(str(seat))}-v0"
            taken = {dataset.name for dataset in self.datasets.values()}
            if name in taken:
                name = name.replace("-v0", f"-{len(taken)}-v0")
            folder = self._directory / name
            with telling_the_disk(folder):
                if folder.exists():
                    raise NotWritten(folder, "there is a dataset already: name another folder")
                make_folder(folder)
                self._made.append(folder)
                storage = self._storage.new(
                    folder / "data",
                    observation_space=observed,
                    action_space=acted,
                    env_spec=spec_of(game.env, header.environment),
                    jpeg_encoding=False,
                )
            storage.update_metadata(_about(name, str(seat), replay))
            self.datasets[key] = _Dataset(name, storage, observed, acted)

    def add(
        self, replay: Replay, episodes: dict[str, list[_Episode]], told: dict[str, dict[str, Any]]
    ) -> None:
        """Add a match's episodes."""
        from minari.data_collector.episode_buffer import EpisodeBuffer  # noqa: PLC0415 - it is installed

        for seat, own in episodes.items():
            dataset = self.datasets[_key(replay, seat)]
            buffers = [
                EpisodeBuffer(
                    seed=one.seed,
                    observations=_columns(dataset.observation_space, one.observations),
                    actions=_columns(dataset.action_space, one.actions),
                    rewards=one.rewards,
                    terminations=one.terminations,
                    truncations=one.truncations,
                )
                for one in own
            ]
            first = dataset.storage.total_episodes
            with telling_the_disk(self._directory):
                dataset.storage.update_episodes(buffers)
                facts = [_episode_facts(replay, one, told.get(seat, {})) for one in own]
                dataset.storage.update_episode_metadata(facts, range(first, first + len(own)))

    def drop_empty(self) -> None:
        """Remove the datasets of which no episode came out as recorded."""
        for key, dataset in list(self.datasets.items()):
            if not dataset.storage.total_episodes:
                del self.datasets[key]
                shutil.rmtree(self._directory / dataset.name)

    def undo(self) -> None:
        """Leave nothing behind."""
        for folder in self._made:
            shutil.rmtree(folder, ignore_errors=True)


def _key(replay: Replay, seat: str) -> tuple[str, str]:
    """Return what one dataset is about: a seat of an environment that was made in one way."""
    return json.dumps(replay.header.description, sort_keys=True), seat


def _about(name: str, seat: str, replay: Replay) -> dict[str, Any]:
    header = replay.header
    return {
        "dataset_id": name,
        "minari_version": _minari_version(),
        "description": f"Seat {seat} of matches that were played peer to peer, played again and compared.",
        "author": {"gym_p2p"},
        "algorithm_name": "people and agents who played",
        "gym_p2p_version": __version__,
        "gym_p2p_seat": seat,
        "gym_p2p_packages": json.dumps(header.versions),
        "gym_p2p_environment": json.dumps(header.description),
        "requirements": [f"{package}=={version}" for package, version in _packages(header.versions)],
    }


def _minari_version() -> str:
    import minari  # noqa: PLC0415 - it is installed

    return f"{minari.__version__}"


def _packages(versions: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, version) for name, version in versions.items() if name != "python")


def _episode_facts(replay: Replay, episode: _Episode, told: dict[str, Any]) -> dict[str, Any]:
    facts = {
        "gym_p2p_match": replay.header.match_id,
        "gym_p2p_episode": episode.number + 1,
        "gym_p2p_broken_off": not episode.ended,
        **{f"gym_p2p_{name}": value for name, value in told.items()},
    }
    return {name: value for name, value in facts.items() if value is not None}


def _slug(text: str) -> str:
    name = text.partition(" (")[0].rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:60] or "none"


def _require_writable(space: gymnasium.Space[Any]) -> None:
    parts: list[gymnasium.Space[Any]] = []
    if isinstance(space, spaces.Dict):
        parts = list(space.spaces.values())
    elif isinstance(space, spaces.Tuple):
        parts = list(space.spaces)
    elif not isinstance(space, _WRITABLE):
        raise UsageError(f"a dataset has no room for the space {space}")
    for part in parts:
        _require_writable(part)


def _columns(space: gymnasium.Space[Any], values: list[Any]) -> Any:
    """Return values of a space one below the other: as dict or tuple of arrays where the space is one."""
    if isinstance(space, spaces.Dict):
        return {key: _columns(part, [value[key] for value in values]) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_columns(part, [value[k] for value in values]) for k, part in enumerate(space.spaces))
    if isinstance(space, spaces.Text):
        return values
    return [np.asarray(value, space.dtype) for value in values]
