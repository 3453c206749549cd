"""Attempts to rebuild a path, on virtual time, whose links a test opens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gym_p2p.core.signaling.attempts import tagged
from gym_p2p.core.wire.messages import Channel
from gym_p2p.errors import ConnectFailed
from gym_p2p.net.links.transport import LinkState
from gym_p2p.net.worker.rebuilding import _AHEAD_MOST, ATTEMPT_TIMEOUT_S, NewLink, Rebuilder
from tests.net.virtual_time import on_virtual_time

PLAYER = 1
PROOF = b"proof"


class Link:
    """What a connection is to a rebuilder, which notes how it was ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def detach(self) -> None:
        self.ended.append("detached")

    async def close(self) -> None:
        self.ended.append("closed")


class Connecting:
    """A connector that connects when a test says so, and not otherwise."""

    def __init__(self, route: NewLink, *, timeout_s: float, offers_first: bool | None) -> None:
        self.began = asyncio.get_running_loop().time()
        self.offers_first = offers_first
        self.signals: list[object] = []
        self._route: Any = route
        self._timeout_s = timeout_s
        self._opened: asyncio.Future[Link] = asyncio.get_running_loop().create_future()

    def receive_signal(self, kind: object, _payload: object) -> None:
        self.signals.append(kind)

    async def connect(self) -> Link:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._opened
        except TimeoutError as error:
            raise ConnectFailed("a link", waited_s=self._timeout_s, seen="nothing", advice="") from error

    def open(self) -> Link:
        link = self._route.connection = Link()
        self._route.state(LinkState.OPEN)
        self._opened.set_result(link)
        return link

    def fail(self, error: Exception) -> None:
        self._opened.set_exception(error)

    def say(self, data: bytes) -> None:
        """Let the other end say something over the link."""
        self._route.message(Channel.CTRL, data)


class Driving:
    """The little that new links want of a driver, which notes what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def introduce(self, player: int, _link: Link, attempt: int) -> None:
        self.told.append(("introduce", player, attempt))

    def recognises(self, _player: int, _link: Link, _attempt: int, data: bytes) -> bool:
        return data == PROOF

    def replace(self, player: int, _link: Link) -> None:
        self.told.append(("replace", player))

    def message(self, _player: int, data: bytes) -> None:
        self.told.append(("message", data))

    def link_state(self, _player: int, state: LinkState) -> None:
        self.told.append(("state", state))


class Path:
    """One rebuilder, and what it did."""

    def __init__(self) -> None:
        self.driver = Driving()
        self.made: dict[int, Connecting] = {}
        self.taken: list[tuple[int, object, int]] = []
        made: Any = Rebuilder
        self.rebuilder: Rebuilder = made(
            self.driver, PLAYER, self._connector, lambda *told: self.taken.append(told)
        )

    def _connector(self, attempt: int, make_route: Callable[[], NewLink], **how: Any) -> Connecting:
        self.made[attempt] = Connecting(make_route(), **how)
        return self.made[attempt]

    def receive(self, kind: str, attempt: int) -> None:
        """Take in a description of an attempt, as a mesh does."""
        payload: Mapping[str, Any] = {"type": kind, "sdp": tagged("v=0\r\nm=application", attempt)}
        assert self.rebuilder.concerns(payload)
        self.rebuilder.receive_signal(kind, payload)

    async def broken(self) -> Connecting:
        """Break, and return the first attempt."""
        self.rebuilder.begin()
        await asyncio.sleep(0.6)
        return self.made[1]


def on_a_path(work: Callable[[Path], Any]) -> None:
    async def main(_loop: object) -> None:
        path = Path()
        try:
            await work(path)
        finally:
            await path.rebuilder.close()

    on_virtual_time(main)


def test_attempts_follow_each_other_until_the_path_is_no_more_wanted_and_are_counted() -> None:
    async def work(path: Path) -> None:
        path.rebuilder.begin()
        path.rebuilder.begin()
        await asyncio.sleep(10)
        assert [made.began for made in path.made.values()] == pytest.approx([0.5, 4.75, 9.0])
        assert {made.offers_first for made in path.made.values()} == {None}
        assert path.rebuilder.settle() == 3
        await asyncio.sleep(10)
        assert list(path.made) == [1, 2, 3]
        path.rebuilder.begin()
        await asyncio.sleep(1)
        assert list(path.made) == [1, 2, 3, 4]
        assert path.rebuilder.settle() == 1

    on_a_path(work)


def test_who_comes_back_waits_for_nothing_and_offers_every_time_for_nobody_knows_of_them() -> None:
    async def work(path: Path) -> None:
        path.rebuilder.come_back()
        await asyncio.sleep(5)
        assert [made.began for made in path.made.values()] == pytest.approx([0.0, 4.25])
        assert {made.offers_first for made in path.made.values()} == {True}
        path.made[2].open()
        path.made[2].say(PROOF)
        assert len(path.taken) == 1
        path.rebuilder.begin()  # from then on both know of a break
        await asyncio.sleep(1)
        assert path.made[3].offers_first is None

    on_a_path(work)


def test_a_path_that_soon_carries_again_costs_no_attempt() -> None:
    async def work(path: Path) -> None:
        path.rebuilder.begin()
        await asyncio.sleep(0.4)
        assert path.rebuilder.settle() == 0
        await asyncio.sleep(10)
        assert not path.made

    on_a_path(work)


def test_a_higher_attempt_of_the_other_side_is_joined_and_of_ours_nothing_is_left() -> None:
    async def work(path: Path) -> None:
        link = (await path.broken()).open()
        path.receive("offer", 5)
        await asyncio.sleep(0.1)
        assert list(path.made) == [1, 5]
        assert path.made[5].offers_first is False
        assert link.ended == ["detached", "closed"]
        path.receive("answer", 1)
        path.receive("offer", 4)
        assert list(path.made) == [1, 5]
        assert [made.signals for made in path.made.values()] == [[], ["offer"]]
        assert path.rebuilder.settle() == 2  # as far as is known here

    on_a_path(work)


def test_who_offers_an_older_attempt_than_the_newest_is_offered_the_next_one() -> None:
    """We have come back ourselves, so that our numbers are high, and now they come back with lower ones."""

    async def work(path: Path) -> None:
        path.receive("offer", 50_001)
        path.made[50_001].open()
        path.made[50_001].say(PROOF)
        for _ in range(2):
            path.receive("offer", 30_001)
            await asyncio.sleep(0.1)
        assert list(path.made) == [50_001, 50_002]
        assert path.made[50_002].offers_first is True
        assert path.made[50_002].signals == []
        path.receive("answer", 50_002)
        assert path.made[50_002].signals == ["answer"]
        await asyncio.sleep(3 * ATTEMPT_TIMEOUT_S)
        path.receive("offer", 30_002)  # it was lost: they try again
        assert list(path.made) == [50_001, 50_002, 50_003]

    on_a_path(work)


def test_what_is_late_or_names_no_attempt_is_answered_by_none() -> None:
    async def work(path: Path) -> None:
        path.receive("offer", 7)
        path.made[7].open()
        path.made[7].say(PROOF)
        for late in ("offer", "answer"):
            path.receive(late, 7)
        path.receive("answer", 6)
        path.rebuilder.receive_signal("offer", {"type": "offer", "sdp": "v=0"})
        await asyncio.sleep(1)
        assert list(path.made) == [7]

    on_a_path(work)


def test_who_has_noticed_nothing_joins_too_and_tries_no_more_when_that_fails() -> None:
    async def work(path: Path) -> None:
        path.receive("offer", 1)
        await asyncio.sleep(3 * ATTEMPT_TIMEOUT_S)
        assert list(path.made) == [1]

    on_a_path(work)


def test_for_a_player_who_is_gone_no_attempt_is_made_nor_joined_any_more() -> None:
    async def work(path: Path) -> None:
        link = (await path.broken()).open()
        assert path.rebuilder.give_up() == 1
        path.receive("offer", 5)
        path.rebuilder.begin()
        await asyncio.sleep(3 * ATTEMPT_TIMEOUT_S)
        assert list(path.made) == [1]
        assert link.ended == ["detached", "closed"]

    on_a_path(work)


def test_what_no_match_comes_to_and_what_begins_nothing_is_not_joined() -> None:
    async def work(path: Path) -> None:
        path.receive("offer", _AHEAD_MOST + 1)
        path.receive("answer", 1)
        assert not path.made
        path.receive("offer", _AHEAD_MOST)
        assert list(path.made) == [_AHEAD_MOST]

    on_a_path(work)


def test_candidates_are_of_a_new_link_while_one_is_made_and_go_to_the_newest() -> None:
    async def work(path: Path) -> None:
        candidate = {"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host"}
        assert not path.rebuilder.concerns(candidate)
        await path.broken()
        path.receive("offer", 2)
        assert path.rebuilder.concerns(candidate)
        path.rebuilder.receive_signal("ice-candidate", candidate)
        assert path.made[1].signals == []
        assert path.made[2].signals == ["offer", "ice-candidate"]

    on_a_path(work)


def test_a_link_over_which_nobody_proves_who_they_are_is_left_for_the_next_attempt() -> None:
    async def work(path: Path) -> None:
        attempt = await path.broken()
        link = attempt.open()
        attempt.say(b"no proof")
        await asyncio.sleep(2.9)
        assert link.ended == []
        await asyncio.sleep(0.5)
        assert link.ended == ["detached", "closed"]
        assert list(path.made) == [1, 2]
        assert path.driver.told == [("introduce", PLAYER, 1)]
        assert not path.taken

    on_a_path(work)


def test_a_link_whose_player_is_recognised_is_taken_once_and_outlives_the_rebuilder() -> None:
    async def work(path: Path) -> None:
        attempt = await path.broken()
        link = attempt.open()
        for data in (b"no proof", PROOF, b"a message"):
            attempt.say(data)
        await asyncio.sleep(10)
        assert path.taken == [(PLAYER, link, 1)]
        assert path.driver.told == [("introduce", PLAYER, 1), ("replace", PLAYER), ("message", b"a message")]
        assert list(path.made) == [1]
        await path.rebuilder.close()
        assert link.ended == []

    on_a_path(work)


def test_an_open_link_is_left_to_the_other_side_when_the_old_one_carries_again_here() -> None:
    async def work(path: Path) -> None:
        attempt = await path.broken()
        link = attempt.open()
        assert path.rebuilder.settle() == 1
        await asyncio.sleep(1)
        assert link.ended == []
        attempt.say(PROOF)
        await asyncio.sleep(10)
        assert path.taken == [(PLAYER, link, 1)]
        assert link.ended == []

    on_a_path(work)


@pytest.mark.parametrize(
    ("error", "logged"), [(OSError("network is unreachable"), False), (RuntimeError("a bug"), True)]
)
def test_an_attempt_that_fails_in_another_way_is_not_the_last_and_a_bug_is_logged(
    error: Exception, caplog: pytest.LogCaptureFixture, *, logged: bool
) -> None:
    async def work(path: Path) -> None:
        (await path.broken()).fail(error)
        await asyncio.sleep(1)
        assert list(path.made) == [1, 2]

    on_a_path(work)
    assert ("attempt 1 failed" in caplog.text) is logged
