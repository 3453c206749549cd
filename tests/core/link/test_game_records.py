"""Two ends of a link on virtual time: messages go by records or over the channel, as the path allows."""

from __future__ import annotations

import heapq
import itertools
import random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.config import SyncConfig
from gym_p2p.core.link import game_records
from gym_p2p.core.link.game_records import (
    BEACON_EVERY_S,
    BURST_BYTES,
    DOUBT_S,
    FIRST_BYTE,
    INCOMING_BURST_BYTES,
    MAX_BYTES_PER_S,
    MAX_INCOMING_BYTES_PER_S,
    MAX_RETURNS,
    PATIENCE_S,
    RECORD_COST_BYTES,
    RETRY_S,
    GameRecords,
    GameTransport,
    takes_records,
)

TICK_S = 1 / 60


@attrs.define(eq=False)
class Path:
    """What happens to records on both directions of a path."""

    delay_s: float = 0.025
    jitter_s: float = 0.0
    loss: float = 0.0
    blocked: bool = False
    """Records alone are; the path is alive."""
    dead: bool = False


class Pair:
    """Two ends that send a message every tick, by whatever way is open."""

    def __init__(self, path: Path, seed: int = 1) -> None:
        self.ends = (GameRecords(), GameRecords())
        self.path = path
        self.now = 0.0
        self.by_channel = [0, 0]
        self.by_records = [0, 0]
        self._chance = random.Random(seed)
        self._order = itertools.count()
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._heard_at = 0.0

    def agree(self, end: int) -> None:
        self.carry(end, self.ends[end].agree(self.now))

    def carry(self, end: int, record: bytes | None) -> None:
        path = self.path
        if record is None or path.blocked or path.dead or self._chance.random() < path.loss:
            return
        at = self.now + path.delay_s + self._chance.random() * path.jitter_s
        heapq.heappush(self._under_way, (at, next(self._order), 1 - end, record))

    def run(self, seconds: float, *, plays: tuple[int, ...] = (0, 1)) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += TICK_S
            self._deliver()
            for end in (0, 1):
                machine = self.ends[end]
                self.carry(end, machine.handle_timeout(self.now, heard_at=self._heard_at))
                if end not in plays:
                    continue
                if machine.takes_messages:
                    self.carry(end, machine.outgoing(b"message", self.now))
                else:
                    self.by_channel[end] += 1

    def _deliver(self) -> None:
        if not self.path.dead:
            self._heard_at = self.now
        while self._under_way and self._under_way[0][0] <= self.now:
            _, _, end, record = heapq.heappop(self._under_way)
            message, answer = self.ends[end].incoming(record, self.now)
            self.by_records[end] += message == b"message"
            self.carry(end, answer)


def both_agree(path: Path) -> Pair:
    pair = Pair(path)
    for end in (0, 1):
        pair.agree(end)
    return pair


def ways(pair: Pair) -> tuple[GameTransport, GameTransport]:
    return pair.ends[0].transport, pair.ends[1].transport


BY_RECORDS = (GameTransport.RECORDS,) * 2
BY_CHANNEL = (GameTransport.CHANNEL,) * 2


@pytest.mark.parametrize(
    "said",
    [
        None,
        "dtls",
        b"dtls",
        {"dtls": 1},
        [["dtls"]],
        ["datachannel"],
        [],
        ["quic"],
        ["DTLS", "dtls2"],
        7,
        True,
    ],
)
def test_only_who_lists_records_takes_them(said: object) -> None:
    assert not takes_records({"game_transport": said})
    assert not takes_records(said)
    assert takes_records({"game_transport": [said, "dtls"]})


def test_both_go_over_to_records_within_two_round_trips_whoever_agrees_first() -> None:
    for first, second in ((0, 1), (1, 0)):
        pair = Pair(Path())
        pair.agree(first)
        pair.run(0.025)
        pair.agree(second)
        pair.run(0.1)
        assert ways(pair) == BY_RECORDS


def test_who_does_not_agree_is_never_sent_a_message_by_record() -> None:
    pair = Pair(Path())
    pair.agree(0)
    pair.run(60)
    assert ways(pair) == BY_CHANNEL
    assert pair.ends[0].returns == 0
    assert pair.ends[1].sent == 0


@pytest.mark.parametrize("plays", [(0, 1), (0,), ()])
def test_a_player_who_says_nothing_does_not_look_like_a_broken_way(plays: tuple[int, ...]) -> None:
    pair = both_agree(Path(loss=0.3, jitter_s=0.05))
    pair.run(120, plays=plays)
    assert ways(pair) == BY_RECORDS
    assert [end.returns for end in pair.ends] == [0, 0]


def test_blocked_records_give_way_to_the_channel_in_time_and_are_tried_again() -> None:
    pair = both_agree(Path())
    pair.run(1)
    pair.path.blocked = True
    pair.run(PATIENCE_S + 0.5)
    assert ways(pair) == BY_CHANNEL
    pair.path.blocked = False
    pair.run(RETRY_S - 1)
    assert ways(pair) == BY_CHANNEL
    pair.run(2)
    assert ways(pair) == BY_RECORDS
    assert [end.returns for end in pair.ends] == [1, 1]


def test_a_count_goes_alone_only_where_no_message_takes_it_along() -> None:
    pair = both_agree(Path())
    pair.run(1)
    before = [end.sent for end in pair.ends]
    pair.run(10, plays=(0,))
    talks, listens = (end.sent - count for end, count in zip(pair.ends, before, strict=True))
    assert abs(talks - 10 / TICK_S) <= 2
    assert 10 / (BEACON_EVERY_S + 2 * TICK_S) - 1 <= listens <= 10 / BEACON_EVERY_S + 1


def test_messages_take_the_channel_before_the_others_would_take_a_player_for_lost() -> None:
    pair = both_agree(Path())
    pair.run(1)
    pair.path.blocked = True
    notices_s = DOUBT_S + BEACON_EVERY_S + 2 * TICK_S
    assert notices_s < SyncConfig().disconnect_timeout_s / 2
    pair.run(notices_s)
    before = sum(pair.by_channel)
    pair.run(0.5)
    assert sum(pair.by_channel) - before >= 2 * 30
    assert ways(pair) == BY_RECORDS
    pair.path.blocked = False
    pair.run(BEACON_EVERY_S + 0.1)
    before = sum(pair.by_channel)
    pair.run(1)
    assert sum(pair.by_channel) == before
    assert [end.returns for end in pair.ends] == [0, 0]


def test_who_was_held_up_does_not_take_it_for_a_fault_of_records() -> None:
    pair = both_agree(Path())
    pair.run(1)
    end, later = pair.ends[0], pair.now + 2 * PATIENCE_S
    end.handle_timeout(later, heard_at=later)
    assert end.takes_messages
    assert end.returns == 0


def test_what_it_is_to_be_is_settled_once_either_way_and_changes_are_counted() -> None:
    pair = Pair(Path())
    assert [end.settled for end in pair.ends] == [False, False]
    pair.agree(0)
    pair.agree(1)
    pair.run(0.02)
    assert [end.settled for end in pair.ends] == [False, False]
    pair.run(0.2)
    assert [end.settled for end in pair.ends] == [True, True]
    pair.path.blocked = True
    pair.run(1)
    assert [(end.doubts, end.returns) for end in pair.ends] == [(1, 0), (1, 0)]
    pair.run(PATIENCE_S)
    pair.path.blocked = False
    pair.run(12)
    assert [(end.doubts, end.returns, end.resumed) for end in pair.ends] == [(1, 1, 1), (1, 1, 1)]


def test_records_that_never_arrive_settle_it_for_the_channel() -> None:
    pair = both_agree(Path(blocked=True))
    pair.run(PATIENCE_S + 2 * BEACON_EVERY_S)
    assert ways(pair) == BY_CHANNEL
    assert [(end.settled, end.returns, end.doubts) for end in pair.ends] == [(True, 0, 0)] * 2


def test_who_refuses_records_takes_none_and_sends_none() -> None:
    pair = Pair(Path())
    pair.agree(0)
    pair.ends[1].refuse()
    pair.run(30)
    assert ways(pair) == BY_CHANNEL
    one, other = pair.ends
    assert (other.settled, other.sent, other.received) == (True, 0, 0)
    assert other.refused > 0
    assert one.settled
    message, answer = other.incoming(bytes((FIRST_BYTE, 0, 1)) + b"message", pair.now)
    assert (message, answer) == (b"", None)


def test_after_a_few_returns_the_channel_it_is() -> None:
    pair = both_agree(Path())
    for _ in range(MAX_RETURNS + 2):
        pair.path.blocked = False
        pair.run(15)
        pair.path.blocked = True
        pair.run(10)
    pair.path.blocked = False
    pair.run(60)
    assert ways(pair) == BY_CHANNEL
    assert [end.returns for end in pair.ends] == [MAX_RETURNS] * 2
    assert [end.next_timeout() for end in pair.ends] == [None, None]


def test_a_dead_path_is_no_fault_of_records() -> None:
    pair = both_agree(Path())
    pair.run(1)
    pair.path.dead = True
    pair.run(60)
    pair.path.dead = False
    pair.run(1)
    assert ways(pair) == BY_RECORDS
    assert [end.returns for end in pair.ends] == [0, 0]


def test_a_rate_that_no_match_needs_is_cut_off_and_counted() -> None:
    end = GameRecords()
    message = bytes(1_000)
    carried = sum(end.outgoing(message, 5 + n * 1e-4) is not None for n in range(10_000))
    assert carried * 1_000 <= MAX_BYTES_PER_S + BURST_BYTES
    assert carried * 1_000 > MAX_BYTES_PER_S * 0.99
    assert end.left_out == 10_000 - carried
    assert end.outgoing(message, 60.0) is not None


@pytest.fixture
def slower(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let a fiftieth of every rate be the limit, which as many fewer records show; return how many."""
    for name in ("MAX_BYTES_PER_S", "BURST_BYTES", "MAX_INCOMING_BYTES_PER_S", "INCOMING_BURST_BYTES"):
        monkeypatch.setattr(game_records, name, getattr(game_records, name) // 50)
    return 50


@pytest.mark.parametrize("size", [0, 60, 1_160, 1_500])
def test_what_comes_beyond_a_rate_is_not_taken_whatever_it_holds(size: int, slower: int) -> None:
    end = GameRecords()
    end.agree(0.0)
    record = bytes((FIRST_BYTE, 0, 0)) + bytes(size)
    cost = len(record) + RECORD_COST_BYTES
    most = MAX_INCOMING_BYTES_PER_S // slower
    count = 3 * most // cost
    for n in range(count):
        end.incoming(record, 5 + n / count)
    assert end.received + end.refused == count
    assert end.received * cost <= most + INCOMING_BURST_BYTES // slower
    assert end.received * cost > most * 0.99
    message, _ = end.incoming(bytes((FIRST_BYTE, 0, 0)) + b"message", 7.0)
    assert message == b"message"


@pytest.mark.parametrize("size", [40, 200, 1_160])
def test_the_most_that_is_sent_is_taken_also_where_it_comes_late(size: int, slower: int) -> None:
    one, other = GameRecords(), GameRecords()
    per_s = 100_000 // slower
    sent = [one.outgoing(bytes(size), n / per_s) for n in range(per_s)]
    late_s = 0.0 if size < 100 else 0.2
    for n, record in enumerate(sent):
        if record is not None:
            other.incoming(record, max(n / per_s, late_s))
    assert one.left_out > 0
    assert other.refused == 0


@given(st.floats(0, 0.3), st.floats(0, 0.2), st.floats(0, 0.4), st.integers(0, 2**32), st.integers(0, 65_600))
def test_any_path_that_carries_something_carries_records_across_the_wrap_of_the_count(
    delay_s: float, jitter_s: float, loss: float, seed: int, before: int
) -> None:
    pair = Pair(Path(delay_s, jitter_s, loss), seed)
    for end in pair.ends:
        end.sent = end.received = end._arrived = before
    pair.agree(0)
    pair.agree(1)
    pair.run(10)
    assert ways(pair) == BY_RECORDS
    sent = pair.ends[0].sent - before
    assert pair.by_records[1] <= sent
    assert pair.ends[0].returns == 0


@given(st.lists(st.binary(max_size=40), max_size=60))
def test_whatever_comes_as_a_record_breaks_nothing_and_is_believed_only_where_it_can_be_true(
    records: list[bytes],
) -> None:
    end = GameRecords()
    end.agree(0.0)
    for n, rest in enumerate(records):
        message, _ = end.incoming(bytes((FIRST_BYTE,)) + rest, n * 0.01)
        assert message == rest[2:]
        assert 0 <= end._arrived <= end.sent


@given(st.lists(st.tuples(st.floats(0, 0.5), st.booleans(), st.integers(0, 2**16 - 1)), max_size=60))
def test_no_count_of_another_makes_it_claim_what_cannot_be(said: list[tuple[float, bool, int]]) -> None:
    end = GameRecords()
    end.agree(0.0)
    now = 0.0
    for waited_s, plays, count in said:
        now += waited_s
        end.handle_timeout(now, heard_at=now)
        end.incoming(bytes((FIRST_BYTE, count >> 8, count & 0xFF)), now)
        if plays and end.takes_messages:
            end.outgoing(b"message", now)
        assert end.resumed <= end.returns <= MAX_RETURNS
        assert end.returns == 0 or end.settled
        assert end.settled or end.transport is GameTransport.CHANNEL
