from __future__ import annotations

from gym_p2p.core.events import GiveInput, InputsArrived, PlayerFinished, PlayerGone
from gym_p2p.core.inputs import Inbox, Outbox
from gym_p2p.core.sync import Advance, Lockstep, Over


def pair(delay: int = 0) -> Lockstep:
    return Lockstep(local=0, players=2, input_delay=delay, default_input=b"-")


def test_a_frame_is_played_once_every_input_of_it_is_here() -> None:
    sync = pair()
    assert sync.give(b"a") == GiveInput(0, b"a")
    assert sync.poll() is None
    sync.receive(InputsArrived(1, 0, (b"x",), 0))
    assert sync.poll() == Advance(0, (b"a", b"x"))
    assert sync.frame == 1


def test_giving_again_while_waiting_changes_nothing() -> None:
    sync = pair()
    sync.give(b"a")
    for _ in range(200):
        assert sync.give(b"b") is None
        assert sync.poll() is None
    sync.receive(InputsArrived(1, 0, (b"x",), 0))
    assert sync.poll() == Advance(0, (b"a", b"x"))


def test_an_input_takes_effect_after_the_delay_and_the_first_frames_have_the_default() -> None:
    sync = pair(delay=2)
    assert sync.begin() == [GiveInput(0, b"-"), GiveInput(1, b"-")]
    assert sync.give(b"a") == GiveInput(2, b"a")
    sync.receive(InputsArrived(1, 0, (b"x", b"y", b"z"), 0))
    assert sync.poll() == Advance(0, (b"-", b"x"))
    assert sync.give(b"b") == GiveInput(3, b"b")
    assert sync.poll() == Advance(1, (b"-", b"y"))
    assert sync.give(b"c") == GiveInput(4, b"c")
    assert sync.poll() == Advance(2, (b"a", b"z"))


def test_an_empty_input_is_an_input() -> None:
    sync = pair()
    sync.give(b"")
    sync.receive(InputsArrived(1, 0, (b"",), 0))
    assert sync.poll() == Advance(0, (b"", b""))


def test_the_episode_is_over_only_where_the_leavers_inputs_end() -> None:
    sync = pair()
    sync.give(b"a")
    sync.receive(PlayerGone(1, "peer_left", 1, "normal"))
    assert sync.poll() is None
    sync.receive(InputsArrived(1, 0, (b"x",), 0))
    assert sync.poll() == Advance(0, (b"a", b"x"))
    sync.give(b"b")
    assert sync.poll() == Over(1, "peer_left", 1)


def test_a_promise_that_is_broken_ends_the_episode_earlier() -> None:
    sync = pair()
    sync.give(b"a")
    sync.receive(PlayerGone(1, "peer_left", 5, "normal"))
    sync.receive(PlayerGone(1, "peer_lost", 0))
    assert sync.poll() == Over(0, "peer_lost", 1)


def test_a_player_who_goes_on_to_the_next_episode_ends_this_one() -> None:
    sync = pair()
    sync.receive(PlayerFinished(1, 0))
    sync.give(b"a")
    assert sync.poll() == Over(0, "peer_reset", 1)


def test_the_inbox_takes_what_continues_and_skips_what_it_has() -> None:
    inbox = Inbox()
    assert inbox.news(0, (b"a", b"b")) == (b"a", b"b")
    assert inbox.news(0, (b"a", b"b", b"c")) == (b"c",)
    assert inbox.news(1, (b"b",)) == ()
    assert inbox.news(5, (b"f",)) == ()
    assert inbox.count == 3


def test_the_outbox_repeats_what_is_not_acknowledged_as_far_as_it_fits() -> None:
    outbox = Outbox()
    for number in range(10):
        outbox.add(bytes([number]))
    assert outbox.after(7, 1000) == (7, (b"\x07", b"\x08", b"\x09"))
    assert outbox.after(0, 9) == (0, (b"\x00", b"\x01", b"\x02"))
    outbox.forget(8)
    assert outbox.after(0, 1000) == (8, (b"\x08", b"\x09"))
    assert outbox.count == 10
