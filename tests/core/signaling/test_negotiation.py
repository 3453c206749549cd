"""The negotiation machine: two of them, or one and a browser, over a path that delays, loses and reorders."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.core.api.payloads import encode
from gym_p2p.core.api.replies import Candidate, Description
from gym_p2p.core.signaling.negotiation import MAX_REPLACEMENTS, Negotiation, NegotiationState
from gym_p2p.core.signaling.offerer import initiates
from gym_p2p.core.signaling.signals import (
    AcceptAnswer,
    AcceptOffer,
    AddCandidate,
    CreateOffer,
    Negotiated,
    NegotiationFailed,
    NegotiationOutput,
    ReplaceConnection,
    Role,
    SendSignal,
    parse_signal,
)
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError, ProtocolError

Deliver = Callable[[str, Mapping[str, Any]], None]


def sdp(ufrag: str) -> str:
    return f"v=0\r\na=ice-ufrag:{ufrag}\r\n"


def offer(text: str) -> Description:
    return Description("offer", text)


def answer(text: str) -> Description:
    return Description("answer", text)


def drain(machine: Negotiation) -> list[NegotiationOutput]:
    outputs: list[NegotiationOutput] = []
    for _ in range(200):
        output = machine.poll()
        if output is None:
            return outputs
        outputs.append(output)
    pytest.fail("the machine never runs out of outputs")


def make(local: SeatId = "a", remote: SeatId = "b", **options: Any) -> Negotiation:
    options = {"timeout_s": 15.0, "remote_is_ours": True, **options}
    return Negotiation(local_id=local, remote_id=remote, **options)


def offered(machine: Negotiation, now: float = 0.0) -> Negotiation:
    """Bring a machine to where its offer is out."""
    machine.start(now)
    machine.handle_timeout(now + 2.0)
    assert CreateOffer(0) in drain(machine)
    machine.local_description(0, sdp("mine"), now)
    assert drain(machine) == [SendSignal(Description("offer", sdp("mine")))]
    return machine


class TestWhoInitiates:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (1, 2),
            ("2", "10"),
            ("9", 10),
            ("0x10", "17"),
            ("-1", "0"),
            (".5", "5."),
            ("1e2", "101"),
            ("5", "Infinity"),
            ("alice", "Alice"),
            ("Alice", "bob"),
            ("a", "B"),
            ("a_b", "a-b"),
            ("a-b", "a.b"),
            ("a:b", "a.b"),
            ("a.b", "a@b"),
            ("a@b", "a+b"),
            ("a+b", "a1"),
            ("a1", "aa"),
            ("1a", "a1"),
            ("ab", "abc"),
            ("aB", "Ab"),
            ("3f2a", "3F2B"),
        ],
    )
    def test_the_first_of_each_pair_initiates_and_the_second_does_not(
        self, first: SeatId, second: SeatId
    ) -> None:
        assert initiates(first, second) is True
        assert initiates(second, first) is False

    @pytest.mark.parametrize(
        ("first", "second"),
        [("1", "01"), (1, "1"), ("1.0", "1"), ("0x1", "1"), ("1e400", "2e400"), ("a", "a")],
    )
    def test_ids_that_tie_leave_nobody_to_initiate(self, first: SeatId, second: SeatId) -> None:
        assert initiates(first, second) is None
        assert initiates(second, first) is None

    @given(*[st.text("aAbB01._:@+-e ", max_size=4)] * 3)
    def test_the_rule_orders_every_three_ids_of_one_kind(self, a: str, b: str, c: str) -> None:
        a, b, c = f"x{a}", f"x{b}", f"x{c}"
        if initiates(a, b) and initiates(b, c):
            assert initiates(a, c)

    def test_a_player_cannot_negotiate_with_themselves(self) -> None:
        with pytest.raises(ConfigurationError, match="another player"):
            make("a", "a")


class TestParsing:
    @pytest.mark.parametrize("payload", [None, {}, {"candidate": ""}, {"candidate": None}])
    def test_the_end_of_candidates_is_no_signal(self, payload: object) -> None:
        assert parse_signal("ice-candidate", payload) is None

    @pytest.mark.parametrize(
        ("kind", "payload"),
        [
            ("bye", {}),
            (None, {}),
            ("offer", None),
            ("offer", "v=0"),
            ("offer", {"type": "offer"}),
            ("offer", {"type": "answer", "sdp": "v=0"}),
            ("answer", {"sdp": ""}),
            ("answer", {"sdp": 3}),
            ("answer", {"sdp": "x" * 40_000}),
            ("ice-candidate", "candidate:1"),
            ("ice-candidate", {"candidate": 7}),
            ("ice-candidate", {"candidate": "x" * 2000}),
        ],
    )
    def test_garbage_is_a_protocol_error(self, kind: object, payload: object) -> None:
        with pytest.raises(ProtocolError):
            parse_signal(kind, payload)

    def test_w3c_payloads_become_values(self) -> None:
        assert parse_signal("offer", {"type": "offer", "sdp": "v=0", "extra": 1}) == offer("v=0")
        assert parse_signal("answer", {"sdp": "v=0"}) == answer("v=0")
        candidate = parse_signal("ice-candidate", {"candidate": "candidate:1", "usernameFragment": "ab"})
        assert isinstance(candidate, Candidate)
        assert candidate.usernameFragment == "ab"


class TestOneMachine:
    def test_the_initiator_offers_at_once(self) -> None:
        machine = make("a", "b")
        machine.start(0.0)
        assert drain(machine) == [CreateOffer(0)]

    def test_an_expected_offer_that_does_not_come_is_replaced_by_our_own(self) -> None:
        machine = make("b", "a")
        machine.start(10.0)
        assert drain(machine) == []
        assert machine.next_timeout() == 12.0
        machine.handle_timeout(11.9)
        assert drain(machine) == []
        machine.handle_timeout(12.0)
        assert drain(machine) == [CreateOffer(0)]

    def test_an_offer_that_came_before_the_start_is_answered_even_by_the_initiator(self) -> None:
        machine = make("a", "b")
        machine.receive(offer(sdp("theirs")), 0.0)
        assert drain(machine) == []
        machine.start(0.0)
        assert drain(machine) == [AcceptOffer(0, sdp("theirs"))]

    def test_an_unanswered_offer_is_repeated_every_two_seconds_and_a_second_start_changes_nothing(
        self,
    ) -> None:
        machine = offered(make("a", "b"))
        machine.start(1.0)
        for now in (2.0, 4.0, 6.0):
            assert machine.next_timeout() == now
            machine.handle_timeout(now)
            assert drain(machine) == [SendSignal(Description("offer", sdp("mine")))]

    def test_the_same_offer_again_gets_the_same_answer_again(self) -> None:
        machine = make("b", "a")
        machine.start(0.0)
        machine.receive(offer(sdp("theirs")), 0.1)
        machine.receive(offer(sdp("theirs")), 0.2)
        assert drain(machine) == [AcceptOffer(0, sdp("theirs"))]
        machine.local_description(0, sdp("mine"), 0.3)
        repeated = SendSignal(Description("answer", sdp("mine")))
        assert drain(machine) == [repeated, Negotiated(0, Role.ANSWERER)]
        machine.receive(offer(sdp("theirs")), 0.4)
        assert drain(machine) == [repeated]

    def test_an_answer_settles_an_offer_and_a_second_answer_is_ignored(self) -> None:
        machine = offered(make("a", "b"))
        machine.receive(answer(sdp("theirs")), 0.5)
        assert drain(machine) == [AcceptAnswer(0, sdp("theirs")), Negotiated(0, Role.OFFERER)]
        machine.receive(answer(sdp("other")), 0.6)
        machine.receive(offer(sdp("late")), 0.7)
        assert drain(machine) == []
        assert machine.next_timeout() is None

    def test_the_keeper_ignores_an_offer_that_crosses_its_own(self) -> None:
        machine = offered(make("a", "b"))
        machine.receive(offer(sdp("theirs")), 0.1)
        assert drain(machine) == []

    def test_the_other_one_yields_with_a_fresh_connection_and_ignores_what_its_old_one_still_produces(
        self,
    ) -> None:
        machine = make("b", "a")
        machine.start(0.0)
        machine.handle_timeout(2.0)
        machine.receive(offer(sdp("theirs")), 2.1)
        assert drain(machine) == [CreateOffer(0), ReplaceConnection(1), AcceptOffer(1, sdp("theirs"))]
        machine.local_description(0, sdp("too late"), 2.2)
        assert drain(machine) == []
        machine.local_description(1, sdp("mine"), 2.3)
        assert drain(machine)[0] == SendSignal(Description("answer", sdp("mine")))
        machine.receive(answer(sdp("to my old offer")), 2.4)
        assert drain(machine) == []

    def test_early_candidates_wait_for_their_own_description_and_others_never_pass(self) -> None:
        machine = make("b", "a")
        machine.start(0.0)
        candidates = [
            Candidate("candidate:1", usernameFragment="theirs"),
            Candidate("candidate:2", usernameFragment="older"),
            Candidate("candidate:3"),
        ]
        for candidate in candidates:
            machine.receive(candidate, 0.1)
        assert drain(machine) == []
        machine.receive(offer(sdp("theirs")), 0.2)
        assert drain(machine) == [
            AcceptOffer(0, sdp("theirs")),
            AddCandidate(0, candidates[0]),
            AddCandidate(0, candidates[2]),
        ]
        machine.receive(Candidate("candidate:4", usernameFragment="theirs"), 0.3)
        machine.receive(Candidate("candidate:5", usernameFragment="older"), 0.3)
        assert [type(o) for o in drain(machine)] == [AddCandidate]

    def test_a_flood_of_early_candidates_is_bounded(self) -> None:
        machine = make("b", "a")
        machine.start(0.0)
        for number in range(1000):
            machine.receive(Candidate(f"candidate:{number}"), 0.1)
        machine.receive(offer(sdp("theirs")), 0.2)
        assert len(drain(machine)) == 1 + 64

    def test_another_offer_after_our_answer_replaces_the_connection_but_not_for_ever(self) -> None:
        machine = make("b", "a")
        machine.start(0.0)
        replaced = 0
        for number in range(50):
            machine.receive(offer(sdp(f"theirs{number}")), 0.1)
            for output in drain(machine):
                replaced += isinstance(output, ReplaceConnection)
                if isinstance(output, AcceptOffer):
                    machine.local_description(output.attempt, sdp(f"mine{output.attempt}"), 0.1)
        assert replaced == MAX_REPLACEMENTS

    def test_a_refused_offer_is_forgotten_and_the_next_one_answered(self) -> None:
        machine = make("b", "a")
        machine.start(0.0)
        machine.receive(offer("garbage"), 0.1)
        drain(machine)
        machine.refuse(0, 0.2)
        machine.refuse(0, 0.2)
        assert drain(machine) == [ReplaceConnection(1)]
        machine.receive(offer(sdp("theirs")), 0.3)
        assert drain(machine) == [AcceptOffer(1, sdp("theirs"))]

    def test_a_refused_answer_leaves_the_offer_standing(self) -> None:
        machine = offered(make("a", "b"))
        machine.receive(answer("garbage"), 0.1)
        drain(machine)
        machine.refuse(0, 0.2)
        machine.handle_timeout(2.2)
        assert [type(o) for o in drain(machine)] == [SendSignal]
        machine.receive(answer(sdp("theirs")), 2.3)
        assert drain(machine)[0] == AcceptAnswer(0, sdp("theirs"))

    def test_a_browsers_offer_gives_way_to_ours_until_ours_has_gone_unanswered_through_two_repetitions(
        self,
    ) -> None:
        machine = offered(make("b", "a", remote_is_ours=False))
        machine.receive(offer(sdp("theirs")), 0.1)
        assert drain(machine) == []
        machine.handle_timeout(2.0)
        machine.handle_timeout(4.0)
        assert [type(o) for o in drain(machine)] == [SendSignal, SendSignal]
        machine.handle_timeout(6.0)
        assert drain(machine) == [ReplaceConnection(1), AcceptOffer(1, sdp("theirs"))]

    @pytest.mark.parametrize(
        ("bring", "reason"), [(offered, "not answered"), (lambda m: m.start(0.0), "not ready")]
    )
    def test_the_deadline_fails_it_once_with_a_reason(
        self, bring: Callable[[Negotiation], None], reason: str
    ) -> None:
        machine = make("a", "b", timeout_s=5.0)
        bring(machine)
        drain(machine)
        machine.handle_timeout(5.0)
        machine.handle_timeout(6.0)
        (output,) = drain(machine)
        assert isinstance(output, NegotiationFailed)
        assert reason in output.reason
        assert machine.next_timeout() is None
        machine.receive(answer(sdp("late")), 7.0)
        machine.receive(Candidate("candidate:1"), 7.0)
        assert drain(machine) == []


@attrs.define(eq=False)
class Peer:
    """A shell of a machine: takes its time over descriptions and remembers what was applied to what."""

    name: str
    world: World
    machine: Negotiation
    starts_at: float
    attempt: int = 0
    local: tuple[str, str] | None = None
    remote: tuple[str, str] | None = None
    candidates: set[str] = attrs.field(factory=set)
    busy: bool = False

    def run(self) -> None:
        """Carry out outputs, one at a time, as a shell does that awaits each of them."""
        while not self.busy:
            output = self.machine.poll()
            if output is None:
                break
            self._carry_out(output)
        due = self.machine.next_timeout()
        if due is not None:
            self.world.at(max(due, self.world.now), self._time_out)

    def _time_out(self) -> None:
        self.machine.handle_timeout(self.world.now)
        self.run()

    def _carry_out(self, output: NegotiationOutput) -> None:
        match output:
            case CreateOffer(attempt):
                self._make("offer", attempt)
            case AcceptOffer(attempt, text):
                assert self.remote is None, "a remote description was applied twice to one connection"
                self.remote = ("offer", text)
                self._make("answer", attempt)
            case AcceptAnswer(_, text):
                assert self.local is not None
                assert self.remote is None
                self.remote = ("answer", text)
            case AddCandidate(_, candidate):
                assert self.remote is not None, "a candidate came before the remote description"
                self.candidates.add(candidate.candidate)
            case ReplaceConnection(attempt):
                self.attempt, self.local, self.remote, self.candidates = attempt, None, None, set()
            case SendSignal(description):
                self.world.send(self, description.type, encode(description))
                ufrag = f"{self.name}{self.attempt}"
                payload = {"candidate": f"candidate of {ufrag}", "usernameFragment": ufrag}
                self.world.send(self, "ice-candidate", payload)

    def _make(self, kind: str, attempt: int) -> None:
        self.busy = True

        def done() -> None:
            self.busy = False
            text = f"{sdp(f'{self.name}{attempt}')}a={kind}"
            self.local = (kind, text)
            self.machine.local_description(attempt, text, self.world.now)
            self.run()

        self.world.at(self.world.now + self.world.chance.choice([0.0, 0.05, 0.5]), done)

    def deliver(self, kind: str, payload: Mapping[str, Any]) -> None:
        signal = parse_signal(kind, payload)
        assert signal is not None
        self.machine.receive(signal, self.world.now)
        self.run()

    def start(self) -> None:
        self.machine.start(self.world.now)
        self.run()


@attrs.define(eq=False)
class Browser:
    """A browser with the usual handlers: offers once if its own rule says so, rolls back, answers."""

    world: World
    offers: bool
    starts_at: float
    rolls_back: bool = True
    local: tuple[str, str] | None = None
    remote: tuple[str, str] | None = None
    answers: int = 0

    def start(self) -> None:
        if self.offers and self.remote is None:
            self.local = ("offer", f"{sdp('browser')}a=offer")
            self.world.send(self, "offer", {"type": "offer", "sdp": self.local[1]})

    def deliver(self, kind: str, payload: Mapping[str, Any]) -> None:
        pending = self.local is not None and self.local[0] == "offer" and self.remote is None
        if kind == "offer" and (self.rolls_back or not pending):
            self.answers += 1
            self.remote = ("offer", payload["sdp"])
            self.local = ("answer", f"{sdp('browser')}a=answer {self.answers}")
            self.world.send(self, "answer", {"type": "answer", "sdp": self.local[1]})
        elif kind == "answer" and pending:
            self.remote = ("answer", payload["sdp"])


@attrs.define(eq=False)
class World:
    """Virtual time, and a signalling path between two sides."""

    chance: random.Random
    delays: list[float]
    loss: float
    fifo: bool
    now: float = 0.0
    lost: int = 0
    sides: list[Peer | Browser] = attrs.field(factory=list)
    _agenda: list[tuple[float, int, Callable[[], None]]] = attrs.field(factory=list)
    _number: Any = attrs.field(factory=itertools.count)
    _last: dict[int, float] = attrs.field(factory=dict)

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (when, next(self._number), what))

    def send(self, sender: Peer | Browser, kind: str, payload: Mapping[str, Any]) -> None:
        index = self.sides.index(sender)
        target = self.sides[1 - index]
        if self.chance.random() < self.loss:
            self.lost += 1
            return
        when = self.now + self.chance.choice(self.delays)
        if self.fifo:
            when = self._last[index] = max(when, self._last.get(index, 0.0))
        self.at(when, lambda: target.deliver(kind, payload))

    def play(self, until: float) -> None:
        for side in self.sides:
            self.at(side.starts_at, side.start)
        for _ in range(20_000):
            if not self._agenda or self._agenda[0][0] > until:
                return
            self.now, _, what = heapq.heappop(self._agenda)
            what()
        pytest.fail("the negotiation never comes to rest")


def agree(one: Peer | Browser, other: Peer | Browser) -> None:
    assert one.local is not None
    assert one.local == other.remote
    assert other.local is not None
    ours, theirs = one.remote, other.local
    assert ours is not None
    # A browser answers a repeated offer anew; only the number of the answer differs.
    assert ours[0] == theirs[0]
    assert ours[1].split(" ")[0] == theirs[1].split(" ")[0]
    assert {one.local[0], other.local[0]} == {"offer", "answer"}


IDS: list[tuple[SeatId, SeatId]] = [("a", "b"), ("b", "a"), (1, 2), ("1", "01"), ("01", "1"), (1, "1")]


class TestTwoMachines:
    @settings(deadline=None)
    @given(
        ids=st.sampled_from(IDS),
        offers=st.tuples(st.booleans(), st.booleans()),
        starts=st.tuples(*[st.sampled_from([0.0, 0.001, 0.3, 2.0, 2.1, 5.0])] * 2),
        delays=st.lists(st.sampled_from([0.0, 0.01, 0.2, 1.0, 1.999, 3.0]), min_size=1, max_size=4),
        loss=st.sampled_from([0.0, 0.1, 0.4]),
        seed=st.integers(0, 2**32),
    )
    def test_every_pairing_of_roles_agrees_on_one_offer_and_answer(  # by name
        self,
        ids: tuple[SeatId, SeatId],
        offers: tuple[bool, bool],
        starts: tuple[float, float],
        delays: list[float],
        loss: float,
        seed: int,
    ) -> None:
        world = World(chance=random.Random(seed), delays=delays, loss=loss, fifo=False)
        for index, name in enumerate("xy"):
            machine = make(ids[index], ids[1 - index], offers_first=offers[index], timeout_s=300.0)
            world.sides.append(Peer(name=name, world=world, machine=machine, starts_at=starts[index]))
        world.play(until=290.0)
        one, other = world.sides
        agree(one, other)
        assert isinstance(one, Peer)
        assert isinstance(other, Peer)
        states = {one.machine.state, other.machine.state}
        assert states == {NegotiationState.ANSWERED, NegotiationState.SETTLED}
        for peer, partner in ((one, other), (other, one)):
            assert peer.candidates <= {f"candidate of {partner.name}{partner.attempt}"}

    def test_glare_and_loss_do_take_place_on_this_path(self) -> None:
        replaced = lost = 0
        for seed in range(30):
            world = World(chance=random.Random(seed), delays=[0.2], loss=0.3, fifo=False)
            for index, name in enumerate("xy"):
                machine = make("ab"[index], "ab"[1 - index], offers_first=True, timeout_s=300.0)
                world.sides.append(Peer(name=name, world=world, machine=machine, starts_at=0.0))
            world.play(until=290.0)
            lost += world.lost
            replaced += sum(side.attempt for side in world.sides if isinstance(side, Peer))
        assert lost > 10
        assert replaced >= 20


class TestAgainstABrowser:
    @settings(deadline=None)
    @given(
        ids=st.sampled_from(IDS),
        we_offer=st.booleans(),
        it_offers=st.booleans(),
        starts=st.tuples(*[st.sampled_from([0.0, 0.001, 0.3, 1.99, 2.0, 2.1, 3.0])] * 2),
        delays=st.lists(st.sampled_from([0.0, 0.01, 0.2, 0.9]), min_size=1, max_size=4),
        rolls_back=st.booleans(),
        seed=st.integers(0, 2**32),
    )
    def test_every_pairing_of_roles_agrees_with_a_browser_that_knows_only_its_own_rule(  # by name
        self,
        ids: tuple[SeatId, SeatId],
        we_offer: bool,  # noqa: FBT001  # Hypothesis passes by name
        it_offers: bool,  # noqa: FBT001  # Hypothesis passes by name
        starts: tuple[float, float],
        delays: list[float],
        rolls_back: bool,  # noqa: FBT001  # Hypothesis passes by name
        seed: int,
    ) -> None:
        world = World(chance=random.Random(seed), delays=delays, loss=0.0, fifo=True)
        machine = make(*ids, offers_first=we_offer, remote_is_ours=False, timeout_s=60.0)
        peer = Peer(name="x", world=world, machine=machine, starts_at=starts[0])
        browser = Browser(world=world, offers=it_offers, starts_at=starts[1], rolls_back=rolls_back)
        world.sides += [peer, browser]
        world.play(until=59.0)
        agree(browser, peer)
