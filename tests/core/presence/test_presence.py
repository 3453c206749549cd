"""Who is on which socket: registering, replacing, coming back, and what is inherited on the way."""

from __future__ import annotations

import itertools

import pytest

from gym_p2p.config.public_ids import is_public_id
from gym_p2p.core.api.replies import Close, Code, Emit, Refused
from gym_p2p.core.api.rooms import Replaced
from gym_p2p.core.presence import pseudonyms as pseudonyms_module
from gym_p2p.core.presence.presence import Presence, Registered
from gym_p2p.core.presence.pseudonyms import Assigned, Pseudonyms


def make_presence(*, register_timeout_s: float | None = None) -> Presence:
    numbers = itertools.count()
    return Presence(register_timeout_s=register_timeout_s, resume_tokens=lambda: f"resume-{next(numbers)}")


def registered(answer: Registered | Refused) -> Registered:
    assert isinstance(answer, Registered), answer
    return answer


def code(refused: object) -> Code:
    assert isinstance(refused, Refused), refused
    return refused.code


@pytest.mark.parametrize("subject", ["a", "A-z_0.9:@+", "x" * 128, "..."])
def test_a_plain_subject_id_is_accepted(subject: str) -> None:
    assert registered(make_presence().register("s", subject)).subject_id == subject


@pytest.mark.parametrize(
    "subject",
    ["", ".", "..", "x" * 129, "a/b", "../../etc", "a b", "a\x00", "\ud800", "a\n", "é", None, 5, {}],
)
def test_a_strange_subject_id_is_refused(subject: object) -> None:
    assert code(make_presence().register("s", subject)) is Code.BAD_REQUEST
    assert not is_public_id(subject)


def test_a_socket_cannot_become_another_subject() -> None:
    presence = make_presence()
    presence.register("s", "ann")
    assert code(presence.register("s", "bob")) is Code.WRONG_STATE
    assert not registered(presence.register("s", "ann")).moved


def test_who_is_refused_another_name_makes_nobody_of_it() -> None:
    pseudonyms = Pseudonyms(lambda subject, attempt: f"p-{subject}-{attempt}")
    presence = Presence(pseudonyms=pseudonyms)
    presence.connected("s", 0.0)
    registered = presence.register("s", "ann")
    assert isinstance(registered, Registered)
    assert presence.poll() == Assigned("ann", "p-ann-0")
    for name in ("bob", "p-ann-0"):
        refused = presence.register("s", name)
        assert isinstance(refused, Refused)
        assert refused.code is Code.WRONG_STATE
        assert presence.poll() is None
        assert pseudonyms.subject(f"p-{name}-0") is None
    assert presence.register("s", "ann") == registered


def test_who_comes_beyond_the_most_that_are_kept_registers_again_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pseudonyms_module, "MOST_KEPT", 0)
    presence = Presence(pseudonyms=Pseudonyms(lambda subject, attempt: f"p-{subject}-{attempt}"))
    presence.connected("s", 0.0)
    registered = presence.register("s", "ann")
    assert isinstance(registered, Registered)
    assert presence.register("s", "ann") == registered
    assert isinstance(presence.register("s", "bob"), Refused)


def test_a_socket_that_does_not_register_in_time_is_closed_exactly_at_its_deadline() -> None:
    presence = make_presence(register_timeout_s=10.0)
    presence.connected("idle", 1.0)
    presence.connected("busy", 1.5)
    presence.register("busy", "ann")
    assert presence.next_timeout() == 11.0
    presence.handle_timeout(10.999)
    assert presence.poll() is None
    presence.handle_timeout(11.0)
    assert presence.poll() == Close("idle", "not registered in time")
    assert presence.poll() is None
    assert presence.next_timeout() is None


def test_a_socket_that_is_gone_has_no_deadline() -> None:
    presence = make_presence(register_timeout_s=10.0)
    presence.connected("s", 1.0)
    presence.disconnected("s")
    assert presence.next_timeout() is None
    assert presence.socket_count == 0


def test_a_newer_socket_replaces_the_older_one_which_learns_of_it_and_is_closed() -> None:
    presence = make_presence()
    presence.register("first", "ann", "gym_p2p/1")
    assert registered(presence.register("second", "ann", "gym_p2p/2")).moved
    assert presence.poll() == Emit("first", Replaced(subject_id="ann"))
    closed = presence.poll()
    assert isinstance(closed, Close)
    assert closed.socket == "first"
    assert (presence.subject_on("first"), presence.subject_on("second")) == (None, "ann")
    assert (presence.socket_of("ann"), presence.client_of("ann")) == ("second", "gym_p2p/2")


def test_the_older_socket_takes_nobody_with_it_and_the_newest_one_does() -> None:
    presence = make_presence()
    presence.register("first", "ann")
    presence.register("second", "ann")
    assert presence.disconnected("first") is None
    assert presence.is_there("ann")
    assert presence.disconnected("second") == "ann"
    assert presence.disconnected("second") is None
    assert not presence.is_there("ann")


def test_a_subject_whose_newest_socket_went_first_is_gone_and_can_come_back() -> None:
    presence = make_presence()
    presence.register("first", "ann")
    presence.register("second", "ann")
    assert presence.disconnected("second") == "ann"
    assert presence.disconnected("first") is None
    assert not registered(presence.register("third", "ann")).moved


def test_a_place_is_inherited_by_a_newer_socket_until_one_is_taken_there() -> None:
    presence = make_presence()
    presence.register("first", "ann")
    presence.take_place("ann")
    assert not presence.has_inherited("ann")
    presence.register("second", "ann")
    assert presence.has_inherited("ann")
    presence.take_place("ann")
    assert not presence.has_inherited("ann")


# ---- with join tokens


def test_who_a_token_has_named_is_that_for_good_whatever_it_says_itself() -> None:
    presence = make_presence()
    assert presence.connected("s", 0.0, subject_id="ann") is None
    assert presence.subject_on("s") is None
    assert registered(presence.register("s", "bob")).subject_id == "ann"
    assert presence.subject_on("s") == "ann"


def test_admitted_is_who_came_with_a_token_and_for_as_long_as_they_are_there() -> None:
    presence = make_presence()
    presence.connected("s", 0.0, subject_id="ann")
    presence.register("s", None)
    presence.connected("t", 0.0)
    presence.register("t", "bob")
    assert (presence.admitted_on("s"), presence.admitted_on("t")) == ("ann", None)
    presence.disconnected("s")
    assert presence.admitted_on("s") is None


def test_in_a_laboratory_nobody_needs_a_resume_token() -> None:
    presence = make_presence()
    presence.connected("s", 0.0)
    assert registered(presence.register("s", "ann")).resume_token is None
    presence.connected("t", 0.0)
    assert registered(presence.register("t", "ann")).moved


def test_a_second_socket_comes_in_with_the_resume_token_alone() -> None:
    presence = make_presence()
    assert presence.connected("first", 0.0, subject_id="ann") is None
    assert code(presence.connected("early", 0.0, subject_id="ann")) is Code.DUPLICATE_SESSION
    resume = registered(presence.register("first", None)).resume_token
    wrongs: list[object] = [None, "", "x", {}, "\ud800"]
    for wrong in wrongs:
        refused = presence.connected("second", 0.0, subject_id="ann", resume_token=wrong)
        assert code(refused) is Code.DUPLICATE_SESSION
    assert "second" not in presence
    assert presence.connected("second", 0.0, subject_id="ann", resume_token=resume) is None
    again = registered(presence.register("second", None))
    assert again.moved
    assert again.resume_token != resume
    refused = presence.connected("third", 0.0, subject_id="ann", resume_token=resume)
    assert code(refused) is Code.DUPLICATE_SESSION


def test_a_subject_whose_sockets_are_gone_needs_no_resume_token() -> None:
    presence = make_presence()
    presence.connected("first", 0.0, subject_id="ann")
    resume = registered(presence.register("first", None)).resume_token
    presence.connected("second", 0.0, subject_id="ann", resume_token=resume)
    presence.disconnected("first")
    assert code(presence.connected("third", 0.0, subject_id="ann")) is Code.DUPLICATE_SESSION
    presence.disconnected("second")
    presence.disconnected("second")
    assert presence.socket_count == 0
    assert presence.connected("third", 0.0, subject_id="ann") is None


def test_a_resume_token_is_nobody_elses() -> None:
    presence = make_presence()
    presence.connected("ann", 0.0, subject_id="ann")
    presence.connected("bob", 0.0, subject_id="bob")
    bobs = registered(presence.register("bob", None)).resume_token
    presence.register("ann", None)
    refused = presence.connected("s", 0.0, subject_id="ann", resume_token=bobs)
    assert code(refused) is Code.DUPLICATE_SESSION
