from __future__ import annotations

import itertools
import json
import random
import statistics
from collections.abc import Callable

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.probing.burst import Burst, PingBurst, SendText
from gym_p2p.core.probing.statistics import PingStatistics
from gym_p2p.errors import ConfigurationError

INTERVAL_S, TIMEOUT_S = 0.05, 1.0


@attrs.define(eq=False)
class Path:
    """One burst over a path on virtual time: ``rtt_ms`` of the n-th ping, ``None`` loses it."""

    burst: PingBurst
    rtt_ms: Callable[[int], float | None]
    now: float = 100.0
    pongs: list[tuple[float, str]] = attrs.field(factory=list)
    pings: list[tuple[float, int]] = attrs.field(factory=list)
    found: PingStatistics | None = None
    warm_ups: int | None = None

    def run(self) -> PingStatistics:
        self.burst.start(self.now)
        for _ in range(1000):
            self._carry_out()
            if self.found is not None:
                return self.found
            due = self.burst.next_timeout()
            arrival = min(self.pongs, default=None)
            assert due is not None or arrival is not None
            if arrival is not None and (due is None or arrival[0] <= due):
                self.pongs.remove(arrival)
                self.now = max(self.now, arrival[0])
                self.burst.receive(arrival[1], self.now)
            else:
                assert due is not None
                self.now = max(self.now, due)
                self.burst.handle_timeout(self.now)
            if self.warm_ups is None and self.burst._cold_until is None:
                self.warm_ups = len(self.pings)
        pytest.fail("the burst does not end")

    def _carry_out(self) -> None:
        while (output := self.burst.poll()) is not None:
            if isinstance(output, PingStatistics):
                self.found = output
                continue
            message = json.loads(output.text)
            assert message["type"] == "ping"
            self.pings.append((self.now, message["seq"]))
            rtt_ms = self.rtt_ms(message["seq"])
            if rtt_ms is not None:
                pong = json.dumps({**message, "type": "pong"})
                self.pongs.append((self.now + rtt_ms / 1000, pong))


def measure(rtt_ms: Callable[[int], float | None], burst: Burst | None = None) -> tuple[PingStatistics, Path]:
    path = Path(PingBurst(burst), rtt_ms)
    return path.run(), path


def noisy(seed: int, middle_ms: float, spread_ms: float) -> Callable[[int], float]:
    draw = random.Random(seed)
    return lambda _number: middle_ms + draw.uniform(-spread_ms, spread_ms)


def texts(burst: PingBurst) -> list[str]:
    return [output.text for output in iter(burst.poll, None) if isinstance(output, SendText)]


def test_a_round_trip_is_counted_from_the_ping_leaving_to_the_pong_arriving() -> None:
    burst = PingBurst(Burst(pings=1))
    burst.start(10.0)
    texts(burst)
    burst.receive(pong(0), 10.0)
    burst.handle_timeout(10.0)
    (ping,) = [output for output in iter(burst.poll, None) if isinstance(output, SendText)]
    assert ping.seq == 2
    burst.sent(ping.seq, 10.0004)
    burst.receive(pong(2), 10.0506, arrived=10.0504)
    assert measured(burst).median_ms == pytest.approx(50.0)


def test_the_time_for_which_a_peer_kept_a_ping_is_told_and_taken_off() -> None:
    burst = PingBurst()
    burst.receive('{"type":"ping","seq":7,"ts":1}', 5.0003, arrived=5.0)
    assert json.loads(texts(burst)[0]) == {"type": "pong", "seq": 7, "ts": 1, "held_us": 300}
    assert one_sample_ms(held_us=300) == pytest.approx(50.0 - 0.3)


@pytest.mark.parametrize("held_us", [2_001, 45_000, 1e300])
def test_a_peer_cannot_appear_nearer_by_more_than_two_milliseconds(held_us: float) -> None:
    assert one_sample_ms(held_us=held_us) == pytest.approx(48.0)


@pytest.mark.parametrize("held_us", [-1, "300", True, None, [], float("nan")])
def test_a_senseless_time_is_no_time(held_us: object) -> None:
    assert one_sample_ms(held_us=held_us) == pytest.approx(50.0)


def pong(number: int, **more: object) -> str:
    return json.dumps({"type": "pong", "seq": number, "ts": 1, **more})


def measured(burst: PingBurst) -> PingStatistics:
    (found,) = [output for output in iter(burst.poll, None) if isinstance(output, PingStatistics)]
    return found


def one_sample_ms(**pongs: object) -> float | None:
    """Measure with one ping over 50 ms whose pong says this."""
    burst = PingBurst(Burst(pings=1))
    burst.start(10.0)
    burst.receive(pong(0), 10.0)
    burst.handle_timeout(10.0)
    texts(burst)
    burst.receive(pong(2, **pongs), 10.05)
    return measured(burst).median_ms


def test_a_steady_path_is_measured_exactly_with_five_pings() -> None:
    found, path = measure(lambda _: 50.0)
    assert found.median_ms == pytest.approx(50.0)
    assert (found.count, found.lost) == (5, 0)
    assert found.mad_ms == pytest.approx(0.0, abs=1e-6)
    # The warm-up's round trip, four intervals, the last one's round trip.
    assert path.now - 100.0 == pytest.approx(0.05 + 4 * INTERVAL_S + 0.05)


def test_warm_ups_are_sent_back_to_back_and_do_not_count() -> None:
    found, path = measure(lambda number: 500.0 if number < 2 else 20.0)
    assert [at for at, _ in path.pings[:2]] == [100.0, 100.0]
    assert max(found.samples_ms) == pytest.approx(20.0)


def test_pings_go_out_every_50_ms_without_waiting_for_the_pong_before() -> None:
    _, path = measure(noisy(1, 300.0, 40.0))
    measured = [at for at, _ in path.pings[path.warm_ups :]]
    assert len(measured) == 10
    gaps = [later - earlier for earlier, later in itertools.pairwise(measured)]
    assert gaps == pytest.approx([INTERVAL_S] * 9)


def test_a_noisy_path_without_a_threshold_gets_ten_pings() -> None:
    found, _ = measure(noisy(2, 60.0, 25.0))
    assert (found.count, found.borderline) == (10, False)
    assert found.median_ms == pytest.approx(statistics.median(found.samples_ms))


@pytest.mark.parametrize(("middle_ms", "pings"), [(40.0, 5), (180.0, 5), (100.0, 15)])
def test_the_threshold_decides_how_many_pings_there_are(middle_ms: float, pings: int) -> None:
    found, _ = measure(noisy(3, middle_ms, 20.0), Burst(threshold_ms=100.0))
    assert found.count == pings
    assert found.borderline == (pings == 15)


def test_one_outlier_among_five_is_decided_after_nine() -> None:
    found, _ = measure(lambda number: 180.0 if number == 3 else 60.0, Burst(threshold_ms=100.0))
    assert found.count == 9
    assert found.median_ms == pytest.approx(60.0)


def test_a_given_number_of_pings_is_sent_whatever_they_show() -> None:
    found, path = measure(lambda _: 1.0, Burst(pings=23))
    assert (found.count, len(path.pings)) == (23, 25)


@pytest.mark.parametrize("pings", [0, 65])
def test_an_impossible_number_of_pings_is_refused(pings: int) -> None:
    with pytest.raises(ConfigurationError, match="pings"):
        Burst(pings=pings)


def test_lost_pings_are_counted_after_a_second_each() -> None:
    found, path = measure(lambda number: None if number in {3, 7} else 30.0)
    assert (found.count, found.lost, found.loss) == (9, 2, 2 / 9)
    lost_at = next(at for at, number in path.pings if number == 7)
    assert path.now == pytest.approx(lost_at + TIMEOUT_S)


def test_a_silent_peer_ends_the_burst_without_a_median() -> None:
    found, path = measure(lambda _: None)
    assert (found.median_ms, found.min_ms, found.p95_ms, found.mad_ms, found.loss) == (None,) * 4 + (1.0,)
    assert path.now - 100.0 == pytest.approx(TIMEOUT_S + 9 * INTERVAL_S + TIMEOUT_S)


def test_a_late_pong_after_the_time_out_counts_as_lost() -> None:
    found, _ = measure(lambda number: 1000.0 if number == 4 else 30.0, Burst(pings=5))
    assert (found.count, found.lost) == (5, 1)


def test_a_repeated_pong_counts_once_and_an_invented_one_not_at_all() -> None:
    burst = PingBurst(Burst(pings=2))
    burst.start(0.0)
    burst.receive('{"type":"pong","seq":0}', 0.010)
    burst.handle_timeout(0.010)
    burst.receive('{"type":"pong","seq":2}', 0.030)
    burst.receive('{"type":"pong","seq":2}', 0.040)
    burst.receive('{"type":"pong","seq":3}', 0.041)
    burst.handle_timeout(0.061)
    burst.receive('{"type":"pong","seq":3}', 0.081)
    assert measured(burst).samples_ms == pytest.approx((20.0, 20.0))


def test_a_ping_is_answered_at_once_before_and_after_a_burst_too() -> None:
    burst = PingBurst()
    burst.receive('{"type":"ping","seq":7,"ts":1700000000123}', 5.0)
    assert texts(burst) == ['{"type":"pong","seq":7,"ts":1700000000123}']
    Path(burst, lambda _: 10.0).run()
    burst.receive('{"type":"ping","seq":8}', 9.0)
    assert texts(burst) == ['{"type":"pong","seq":8}']


def test_a_second_burst_does_not_take_the_first_ones_pongs() -> None:
    path = Path(PingBurst(), lambda _: 10.0)
    path.run()
    used = {number for _, number in path.pings}
    again = Path(path.burst, lambda _: 20.0, now=path.now)
    assert again.run().median_ms == pytest.approx(20.0)
    assert used.isdisjoint(number for _, number in again.pings)


@given(st.text(max_size=300) | st.from_regex(r'\{"type":"p[io]ng","seq":.{0,20}\}', fullmatch=True))
def test_whatever_else_is_on_the_channel_is_never_fatal(text: str) -> None:
    burst = PingBurst()
    burst.start(0.0)
    texts(burst)
    burst.receive(text, 0.5)
    for answer in texts(burst):
        assert json.loads(answer)["type"] in {"pong", "ping"}


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"ping","seq":true}',
        '{"type":"ping","seq":1.5}',
        '{"type":"ping"}',
        '["ping"]',
        '{"type":["ping"],"seq":1}',
        '{"type":{},"seq":1}',
        "[" * 200,
        '{"type":"ping","seq":1,"pad":"' + "x" * 300 + '"}',
    ],
)
def test_a_malformed_ping_is_ignored(text: str) -> None:
    burst = PingBurst()
    burst.receive(text, 0.0)
    assert texts(burst) == []


def test_a_time_stamp_that_is_no_number_is_not_echoed() -> None:
    burst = PingBurst()
    burst.receive('{"type":"ping","seq":1,"ts":NaN}', 0.0)
    assert texts(burst) == ['{"type":"pong","seq":1}']


@pytest.mark.parametrize("key", ["ts", "held_us"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_beyond_every_float_is_none(key: str, sign: str) -> None:
    burst = PingBurst()
    burst.start(0.0)
    texts(burst)
    for kind in ("ping", "pong"):
        burst.receive(f'{{"type":"{kind}","seq":0,"{key}":{sign}{"9" * 200}}}', 0.5)
        burst.receive(f'{{"type":"{kind}","seq":0,"{key}":{sign}1e999}}', 0.5)
    assert '{"type":"pong","seq":0}' in texts(burst)


@given(
    st.lists(st.none() | st.floats(0, 1500), min_size=76, max_size=76),
    st.none() | st.floats(0, 500),
    st.none() | st.integers(1, 64),
)
def test_every_burst_ends_with_as_many_samples_as_it_counts(
    rtts: list[float | None], threshold_ms: float | None, pings: int | None
) -> None:
    found, path = measure(lambda number: rtts[number], Burst(threshold_ms=threshold_ms, pings=pings))
    counted = rtts[path.warm_ups :][: found.count]
    in_time = [rtt for rtt in counted if rtt is not None and rtt < 999.999]
    assert abs(len(found.samples_ms) - len(in_time)) <= sum(r is not None and 999 < r < 1001 for r in counted)
    assert found.count in ({5, 9, 10, 15} if pings is None else {pings})
    assert path.now <= 100.0 + TIMEOUT_S + 64 * INTERVAL_S + 2 * TIMEOUT_S
    assert path.burst.next_timeout() is None


def cut_short(answered: int) -> list[PingStatistics]:
    """Stop a burst after so many answers, with one more ping under way."""
    burst = PingBurst()
    burst.start(0.0)
    burst.receive('{"type":"pong","seq":0,"ts":0}', 0.01)
    for number in range(2, 3 + answered):
        burst.handle_timeout(burst.next_timeout() or 0.0)
        if number < 2 + answered:
            burst.receive(f'{{"type":"pong","seq":{number},"ts":0}}', (burst.next_timeout() or 0.0) - 0.04)
    burst.stop()
    outputs = []
    while (output := burst.poll()) is not None:
        outputs.append(output)
    assert not burst.running
    return [output for output in outputs if isinstance(output, PingStatistics)]


def test_a_burst_that_is_cut_short_keeps_what_was_answered() -> None:
    (found,) = cut_short(4)
    assert len(found.samples_ms) == 4
    assert found.lost == 0


def test_two_answers_of_a_burst_that_is_cut_short_are_too_few() -> None:
    assert cut_short(2) == []


def test_a_burst_that_does_not_run_wants_nothing_and_a_second_start_changes_nothing() -> None:
    burst = PingBurst()
    burst.handle_timeout(1.0)
    burst.receive(pong(0), 1.0)
    burst.sent(0, 1.0)
    assert (burst.next_timeout(), texts(burst)) == (None, [])
    burst.start(2.0)
    burst.start(2.5)
    assert len(texts(burst)) == 2


def test_warm_ups_that_are_lost_are_repeated_until_one_is_answered() -> None:
    # A page that knows only the plain wire closes the channel after half a second.
    found, path = measure(lambda number: None if number < 2 else 2.0)
    assert [at for at, _ in path.pings[:3]] == pytest.approx([100.0, 100.0, 100.1])
    assert (found.count, found.lost) == (5, 0)
    assert path.now - 100.0 < 0.5


def test_warm_ups_of_which_none_is_answered_end_after_a_second() -> None:
    _, path = measure(lambda number: None if number < 11 else 2.0)
    assert [at for at, _ in path.pings[:11]] == pytest.approx([100.0, *(100 + n / 10 for n in range(10))])
    assert path.pings[11][0] == pytest.approx(101.0)


def test_before_the_first_answer_only_a_warm_ups_pong_counts() -> None:
    burst = PingBurst()
    burst.start(0.0)
    texts(burst)
    burst.receive(pong(7), 0.05)
    burst.handle_timeout(0.05)
    assert texts(burst) == []
