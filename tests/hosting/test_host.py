"""A host as people meet it: links, seats, processes, documents, and every way in which a seat can end."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import gym_p2p
from gym_p2p.core.record.folders import short_id
from tests.hosting.hosts import LONG, Host, let_in, reason, wait_for
from tests.human.fake_page import FakePage
from tests.waiting import until

SHORT = ("--env-arg", "max_frames=60")
_SLOW = re.compile(
    r"trying .* \.\.\.|[\w-]+: "
    r"(the (user|network) process stood still|"
    r".*(path to '|direct path|no good path|though the path is alive)).*"
)
"""What is said of a machine that stands still, whose paths are lost meanwhile: nothing is wrong."""


@pytest.fixture(scope="module")
def host_of_people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host where people meet for a moment; its links are used up, and it has nothing to complain of."""
    folder = tmp_path_factory.mktemp("people")
    next_url = "https://x.example/?who={code}&match={match}"
    arguments = ("--links", "7", "--seats", "8", "--open", "--hold", "1", *SHORT, "--next", next_url)
    with Host(folder, *arguments) as host:
        host.unused = host.links
        yield host
        assert host.end() == 0
    assert [line for line in host.errors if not _SLOW.fullmatch(line)] == []


@pytest.fixture
def among_people(host_of_people: Host) -> Host:
    until(lambda: not host_of_people.seats())
    return host_of_people


def test_two_strangers_with_links_meet_play_and_leave_documents_with_their_codes(among_people: Host) -> None:
    host = among_people
    (one, code), (two, other) = host.take(), host.take()
    with FakePage(one) as first:
        wait_for(first, "waiting")
        with FakePage(two) as second:
            wait_for(first, "over")
            wait_for(second, "over")
    told = first.states[-1]
    assert told["seats"][0]["playedBy"] == told["seats"][1]["playedBy"] == "person"
    assert told["next"] == f"https://x.example/?who={code}&match={told['code']}"
    until(lambda: host.said(f"{code} has played: done") and host.said(f"{other} has played: done"))

    with FakePage(one) as again:  # the same is told once more
        until(lambda: again.code == 4003)
    assert again.states[-1] == told

    exports = host.folder / "p2p-exports"
    players = [row for row in gym_p2p.load(exports).players if short_id(row["match"]) == told["code"]]
    assert sorted(row["subject"] for row in players) == [code, other]
    (folder,) = exports.glob(f"*T*Z-*{told['code']}")
    documents = [json.loads(path.read_text()) for path in folder.glob("*.multiplayer.json")]
    assert len(documents) == 2
    assert all(document["human"]["framesShown"] > 0 for document in documents)


@pytest.fixture(scope="module")
def host_of_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host with one seat, against a program, whose links are used up one after the other."""
    folder = tmp_path_factory.mktemp("programs")
    arguments = ("--partner", "random", "--links", "9", "--seats", "1", "--hold", "5", *LONG)
    with Host(folder, *arguments) as host:
        host.unused = host.links
        yield host


@pytest.fixture
def against_a_program(host_of_programs: Host) -> Host:
    until(lambda: not host_of_programs.seats())
    return host_of_programs


def test_a_full_house_says_so_and_lets_in_who_comes_when_somebody_has_left(against_a_program: Host) -> None:
    (one, code), (two, _) = against_a_program.take(), against_a_program.take()
    with let_in(one) as first:
        wait_for(first, "countdown")
        with FakePage(two) as second:
            until(lambda: second.code == 4005)
        first.say(t="leave")
        until(lambda: first.code == 4003)
    until(lambda: against_a_program.said(f"{code} has played: left"))
    until(lambda: not against_a_program.seats())
    with let_in(two) as second:
        wait_for(second, "countdown")


AWKWARD = """
calls = 0

def act(observation, frame):
    global calls
    calls += 1
    if calls > 20:
        raise RuntimeError("no such move")
    return 0
"""


def test_a_program_that_fails_is_told_and_spends_no_link(tmp_path: Path) -> None:
    (tmp_path / "awkward.py").write_text(AWKWARD)
    with Host(tmp_path, "--partner", "awkward:act", "--links", "1") as host:
        (link,) = host.links
        for _ in range(2):
            with FakePage(link) as page:
                wait_for(page, "over")
                assert page.states[-1]["again"] is True
                assert reason(page) == "peer_failed"
            until(lambda: not host.seats())
        until(lambda: sum("p001 has played" in line for line in host.lines) == 2)
        until(
            lambda: sum("the program failed" in line and "no such move" in line for line in host.lines) == 2
        )
    assert len(list((tmp_path / "p2p-exports").glob("*T*Z-*"))) == 2


def test_two_people_and_a_program_play_an_environment_of_three_seats(tmp_path: Path) -> None:
    arguments = ("--partner", "random", "--people", "2", "--links", "2", "--env-arg", "max_cycles=40")
    with Host(tmp_path, *arguments, env="mpe2.simple_spread_v3") as host:
        one, two = host.links
        with FakePage(one) as first:
            wait_for(first, "waiting")
            with FakePage(two) as second:
                wait_for(first, "over")
                wait_for(second, "over")
        assert [seat["playedBy"] for seat in first.states[-1]["seats"]] == ["person", "person", "policy"]
        until(lambda: not host.seats())


def test_a_page_that_reloads_has_its_seat_again_and_one_that_stays_away_is_a_lost_player(
    against_a_program: Host,
) -> None:
    one, code = against_a_program.take()
    with let_in(one) as page:
        wait_for(page, "playing")
    with FakePage(one) as page:
        wait_for(page, "playing")
        with FakePage(one) as second:
            wait_for(second, "playing")
            until(lambda: page.code == 4001)
    until(lambda: against_a_program.said(f"{code} has played: page_closed"))
    until(lambda: not against_a_program.seats())


@pytest.mark.parametrize("message", ["x", "x" * 1_000_000], ids=["garbage", "a megabyte"])
def test_a_page_that_sends_what_no_page_does_loses_its_seat(against_a_program: Host, message: str) -> None:
    one, code = against_a_program.take()
    with let_in(one) as page:
        wait_for(page, "countdown")
        page.say_raw(message)
        until(lambda: page.code is not None)
        assert page.code in {4002, 1009}
    until(lambda: against_a_program.said(f"{code} has played: page_dropped"))


@pytest.mark.parametrize("how", ["leaves", "is closed"])
def test_a_page_that_goes_while_it_waits_frees_its_seat_and_its_link_stays_good(
    among_people: Host, how: str
) -> None:
    (one, code), (two, _) = among_people.take(), among_people.take()
    with FakePage(one) as page:
        wait_for(page, "waiting")
        if how == "leaves":
            page.say(t="leave")
            until(lambda: page.code == 4003)
            assert page.states[-1]["gone"] == "left"
    until(lambda: among_people.said(f"{code} did not play"))
    until(lambda: not among_people.seats())
    with FakePage(two) as second:
        wait_for(second, "waiting")
        with FakePage(one) as page:
            wait_for(page, "over")
            assert reason(page) is None


def test_a_host_that_is_ended_tells_every_page_and_leaves_documents_and_no_process(tmp_path: Path) -> None:
    with Host(tmp_path, "--links", "3", "--seats", "3", *LONG) as host:
        pages = [FakePage(link) for link in host.links]
        with pages[0], pages[1]:
            for page in pages[:2]:
                wait_for(page, "playing")
            with pages[2]:
                wait_for(pages[2], "waiting")
                assert host.end() == 0
                until(lambda: all(page.code == 4003 for page in pages))
                assert {page.phase for page in pages} == {"over"}
                assert [page.states[-1]["again"] for page in pages] == [False] * 3  # nobody hosts any more
    # Whoever hears of it second may hear it from the other one.
    assert {reason(page) for page in pages} <= {"interrupted", "peer_left"}
    assert reason(pages[2]) == "interrupted"
    documents = list((tmp_path / "p2p-exports").glob("*T*Z-*/*.multiplayer.json"))
    assert len(documents) == 2


def test_who_comes_through_the_door_gets_a_link_of_their_own(among_people: Host) -> None:
    door = among_people.door
    with FakePage(door) as page:
        until(lambda: page.code == 4009)
    token = page.said["elsewhere"]["token"]
    one, _ = among_people.take()
    with FakePage(f"{door.rstrip('/').rpartition('/')[0]}/{token}/") as page, FakePage(one):
        wait_for(page, "over")
    until(lambda: among_people.heard(r"(v-\w+) has played: done") is not None)


def test_links_that_were_given_out_hold_when_a_host_is_started_again(
    host_of_people: Host, tmp_path: Path
) -> None:
    before = host_of_people.links
    count = len(before) + 1
    path = tmp_path / "p2p-exports" / "links.csv"
    path.parent.mkdir()
    shutil.copyfile(host_of_people.folder / "p2p-exports" / "links.csv", path)
    with Host(tmp_path, "--links", str(count)) as host:
        tokens = [link.rstrip("/").rpartition("/")[2] for link in host.links]
        assert tokens[:-1] == [link.rstrip("/").rpartition("/")[2] for link in before]
        assert len(set(tokens)) == count
        assert path.stat().st_mode & 0o077 == 0
        with path.open(newline="") as file:
            codes = [row["code"] for row in csv.DictReader(file)]
        assert codes == [f"p{number:03}" for number in range(1, count + 1)]
