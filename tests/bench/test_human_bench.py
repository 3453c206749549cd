"""What ``bench human`` makes of its figures, and what it says where there is no browser."""

from __future__ import annotations

import resource
import shutil
import time
from typing import Any, NamedTuple

import psutil
import pytest

from gym_p2p.bench import hosted, human
from gym_p2p.bench.chromium import running_chromium
from gym_p2p.bench.hosted import HostedPeople, hosted_rows
from gym_p2p.bench.others import Others
from gym_p2p.bench.pages import PagesStation
from gym_p2p.bench.processes import Worker
from gym_p2p.bench.seat_host import SeatStation
from gym_p2p.errors import P2PError
from gym_p2p.human.messages import CLOSE_CODES
from tests.human.fake_page import FakePage
from tests.waiting import until


def found(**how: object) -> human._Found:
    figures = {
        "first_ms": 300.0,
        "latencies_ms": [20.0, 24.0, 30.0],
        "cpu": 0.06,
        "bytes_per_s": 5e3,
        "on_time": 1.0,
        "skipped": 0,
    }
    return human._Found(**{**figures, **how})  # type: ignore[arg-type]  # each as it is declared


def test_figures_stand_beside_their_floor_and_their_target() -> None:
    cases = {case.name: found() for case in human._CASES} | {"Rally, 60 fps": found(latencies_ms=[])}
    rows = {row.what: row for row in human._rows([7.0, 8.0, 15.0], cases)}
    near = rows["action latency p50: Pong, 60 fps"]
    assert (near.ours, near.floor, near.anchor) == (24.0, 8.0, 26.0)
    assert rows["action latency p95: Pong, 60 fps"].anchor == 35.0
    assert rows["action latency p50: Pong, 60 fps, 50 ms"].anchor == 24.0 + 54
    assert rows["to the page: Rally, 60 fps"].anchor == 250.0
    assert "action latency p50: Rally, 60 fps" not in rows
    memory = human._memory_rows({"websocket": 49_000_000, "datachannel": 54_000_000})
    assert [row.ours for row in memory] == [49.0, 54.0]
    house = HostedPeople(
        game="Rally", came=12, asked_to_wait=2, on_time=[1.0, 0.996], share=0.1, pages_share=0.2
    )
    let_in, all_of_them, worst, *_ = hosted_rows(house)
    assert [(row.ours, row.anchor) for row in (let_in, all_of_them, worst)] == [
        (10.0, 12.0),
        (99.8, 99.0),
        (99.6, 99.0),
    ]
    assert rows["link opened to first frame"].per_anchor == 0.75


def test_without_a_browser_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(P2PError, match="apt-get install chromium"), running_chromium():
        pass


class Used(NamedTuple):
    user: float
    nice: float
    system: float
    ru_utime: float
    ru_stime: float


def test_what_else_ran_is_said_and_what_the_bench_did_itself_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = Used(100.0, 1.0, 10.0, 2.0, 1.0)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(psutil, "cpu_times", lambda: at)
    monkeypatch.setattr(resource, "getrusage", lambda _who: at)
    others = Others()
    at = Used(103.0, 2.0, 12.0, 3.0, 1.5)  # six seconds, of which the bench and its processes took three
    monkeypatch.setattr(time, "monotonic", lambda: 10.0)
    assert others.note().startswith("what else ran meanwhile took 30 % of a core, of ")


def test_a_seat_of_the_bench_plays_and_says_what_it_has_used() -> None:
    station = SeatStation("Rally", 60.0)
    try:
        with FakePage(station.open()) as page:
            until(lambda: page.frames > 5)
            used = station.used()
            assert used["cpu_s"] > used["step_cpu_s"] > 0
            assert len(used["ended_s"]) >= 5
            assert station.measured()["link"] == "websocket"
            until(lambda: station.measured()["shown"] > 5)
    finally:
        station.close()


def test_pages_that_are_no_browsers_note_when_frames_come() -> None:
    station, pages = SeatStation("Rally", 60.0), PagesStation()
    try:
        place = pages.open(station.open())
        until(lambda: pages.standing()[place]["frames"] > 5)
        assert len(pages.took()["frames_at"][place]) > 5
        pages.open_again(place)
        before = pages.standing()[place]["frames"]
        until(lambda: pages.standing()[place]["frames"] > before)
        until(lambda: pages.standing()[place]["state"]["phase"] == "playing")
        until(lambda: station.measured()["shown"] > 5)
        assert pages.standing()[place]["code"] is None
        pages.shut(place)
        assert pages.standing()[place]["code"] is not None
    finally:
        pages.close()
        station.close()


def standing(frames: int, code: int | None = None, phase: str = "waiting") -> dict[str, Any]:
    return {"frames": frames, "code": code, "state": {"phase": phase}}


class Standing(Worker):
    """Pages that stand so, one time after the other."""

    def __init__(self, *times: list[dict[str, Any]]) -> None:
        self.times = list(times)
        self.reopened: list[int] = []

    def request(self, operation: str, **arguments: Any) -> Any:
        if operation == "open_again":
            return self.reopened.append(arguments["place"])
        assert (operation, arguments) == ("standing", {})
        return self.times.pop(0)


def test_hosted_people_are_looked_at_once_all_play_are_refused_or_are_left_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosted, "HELD_S", 0.0)
    playing, refused = standing(3, phase="playing"), standing(0, CLOSE_CODES["full"])
    waiting, countdown = standing(0), standing(1, phase="countdown")
    settled = [playing, playing, refused, waiting]
    assert hosted._settled(Standing([waiting] * 4, [playing, waiting, refused, waiting], settled)) == settled
    assert hosted._settled(Standing([countdown, countdown])) == [countdown, countdown]
    broken = Standing([playing, standing(0, 1006)], [playing, waiting], [playing, playing])
    assert hosted._settled(broken) == [playing, playing]
    assert broken.reopened == [1]
    with pytest.raises(P2PError, match="closed with 4007"):
        hosted._settled(Standing([playing, standing(0, 4007)]))


def test_hosted_people_who_are_asked_to_wait_ask_again_for_as_long_as_seats_are_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosted, "HELD_S", 60.0)
    monkeypatch.setattr(hosted, "_ASKS_EVERY_S", 0.0)
    playing, refused = standing(3, phase="playing"), standing(0, CLOSE_CODES["full"])
    pages = Standing([playing, refused, refused], [playing, standing(0), refused], [playing] * 3)
    assert hosted._settled(pages) == [playing] * 3
    assert pages.reopened == [1, 2, 2]
