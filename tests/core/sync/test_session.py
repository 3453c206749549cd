from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gym_p2p.core.match.commands import GiveInput, SetInputDelay
from gym_p2p.core.match.events import EXCLUDED, InputsArrived, PlayerFinished, PlayerGone
from gym_p2p.core.sync.input_track import Misprediction
from gym_p2p.core.sync.outputs import (
    Advance,
    FramesConfirmed,
    Load,
    Over,
    RolledBack,
    Save,
    Stalled,
    SyncOutput,
)
from gym_p2p.core.sync.session import SyncSession


def pair(delay: int = 0) -> SyncSession:
    return SyncSession(local=0, default_inputs=[b"-", b"-"], input_delay=delay)


def test_a_frame_is_played_once_every_input_of_it_is_here() -> None:
    sync = pair()
    assert sync.add_local_input(b"a") == GiveInput(0, b"a")
    assert sync.poll() is None
    sync.receive(InputsArrived(1, 0, (b"x",), 0))
    assert sync.poll() == Advance(0, (b"a", b"x"))
    assert sync.frame == 1


def test_giving_again_while_waiting_changes_nothing() -> None:
    sync = pair()
    sync.add_local_input(b"a")
    for _ in range(200):
        assert sync.add_local_input(b"b") is None
        assert sync.poll() is None
    sync.receive(InputsArrived(1, 0, (b"x",), 0))
    assert sync.poll() == Advance(0, (b"a", b"x"))


def test_an_input_takes_effect_after_the_delay_and_the_first_frames_have_the_default() -> None:
    sync = pair(delay=2)
    assert sync.begin() == [GiveInput(0, b"-"), GiveInput(1, b"-")]
    assert sync.add_local_input(b"a") == GiveInput(2, b"a")
    sync.receive(InputsArrived(1, 0, (b"x", b"y", b"z"), 0))
    assert sync.poll() == Advance(0, (b"-", b"x"))
    assert sync.poll() == FramesConfirmed(0, ((b"-", b"x"),))
    assert sync.add_local_input(b"b") == GiveInput(3, b"b")
    assert sync.poll() == Advance(1, (b"-", b"y"))
    assert sync.poll() == FramesConfirmed(1, ((b"-", b"y"),))
    assert sync.add_local_input(b"c") == GiveInput(4, b"c")
    assert sync.poll() == Advance(2, (b"a", b"z"))


def test_an_empty_input_is_an_input() -> None:
    sync = pair()
    sync.add_local_input(b"")
    sync.receive(InputsArrived(1, 0, (b"",), 0))
    assert sync.poll() == Advance(0, (b"", b""))


def test_the_episode_is_over_only_where_the_leavers_inputs_end() -> None:
    sync = pair()
    sync.add_local_input(b"a")
    sync.receive(PlayerGone(1, "peer_left", 1, "normal"))
    assert sync.poll() is None
    sync.receive(InputsArrived(1, 0, (b"x",), 0))
    assert sync.poll() == Advance(0, (b"a", b"x"))
    sync.add_local_input(b"b")
    assert sync.poll() == FramesConfirmed(0, ((b"a", b"x"),))
    assert sync.poll() == Over(1, "peer_left", 1)
    assert sync.poll() is None


def test_a_promise_that_is_broken_ends_the_episode_earlier() -> None:
    sync = pair()
    sync.add_local_input(b"a")
    sync.receive(PlayerGone(1, "peer_left", 5, "normal"))
    sync.receive(PlayerGone(1, "peer_lost", 0))
    assert sync.poll() == Over(0, "peer_lost", 1)


def test_a_player_who_goes_on_to_the_next_episode_ends_this_one() -> None:
    sync = pair()
    sync.receive(PlayerFinished(1, 0))
    sync.add_local_input(b"a")
    assert sync.poll() == Over(0, "peer_reset", 1)


def test_of_inputs_that_a_player_promised_and_nobody_holds_none_is_waited_for() -> None:
    sync = pair()
    sync.receive(PlayerFinished(1, 5))
    sync.add_local_input(b"a")
    assert sync.poll() is None
    sync.receive(PlayerFinished(1, 0))
    assert sync.poll() == Over(0, "peer_reset", 1)


# With a window.


def predicting(**options: Any) -> SyncSession:
    return SyncSession(local=0, default_inputs=[b"-", b"-"], **{"window": 4, **options})


def tick(session: SyncSession, data: bytes = b"a") -> list[SyncOutput]:
    session.add_local_input(data)
    outputs: list[SyncOutput] = []
    while (output := session.poll()) is not None:
        outputs.append(output)
    return outputs


def arrived(start: int, *inputs: bytes, confirmed: int = 0) -> InputsArrived:
    return InputsArrived(1, start, inputs, confirmed)


def test_a_missing_input_is_guessed_after_saving_the_state() -> None:
    session = predicting()
    assert tick(session) == [Save(0), Advance(0, (b"a", b"-"), (1,))]
    session.receive(arrived(0, b"-", b"x"))
    assert tick(session) == [Advance(1, (b"a", b"x"))]
    assert tick(session) == [Save(2), Advance(2, (b"a", b"x"), (1,))]


def test_a_wrong_guess_is_corrected_once_with_everything_that_is_known_by_then() -> None:
    session = predicting()
    for _ in range(3):
        tick(session)
    session.receive(arrived(0, b"-"))
    session.receive(arrived(1, b"x"))
    session.receive(arrived(2, b"y"))
    assert tick(session) == [
        RolledBack(1, 3, 1, (Misprediction(1, 1, b"-", b"x"), Misprediction(2, 1, b"-", b"y"))),
        Load(1),
        Advance(1, (b"a", b"x"), again=True),
        Advance(2, (b"a", b"y"), again=True),
        Save(3),
        Advance(3, (b"a", b"y"), (1,)),
    ]


def test_what_is_still_missing_is_guessed_anew_when_playing_again() -> None:
    session = predicting()
    for _ in range(3):
        tick(session)
    session.receive(arrived(0, b"x"))
    again = [output for output in tick(session) if isinstance(output, Advance)]
    assert [advance.inputs[1] for advance in again] == [b"x"] * 4
    assert [advance.predicted for advance in again] == [(), (1,), (1,), (1,)]


def test_of_frames_that_are_played_again_only_every_so_many_th_is_saved() -> None:
    session = predicting(window=8, save_again_every=3)
    for frame in range(6):
        assert Save(frame) in tick(session)
    session.receive(arrived(0, b"x"))
    first = tick(session)
    assert [saved for saved in first if isinstance(saved, Save)] == [Save(3), Save(6)]
    session.receive(arrived(1, b"y"))  # S(1) was not saved again: S(0) is as it was before
    second = tick(session)
    assert second[:2] == [RolledBack(1, 7, 0, (Misprediction(1, 1, b"x", b"y"),)), Load(0)]
    again = [(one.frame, one.inputs[1]) for one in second if isinstance(one, Advance) and one.again]
    assert again == [(0, b"x"), *[(frame, b"y") for frame in range(1, 7)]]


def test_right_guesses_cost_nothing() -> None:
    session = predicting()
    for _ in range(3):
        tick(session)
    session.receive(arrived(0, b"-", b"-", b"-"))
    assert tick(session) == [Save(3), Advance(3, (b"a", b"-"), (1,))]


def test_two_hundred_stalled_ticks_change_nothing() -> None:
    session = predicting()
    for _ in range(4):
        assert any(isinstance(output, Advance) for output in tick(session))
    assert tick(session, b"b") == [Stalled(4, (1,))]
    for _ in range(200):
        assert session.add_local_input(b"c") is None
        assert tick(session, b"c") == []
    assert session.frame == 4
    session.receive(arrived(0, b"-"))
    assert tick(session, b"c") == [Save(4), Advance(4, (b"b", b"-"), (1,))]


def test_while_stalled_nothing_is_played_again_until_the_next_frame_can_be() -> None:
    session = SyncSession(local=0, default_inputs=[b"-"] * 3, window=2)
    for _ in range(2):
        tick(session)
    tick(session)
    session.receive(InputsArrived(1, 0, (b"x",), 0))
    assert tick(session) == []
    session.receive(InputsArrived(2, 0, (b"y",), 0))
    assert [type(output) for output in tick(session)][:2] == [RolledBack, Load]


def test_waited_for_is_whose_input_the_next_frame_needs_or_else_whose_played_frames_lack() -> None:
    session = SyncSession(local=0, default_inputs=[b"-"] * 4, window=2, delays=[0, 2, 0, 0])
    assert session.waits_for() == ()
    tick(session)
    assert session.waits_for() == (1, 2, 3)
    tick(session)
    session.receive(InputsArrived(3, 0, (b"z",), 0))
    tick(session)
    assert session.waits_for() == (2,), "the delayed frames of the first are known to have the default input"
    session.receive(InputsArrived(2, 0, (b"y",), 0))
    tick(session)
    assert session.waits_for() == (1, 2, 3)


def test_who_has_given_nothing_but_the_inputs_of_a_delay_has_yet_to_act() -> None:
    session = predicting(delays=(0, 2))
    assert session.have_yet_to_act([1])
    assert not session.have_yet_to_act([]), "nobody is waited for"
    session.receive(arrived(0, b"", b""))
    assert session.have_yet_to_act([1])
    session.receive(arrived(2, b"x"))
    assert not session.have_yet_to_act([1])


def test_waited_for_at_the_end_is_whose_last_inputs_are_missing() -> None:
    session = predicting()
    tick(session)
    tick(session)
    session.receive(PlayerGone(1, "peer_left", 2))
    assert tick(session) == [Stalled(2, (1,))]
    assert session.waits_for() == (1,)


def test_in_lockstep_waited_for_is_whose_input_of_this_frame_is_missing() -> None:
    session = SyncSession(local=0, default_inputs=[b"-"] * 3)
    assert session.waits_for() == ()
    tick(session)
    assert session.waits_for() == (1, 2)
    session.receive(InputsArrived(2, 0, (b"y",), 0))
    assert session.waits_for() == (1,)


def test_without_a_new_input_wrong_frames_are_still_corrected() -> None:
    session = predicting()
    tick(session)
    session.receive(arrived(0, b"x"))
    assert session.poll() == RolledBack(0, 1, 0, (Misprediction(0, 1, b"-", b"x"),))
    assert session.poll() == Load(0)
    assert session.poll() == Advance(0, (b"a", b"x"), again=True)
    assert session.poll() is None


def test_frames_are_final_only_when_everybody_holds_them_and_they_are_corrected() -> None:
    session = predicting()
    tick(session)
    session.receive(arrived(0, b"x"))
    assert not [output for output in tick(session) if isinstance(output, FramesConfirmed)]
    session.receive(arrived(1, confirmed=1))
    assert session.poll() == FramesConfirmed(0, ((b"a", b"x"),))
    session.receive(arrived(1, b"z", confirmed=2))
    session.add_local_input(b"b")
    rest = tick(session)
    assert isinstance(rest[0], RolledBack)
    assert rest[-1] == FramesConfirmed(1, ((b"a", b"z"),))


def test_every_kth_state_is_saved_for_the_caller_even_where_nothing_is_guessed() -> None:
    session = predicting(keep_every=3)
    session.receive(arrived(0, *[b"x"] * 20))
    saved = [output.frame for _ in range(10) for output in tick(session) if isinstance(output, Save)]
    assert saved == [0, 3, 6, 9]


def test_sparse_saving_saves_fewer_states_and_plays_more_frames_again() -> None:
    def run(save_every: int) -> tuple[int, list[int]]:
        session = predicting(window=8, save_every=save_every)
        saves, loaded = 0, []
        for frame in range(60):
            if frame >= 3:
                at = frame - 3
                session.receive(arrived(at, bytes([at // 10]), confirmed=max(0, at - 2)))
            for output in tick(session):
                saves += isinstance(output, Save)
                if isinstance(output, RolledBack):
                    loaded.append(output.frame - output.loaded)
        return saves, loaded

    often, exact = run(1)
    seldom, further_back = run(4)
    assert often > 55
    assert seldom < often / 2
    assert set(exact) == {0}
    assert 0 < max(further_back) <= 3


def test_states_below_what_is_needed_are_never_loaded() -> None:
    session = predicting(window=8, save_every=3)
    needed = 0
    for frame in range(80):
        if frame >= 5:
            at = frame - 5
            session.receive(arrived(at, bytes([at // 4]), confirmed=max(0, at - 4)))
        for output in tick(session):
            assert not isinstance(output, Load) or output.frame >= needed
        assert session.needed_from >= needed
        needed = session.needed_from
    assert needed > 60


def test_the_users_own_predictor_sees_the_history_and_how_far_ahead_it_guesses() -> None:
    asked: list[tuple[list[bytes], int]] = []

    def counting(history: Sequence[bytes], ahead: int, _default: bytes) -> bytes:
        asked.append((list(history), ahead))
        return bytes([history[-1][0] + ahead])

    session = predicting(predictor=counting)
    session.receive(arrived(0, b"\x01", b"\x02"))
    advances = [output for _ in range(4) for output in tick(session) if isinstance(output, Advance)]
    assert [advance.inputs[1] for advance in advances] == [b"\x01", b"\x02", b"\x03", b"\x04"]
    assert asked == [([b"\x01", b"\x02"], 1), ([b"\x01", b"\x02"], 2)]
    session.receive(arrived(2, b"\x03", b"\x04"))
    assert not [output for output in tick(session) if isinstance(output, RolledBack)]


def test_the_delayed_frames_of_a_remote_player_do_not_count_against_the_window() -> None:
    def frames_without_news(delays: tuple[int, ...] | None) -> int:
        session = predicting(window=2, delays=delays)
        for _ in range(20):
            tick(session)
        return session.frame

    assert frames_without_news(None) == 2
    assert frames_without_news((0, 3)) == 5


def test_the_delay_can_be_changed_in_play_without_a_gap_or_a_second_input_of_a_frame() -> None:
    session = predicting(window=8)
    given: list[tuple[int, bytes]] = []

    def play(delay: int | None) -> None:
        commands: list[object] = []
        if delay is not None:
            commands += session.set_input_delay(delay)
            assert commands[0] == SetInputDelay(delay)
        commands.append(session.add_local_input(bytes([session.frame])))
        given.extend((c.frame, c.data) for c in commands if isinstance(c, GiveInput))
        session.receive(arrived(session.frame, b"x"))
        while session.poll() is not None:
            pass

    for frame in range(30):
        play({10: 4, 20: 1}.get(frame))
    assert [frame for frame, _ in given] == list(range(len(given)))
    data = [data[0] for _, data in given]
    assert data[:14] == [*range(10), 9, 9, 9, 9]
    assert data[14:] == [*range(10, 20), *range(23, 30)]
    assert len(given) == 31  # the next frame is 30, and the delay is 1


def test_a_delay_raised_in_a_stalled_tick_takes_effect_with_the_next_input() -> None:
    session = pair()
    session.add_local_input(b"a")
    assert session.poll() is None
    assert session.set_input_delay(2) == [SetInputDelay(2), GiveInput(1, b"a"), GiveInput(2, b"a")]
    assert session.add_local_input(b"b") is None
    session.receive(arrived(0, b"x"))
    assert session.poll() == Advance(0, (b"a", b"x"))
    assert session.add_local_input(b"b") == GiveInput(3, b"b")


def test_an_episode_that_ends_below_the_present_frame_goes_back_to_its_last_state() -> None:
    session = predicting()
    for _ in range(4):
        tick(session)
    session.receive(PlayerGone(1, "peer_lost", 2))
    session.receive(arrived(0, b"-", b"x"))
    assert tick(session) == [
        RolledBack(1, 4, 1, (Misprediction(1, 1, b"-", b"x"),)),
        Load(1),
        Advance(1, (b"a", b"x"), again=True),
        Save(2),
        Advance(2, (b"a", b"x"), (1,), again=True),
        Save(3),
        Advance(3, (b"a", b"x"), (1,), again=True),
        FramesConfirmed(0, ((b"a", b"-"), (b"a", b"x"))),
        Load(2),
        Over(2, "peer_lost", 1),
    ]
    assert session.frame == 2
    assert session.over == Over(2, "peer_lost", 1)


def test_before_its_end_can_be_reached_no_frame_is_final_that_was_played_wrongly() -> None:
    session = predicting()
    for _ in range(4):
        tick(session)
    session.receive(PlayerGone(1, "peer_lost", 3))
    session.receive(arrived(0, b"x", confirmed=1))
    assert tick(session) == [Stalled(4, (1,))]
    session.receive(arrived(1, b"x", b"x", confirmed=3))
    outputs = tick(session)
    assert isinstance(outputs[0], RolledBack)
    assert outputs[-3:] == [FramesConfirmed(0, ((b"a", b"x"),) * 3), Load(3), Over(3, "peer_lost", 1)]


def test_of_two_who_are_gone_after_the_same_frame_it_is_over_for_whoever_said_so() -> None:
    session = SyncSession(local=0, default_inputs=[b"-"] * 3, window=4)
    tick(session)
    session.receive(PlayerGone(1, "peer_lost", 1))
    session.receive(PlayerGone(2, "peer_left", 1))
    session.receive(InputsArrived(1, 0, (b"x",), 0))
    session.receive(InputsArrived(2, 0, (b"y",), 1))
    assert tick(session)[-1] == Over(1, "peer_left", 2)


def test_a_leavers_seat_is_played_on_with_their_default_input_where_that_is_wanted() -> None:
    session = predicting(continue_without_leavers=True)
    session.receive(arrived(0, b"x"))
    for _ in range(3):
        tick(session)
    session.receive(PlayerGone(1, "peer_lost", 1))
    outputs = tick(session)
    assert outputs[0] == RolledBack(
        1, 3, 1, (Misprediction(1, 1, b"x", b"-"), Misprediction(2, 1, b"x", b"-"))
    )
    assert [output for output in outputs if isinstance(output, Advance)] == [
        Advance(1, (b"a", b"-"), (), again=True, absent=(1,)),
        Advance(2, (b"a", b"-"), (), again=True, absent=(1,)),
        Advance(3, (b"a", b"-"), (), again=False, absent=(1,)),
    ]
    session.receive(arrived(1, b"late"))
    assert tick(session) == [Advance(4, (b"a", b"-"), absent=(1,))]


def test_whoever_is_excluded_ends_there_though_they_would_play_on_without_leavers() -> None:
    session = predicting(continue_without_leavers=True)
    session.receive(arrived(0, b"x", confirmed=1))
    tick(session)
    session.receive(PlayerGone(1, EXCLUDED, 1))
    assert tick(session)[-1] == Over(1, EXCLUDED, 1)


def test_a_leavers_frames_are_played_again_though_the_default_input_was_guessed() -> None:
    # Somebody may act instead: who had played them already has to, as who had not.
    session = predicting(continue_without_leavers=True)
    session.receive(arrived(0, b"-"))
    for _ in range(3):
        tick(session)
    session.receive(PlayerGone(1, "peer_lost", 1))
    played = [output for output in tick(session) if isinstance(output, Advance)]
    assert [(one.frame, one.again, one.absent) for one in played] == [
        (1, True, (1,)),
        (2, True, (1,)),
        (3, False, (1,)),
    ]
