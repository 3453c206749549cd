from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gym_p2p
from gym_p2p.errors import NotWritten, UsageError
from gym_p2p.exports.encoding import to_data
from gym_p2p.game.replay.records import Frames
from gym_p2p.study.recovered import RecoveredEnvironment
from tests.replays import Played, record, rewrite
from tests.requirements import require

Maker = tuple[str, dict[str, Any], str]
PONG: Maker = ("pettingzoo.atari.pong_v3", {"obs_type": "ram"}, "multi_agent_ale_py")
FORAGING: Maker = ("lbforaging:Foraging-8x8-2p-3f-v3", {}, "lbforaging")
RALLY: Maker = ("gym_p2p/Rally-v0", {}, "gym_p2p")


def datasets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Write the datasets of a study, and load them as anybody would."""
    require("minari", "pip install 'gym_p2p[data]'")
    import minari  # noqa: PLC0415 - an optional extra

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder / "datasets"))
    ids = gym_p2p.load(folder / "study").to_minari(folder / "datasets")
    return {name: minari.load_dataset(name) for name in ids}


@pytest.mark.parametrize(
    ("name", "kwargs", "package"), [RALLY, PONG, FORAGING], ids=["rally", "pong", "foraging"]
)
def test_a_dataset_of_each_seat_holds_what_was_played(
    name: str, kwargs: dict[str, Any], package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(package, "pip install 'gym_p2p[envs]'")
    played = record(tmp_path / "study" / "one.p2preplay", name, kwargs, seeds=(5, 6), frames=40)
    found = datasets(tmp_path, monkeypatch)
    assert len(found) == 2
    for seat, dataset in enumerate(found.values()):
        episodes = list(dataset.iterate_episodes())
        assert len(episodes) == 2
        for episode, then in zip(episodes, played, strict=True):
            check_episode(episode, then, seat)
        environment = dataset.recover_environment()
        observation, _info = environment.reset(seed=5)
        values = list(observation.values()) if isinstance(observation, dict) else observation
        np.testing.assert_array_equal(
            np.asarray(values[seat]), np.asarray(played[0].first.observations[seat])
        )
        environment.step(environment.action_space.sample())
        environment.close()


def test_who_writes_into_what_a_recovered_environment_shows_changes_nothing_in_it() -> None:
    environment = RecoveredEnvironment("tests.game.environments:LastOneStanding", {})
    environment.reset(seed=4)
    shown = environment.step({"a": 1, "b": 0, "c": 0})[0]
    assert shown["a"].tolist() == [4, 1]
    shown["a"][:] = 77
    assert environment.step({"a": 0, "b": 0, "c": 0})[0]["a"].tolist() == [4, 1]
    environment.close()


def check_episode(episode: Any, then: Played, seat: int) -> None:
    over = [index for index, o in enumerate(then.outcomes) if o.terminations[seat] or o.truncations[seat]]
    outcomes = then.outcomes[: over[0] + 1] if over else then.outcomes
    assert episode.rewards.tolist() == [float(outcome.rewards[seat]) for outcome in outcomes]
    seen = [then.first, *outcomes]
    np.testing.assert_array_equal(episode.observations, np.array([o.observations[seat] for o in seen]))
    acted = [to_data(np.asarray(actions[seat]).tolist()) for actions in then.actions[: len(outcomes)]]
    assert episode.actions.tolist() == acted
    assert bool(episode.terminations[-1]) == bool(outcomes[-1].terminations[seat])
    assert episode.terminations[-1] or episode.truncations[-1]  # or it was broken off


def test_who_played_and_with_which_latency_is_in_the_metadata(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "study").symlink_to(Path(__file__).parent / "data" / "version_1")
    for dataset in datasets(tmp_path, monkeypatch).values():
        (about,) = dataset.storage.get_episode_metadata([0])
        assert about["gym_p2p_player"] in {"left", "right"}
        assert about["gym_p2p_rtt_median_ms"] > 0
        assert about["gym_p2p_match"].startswith("match-")


def test_an_episode_that_does_not_come_out_as_recorded_is_in_no_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study" / "one.p2preplay"
    record(path, "gym_p2p/Rally-v0", seeds=(5, 6), frames=10)

    def change_the_first(records: list[Any]) -> None:
        frames = next(one for one in records if isinstance(one, Frames))
        frames.rewards = [*frames.rewards[:5], *((9.0, 9.0) for _ in frames.rewards[5:])]

    rewrite(path, path, change_the_first)
    for dataset in datasets(tmp_path, monkeypatch).values():
        (about,) = dataset.storage.get_episode_metadata(range(dataset.total_episodes))
        assert about["gym_p2p_episode"] == 2


def test_what_cannot_be_played_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    with pytest.raises(UsageError, match="could be played again"):
        gym_p2p.load(tmp_path / "study").to_minari(tmp_path / "datasets")
    assert not (tmp_path / "datasets").exists()


def test_a_dataset_that_is_there_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path / "study" / "one.p2preplay", "gym_p2p/Rally-v0", frames=5)
    before = datasets(tmp_path, monkeypatch)
    with pytest.raises(NotWritten, match="there is a dataset already"):
        gym_p2p.load(tmp_path / "study").to_minari(tmp_path / "datasets")
    assert all((tmp_path / "datasets" / name / "data").is_dir() for name in before)


def test_environments_that_are_not_installed_are_not_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record(tmp_path / "study" / "one.p2preplay", "tests.toys:Blend", frames=5)
    with pytest.raises(UsageError, match="could be played again"):
        gym_p2p.load(tmp_path / "study").to_minari(tmp_path / "datasets")
    assert "is not an installed package of environments" in caplog.text


def test_without_minari_the_line_that_installs_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = gym_p2p.load(tmp_path)
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(UsageError, match=r"datasets need minari: pip install 'gym_p2p\[data\]'"):
        study.to_minari(tmp_path / "datasets")
