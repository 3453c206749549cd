from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.errors import UsageError
from tests.plugins.mug.fakes import FakeServer

Done = list[tuple[str, str, float | None]]


def begin(server: FakeServer, one: str = "ada", other: str = "bob") -> Done:
    done: Done = []

    def on_complete(*answer: Any) -> None:
        assert server.requests.inside
        done.append(answer)

    server.coordinator.create_probe(one, other, on_complete)
    assert not done  # never inside create_probe
    return done


def test_both_reports_make_one_figure() -> None:
    server = FakeServer("ada", "bob")
    done = begin(server)
    server.ready("ada", "bob")
    assert server.names("ada") == ["probe_prepare", "probe_start"]
    server.report("ada", 20)
    assert not done
    server.report("bob", 24)
    assert done == [("ada", "bob", 24.0)]
    assert server.names("ada")[-1] == server.names("bob")[-1] == "probe_verdict"


def test_pages_are_told_the_turn_credentials_of_the_framework() -> None:
    server = FakeServer("ada", "bob")
    server.coordinator.turn_username, server.coordinator.turn_credential = "user", "word"
    begin(server)
    prepare = server.sent[0][1]
    assert (prepare["turn_username"], prepare["turn_credential"]) == ("user", "word")
    assert prepare["peer_subject_id"] == "bob"


def test_one_page_is_not_ready_twice() -> None:
    server = FakeServer("ada", "bob")
    begin(server)
    server.ready("ada", "ada")
    assert "probe_start" not in server.names("bob")


def test_a_silent_page_ends_the_probe_on_a_deadline() -> None:
    server = FakeServer("ada", "bob")
    done = begin(server)
    server.ready("ada")
    server.run_for(2.8)
    assert not done
    server.run_for(0.3)
    assert done == [("ada", "bob", None)]
    assert not begin(server, "bob", "ada")  # nobody is locked
    assert server.names("bob").count("probe_prepare") == 2


def test_a_page_that_does_not_report_is_not_waited_for() -> None:
    server = FakeServer("ada", "bob")
    done = begin(server)
    server.ready("ada", "bob")
    server.report("ada", 7)
    server.run_for(1.8)
    assert not done
    server.run_for(0.4)
    assert done == [("ada", "bob", 7.0)]


def test_reports_that_disagree_are_probed_again_and_the_larger_counts() -> None:
    server = FakeServer("ada", "bob")
    done = begin(server)
    first = server.probe_id("ada")
    server.ready("ada", "bob")
    server.report("ada", 1)
    server.report("bob", 90)
    assert server.probe_id("ada") != first
    assert not done
    server.ready("ada", "bob")
    server.report("ada", 1)
    server.report("bob", 90)
    assert done == [("ada", "bob", 90.0)]


def test_a_page_that_has_left_ends_the_probe_at_the_next_tick() -> None:
    server = FakeServer("ada", "bob")
    done = begin(server)
    server.ready("ada", "bob")
    del server.sockets["bob"]
    server.run_for(0.1)
    assert done == [("ada", "bob", None)]


def test_a_page_that_comes_back_on_another_socket_goes_on() -> None:
    server = FakeServer("ada", "bob")
    done = begin(server)
    probe_id = server.probe_id("ada")
    server.sockets["bob"] = "newer"
    server.run_for(0.1)
    assert server.names("bob") == ["probe_prepare"]
    assert server.probe_id("bob") == probe_id
    server.probe("ada", "bob", 12)
    assert done == [("ada", "bob", 12.0)]


def test_an_event_on_a_socket_newer_than_the_last_tick_counts() -> None:
    server = FakeServer("ada", "bob")
    done = begin(server)
    probe_id = server.probe_id("bob")
    server.sockets["bob"] = "newer"
    with server.on("bob"):
        server.coordinator.handle_ready(probe_id, "bob")
    server.ready("ada")
    assert "probe_start" in server.names("bob")
    server.report("ada", 5)
    server.report("bob", 5)
    assert done == [("ada", "bob", 5.0)]


def test_the_older_socket_of_a_page_counts_no_more() -> None:
    server = FakeServer("ada", "bob")
    begin(server)
    probe_id, older = server.probe_id("bob"), server.sockets["bob"]
    server.sockets["bob"] = "newer"
    server.run_for(0.1)
    with server.on_socket(older):
        server.coordinator.handle_ready(probe_id, "bob")
    server.ready("ada")
    assert "probe_start" not in server.names("ada")


@pytest.mark.parametrize("who", ["stranger", "absent"])
def test_whoever_is_not_there_ends_a_probe_after_it_was_created(who: str) -> None:
    server = FakeServer("ada", "bob")
    done = begin(server, "ada", who)
    server.coordinator.tick()  # which may come before the caller has noted the probe down
    server.run_tasks()
    assert not done
    server.run_for(0.1)
    assert done == [("ada", who, None)]


def test_a_subject_in_another_probe_is_busy_and_stays_in_it() -> None:
    server = FakeServer("ada", "bob", "cyd")
    first = begin(server)
    second = begin(server, "cyd", "ada")
    server.run_for(0.1)
    assert second == [("cyd", "ada", None)]
    server.probe("ada", "bob", 3)
    assert first == [("ada", "bob", 3.0)]


def test_strangers_and_late_events_change_nothing() -> None:
    server = FakeServer("ada", "bob", "eve")
    done = begin(server)
    probe_id = server.probe_id("ada")
    for subject in ("eve", "ada"):  # a stranger; a result before the start
        with server.on(subject):
            server.coordinator.handle_result(probe_id, 1, success=True)
    with server.on("eve"):
        server.coordinator.handle_ready(probe_id, "ada")
        server.coordinator.handle_signal(probe_id, "bob", "offer", {}, server.sockets["eve"])
    server.coordinator.handle_result(probe_id, 1, success=True)  # outside of any event
    assert not done
    server.probe("ada", "bob", 9)
    server.coordinator.handle_signal(probe_id, "bob", "offer", {}, server.sockets["ada"])
    with server.on("ada"):
        server.coordinator.handle_result(probe_id, 1, success=True)
    server.run_for(1.0)
    assert done == [("ada", "bob", 9.0)]
    assert "probe_signal" not in server.names("bob")


def test_signals_go_to_the_other_member_with_the_name_of_their_sender() -> None:
    server = FakeServer("ada", "bob")
    begin(server)
    probe_id = server.probe_id("ada")
    candidate = {"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "x"}
    server.coordinator.handle_signal(probe_id, "bob", "ice-candidate", candidate, server.sockets["ada"])
    assert "probe_signal" not in server.names("bob")  # not started
    server.ready("ada", "bob")
    server.coordinator.handle_signal(probe_id, "bob", "ice-candidate", candidate, server.sockets["ada"])
    server.coordinator.handle_signal(probe_id, "ada", "ice-candidate", candidate, server.sockets["ada"])
    signals = [payload for event, payload, _room in server.sent if event == "probe_signal"]
    assert [signal["from_subject_id"] for signal in signals] == ["ada"]


@given(
    st.sampled_from(["handle_ready", "handle_signal", "handle_result"]),
    st.lists(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.dictionaries(st.text(), st.integers())
        | st.lists(st.integers()),
        min_size=5,
        max_size=5,
    ),
    st.sampled_from(["its own probe", "another one"]),
)
def test_whatever_a_page_sends_the_probe_ends_once(method: str, junk: list[Any], of: str) -> None:
    server = FakeServer("ada", "bob")
    done = begin(server)
    server.ready("ada", "bob")
    if of == "its own probe":
        junk[0] = server.probe_id("ada")
    count = {"handle_ready": 2, "handle_signal": 5, "handle_result": 3}[method]
    if method == "handle_signal":
        junk[4] = server.sockets["ada"]
    with server.on("ada"):
        getattr(server.coordinator, method)(*junk[:count])
    server.run_for(19.0)
    assert len(done) == 1


@pytest.mark.parametrize(
    ("rtt_ms", "success"),
    [(-1, True), (1e9, True), ("5", True), (None, True), (5, "yes"), (float("nan"), True), (5, False)],
)
def test_a_report_that_is_none_counts_as_a_failed_one(rtt_ms: object, success: object) -> None:
    server = FakeServer("ada", "bob")
    done = begin(server)
    server.ready("ada", "bob")
    server.report("ada", rtt_ms, success=success)
    server.report("bob", 6)
    assert done == [("ada", "bob", 6.0)]


def test_the_next_probe_may_be_created_by_the_end_of_one() -> None:
    server = FakeServer("ada", "bob", "cyd")
    done: Done = []

    def on_complete(*answer: Any) -> None:
        done.append(answer)
        if len(done) == 1:
            server.coordinator.create_probe("ada", "cyd", on_complete)

    server.coordinator.create_probe("ada", "bob", on_complete)
    server.probe("ada", "bob", 3)
    server.probe("ada", "cyd", 4)
    assert done == [("ada", "bob", 3.0), ("ada", "cyd", 4.0)]


def test_a_callback_that_raises_is_logged_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    server = FakeServer("ada", "bob")

    def on_complete(*_answer: Any) -> None:
        raise RuntimeError("the host's bug")

    server.coordinator.create_probe("ada", "bob", on_complete)
    with caplog.at_level(logging.ERROR):
        server.probe("ada", "bob", 3)
    assert "the host's bug" in caplog.text
    done = begin(server)
    server.probe("ada", "bob", 3)
    assert done == [("ada", "bob", 3.0)]


def test_a_socket_that_cannot_be_written_to_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeServer("ada", "bob")
    emit = server.emit

    def broken(event: str, payload: dict[str, Any], *, room: str) -> None:
        if room == server.sockets["ada"]:
            raise OSError("broken pipe")
        emit(event, payload, room=room)

    monkeypatch.setattr(server, "emit", broken)
    with caplog.at_level(logging.ERROR):
        begin(server)
    assert server.names("bob") == ["probe_prepare"]
    assert "broken pipe" in caplog.text


def test_a_look_up_that_raises_does_not_stop_the_ticks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = FakeServer("ada", "bob")
    done = begin(server)
    pauses = itertools.count()

    def sleep(_seconds: float) -> None:
        server.time += 0.1
        if next(pauses) == 2:
            monkeypatch.undo()
            monkeypatch.setattr(server, "sleep", sleep, raising=False)

    def raising(_subject: str) -> None:
        raise KeyError("session")

    monkeypatch.setattr(server, "sleep", sleep, raising=False)
    monkeypatch.setattr(server.coordinator._there, "_socket_of", raising)
    server.coordinator._tick_until_idle()
    server.run_tasks()
    assert "in a tick" in caplog.text
    assert done == [("ada", "bob", None)]


def test_ticks_begin_once_and_end_when_no_probe_is_left() -> None:
    server = FakeServer("ada", "bob", "cyd", "dan")
    begin(server)
    begin(server, "cyd", "dan")
    assert server.coordinator.tick()
    server.probe("ada", "bob", 3)
    assert server.coordinator.tick()
    server.probe("cyd", "dan", 3)
    assert server.tickings == 1
    assert not server.coordinator.tick()
    begin(server)
    assert server.tickings == 2


def test_what_comes_up_while_something_is_sent_is_sent_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeServer("ada", "bob")
    emit = server.emit

    def slowly(event: str, payload: dict[str, Any], *, room: str) -> None:
        emit(event, payload, room=room)
        if (event, room) == ("probe_prepare", server.sockets["ada"]):  # before the same is sent to Bob
            for subject in ("ada", "bob"):
                with server.on(subject):
                    server.coordinator.handle_ready(server.probe_id("ada"), subject)

    monkeypatch.setattr(server, "emit", slowly)
    begin(server)
    assert server.names("bob") == ["probe_prepare", "probe_start"]


def test_nobody_is_probed_against_themselves() -> None:
    server = FakeServer("ada")
    with pytest.raises(UsageError, match="not 'ada' and itself"):
        server.coordinator.create_probe("ada", "ada", print)


def test_a_subject_whom_no_page_can_be_told_of_is_absent() -> None:
    server = FakeServer("ada", "b\nob")
    done = begin(server, "ada", "b\nob")
    server.run_for(0.1)
    assert done == [("ada", "b\nob", None)]
