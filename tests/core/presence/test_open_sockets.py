from __future__ import annotations

from collections.abc import Hashable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gym_p2p.core.presence.open_sockets import SILENCE_S, OpenSockets


def test_whoever_floods_with_silence_keeps_nobody_out() -> None:
    sockets = OpenSockets(most=100, most_of_one=60, reserve=10)
    for number in range(5000):
        sockets.open(number, "flood", 0.001 * number)
    assert sockets.count <= 60
    for number in range(40):
        assert sockets.open(f"honest {number}", f"home {number}", 6.0) != f"honest {number}"
        sockets.speak(f"honest {number}")
    assert sockets.open("same address", "flood", 7.0) != "same address"
    assert sockets.count <= 100


def test_many_addresses_of_silence_keep_nobody_out() -> None:
    sockets = OpenSockets(most=100, most_of_one=60, reserve=10)
    for number in range(1000):
        sockets.open(number, f"10.0.0.{number}", 0.0)
    assert sockets.open("honest", "home", 0.1) == 910  # the oldest of those that stand
    sockets.speak("honest")
    assert [sockets.open(f"more {n}", f"10.1.0.{n}", 0.2) for n in range(2)] == [911, 912]
    assert "honest" not in sockets.overdue(1e9)


def test_who_is_in_can_come_back_where_all_are_in() -> None:
    sockets = OpenSockets(most=100, most_of_one=60, reserve=10)
    for number in range(90):
        assert sockets.open(number, f"lab {number % 3}", 0.0) is None
        sockets.speak(number)
    assert sockets.open("stranger", "elsewhere", 1.0) == "stranger"
    assert sockets.open("again", "lab 1", 1.0) is None
    assert sockets.count == 91


def test_silence_ends_after_its_time() -> None:
    sockets = OpenSockets(most=9, most_of_one=9)
    sockets.open("silent", "a", 0.0)
    sockets.open("later", "a", 1.0)
    sockets.open("spoke", "b", 0.0)
    sockets.speak("spoke")
    assert sockets.overdue(SILENCE_S - 0.01) == []
    assert sockets.overdue(SILENCE_S) == ["silent"]
    sockets.close("silent")
    sockets.close("silent")
    assert sockets.overdue(SILENCE_S) == []
    assert sockets.count == 2


def test_who_was_in_and_owes_a_request_again_is_silent_from_then_on() -> None:
    sockets = OpenSockets(most=9, most_of_one=9)
    sockets.open("kept alive", "a", 0.0)
    sockets.speak("kept alive")
    sockets.fall_silent("kept alive", 50.0)
    sockets.fall_silent("kept alive", 55.0)  # another byte of it
    assert sockets.overdue(49.0 + SILENCE_S) == []
    assert sockets.overdue(50.0 + SILENCE_S) == ["kept alive"]
    sockets.speak("kept alive")
    assert sockets.overdue(1e9) == []


class Crowd(RuleBasedStateMachine):
    """Connections come, speak and go in any order, against a plain list of them."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets = OpenSockets(most=8, most_of_one=4, reserve=2)
        self.standing: dict[Hashable, tuple[str, bool]] = {}
        self.now = 0.0
        self.number = 0

    @rule(address=st.sampled_from("abc"), after=st.floats(0, 4))
    def open(self, address: str, after: float) -> None:
        self.now += after
        self.number += 1
        gone = self.sockets.open(self.number, address, self.now)
        silent = [c for c, (_, spoke) in self.standing.items() if not spoke]
        if gone == self.number:  # turned away: nobody silent could have made room
            of_own = [c for c in silent if self.standing[c][0] == address]
            full_of_own = sum(one == address for one, _ in self.standing.values()) >= 4
            assert not of_own
            assert full_of_own or not silent
            return
        if gone is not None:
            assert gone in silent
            del self.standing[gone]
        self.standing[self.number] = (address, False)

    @precondition(lambda self: self.standing)
    @rule(data=st.data())
    def speak(self, data: st.DataObject) -> None:
        connection = data.draw(st.sampled_from(sorted(self.standing, key=str)))
        self.sockets.speak(connection)
        self.standing[connection] = (self.standing[connection][0], True)

    @precondition(lambda self: self.standing)
    @rule(data=st.data())
    def fall_silent(self, data: st.DataObject) -> None:
        connection = data.draw(st.sampled_from(sorted(self.standing, key=str)))
        self.sockets.fall_silent(connection, self.now)
        self.standing[connection] = (self.standing[connection][0], False)

    @precondition(lambda self: self.standing)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        connection = data.draw(st.sampled_from(sorted(self.standing, key=str)))
        self.sockets.close(connection)
        del self.standing[connection]

    @invariant()
    def holds_its_bounds(self) -> None:
        assert self.sockets.count == len(self.standing) <= 8
        assert all(
            sum(one == address for one, _ in self.standing.values()) <= 4 for address in ("a", "b", "c")
        )
        late = set(self.sockets.overdue(self.now + SILENCE_S))
        assert late == {connection for connection, (_, spoke) in self.standing.items() if not spoke}


TestCrowd = Crowd.TestCase
TestCrowd.settings = settings(stateful_step_count=40)
