"""Claims of running matches that clients show to a service: forged, stolen, old, and by the thousand.

The tokens are the service's own, signed with its secret; what they are worth shows in who reaches whom.
"""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_p2p.core.api.replies import Accepted, Description, Emit, Refused
from gym_p2p.core.api.rooms import MatchFound, MatchSignal, PeerReturned
from gym_p2p.core.service.match_claims import MatchClaims
from gym_p2p.server.guard.tokens import SignedMatchTokens
from tests.core.service.desk import Desk

SECRET = bytes(range(32))
LIFETIME_S = 100.0
SEATS = ("left", "right")
THOUSANDS = 2_000
GROWTH_BYTES = 200_000
"""What a service may hold more after so many: a hundred bytes of each would be as much."""


class Service:
    """One that has begun a match of ann and bob, was restarted, and knows nothing of it any more."""

    def __init__(self, secret: bytes = SECRET) -> None:
        self.now = 1_800_000_000.0
        self.tokens = SignedMatchTokens(secret, LIFETIME_S, now=lambda: self.now)
        self._numbers = itertools.count(1)
        self.restart()

    def restart(self) -> None:
        self.desk = Desk(match_tokens=self.tokens, match_ids=lambda: f"match-{next(self._numbers)}")

    def begin(self, *names: str, room: str = "r") -> dict[str, str]:
        """Let a match begin; return everybody's token."""
        for name in names:
            self.show(name, None)
            assert isinstance(self.desk.join(name, room=room, seats=SEATS), Accepted)
        found = {one.socket: one.payload for one in self.outputs() if isinstance(one.payload, MatchFound)}
        return {name: one.match_token.reveal() for name, one in found.items() if one.match_token is not None}

    def show(self, name: str, token: object, socket: str | None = None) -> None:
        """Sign in, with what is said to be a claim."""
        self.desk.connected(socket or name)
        assert isinstance(self.desk.register(socket or name, name, match_token=token), Accepted)

    def outputs(self) -> list[Emit]:
        return [output for output in iter(self.desk.poll, None) if isinstance(output, Emit)]

    def reaches(self, sender: str, target_seat: str, match_id: str = "match-1") -> list[str]:
        """Return whom a signal of somebody's gets to."""
        self.outputs()
        signal: dict[str, Any] = {"game_id": match_id, "target_player_id": target_seat}
        self.desk.signal(sender, payload=Description("offer", "v=0"), **signal)
        return [one.socket for one in self.outputs() if isinstance(one.payload, MatchSignal)]

    @property
    def held(self) -> tuple[int, ...]:
        rooms = self.desk.rooms
        return len(rooms._rooms), len(rooms._matches), len(rooms._room_of), len(rooms._away_from)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def shown(service: Service) -> dict[str, str]:
    """Give the tokens of ann and bob, whose match the service does not know any more."""
    tokens = service.begin("ann", "bob")
    service.restart()
    return tokens


def claims(**changes: Any) -> MatchClaims:
    honest = MatchClaims(
        match_id="match-1",
        room="r",
        queue=None,
        seats=SEATS,
        taken=(0,),
        subject_id="eve",
        client=None,
        spectators=0,
        relay_only=False,
    )
    return attrs.evolve(honest, **changes)


def test_what_others_signed_is_no_claim(service: Service, shown: dict[str, str]) -> None:
    forged = SignedMatchTokens(b"guessed" * 5, LIFETIME_S, now=lambda: service.now).issue(claims())
    service.show("bob", shown["bob"])
    service.show("eve", forged)
    assert service.reaches("eve", "right") == []
    assert service.reaches("bob", "left") == []


@pytest.mark.parametrize("by", ["eve", "ann", "BOB", "bob."])
def test_another_players_claim_is_nobody_elses(service: Service, shown: dict[str, str], by: str) -> None:
    service.show(by, shown["bob"])
    assert service.held == (0, 0, 0, 0)
    assert service.reaches(by, "left") == []


def test_a_claim_counts_as_long_as_it_says(service: Service, shown: dict[str, str]) -> None:
    service.now += LIFETIME_S - 1
    service.show("ann", shown["ann"])
    service.now += 2
    service.show("bob", shown["bob"])
    assert service.reaches("bob", "left") == []
    assert service.reaches("ann", "right") == []


def test_a_claim_of_another_match_leads_to_that_one_alone(service: Service, shown: dict[str, str]) -> None:
    other = service.begin("ann", "eve", room="other")
    service.restart()
    service.show("ann", shown["ann"])
    service.show("bob", shown["bob"])
    service.show("eve", other["eve"])
    assert service.reaches("eve", "left", "match-1") == []
    assert service.reaches("eve", "left", "match-2") == []  # where ann is not
    assert service.reaches("ann", "right", "match-1") == ["bob"]


def test_a_claim_that_is_repeated_after_the_match_reaches_nobody_and_is_gone_with_its_line(
    service: Service, shown: dict[str, str]
) -> None:
    for name in ("ann", "bob"):
        service.show(name, shown[name])
        assert isinstance(service.desk.leave(name, room="r"), Accepted)
        service.desk.disconnected(name)
    service.outputs()
    service.show("bob", shown["bob"])
    assert service.reaches("bob", "left") == []
    assert service.outputs() == []
    service.desk.disconnected("bob")
    assert service.held == (0, 0, 0, 0)


def test_two_who_show_different_truths_of_one_match_take_no_seat_twice(service: Service) -> None:
    truths = [
        claims(subject_id="ann", taken=(0,)),
        claims(subject_id="bob", taken=(0,)),  # the same seat
        claims(subject_id="cat", seats=("up", "down"), taken=(1,)),  # of other seats
        claims(subject_id="dan", seats=("right", "left"), taken=(0,)),  # the same ones, in another order
        claims(subject_id="eve", taken=(0, 1)),  # all of them
    ]
    for truth in truths:
        service.show(truth.subject_id, service.tokens.issue(truth))
    (room,) = service.desk.rooms._matches.values()
    taken = [seat for member in room.members.values() for seat in member.seats]
    assert sorted(taken) == sorted(set(taken))
    assert set(room.members) == {"ann", "dan"}
    assert service.reaches("dan", "left") == ["ann"]


def held_bytes() -> int:
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize("what", ["forged", "another's", "of many matches", "again and again"])
def test_by_the_thousand_they_fill_nothing(service: Service, shown: dict[str, str], what: str) -> None:
    service.show("ann", shown["ann"])
    told = 0

    def show(number: int) -> None:
        nonlocal told
        token: object = {
            "forged": f"{shown['bob'][:-6]}{number:06}",
            "another's": shown["bob"],
            "of many matches": service.tokens.issue(claims(match_id=f"old-{number}")),
            "again and again": shown["bob"],
        }[what]
        name = "bob" if what == "again and again" else "eve"
        service.show(name, token)
        service.desk.disconnected(name)
        told += sum(isinstance(one.payload, PeerReturned) for one in service.outputs())

    for number in range(100):
        show(number)
    tracemalloc.start()
    try:
        before = held_bytes()
        for number in range(100, THOUSANDS):
            show(number)
        assert held_bytes() - before < GROWTH_BYTES
    finally:
        tracemalloc.stop()
    back = what == "again and again"
    assert service.held == (1, 1, 1, int(back))
    assert told == (THOUSANDS if back else 0)


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["ann", "bob", "eve"]), st.sampled_from(["ann", "bob", "forged", "gone"])),
        max_size=20,
    )
)
def test_in_whatever_order_they_are_shown_nobody_is_reached_in_anothers_name(
    steps: list[tuple[str, str]],
) -> None:
    service = Service()
    shown = service.begin("ann", "bob")
    service.restart()
    there: set[str] = set()
    for name, what in steps:
        if name in there:
            service.desk.disconnected(name)
            there.discard(name)
        if what == "gone":
            continue
        service.show(name, shown.get(what, f"{shown['ann'][:-3]}xyz"))
        there.add(name)
        assert service.reaches("eve", "left") == service.reaches("eve", "right") == []
        for room in service.desk.rooms._matches.values():
            seats = {who: member.player_id for who, member in room.members.items()}
            assert seats.items() <= {"ann": "left", "bob": "right"}.items()


def test_what_is_no_token_is_refused_or_no_claim(service: Service, shown: dict[str, str]) -> None:
    texts = ["", ".", "a.b", "\x00", "é" * 50, shown["bob"] + "=", "x" * 10**5]
    odds: list[object] = [*texts, 7, None, ["x"], {}]
    for number, odd in enumerate(odds):
        service.desk.connected(f"s{number}")
        answer = service.desk.register(f"s{number}", f"bob{number}", match_token=odd)
        assert isinstance(answer, Accepted | Refused)
    assert service.held == (0, 0, 0, 0)
