from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.events import FramesAhead, InputsArrived
from gym_p2p.core.match.frame_advantage import LEAST_SAMPLES
from gym_p2p.core.match.input_exchange import AHEAD_INTERVAL_S, InputExchange
from gym_p2p.core.match.peer import Peer, PeerState
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES
from gym_p2p.core.wire.messages import MAX_INPUT_BYTES, Inputs, encode

FRAME_S = 1 / 60


def exchange(players: int = 3, *, paced: bool = False) -> tuple[InputExchange, dict[int, Peer]]:
    peers = {index: Peer(index=index, sync=SyncConfig(), players=players) for index in range(1, players)}
    for peer in peers.values():
        peer.state = PeerState.PLAYING
    one = InputExchange(local=0, peers=peers, paced=paced)
    one.begin(1, dict.fromkeys(range(players), 0))
    return one, peers


def reports(peer: Peer, *received: int) -> None:
    peer.acknowledges(Inputs(1, 0, received, 0, (), 0), 0)


def test_a_message_repeats_all_that_its_recipient_has_not_acknowledged() -> None:
    ours, peers = exchange()
    for frame in range(5):
        ours.add_local_input(bytes([frame]), frame * FRAME_S)
    reports(peers[1], 3, 0, 0)
    assert ours.message(peers[1], 1.0) == Inputs(1, 3, (5, 0, 0), 5, (b"\x03", b"\x04"), 0)
    assert ours.message(peers[2], 1.0).start == 0


def test_who_has_not_reported_to_hold_the_others_inputs_gets_our_newest_to_answer() -> None:
    ours, peers = exchange()
    ours.add_local_input(b"a", 0.0)
    ours.add_local_input(b"b", 0.0)
    ours.arrived(peers[2], 0, [b"x"], 0.0)
    reports(peers[1], 2, 0, 0)
    assert (ours.message(peers[1], 0.0).start, ours.message(peers[1], 0.0).inputs) == (1, (b"b",))
    reports(peers[1], 2, 0, 1)
    assert ours.message(peers[1], 0.0).inputs == ()


@given(
    st.integers(2, 64),
    st.lists(st.integers(0, MAX_INPUT_BYTES), min_size=1, max_size=60),
    st.integers(0, 2**40),
)
def test_no_message_is_longer_than_one_may_be_and_each_has_an_input(
    players: int, sizes: list[int], episode: int
) -> None:
    ours, peers = exchange(players)
    ours.begin(episode, dict.fromkeys(range(players), 60))
    for size in sizes:
        ours.add_local_input(bytes(size), 0.0)
    message = ours.message(peers[1], 0.0)
    assert message.inputs
    assert len(encode(message)) <= MAX_MESSAGE_BYTES


def test_a_frame_is_confirmed_once_everybody_holds_everybodys_input() -> None:
    ours, peers = exchange()
    ours.add_local_input(b"a", 0.0)
    assert ours.arrived(peers[1], 0, [b"x"], 0.0) == InputsArrived(1, 0, (b"x",), 0)
    assert ours.arrived(peers[2], 0, [b"y"], 0.0) == InputsArrived(2, 0, (b"y",), 0)
    reports(peers[1], 1, 1, 1)
    assert ours.arrived(peers[1], 0, [], 0.0) is None
    reports(peers[2], 1, 1, 1)
    assert ours.arrived(peers[2], 0, [], 0.0) == InputsArrived(2, 1, (), 1)
    assert ours.arrived(peers[2], 0, [], 0.0) is None


def test_a_player_of_whom_all_inputs_are_here_holds_nothing_up() -> None:
    ours, peers = exchange()
    for frame in range(3):
        ours.add_local_input(b"a", frame * FRAME_S)
    ours.arrived(peers[1], 0, [b"x"] * 3, 0.0)
    ours.arrived(peers[2], 0, [b"y"], 0.0)
    reports(peers[1], 3, 3, 1)
    assert ours.confirmed == 0
    peers[2].state, peers[2].final = PeerState.GONE, 1
    ours.reconsider()
    assert ours.confirmed == 3


def test_a_new_episode_owes_no_report_of_what_arrived_in_the_one_before() -> None:
    ours, peers = exchange()
    ours.arrived(peers[1], 0, [b"x"], 1.0)
    assert [ours.unreported_since(peer) for peer in peers.values()] == [1.0, 1.0]
    ours.begin(2, dict.fromkeys(range(3), 0))
    assert [ours.unreported_since(peer) for peer in peers.values()] == [None, None]
    assert list(ours.held()) == [0, 0, 0]


def test_shares_are_what_a_peer_may_lack_of_another() -> None:
    ours, peers = exchange()
    ours.arrived(peers[2], 0, [bytes(512)] * 100, 0.0)
    reports(peers[1], 0, 0, 40)
    shares = list(ours.shares(peers[1], peers[2]))
    assert [share.start for share in shares] == [40, 71]
    assert sum(len(share.inputs) for share in shares) == 60
    assert {(share.episode, share.player) for share in shares} == {(1, 2)}


def test_how_far_we_are_ahead_is_reported_at_intervals_where_frames_are_paced() -> None:
    ours, peers = exchange(2, paced=True)
    peers[1].advantage = -4
    found = []
    for frame in range(120):
        reports(peers[1], frame, frame)
        peers[1].advantage = -4
        ours.arrived(peers[1], max(0, frame - 4), [b"x"], frame * FRAME_S)
        found += [(frame, event) for event in ours.add_local_input(b"a", frame * FRAME_S)]
    assert found[0][0] >= LEAST_SAMPLES
    assert len(found) <= 2.0 / AHEAD_INTERVAL_S
    assert all(isinstance(ahead, FramesAhead) and ahead.frames > 3 for _, ahead in found)


def test_where_nobody_else_plays_our_own_inputs_confirm_frames() -> None:
    ours, peers = exchange(2)
    ours.arrived(peers[1], 0, [b"x"] * 3, 0.0)
    assert ours.add_local_input(b"a", 0.0) == []
    peers[1].state, peers[1].final = PeerState.GONE, 3
    ours.reconsider()
    confirmed = [event for frame in range(1, 6) for event in ours.add_local_input(b"a", frame * FRAME_S)]
    assert [event.confirmed for event in confirmed if isinstance(event, InputsArrived)] == [2, 3, 4, 5, 6]


def test_without_a_pace_nobody_is_ahead() -> None:
    ours, peers = exchange(2)
    reports(peers[1], 1, 1)
    assert not [frame for frame in range(60) if ours.add_local_input(b"a", frame * FRAME_S)]


def test_the_time_between_our_inputs_is_smoothed_and_thinking_is_no_rate() -> None:
    ours, _ = exchange(2)
    for frame in range(100):
        ours.add_local_input(b"a", frame * FRAME_S)
    assert abs(ours.tick_s - FRAME_S) < 1e-4
    ours.add_local_input(b"a", 1000.0)
    assert ours.tick_s < 0.05


def test_what_everybody_holds_is_kept_no_more() -> None:
    ours, peers = exchange()
    for frame in range(50):
        ours.add_local_input(b"a", frame * FRAME_S)
        for peer in peers.values():
            reports(peer, frame + 1, frame + 1, frame + 1)
            ours.arrived(peer, frame, [b"x"], frame * FRAME_S)
    assert ours.confirmed == 50
    assert len(ours._local_inputs._kept) == 1, "the newest, to be repeated"
    assert [len(peer.remote_inputs._kept) for peer in peers.values()] == [0, 0]
