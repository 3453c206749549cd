"""A host whose processes are killed: what pages, partners and documents learn of it; what begins again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import gym_p2p
from gym_p2p.human.messages import CLOSE_CODES
from tests.hosting.hosts import LONG, Host, reason, wait_for
from tests.human.fake_page import FakePage
from tests.waiting import until


@pytest.fixture(scope="module")
def host_that_waits_for_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host that starts no process again."""
    folder = tmp_path_factory.mktemp("nobody")
    arguments = ("--partner", "random", "--links", "1", "--seats", "4", "--rejoin-timeout", "0", *LONG)
    with Host(folder, *arguments) as host:
        yield host


def test_a_seat_whose_process_is_killed_is_told_to_its_page(host_that_waits_for_nobody: Host) -> None:
    host = host_that_waits_for_nobody
    (one,), code = host.links, "p001"
    with FakePage(one) as page:
        wait_for(page, "playing")
        until(lambda: host.heard(rf"{code} plays as (\w+) in") == "left")
        seats = host.seats()
        assert len(seats) == 2
        os.kill(seats[0].pid, signal.SIGKILL)
        until(lambda: page.code is not None)
    until(lambda: host.said(f"{code}: the seat's process has died (exit code -9)"))
    with FakePage(one) as page:
        until(lambda: page.code == 4007)
        assert page.states[-1]["again"] is True
    until(lambda: not host.seats())  # nor is its program left
    with FakePage(one) as page:  # it was no fault of theirs
        wait_for(page, "countdown")


def test_a_seat_whose_process_is_killed_is_told_to_its_partner(tmp_path: Path) -> None:
    arguments = ("--links", "2", "--reconnect-timeout", "3", "--rejoin-timeout", "0", *LONG)
    with Host(tmp_path, *arguments) as host:
        one, two = host.links
        with FakePage(one) as first:
            wait_for(first, "waiting")
            with FakePage(two) as second:
                wait_for(second, "playing")
                host.seats()[0].kill()  # the first one's
                wait_for(second, "over")
                assert reason(second) == "peer_crashed"
                assert second.states[-1]["again"] is True
        until(lambda: host.said("p002 has played: peer_crashed (the link is still good)"))


@pytest.mark.parametrize(
    ("whose", "meanwhile"),
    [
        ("the person's", ()),
        ("the program's", ()),
        ("the program's", ("--while-away", "stand_in", "--stand-in", "scripted")),
    ],
)
def test_a_process_that_is_killed_is_started_again_and_takes_its_match_up(
    tmp_path: Path, whose: str, meanwhile: tuple[str, ...]
) -> None:
    frames = 600 if meanwhile else 300  # it goes on while the other one is started again, or stands
    arguments = ("--partner", "random", "--links", "1", *LONG, "--env-arg", f"max_frames={frames}")
    with Host(tmp_path, *arguments, *meanwhile) as host:
        (link,) = host.links
        with FakePage(link) as page:
            wait_for(page, "playing")
            until(lambda: page.frames > 10)
            host.seats()[0 if whose == "the person's" else 1].kill()
            if whose == "the person's":
                until(lambda: page.code is not None)
                assert page.code not in CLOSE_CODES.values()  # a page comes again after that
            else:
                wait_for(page, "over")
        until(lambda: host.said("the seat's process has died (exit code -9); it is started again"))
        if whose == "the person's":
            with FakePage(link) as page:
                wait_for(page, "over")
            phases = [state["phase"] for state in page.states]
            assert phases[0] == "returning"
            assert "waiting" not in phases, "the match goes on all the while"
        assert reason(page) is None
        until(lambda: host.said("p001 has played: done"))
        until(lambda: not host.seats())
    folders = list((tmp_path / "p2p-exports").glob("*T*Z-*"))
    assert len(folders) == 1
    documents = [json.loads(path.read_text()) for path in folders[0].glob("*.multiplayer.json")]
    assert len(documents) == 2
    assert all(len(document["rejoins"]) == 1 for document in documents)
    acted = [any(episode.get("actors") for episode in document["episodes"]) for document in documents]
    assert acted == [bool(meanwhile)] * 2
    matches = gym_p2p.load(tmp_path / "p2p-exports").players
    assert sorted(row["subject"] == "p001" for row in matches) == [False, True]


@pytest.mark.parametrize("which", [0, 1], ids=["one's", "the other's"])
def test_a_seat_whose_network_process_is_killed_is_started_again_and_takes_its_match_up(
    tmp_path: Path, which: int
) -> None:
    arguments = ("--partner", "random", "--links", "1", *LONG, "--env-arg", "max_frames=300")
    with Host(tmp_path, *arguments) as host:
        (link,) = host.links
        with FakePage(link) as page:
            wait_for(page, "playing")
            until(lambda: page.frames > 10)
            host.networks()[which].kill()
            until(lambda: page.phase == "over" or page.code is not None)
        if page.phase != "over":  # it was the person's seat; a page comes again then
            assert page.code not in CLOSE_CODES.values()
        until(lambda: host.said("has died (its network process has ended); it is started again"))
        if page.phase != "over":
            with FakePage(link) as page:
                wait_for(page, "over")
        assert reason(page) is None
        until(lambda: host.said("p001 has played: done"))
        until(lambda: not host.seats())
    (folder,) = (tmp_path / "p2p-exports").glob("*T*Z-*")
    documents = [json.loads(path.read_text()) for path in folder.glob("*.multiplayer.json")]
    assert len(documents) == 2
    assert all(len(document["rejoins"]) == 1 for document in documents)
    assert not list(folder.glob("*.journal.jsonl"))


def _has_started_others(host: Host, count: int) -> bool:
    return sum("another one is started" in line for line in host.errors) == count


def test_a_network_process_that_is_killed_while_others_are_waited_for_costs_nobody_their_seat(
    tmp_path: Path,
) -> None:
    with Host(tmp_path, "--links", "2", "--env-arg", "max_frames=20") as host:
        first, second = host.links
        with FakePage(first) as page:
            wait_for(page, "waiting")
            for killed in (1, 2):
                until(lambda: len(host.networks()) == 1)
                host.networks()[0].kill()
                until(partial(_has_started_others, host, killed))
            until(lambda: len(host.networks()) == 1)
            with FakePage(second) as other:
                wait_for(page, "over")
                wait_for(other, "over")
            assert reason(page) is None


def test_a_host_that_is_killed_leaves_no_seats(tmp_path: Path) -> None:
    arguments = ("--links", "1", "--partner", "random", *LONG)
    with Host(tmp_path, *arguments) as host, FakePage(host.links[0]) as page:
        wait_for(page, "playing")
        assert len(host.seats()) == 2
        host.process.kill()
        until(lambda: not host.seats())
        until(lambda: page.code is not None)
