from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.barrier import episode_seed
from gym_p2p.core.match.commands import BeginEpisode, GiveChecksum, GiveInput, Leave
from gym_p2p.core.match.events import (
    ChecksumsAgreed,
    Connected,
    Desynced,
    EpisodeBegan,
    EpisodeRefused,
    HandshakeMismatch,
    Interrupted,
    Left,
    Pinged,
    PlayerFinished,
    PlayerGone,
    ProtocolErrorSeen,
    Resumed,
)
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.fragments import Reassembler, split
from gym_p2p.core.wire.messages import (
    PROTOCOL_VERSION,
    Cause,
    Channel,
    Checksum,
    Goodbye,
    Hello,
    Holdings,
    Inputs,
    Message,
    Ping,
    Pong,
    Ready,
    Refuse,
    Share,
    StatePart,
    decode,
    encode,
)
from gym_p2p.net.links.memory import Path
from tests.core.tables import Table, plain_action

OTHERS: list[Message] = [
    Ready(1, 1, JsonObject({"level": 1}), 0, 0),
    Inputs(1, 0, (0, 1), 0, (b"a",), 0),
    Ping(0, 1, 0),
    Pong(0, 0, 1, 2),
    Checksum(1, 0, b"digest"),
    Share(1, 0, 0, (b"a",), b""),
    Holdings(1, ()),
    StatePart(1, 0, 0, 1, b"state"),
    Refuse((("a", "b", "c"),)),
    Goodbye("normal", 1, 1, None, Cause.LEFT, ()),
]
"""Of the other player of two."""

LONG = {"must": {"game": "x" * 20_000}, "about": {}}


def greeted_match(
    *, hello: bytes = encode(Hello(PROTOCOL_VERSION, JsonObject({"must": {}}), b"", 0, 0))
) -> Match:
    """A match of two to whom the other player has just said hello."""
    match = Match(
        local=0, players=2, description={"must": {}}, match_seed=1, sync=SyncConfig(), secret=b"ours"
    )
    match.opened(1, 0.0)
    match.receive(1, hello, 0.0)
    return match


def outputs_of(match: Match) -> list[object]:
    outputs: list[object] = []
    while (output := match.poll()) is not None:
        outputs.append(output)
    return outputs


def expected(players: int, frames: int, delays: dict[int, int]) -> list[tuple[bytes, ...]]:
    """The oracle: what everybody must have played, from the rule of the input delay alone."""
    return [
        tuple(
            plain_action(p, f - delays.get(p, 0)) if f >= delays.get(p, 0) else b"d" for p in range(players)
        )
        for f in range(frames)
    ]


@pytest.mark.slow
@settings(deadline=None)
@given(
    players=st.integers(2, 4),
    seed=st.integers(0, 2**32),
    one_way_ms=st.floats(0, 150),
    jitter_ms=st.floats(0, 30),
    loss=st.floats(0, 0.3),
    reorder=st.floats(0, 0.3),
    duplicate=st.floats(0, 0.3),
    delay=st.integers(0, 6),
)
def test_every_player_plays_the_oracles_frames_over_any_network(
    players: int,
    seed: int,
    one_way_ms: float,
    jitter_ms: float,
    loss: float,
    reorder: float,
    duplicate: float,
    delay: int,
) -> None:
    path = Path(one_way_ms=one_way_ms, jitter_ms=jitter_ms, loss=loss, reorder=reorder, duplicate=duplicate)
    delays = {0: delay, 1: delay // 2}
    table = Table(players, seed=seed, path=path, frames=40, delays=delays)
    table.connect()
    assert table.run(120)
    for seat in table.seats:
        assert [advance.inputs for advance in seat.played] == expected(players, 40, delays)
        assert [advance.frame for advance in seat.played] == list(range(40))


def test_a_lossy_network_really_loses_messages_and_the_match_goes_on() -> None:
    table = Table(2, seed=3, path=Path(one_way_ms=20, loss=0.3), frames=200)
    table.connect()
    assert table.run(120)
    assert table.network.lost > 50


def test_checksums_of_confirmed_frames_agree_between_all_players() -> None:
    table = Table(3, path=Path(one_way_ms=10), frames=50)
    table.connect()
    assert table.run()
    table.run(1.0, until=lambda: False)
    for seat in range(3):
        assert [event.frame for event in table.agreed(seat)] == [9, 19, 29, 39, 49]
    assert not table.desyncs()


def test_a_desync_is_found_at_the_first_checked_frame_by_both_players() -> None:
    table = Table(2, path=Path(one_way_ms=10), frames=50)
    table.connect()
    table.run(until=lambda: len(table.seats[0].played) == 12)
    table.seats[0].state ^= 1
    assert table.run()
    table.run(1.0, until=lambda: False)
    found = {(event.player, event.frame) for event in table.desyncs() if event.frame == 19}
    assert found == {(0, 19), (1, 19)}
    assert [event.frame for event in table.agreed(0)] == [9]


def test_episodes_follow_each_other_through_the_barrier_with_other_seeds() -> None:
    table = Table(3, path=Path(one_way_ms=30, loss=0.1), frames=20, episodes=3)
    table.connect()
    assert table.run(120, until=lambda: all(len(seat.played) == 60 for seat in table.seats))
    seeds = [[event.seed for event in seat.events_of(EpisodeBegan)] for seat in table.seats]
    assert seeds[0] == seeds[1] == seeds[2]
    assert len(set(seeds[0])) == 3
    assert seeds[0][0] == episode_seed(7, 1)


def test_an_explicit_seed_of_one_player_is_everybodys_seed() -> None:
    table = Table(2, episodes=0)
    table.connect()
    table.run(1.0, until=lambda: False)
    table.seats[0].begin(seed=0, options={"level": 2})
    table.seats[1].begin()
    table.run(1.0, until=lambda: False)
    for seat in table.seats:
        assert seat.events_of(EpisodeBegan) == [EpisodeBegan(1, 0, {"level": 2}, (0, 0))]


def test_two_different_explicit_seeds_are_refused_on_both_sides_and_can_be_tried_again() -> None:
    table = Table(2, episodes=0)
    table.connect()
    table.run(1.0, until=lambda: False)
    table.seats[0].begin(seed=1)
    table.seats[1].begin(seed=2)
    table.run(1.0, until=lambda: False)
    assert table.seats[0].events_of(EpisodeRefused) == [EpisodeRefused(1, (("seed of episode 1", "1", "2"),))]
    assert table.seats[1].events_of(EpisodeRefused) == [EpisodeRefused(0, (("seed of episode 1", "2", "1"),))]
    for seat in table.seats:
        seat.begin(seed=3)
    table.run(1.0, until=lambda: False)
    assert [event.seed for seat in table.seats for event in seat.events_of(EpisodeBegan)] == [3, 3]


def test_another_game_on_the_other_side_is_refused_with_both_sides_values() -> None:
    other = {"must": {"game": "chess", "pieces": "32"}, "about": {}}
    table = Table(2, descriptions={1: other})
    table.connect()
    table.run(1.0, until=lambda: False)
    (refused,) = table.seats[0].events_of(HandshakeMismatch)[:1]
    assert set(refused.differences) == {("game", "counting", "chess"), ("pieces", "(nothing)", "32")}
    (refused,) = table.seats[1].events_of(HandshakeMismatch)[:1]
    assert set(refused.differences) == {("game", "chess", "counting"), ("pieces", "32", "(nothing)")}
    assert not table.seats[0].events_of(Connected)


def test_a_long_description_travels_in_fragments() -> None:
    table = Table(2, path=Path(one_way_ms=5), descriptions={0: LONG, 1: LONG})
    table.connect()
    assert table.run()


def test_another_protocol_version_is_named_in_the_refusal() -> None:
    match = greeted_match(hello=bytes([1, 9]) + b"{whatever a later version says")
    (refused,) = [output for output in outputs_of(match) if isinstance(output, HandshakeMismatch)]
    assert refused.differences == (("protocol version", str(PROTOCOL_VERSION), "9"),)


def test_a_long_greeting_of_version_1_is_refused_with_both_versions() -> None:
    greeting = b'\x01\x01{"must":{"game":"' + b"x" * 2000 + b'"}}'
    match = Match(
        local=0, players=2, description={"must": {}}, match_seed=1, sync=SyncConfig(), secret=b"ours"
    )
    match.opened(1, 0.0)
    for piece in (b"\x06\x01\x00\x02" + greeting[:1144], b"\x06\x01\x01\x02" + greeting[1144:]):
        match.receive(1, piece, 0.0)
    (refused,) = [output for output in outputs_of(match) if isinstance(output, HandshakeMismatch)]
    assert refused.differences == (("protocol version", str(PROTOCOL_VERSION), "1"),)


def test_our_greeting_begins_with_its_kind_and_our_version_so_that_version_1_can_refuse_it() -> None:
    match = Match(local=0, players=2, description=LONG, match_seed=1, sync=SyncConfig(), secret=b"ours")
    match.opened(1, 0.0)
    first, *others = [output.data for output in outputs_of(match) if isinstance(output, Transmit)]
    assert first[:6] == bytes([6, 1, 0, 1 + len(others), 0x01, PROTOCOL_VERSION])


def test_a_description_of_any_size_is_answered_with_a_refusal_that_can_be_sent() -> None:
    names = {f"{number:05}\ud800": "x" for number in range(3500)}
    match = Match(
        local=0, players=2, description={"must": {}}, match_seed=1, sync=SyncConfig(), secret=b"ours"
    )
    match.opened(1, 0.0)
    for piece in split(encode(Hello(PROTOCOL_VERSION, JsonObject({"must": names}), b"", 0, 0)), 1):
        match.receive(1, piece, 0.0)
    outputs = outputs_of(match)
    (refused,) = [output for output in outputs if isinstance(output, HandshakeMismatch)]
    assert len(refused.differences) == 3500
    assert refused.differences[0] == ("00000\\ud800", "(nothing)", "x")
    reassembler = Reassembler()
    sent = [reassembler.add(output.data) for output in outputs if isinstance(output, Transmit)]
    refusal = decode(sent[-1] or b"")
    assert isinstance(refusal, Refuse)
    assert refusal.differences == refused.differences[:64]


def test_a_player_who_vanishes_is_noticed_and_then_lost_at_the_configured_times() -> None:
    sync = SyncConfig(
        disconnect_notice_s=0.5, disconnect_timeout_s=2.0, reconnect_timeout_s=0, checksum_interval=10
    )
    table = Table(2, path=Path(one_way_ms=20), frames=10_000, sync=sync)
    table.connect()
    table.run(1.0, until=lambda: False)
    table.seats[1].vanish()
    seat = table.seats[0]
    assert table.run(5.0, until=lambda: bool(seat.events_of(Interrupted)))
    assert 1.45 <= table.clock.time() <= 1.6
    assert table.run(5.0, until=lambda: bool(seat.over))
    assert 2.9 <= table.clock.time() <= 3.1
    assert seat.over is not None
    assert (seat.over.reason, seat.over.player) == ("peer_lost", 1)


@pytest.mark.slow
def test_a_player_who_is_heard_again_in_time_resumes() -> None:
    table = Table(2, path=Path(one_way_ms=20), frames=3000)
    table.connect()
    table.run(1.0, until=lambda: False)
    table.network.sever(1)
    table.run(1.0, until=lambda: False)
    table.network._severed.clear()
    assert table.run(120)
    assert len(table.seats[0].events_of(Resumed)) == 1
    assert [a.inputs for a in table.seats[0].played] == expected(2, 3000, {})


def test_a_thinking_player_is_neither_silent_nor_lost() -> None:
    table = Table(2, path=Path(one_way_ms=20), frames=100)
    table.connect()
    thinker = table.seats[1]
    table.run(until=lambda: len(thinker.played) == 50)
    thinker.stopped = True
    table.run(30.0, until=lambda: False)
    thinker.stopped = False
    thinker.play()
    assert table.run()
    assert not table.seats[0].events_of(Interrupted)


def test_waiting_for_a_thinking_player_costs_few_messages() -> None:
    table = Table(2, path=Path(one_way_ms=20), frames=100)
    table.connect()
    table.run(until=lambda: len(table.seats[1].played) == 50)
    table.seats[1].stopped = True
    table.run(1.0, until=lambda: False)
    before = table.network.delivered
    table.run(10.0, until=lambda: False)
    assert table.network.delivered - before < 10 * 25  # pings and pongs both ways, nothing repeated


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_leaver_hands_over_their_last_inputs_before_they_are_gone(loss: float) -> None:
    table = Table(2, seed=5, path=Path(one_way_ms=40, loss=loss), frames=100)
    table.connect()
    leaver, other = table.seats
    table.run(until=lambda: len(leaver.played) == 30)
    given = len(leaver.played)
    leaver.leave()
    assert table.run(10.0, until=lambda: other.over is not None and bool(leaver.events_of(Left)))
    assert other.over is not None
    assert (other.over.reason, other.over.frame) == ("peer_left", given)
    assert other.events_of(PlayerGone)[0].stated_reason == "normal"


def test_a_reset_in_mid_episode_ends_the_episode_of_the_others_and_the_next_one_begins() -> None:
    table = Table(2, path=Path(one_way_ms=10), frames=100, episodes=1)
    table.connect()
    hasty, other = table.seats
    table.run(until=lambda: len(hasty.played) == 30)
    hasty.stopped = True
    hasty.begin()
    assert table.run(5.0, until=lambda: other.over is not None)
    assert other.over is not None
    assert other.over.reason == "peer_reset"
    assert other.events_of(PlayerFinished)
    other.begin()
    assert table.run(5.0, until=lambda: len(other.events_of(EpisodeBegan)) == 2)


@given(st.lists(st.binary(max_size=1500), max_size=30))
def test_no_bytes_from_a_peer_can_do_more_than_be_counted(garbage: list[bytes]) -> None:
    match = greeted_match()
    for number, data in enumerate(garbage):
        match.receive(1, data, number * 0.001)
        match.handle_timeout(number * 0.001)
    assert any(isinstance(output, Connected) for output in outputs_of(match))


@given(st.data())
def test_no_message_with_bytes_changed_can_do_more_than_be_counted(data: st.DataObject) -> None:
    match = greeted_match()
    match.command(BeginEpisode(seed=1), 0.0)
    for number, message in enumerate(OTHERS):
        changed = bytearray(encode(message))
        for _ in range(data.draw(st.integers(0, 2))):
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
        match.receive(1, bytes(changed), number * 0.001)
        match.handle_timeout(number * 0.001)
    errors = [output for output in outputs_of(match) if isinstance(output, ProtocolErrorSeen)]
    assert [error.total for error in errors] == list(range(1, len(errors) + 1))


def test_garbage_is_counted_and_the_match_goes_on() -> None:
    table = Table(2, path=Path(one_way_ms=5), frames=60)
    table.connect()
    table.run(until=lambda: len(table.seats[0].played) == 10)
    link = table.network.link(1, 0)
    for data in (b"", b"\xff", b"\x97\x10", b"\x97\x10\x01\x80", b"\x01\x02{", b"x" * 70_000, "text"):
        link.send(Channel.GAME, data)
    assert table.run()
    errors = table.seats[0].events_of(ProtocolErrorSeen)
    assert [event.total for event in errors] == list(range(1, 8))


def test_pings_measure_the_round_trip_of_the_path() -> None:
    table = Table(2, path=Path(one_way_ms=25), frames=100)
    table.connect()
    table.run(5.0, until=lambda: False)
    pinged = table.seats[0].events_of(Pinged)
    assert len(pinged) >= 4
    assert all(abs(event.rtt_ms - 50) < 0.1 for event in pinged)
    assert all(event.clock is not None and abs(event.clock.offset_s) < 1e-4 for event in pinged)


def test_a_machine_that_stood_still_itself_does_not_blame_its_peers() -> None:
    match = greeted_match()
    match.handle_timeout(0.1)
    match.handle_timeout(100.0)
    match.handle_timeout(100.3)
    assert not [output for output in outputs_of(match) if isinstance(output, PlayerGone | Interrupted)]


def test_agreement_needs_every_player() -> None:
    table = Table(3, path=Path(one_way_ms=5), frames=50)
    table.connect()
    table.run(until=lambda: len(table.seats[0].played) == 5)
    table.seats[2].state ^= 1
    table.run()
    table.run(1.0, until=lambda: False)
    assert not [event for event in table.seats[0].events if isinstance(event, ChecksumsAgreed)]


def test_a_leaver_waits_for_the_others_checksum_of_a_frame_that_they_checked() -> None:
    match = greeted_match()
    match.command(BeginEpisode(seed=1), 0.0)
    match.receive(1, encode(Ready(1, None, None, 0, 0)), 0.0)
    for frame in range(10):
        match.command(GiveInput(frame, b"x"), 0.05)
    match.receive(1, encode(Inputs(1, 0, (10, 0), 0, (), 0)), 0.1)
    match.command(GiveChecksum(9, b"ours"), 0.1)
    match.command(Leave("normal"), 0.1)
    assert not [output for output in outputs_of(match) if isinstance(output, Left)]
    match.receive(1, encode(Checksum(1, 9, b"theirs")), 0.2)
    match.receive(1, encode(Ping(0, 0, 4)), 0.2)  # greeting, barrier, digest and goodbye are there
    assert [type(output) for output in outputs_of(match) if not isinstance(output, Transmit)] == [
        Desynced,
        Left,
    ]
