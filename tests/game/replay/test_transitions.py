from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from gym_p2p.errors import ConfigurationError
from gym_p2p.game.env.seats import make_game
from gym_p2p.game.replay.reader import read_replay
from gym_p2p.game.replay.transitions import COLUMNS, write_transitions
from gym_p2p.game.replay.writer import ReplayWriter
from tests.game.environments import Echo, LastOneStanding
from tests.replays import CHECKED_EVERY, Played, header_of, play_and_record, record, rewrite
from tests.requirements import require
from tests.toys import Blend

_PARQUET = "pip install 'gym_p2p[parquet]'"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def table(path: Path) -> list[dict[str, Any]]:
    require("pyarrow", _PARQUET)
    from pyarrow import parquet  # noqa: PLC0415 - optional

    rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return rows


def cells(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: text if name == "seat" else json.loads(text) for name, text in row.items()}
            for row in csv.DictReader(file)
        ]


_READERS = {".jsonl": lines, ".csv": cells, ".parquet": table}


def assert_rows_are_the_oracles(
    rows: list[dict[str, Any]], played: list[Played], seats: tuple[Any, ...]
) -> None:
    """Compare with what the environment gave when the match was played; all seats live to the end."""
    assert len(rows) == len(seats) * sum(len(episode.outcomes) for episode in played)
    told = iter(rows)
    for number, episode in enumerate(played):
        before = episode.first
        for frame, outcome in enumerate(episode.outcomes):
            for index, seat in enumerate(seats):
                row = next(told)
                assert (row["episode"], row["frame"], row["seat"]) == (number, frame, str(seat))
                assert np.array_equal(row["action"], np.ravel(episode.actions[frame][index]).tolist()) or (
                    row["action"] == episode.actions[frame][index]
                )
                assert row["observation"] == np.ravel(before.observations[index]).tolist()
                assert row["next_observation"] == np.ravel(outcome.observations[index]).tolist()
                assert row["reward"] == outcome.rewards[index]
                assert row["terminated"] == outcome.terminations[index]
                assert row["truncated"] == outcome.truncations[index]
                assert row["last"] == (frame == len(episode.outcomes) - 1)
            before = outcome


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize(
    ("name", "kwargs", "needs"),
    [
        ("gym_p2p/Rally-v0", {"max_frames": 60}, ()),
        ("mpe2.simple_spread_v3", {"N": 2, "continuous_actions": True}, ("mpe2", "pygame")),
        ("mpe2.simple_tag_v3", {"num_adversaries": 1}, ("mpe2", "pygame")),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_rows_are_what_the_environment_gave_when_the_match_was_played(
    tmp_path: Path, name: str, kwargs: dict[str, Any], needs: tuple[str, ...], suffix: str
) -> None:
    for module in needs:
        require(module, "pip install 'gym_p2p[envs]'")
    if suffix == ".parquet":
        require("pyarrow", _PARQUET)
    path = tmp_path / "match.p2preplay"
    played = record(path, name, kwargs, seeds=(1, 2), frames=70)
    replay = read_replay(path)
    written = tmp_path / f"match{suffix}"
    assert write_transitions(replay, written).ok
    rows = _READERS[suffix](written)
    assert all(tuple(row) == COLUMNS for row in rows)
    assert len({row["reward"] for row in rows}) > 1 or name.startswith("gym_p2p")
    assert_rows_are_the_oracles(rows, played, replay.header.seats)
    assert sorted(tmp_path.iterdir()) == sorted([path, written])


def test_parquet_has_the_types_of_the_spaces_and_says_where_it_comes_from(tmp_path: Path) -> None:
    require("pyarrow", _PARQUET)
    from pyarrow import parquet  # noqa: PLC0415 - optional

    path = tmp_path / "match.p2preplay"
    record(path, "tests.toys:Blend", {"kind": "multidiscrete"}, frames=3000)
    replay = read_replay(path)
    write_transitions(replay, tmp_path / "match.parquet", trust=True)
    schema = parquet.read_schema(tmp_path / "match.parquet")
    assert str(schema.field("action").type) == "int64"
    assert str(schema.field("observation").type) == "list<element: double>"
    assert schema.metadata[b"gym_p2p.fingerprint"].decode() == replay.fingerprint
    assert schema.metadata[b"gym_p2p.match_id"] == b"match-1"


def test_actions_of_many_parts_are_their_json_forms(tmp_path: Path) -> None:
    require("pyarrow", _PARQUET)
    path = tmp_path / "match.p2preplay"
    played = record(path, "tests.toys:Blend", {"kind": "nested"}, frames=5)
    game = make_game(Blend("nested"))
    for suffix, read in ((".jsonl", lines), (".parquet", table)):
        write_transitions(read_replay(path), tmp_path / f"a{suffix}", trust=True)
        rows = read(tmp_path / f"a{suffix}")
        shown = [row["action"] if suffix == ".jsonl" else json.loads(row["action"]) for row in rows]
        for row, action in zip(rows, shown, strict=True):
            seat = int(row["seat"])
            assert (
                game.codec(seat).encode(game.codec(seat).from_json(action))
                == (played[0].inputs[row["frame"]][seat])
            )


def test_a_seat_that_has_ended_has_no_more_rows(tmp_path: Path) -> None:
    game = make_game(LastOneStanding())
    writer = ReplayWriter(tmp_path / "a.p2preplay", header_of(game), checked_every=CHECKED_EVERY)
    (played,) = play_and_record(game, writer)
    writer.close()
    write_transitions(read_replay(writer.path), tmp_path / "a.jsonl", LastOneStanding)
    rows = lines(tmp_path / "a.jsonl")
    for index, seat in enumerate(game.seats):
        own = [row for row in rows if row["seat"] == seat]
        over = [o.terminations[index] or o.truncations[index] for o in played.outcomes]
        assert [row["frame"] for row in own] == list(range(over.index(True) + 1))
        assert [row["last"] for row in own] == [False] * (len(own) - 1) + [True]
    assert len(rows) < 3 * len(played.outcomes)


def test_observations_of_many_parts_are_flat_in_the_order_of_their_space(tmp_path: Path) -> None:
    space = spaces.Dict(
        {"z": spaces.Box(0, 9, (2,)), "a": spaces.Tuple((spaces.Discrete(3), spaces.Discrete(4)))}
    )
    seen = {"a": (1, 2), "z": np.array([0.5, np.inf], np.float32)}

    def make() -> gymnasium.Env[Any, Any]:
        return Echo(spaces.MultiDiscrete([2, 2]), space, lambda _action: (seen, 0.0, False, False, {}), seen)

    game = make_game(make())
    writer = ReplayWriter(tmp_path / "a.p2preplay", header_of(game), checked_every=CHECKED_EVERY)
    play_and_record(game, writer, frames=2)
    writer.close()
    replay = read_replay(writer.path)
    write_transitions(replay, tmp_path / "a.jsonl", make)
    parts = list(space.spaces)
    expected = [1, 2, 0.5, "inf"] if parts == ["a", "z"] else [0.5, "inf", 1, 2]
    assert lines(tmp_path / "a.jsonl")[0]["observation"] == expected


def test_texts_in_observations_stay_as_they_are(tmp_path: Path) -> None:
    require("pyarrow", _PARQUET)
    space = spaces.Dict({"word": spaces.Text(5)})

    def make() -> gymnasium.Env[Any, Any]:
        return Echo(
            spaces.MultiDiscrete([2, 2]),
            space,
            lambda _action: ({"word": "hello"}, float("nan"), False, False, {}),
            {"word": "first"},
        )

    game = make_game(make())
    writer = ReplayWriter(tmp_path / "a.p2preplay", header_of(game), checked_every=CHECKED_EVERY)
    play_and_record(game, writer, frames=2)
    writer.close()
    replay = read_replay(writer.path)
    assert write_transitions(replay, tmp_path / "a.jsonl", make).ok
    assert lines(tmp_path / "a.jsonl")[0]["next_observation"] == {"word": "hello"}
    assert lines(tmp_path / "a.jsonl")[0]["reward"] == "nan"
    write_transitions(replay, tmp_path / "a.parquet", make)
    assert json.loads(table(tmp_path / "a.parquet")[0]["observation"]) == {"word": "first"}


def test_nothing_is_written_of_a_match_that_is_not_as_recorded(tmp_path: Path) -> None:
    path = tmp_path / "a.p2preplay"
    record(path, "CartPole-v1")
    (tmp_path / "out").mkdir()

    def change(records: list[Any]) -> None:
        records[2] = attrs.evolve(records[2], rewards=((5.0,), *records[2].rewards[1:]))

    rewrite(path, tmp_path / "forged.p2preplay", change)
    for suffix in (".jsonl", ".parquet"):
        assert not write_transitions(
            read_replay(tmp_path / "forged.p2preplay"), tmp_path / f"out/a{suffix}"
        ).ok
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize(
    ("action_space", "action"),
    [
        (spaces.Box(-1, 1, (2,), np.float32), np.array([-0.0, 0.5], np.float32)),
        (spaces.Dict(a=spaces.Box(-1, 1, (1,), np.float64)), {"a": np.array([-0.0])}),
        (spaces.Tuple([spaces.Discrete(2), spaces.Box(-1, 1, (1,))]), (1, np.array([-0.0], np.float32))),
    ],
)
def test_nothing_that_is_written_is_minus_nothing(
    tmp_path: Path, suffix: str, action_space: spaces.Space[Any], action: Any
) -> None:
    seen = tuple(np.array([-0.0, 1.0], np.float32) for _ in range(2))

    def make() -> Any:
        return Echo(
            spaces.Tuple([action_space, action_space]),
            spaces.Tuple([spaces.Box(-1, 1, (2,), np.float32)] * 2),
            lambda _action: (seen, -0.0, False, False, {}),
            seen,
        )

    game = make_game(make())
    writer = ReplayWriter(tmp_path / "a.p2preplay", header_of(game), checked_every=CHECKED_EVERY)
    writer.begin_episode(1, None, game.reset(1))
    for _ in range(3):
        inputs = [game.codec(seat).encode(action) for seat in game.seats]
        writer.frame(inputs, game.step([action for _ in game.seats]))
    writer.close()
    written = tmp_path / f"a{suffix}"
    assert write_transitions(read_replay(writer.path), written, make).ok
    rows = _READERS[suffix](written)
    assert len(rows) == 3 * len(game.seats)
    numbers = [number for row in rows for number in _numbers_in(list(row.values()))]
    assert 0.0 in numbers
    assert all(math.copysign(1, number) == 1 for number in numbers)


def _numbers_in(value: Any) -> Iterator[float]:
    if isinstance(value, str) and value.startswith(("[", "{")):  # Parquet holds JSON where types differ
        value = json.loads(value)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _numbers_in(item)
    elif isinstance(value, int | float):
        yield float(value)


def test_other_formats_and_folders_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.p2preplay"
    record(path, "CartPole-v1", frames=3)
    replay = read_replay(path)
    with pytest.raises(ConfigurationError, match=r"\.jsonl, \.csv, \.parquet"):
        write_transitions(replay, tmp_path / "a.txt")
    with pytest.raises(ConfigurationError, match="cannot write"):
        write_transitions(replay, tmp_path / "none" / "a.jsonl")


def test_without_pyarrow_the_error_names_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.p2preplay"
    record(path, "CartPole-v1", frames=3)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'gym_p2p\[parquet\]'"):
        write_transitions(read_replay(path), tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == [path]
