"""What the demo tells each of its players."""

from __future__ import annotations

from gym_p2p.cli.commands import make_parser
from gym_p2p.cli.demo_setting import DemoSetting, command_of, setting_of


def commands(*words: str) -> tuple[DemoSetting, dict[str, list[str]]]:
    """Return who plays, and each one's command by their seat."""
    arguments = make_parser(["demo"]).parse_args(["demo", *words])
    setting = setting_of(arguments)
    url = "http://127.0.0.1:1"
    return setting, {str(seat): command_of(arguments, setting, seat, url=url) for seat in setting.seats}


def option(command: list[str], name: str) -> str | None:
    return command[command.index(name) + 1] if name in command else None


def test_who_only_watches_is_given_no_policy_of_who_plays() -> None:
    setting, each = commands("--env", "CartPole-v1", "--players", "3", "--policy", f"{__name__}:balanced")
    assert (setting.acting, setting.watching) == (("player",), ("watcher_1", "watcher_2"))
    assert {seat: option(command, "--policy") for seat, command in each.items()} == {
        "player": f"{__name__}:balanced",
        "watcher_1": None,
        "watcher_2": None,
    }


def balanced(_observation: object, frame: int) -> int:
    return frame % 2


def test_players_write_where_the_demo_was_told_to_once_a_folder_takes_no_more() -> None:
    _, each = commands("--exports", "first", "--exports-fallback", "second")
    assert [option(command, "--exports-fallback") for command in each.values()] == ["second", "second"]
    assert [option(command, "--exports") for command in each.values()] == ["first", "first"]


def test_a_person_plays_to_the_end_at_the_games_own_rate_and_programs_for_ten_seconds() -> None:
    persons, each = commands("--human", "--no-browser")
    assert (persons.fps, persons.frames) == (60.0, None)
    assert "--human" in each["left"]
    assert option(each["right"], "--policy") == "scripted"
    programs, _ = commands()
    assert programs.frames == 10 * programs.fps
