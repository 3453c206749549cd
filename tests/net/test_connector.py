"""Connectors with real connections, every pairing of roles."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from gym_p2p.config import LinkConfig
from gym_p2p.core.wire.messages import Channel
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConnectFailed
from gym_p2p.net.connector import Connector
from gym_p2p.net.links.transport import LinkState
from gym_p2p.net.webrtc import PeerConnection
from tests.net.peers import Browser, Peer, loopback_only, run
from tests.waiting import PATIENCE_S, eventually

Filter = Callable[[str, Mapping[str, Any]], list[tuple[str, Mapping[str, Any]]]]


@pytest.fixture(autouse=True)
def _on_loopback() -> Iterator[None]:
    with loopback_only():
        yield


class Side:
    """A connector and the connections that it made."""

    def __init__(self, local_id: SeatId, remote_id: SeatId, **options: Any) -> None:
        self.made: list[Peer] = []
        self.partner: Side | None = None
        self.delay_s = 0.0
        self.filter: Filter = lambda kind, payload: [(kind, payload)]
        self.sent: list[str] = []
        self.connector = Connector(
            local_id=local_id,
            remote_id=remote_id,
            make_connection=self._make,
            send_signal=self._send,
            **{"remote_is_ours": True, "timeout_s": 15.0, **options},
        )

    def _make(self) -> PeerConnection:
        self.made.append(Peer(LinkConfig()))
        return self.made[-1].connection

    def _send(self, kind: str, payload: Mapping[str, Any]) -> None:
        self.sent.append(kind)
        assert self.partner is not None
        for signal in self.filter(kind, payload):
            asyncio.get_running_loop().call_later(
                self.delay_s, self.partner.connector.receive_signal, *signal
            )


def introduce(one: Side, other: Side) -> None:
    one.partner, other.partner = other, one


def let_offers_cross(one: Side, other: Side) -> None:
    """Hold back what each says first until both are under way."""
    first: dict[str, tuple[Side, tuple[str, Mapping[str, Any]]]] = {}

    def held(side: Side, name: str) -> Callable[..., list[tuple[str, Mapping[str, Any]]]]:
        def pass_on(kind: str, payload: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
            if len(first) == 2:
                return [(kind, payload)]
            first.setdefault(name, (side, (kind, payload)))
            if len(first) == 2:
                for sender, signal in first.values():
                    assert sender.partner is not None
                    asyncio.get_running_loop().call_soon(sender.partner.connector.receive_signal, *signal)
            return []

        return pass_on

    one.filter, other.filter = held(one, "one"), held(other, "other")


async def connect_and_talk(one: Side, other: Side, *, late_s: float = 0.0) -> None:
    async def later() -> PeerConnection:
        await asyncio.sleep(late_s)
        return await other.connector.connect()

    first, second = await asyncio.gather(one.connector.connect(), later())
    try:
        assert (first.state, second.state) == (LinkState.OPEN, LinkState.OPEN)
        assert first.send(Channel.GAME, b"hello")
        assert second.send(Channel.CTRL, "hello")
        await eventually(lambda: other.made[-1].messages == [(Channel.GAME, b"hello")])
        await eventually(lambda: one.made[-1].messages == [(Channel.CTRL, "hello")])
    finally:
        await first.close()
        await second.close()


@pytest.mark.parametrize("ids", [("a", "b"), ("b", "a"), (1, 2), ("1", "01")])
def test_two_players_connect_by_their_ids_alone(ids: tuple[SeatId, SeatId]) -> None:
    async def work() -> None:
        one, other = Side(*ids), Side(*reversed(ids))
        introduce(one, other)
        await connect_and_talk(one, other)
        assert len(one.made) + len(other.made) == 2 or ids == ("1", "01")

    run(work())


@pytest.mark.parametrize("offers", list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize("ids", [("a", "b"), ("b", "a")])
def test_every_pairing_of_roles_ends_connected(ids: tuple[str, str], offers: tuple[bool, bool]) -> None:
    async def work() -> None:
        one, other = Side(*ids, offers_first=offers[0]), Side(*reversed(ids), offers_first=offers[1])
        introduce(one, other)
        if all(offers):
            let_offers_cross(one, other)
        await connect_and_talk(one, other)
        if all(offers):
            assert sorted([len(one.made), len(other.made)]) == [1, 2], "nobody yielded: there was no glare"
            yielded = one if len(one.made) == 2 else other
            assert yielded.made[0].states == [], "the match hears of a connection that was given up"

    run(work())


def test_a_player_who_comes_later_still_meets_the_offer() -> None:
    async def work() -> None:
        one, other = Side("a", "b"), Side("b", "a")
        introduce(one, other)
        await connect_and_talk(one, other, late_s=0.3)

    run(work())


@pytest.mark.parametrize("first", [True, False])
def test_candidates_before_and_after_the_description_are_used(first: bool) -> None:  # noqa: FBT001  # parametrized
    def apart(kind: str, payload: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
        lines = payload["sdp"].split("\r\n")
        candidates = [line for line in lines if line.startswith("a=candidate")]
        bare = "\r\n".join(line for line in lines if not line.startswith(("a=candidate", "a=end-of")))
        signals: list[tuple[str, Mapping[str, Any]]] = [(kind, {"type": kind, "sdp": bare})]
        pieces: list[tuple[str, Mapping[str, Any]]] = [
            ("ice-candidate", {"candidate": c[2:], "sdpMid": "0", "sdpMLineIndex": 0}) for c in candidates
        ]
        return pieces + signals if first else signals + pieces

    async def work() -> None:
        one, other = Side("a", "b"), Side("b", "a")
        introduce(one, other)
        one.filter = other.filter = apart
        await connect_and_talk(one, other)

    run(work())


def test_a_lost_answer_is_made_up_for_by_the_repeated_offer() -> None:
    async def work() -> None:
        one, other = Side("a", "b"), Side("b", "a")
        introduce(one, other)
        answers = itertools.count()

        def lossy(kind: str, payload: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
            return [] if kind == "answer" and next(answers) == 0 else [(kind, payload)]

        other.filter = lossy
        await connect_and_talk(one, other)
        assert one.sent.count("offer") >= 2

    run(work())


def test_signals_that_make_no_sense_are_counted_and_change_nothing() -> None:
    async def work() -> None:
        one, other = Side("a", "b"), Side("b", "a")
        introduce(one, other)
        garbage: list[tuple[object, object]] = [
            ("offer", {"type": "offer", "sdp": "v=0\r\nm=audio"}),
            ("offer", None),
            ("answer", {"type": "answer", "sdp": "x"}),
            ("ice-candidate", {"candidate": "candidate:rubbish"}),
            ("ice-candidate", 7),
            ("nonsense", {}),
        ]
        for signal in garbage:
            other.connector.receive_signal(*signal)
            asyncio.get_running_loop().call_later(0.01, one.connector.receive_signal, *signal)
        await connect_and_talk(one, other)
        assert one.connector.protocol_errors >= 3
        assert other.connector.protocol_errors >= 3

    run(work())


def test_nobody_there_is_a_failure_that_says_what_was_seen() -> None:
    async def work() -> None:
        one, other = Side("a", "b", timeout_s=1.0), Side("b", "a")
        introduce(one, other)
        with pytest.raises(ConnectFailed, match="'b'") as caught:
            await one.connector.connect()
        assert "our offer was sent 1 times and not answered" in caught.value.seen
        assert "our candidates: 1 host" in caught.value.seen
        assert "theirs: none" in caught.value.seen
        assert 0.95 <= caught.value.waited_s < PATIENCE_S

    run(work())


def test_no_way_between_the_two_is_a_failure_that_names_stun_and_turn() -> None:
    async def work() -> None:
        one, other = Side("a", "b", timeout_s=3.0), Side("b", "a", timeout_s=3.0)
        introduce(one, other)

        def unreachable(kind: str, payload: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
            lines = [x for x in payload["sdp"].split("\r\n") if not x.startswith("a=candidate")]
            return [(kind, {"type": kind, "sdp": "\r\n".join(lines)})]

        one.filter = other.filter = unreachable
        results = await asyncio.gather(
            one.connector.connect(), other.connector.connect(), return_exceptions=True
        )
        for result in results:
            assert isinstance(result, ConnectFailed)
            assert "offer and answer were exchanged" in str(result)
            assert "TURN" in str(result)

    run(work())


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.02, 0.5])
def test_cancelling_closes_everything(after_s: float) -> None:
    async def work() -> None:
        one, other = Side("a", "b"), Side("b", "a")
        introduce(one, other)
        other.filter = lambda _kind, _payload: []
        tasks = [asyncio.create_task(side.connector.connect()) for side in (one, other)]
        await asyncio.sleep(after_s)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)

    run(work())


def test_a_connection_gathered_ahead_of_time_is_the_one_used() -> None:
    async def work() -> None:
        ready = Peer()
        await ready.connection.gather()
        one, other = Side("a", "b", first=ready.connection), Side("b", "a")
        introduce(one, other)
        first, second = await asyncio.gather(one.connector.connect(), other.connector.connect())
        assert first is ready.connection
        assert one.made == []
        assert ready.states == [LinkState.OPEN]
        await first.close()
        await second.close()

    run(work())


def test_a_signalling_service_that_fails_once_does_not_end_the_attempt() -> None:
    async def work() -> None:
        one, other = Side("a", "b"), Side("b", "a")
        introduce(one, other)
        attempts = itertools.count()

        def failing(kind: str, payload: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
            if next(attempts) == 0:
                raise ConnectionResetError("the service is away")
            return [(kind, payload)]

        one.filter = failing
        await connect_and_talk(one, other)

    run(work())


@pytest.mark.parametrize("browser_offers", [True, False])
@pytest.mark.parametrize("we_offer_first", [True, False])
def test_a_browser_connects_in_either_role(browser_offers: bool, we_offer_first: bool) -> None:  # noqa: FBT001  # parametrized
    async def work() -> None:
        loop = asyncio.get_running_loop()
        made: list[Peer] = []
        deliveries: set[asyncio.Task[None]] = set()

        def make() -> PeerConnection:
            made.append(Peer())
            return made[-1].connection

        def to_browser(kind: str, payload: Mapping[str, Any]) -> None:
            task = loop.create_task(browser.receive(kind, payload))
            deliveries.add(task)
            task.add_done_callback(deliveries.discard)

        connector = Connector(
            local_id="a",
            remote_id="b",
            make_connection=make,
            send_signal=to_browser,
            remote_is_ours=False,
            timeout_s=10.0,
            offers_first=we_offer_first,
        )

        def from_browser(kind: str, payload: Mapping[str, Any]) -> None:
            loop.call_soon(connector.receive_signal, kind, payload)

        browser = Browser(from_browser)
        if browser_offers and not we_offer_first:
            await browser.offer()
        connecting = asyncio.create_task(connector.connect())
        if browser_offers and we_offer_first:
            await asyncio.sleep(0)
            await browser.offer()
        link = await connecting
        await asyncio.wait_for(browser.opened.wait(), PATIENCE_S)
        assert browser.channel is not None
        assert (browser.channel.ordered, browser.channel.maxRetransmits) == (False, 0)
        assert link.send(Channel.GAME, b"to the browser")
        assert not link.send(Channel.CTRL, b"nobody there")
        browser.channel.send('{"type":"ping"}')
        await eventually(lambda: browser.received == [b"to the browser"])
        await eventually(lambda: made[-1].messages == [(Channel.GAME, '{"type":"ping"}')])
        await link.close()
        assert bool(browser.rolled_back) == (browser_offers and we_offer_first)
        await browser.close()

    run(work())


def test_cancelling_when_all_is_open_but_the_return_closes_what_nobody_gets() -> None:
    async def work() -> None:
        one, other = Side("a", "b"), Side("b", "a")
        introduce(one, other)
        waiting = asyncio.Event()

        async def close_slowly() -> None:
            await waiting.wait()

        one.connector._closing.add(asyncio.create_task(close_slowly()))  # of a connection that was given up
        task = asyncio.create_task(one.connector.connect())
        theirs = await other.connector.connect()
        await eventually(lambda: one.made[-1].connection.state is LinkState.OPEN)
        for _ in range(10):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        waiting.set()
        await asyncio.wait({task})
        assert task.cancelled()
        assert one.made[-1].connection.state is LinkState.CLOSED
        await theirs.close()

    run(work())
