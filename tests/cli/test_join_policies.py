"""`gym-p2p join` with a policy: how it begins, how fast it is, and how it ends when the others do."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from gym_p2p.cli.commands import main
from gym_p2p.cli.play import Part, play
from gym_p2p.cli.seat_options import Reactions
from gym_p2p.cli.status import Summary
from gym_p2p.errors import UsageError
from tests.players import Lobby, left_running, together
from tests.waiting import PATIENCE_S

RALLY = "gym_p2p/Rally-v0"


def part(lobby: Lobby, seat: str, *, fps: float | None = 200.0, frames: int = 30, **changes: Any) -> Part:
    told: dict[str, Any] = {"env": RALLY, "env_args": {"max_frames": frames}, "policy": "scripted"}
    return Part(**{**told, "seat": seat, "options": lobby.options(fps=fps), **changes})


def played(*parts: Part) -> list[Any]:
    return together(*(partial(play, one, lambda _status: None) for one in parts), timeout_s=2 * PATIENCE_S)


def test_a_policy_that_plays_on_ends_with_its_summary_when_the_other_player_has_played_enough(
    lobby: Lobby,
) -> None:
    left, right = played(part(lobby, "left"), part(lobby, "right", episodes=2))
    assert isinstance(right, Summary), right
    assert isinstance(left, Summary), left
    assert (right.ending, right.exit_code) == ("done", 0)
    assert (left.ending, left.exit_code, left.status.episode) == ("peer_left", 1, 2)
    assert left.told is not None
    assert left.exports
    assert left_running() == []


def broken(_observation: Any, frame: int) -> int:
    return 1 // (9 - frame)


def test_a_policy_that_raises_ends_its_command_with_its_name_and_the_match_for_the_other(
    lobby: Lobby,
) -> None:
    left, right = played(
        part(lobby, "left", frames=1000), part(lobby, "right", frames=1000, policy=f"{__name__}:broken")
    )
    assert isinstance(left, Summary)
    assert left.ending == "peer_left"
    assert isinstance(right, UsageError)
    assert f"policy {__name__}:broken of seat 'right' raised, at frame 9: ZeroDivisionError" in str(right)
    assert left_running() == []


def test_a_policy_that_reacts_like_a_person_plays_at_the_games_own_rate(lobby: Lobby) -> None:
    slow = Reactions(reaction_ms=100.0, actions_per_s=4.0)
    left, right = played(
        part(lobby, "left", fps=None, reactions=slow, episodes=1), part(lobby, "right", fps=60.0, episodes=1)
    )
    assert isinstance(left, Summary), left
    assert isinstance(right, Summary), right
    with open(left.exports["multiplayer"], encoding="utf-8") as file:  # noqa: PTH123 - its path is a text
        (told,) = json.load(file)["policies"]
    assert (told["fps"], told["reactionMs"], told["actionsPerS"]) == (60.0, 100.0, 4.0)
    assert told["decisions"] == 30


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--policy", "sb3:none.zip"],
            "policy sb3:none.zip: cannot read none.zip: No such file or directory",
        ),
        (["--policy", "onnx:none.onnx"], "cannot read none.onnx"),
        (["--policy", "model.zip"], "did you mean 'sb3:model.zip'?"),
        (["--policy", "random", "--reaction-ms", "-1"], "--reaction-ms: wanted 0 to 60000"),
        (["--policy", "random", "--actions-per-second", "0"], "--actions-per-second: wanted 0.01 to 10000"),
        (["--human", "--reaction-ms", "200"], "--reaction-ms and --actions-per-second are for a policy"),
    ],
)
def test_what_cannot_be_is_one_line_before_anybody_is_met(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["join", RALLY, "--server", "http://127.0.0.1:9", *arguments])
    except SystemExit as error:  # argparse has its own way out
        code = int(error.code or 0)
    assert code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_simulated_policies_react_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    rewards = []
    for limits in ([], ["--reaction-ms", "400", "--actions-per-second", "2"]):
        policies = ["--policy", "left=scripted", "--policy", "right=scripted"]
        command = ["simulate", RALLY, *policies, "--frames", "900", "--one-way-ms", "0", "--json", *limits]
        assert main(command) == 0
        rewards.append(json.loads(capsys.readouterr().out)["rewards"])
    assert rewards[0] != rewards[1]
