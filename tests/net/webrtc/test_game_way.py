"""Game messages as DTLS records, over real connections on loopback."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterator

import pytest

from gym_p2p.config import LinkEmulation, SyncConfig
from gym_p2p.core.link import game_records
from gym_p2p.core.link.game_records import (
    FIRST_BYTE,
    INCOMING_BURST_BYTES,
    MAX_INCOMING_BYTES_PER_S,
    GameTransport,
)
from gym_p2p.core.wire.messages import Channel
from tests.net.peers import Peer, connected_pair, loopback_only, run
from tests.waiting import eventually, in_time


@pytest.fixture(autouse=True)
def _on_loopback() -> Iterator[None]:
    with loopback_only():
        yield


async def transports(*peers: Peer) -> list[str]:
    return [(await peer.connection.getStats())["gym-p2p-game-records"]["transport"] for peer in peers]


async def agree(*peers: Peer) -> None:
    for peer in peers:
        peer.connection.use_game_records()
    async with asyncio.timeout(20):
        while await transports(*peers) != [GameTransport.RECORDS] * len(peers):  # noqa: ASYNC110  # no event for it
            await asyncio.sleep(0.01)


async def channel_messages(peer: Peer) -> int:
    report = await peer.connection.getStats()
    return sum(int(e["messagesSent"]) for e in report.values() if e.get("label") == "game")


def test_messages_go_beside_the_channel_once_both_agree_and_control_stays() -> None:
    async def work() -> None:
        async with connected_pair() as (one, other):
            assert one.connection.send(Channel.GAME, b"before")
            await agree(one, other)
            assert one.connection.send(Channel.GAME, b"after")
            assert one.connection.send(Channel.CTRL, b"control")
            await eventually(lambda: len(other.messages) == 3)
            assert sorted(other.messages, key=lambda m: m[1]) == [
                (Channel.GAME, b"after"),
                (Channel.GAME, b"before"),
                (Channel.CTRL, b"control"),
            ]
            assert await channel_messages(one) == 1
            entry = (await other.connection.getStats())["gym-p2p-game-records"]
            assert (entry["messagesReceived"], entry["bytesReceived"], entry["returns"]) == (1, 5, 0)

    run(work())


def test_who_never_agrees_is_played_with_over_the_channel() -> None:
    async def work() -> None:
        async with connected_pair() as (one, other):
            one.connection.use_game_records()
            await asyncio.sleep(0.6)
            assert one.connection.send(Channel.GAME, b"x")
            await eventually(lambda: other.messages == [(Channel.GAME, b"x")])
            assert await transports(one, other) == [GameTransport.CHANNEL] * 2

    run(work())


def test_what_is_too_long_is_not_sent_and_the_longest_arrives_whole() -> None:
    async def work() -> None:
        async with connected_pair() as (one, other):
            await agree(one, other)
            assert not one.connection.send(Channel.GAME, bytes(1_161))
            assert one.connection.send(Channel.GAME, bytes(1_160))
            await eventually(lambda: other.messages == [(Channel.GAME, bytes(1_160))])

    run(work())


def test_what_is_too_long_is_passed_on_as_from_the_channel_for_the_match_to_count() -> None:
    async def work() -> None:
        async with connected_pair() as (one, other):
            await agree(one, other)
            one.connection._carriers.records.send(bytes((FIRST_BYTE, 0, 0)) + bytes(1_400))
            await eventually(lambda: other.messages == [(Channel.GAME, bytes(1_400))])

    run(work())


def test_a_record_that_comes_twice_is_heard_once() -> None:
    async def work() -> None:
        async with connected_pair() as (one, other):
            await agree(one, other)
            sockets = one.connection._sockets
            send_once = sockets.send_record

            def send_twice(data: bytes) -> None:
                send_once(data)
                send_once(data)

            one.connection._carriers.records._send_record = send_twice
            for n in range(20):
                assert one.connection.send(Channel.GAME, bytes((n,)))
            await eventually(lambda: len(other.messages) >= 20)
            await asyncio.sleep(0.05)
            assert [data for _, data in other.messages] == [bytes((n,)) for n in range(20)]

    run(work())


def test_what_is_repeated_late_and_out_of_order_is_heard_once_at_most() -> None:
    # OpenSSL's window is of 64 records (RFC 6347, section 4.1.2.6): what is older is dropped, seen or not.
    async def work() -> None:
        async with connected_pair() as (one, other):
            await agree(one, other)
            caught: list[bytes] = []
            one.connection._carriers.records._send_record = caught.append
            numbers = [bytes((n,)) for n in range(200)]
            for number in numbers:
                assert one.connection.send(Channel.GAME, number)
            carried, chance = caught[-200:], random.Random(7)
            for first in range(0, 200, 40):
                part = carried[first : first + 40]
                chance.shuffle(part)
                for datagram in [*part, *part, *chance.choices(carried[: first + 40], k=40)]:
                    one.connection._sockets.send_record(datagram)
                await asyncio.sleep(0.01)
            await eventually(lambda: len(other.messages) >= 200)
            for datagram in carried[::4]:
                one.connection._sockets.send_record(datagram)
            await asyncio.sleep(0.05)
            heard = [data for _, data in other.messages]
            assert sorted(heard) == numbers
            assert heard != numbers

    run(work())


def test_what_was_overtaken_by_more_than_dtls_remembers_is_lost_and_nothing_else_is() -> None:
    async def work() -> None:
        async with connected_pair() as (one, other):
            await agree(one, other)
            caught: list[bytes] = []
            one.connection._carriers.records._send_record = caught.append
            for n in range(101):
                assert one.connection.send(Channel.GAME, bytes((n,)))
            first, *rest = caught[-101:]
            for datagram in [*rest, first]:
                one.connection._sockets.send_record(datagram)
            await eventually(lambda: len(other.messages) >= 100)
            await asyncio.sleep(0.05)
            assert [data for _, data in other.messages] == [bytes((n,)) for n in range(1, 101)]

    run(work())


def test_datagrams_that_were_changed_cut_or_made_up_are_dropped() -> None:
    async def work() -> None:
        async with connected_pair() as (one, other):
            await agree(one, other)
            caught: list[bytes] = []
            records, send = one.connection._carriers.records, one.connection._sockets.send_record
            records._send_record = caught.append
            chance = random.Random(3)
            for n in range(150):
                assert one.connection.send(Channel.GAME, b"untrue %d" % n)
                whole = caught[-1]
                at = chance.randrange(13, len(whole))
                changed = whole[:at] + bytes((whole[at] ^ 1 << chance.randrange(8),)) + whole[at + 1 :]
                head = bytes((*whole[:3], chance.randrange(256), *whole[4:13]))
                made_up = bytes((23,)) + chance.randbytes(chance.randrange(80))
                cut = whole[: chance.randrange(len(whole))]
                for datagram in (changed, head + whole[13:], made_up, cut, whole + b"\0", whole[:13]):
                    if datagram != whole and datagram:
                        send(datagram)
                await asyncio.sleep(0.002)  # what nobody reads meanwhile the system would drop
            records._send_record = send
            assert one.connection.send(Channel.GAME, b"well")
            await eventually(lambda: bool(other.messages))
            await asyncio.sleep(0.05)
            assert other.messages == [(Channel.GAME, b"well")]
            assert await transports(one, other) == [GameTransport.RECORDS] * 2

    run(work())


def test_a_flood_of_records_is_taken_up_to_a_rate_and_the_channel_goes_on() -> None:
    async def work() -> None:
        async with connected_pair() as (one, other):
            await agree(one, other)
            game_way, at = other.connection._carriers.game_way, time.monotonic()
            for n in range(20_000):
                game_way.receive(bytes((FIRST_BYTE, 0, 0)) + n.to_bytes(4) + bytes(1_000))
            most = INCOMING_BURST_BYTES + (time.monotonic() - at) * MAX_INCOMING_BYTES_PER_S
            assert len(other.messages) <= most / 1_000
            entry = (await other.connection.getStats())["gym-p2p-game-records"]
            assert entry["recordsRefused"] >= 20_000 - len(other.messages) > 0
            assert one.connection.send(Channel.CTRL, b"control")
            await eventually(lambda: (Channel.CTRL, b"control") in other.messages)

    run(work())


def test_records_before_the_agreement_are_understood_and_after_a_refusal_or_the_end_none_is() -> None:
    async def work() -> None:
        async with connected_pair() as (one, other):
            one.connection.use_game_records()
            one.connection._carriers.records.send(bytes((FIRST_BYTE, 0, 0)) + b"early")
            await eventually(lambda: other.messages == [(Channel.GAME, b"early")])
            other.connection.keep_game_channel()
            one.connection._carriers.records.send(bytes((FIRST_BYTE, 0, 0)) + b"refused")
            assert one.connection.send(Channel.CTRL, b"control")
            await eventually(lambda: (Channel.CTRL, b"control") in other.messages)
            assert (Channel.GAME, b"refused") not in other.messages
            assert await transports(one, other) == [GameTransport.CHANNEL] * 2
            game_way = other.connection._carriers.game_way
            await other.connection.close()
            before = len(other.messages), game_way.machine.received
            game_way.receive(bytes((FIRST_BYTE, 0, 9)) + b"late")
            other.connection.use_game_records()
            assert (len(other.messages), game_way.machine.received) == before

    run(work())


@pytest.mark.parametrize("rest", [b"", b"\x00", b"\x00\x00", bytes(1_400), b"\xff\xff\x93"])
def test_odd_records_break_nothing(rest: bytes) -> None:
    async def work() -> None:
        async with connected_pair() as (one, other):
            await agree(one, other)
            one.connection._carriers.records.send(bytes((FIRST_BYTE,)) + rest)
            for first in (0x00, 0x12, 0xEF, 0xFF):
                one.connection._carriers.records.send(bytes((first,)) + rest)
            assert one.connection.send(Channel.GAME, b"well")
            await eventually(lambda: (Channel.GAME, b"well") in other.messages)
            assert len(other.messages) <= 2

    run(work())


def test_a_third_of_all_lost_is_no_reason_to_go_back() -> None:
    async def work() -> None:
        async with connected_pair(LinkEmulation(one_way_ms=10, jitter_ms=5, loss=0.3, seed=4)) as (
            one,
            other,
        ):
            await agree(one, other)
            for _ in range(200):
                one.connection.send(Channel.GAME, b"x")
                await asyncio.sleep(0.005)
            await eventually(lambda: len(other.messages) > 100)
            assert await transports(one, other) == [GameTransport.RECORDS] * 2

    run(work())


def test_where_records_stop_arriving_nobody_is_silent_until_they_are_taken_for_lost() -> None:
    async def work() -> None:
        async with connected_pair() as (one, other):
            await agree(one, other)
            for peer in (one, other):
                peer.connection._carriers.records.on_game_record = lambda _record: None
            loop = asyncio.get_running_loop()
            began = loop.time()
            while not (one.messages and other.messages):
                for peer in (one, other):
                    peer.connection.send(Channel.GAME, b"x")
                await asyncio.sleep(0.02)
            with in_time():
                assert loop.time() - began < SyncConfig().disconnect_timeout_s

    run(work())


def test_records_that_stop_arriving_give_way_to_the_channel(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(game_records, "PATIENCE_S", 0.6)

    async def work() -> None:
        async with connected_pair() as (one, other):
            await agree(one, other)
            other.connection._carriers.records.on_game_record = lambda _record: None
            keeps_alive = 0
            async with asyncio.timeout(20):
                while (await transports(one))[0] != GameTransport.CHANNEL:
                    one.connection.send(Channel.GAME, b"lost")
                    other.connection.send(Channel.CTRL, b"alive")
                    keeps_alive += 1
                    await asyncio.sleep(0.02)
            assert one.connection.send(Channel.GAME, b"arrives")
            await eventually(lambda: (Channel.GAME, b"arrives") in other.messages)
            assert (await one.connection.getStats())["gym-p2p-game-records"]["returns"] == 1

    with caplog.at_level(logging.WARNING):
        run(work())
    assert sum("DTLS records do not arrive" in line for line in caplog.messages) >= 1
