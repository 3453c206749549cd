"""What others pass on: they can neither make nor change it, and no more of it is taken than need be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.commands import BeginEpisode
from gym_p2p.core.match.events import InputsArrived, Interrupted, PlayerGone, ProtocolErrorSeen
from gym_p2p.core.match.forwards import FORWARD_BURST_BYTES, Forwards
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.match.peer import PROTOCOL_ERRORS_MOST, Peer, PeerState
from gym_p2p.core.match.seals import Seals
from gym_p2p.core.match.ways import DIRECT, SERVICE, Forwarding, WayChanged, WayKind, Why, through
from gym_p2p.core.wire.forwarded import ForwardedControl, ForwardedGame
from gym_p2p.core.wire.messages import Channel, Continue, Hello, Holdings, Inputs, Ping, Ready, decode, encode
from tests.core.match.pairs import greeted_match, lone_match, outputs_of, seals_of

PLAYERS = 3


def met(relay: str = "service") -> Match:
    """The first player of three in their first episode, whom the others have greeted."""
    sync = SyncConfig(reconnect_timeout_s=6)
    match = greeted_match(PLAYERS, sync=sync, reconnect_ms=9_000, relay=relay)
    match.service_up(up=True)
    match.command(BeginEpisode(1), 0.0)
    for player in (1, 2):
        match.receive(player, encode(Ready(1, None, None, 0, 0)), 0.0)
    outputs_of(match)
    return match


def forwards_of(player: int, seals: Seals | None = None) -> Forwards:
    peers = {other: Peer(index=other, sync=SyncConfig(), players=PLAYERS) for other in range(PLAYERS)}
    return Forwards(local=player, peers=peers, seals=seals or seals_of(player, PLAYERS))


def inputs(*given: bytes) -> bytes:
    return encode(Inputs(1, 0, (0, len(given), 0), len(given), given, 0))


def arrived(match: Match) -> list[tuple[int, tuple[bytes, ...], bool]]:
    events = [event for event in outputs_of(match) if isinstance(event, InputsArrived)]
    return [(event.player, event.inputs, event.by_service) for event in events if event.inputs]


def errors(match: Match) -> list[tuple[int, str]]:
    return [(e.player, e.problem) for e in outputs_of(match) if isinstance(e, ProtocolErrorSeen)]


def test_inputs_that_a_third_player_or_the_service_passes_on_are_taken_as_if_they_came_directly() -> None:
    match = met()
    match.receive(2, encode(forwards_of(1).game(0, inputs(b"x"))), 0.1)
    assert arrived(match) == [(1, (b"x",), False)]
    match.receive_by_service(1, encode(forwards_of(1).game(0, inputs(b"x", b"y"))), 0.1)
    assert arrived(match) == [(1, (b"y",), True)]
    match.receive(1, inputs(b"x", b"y"), 0.1)
    match.receive_by_service(1, encode(forwards_of(1).game(0, inputs(b"x", b"y"))), 0.1)
    assert arrived(match) == []


@pytest.mark.parametrize("change", ["message", "seal", "recipient's key"])
def test_what_a_third_player_makes_up_or_changes_is_dropped_and_nobodys_fault(change: str) -> None:
    match = met()
    message = forwards_of(1).game(0, inputs(b"x"))
    forged = {
        "message": msgspec.structs.replace(message, message=inputs(b"z")),
        "seal": msgspec.structs.replace(message, seal=b""),
        "recipient's key": msgspec.structs.replace(forwards_of(1).game(2, inputs(b"x")), recipient=0),
    }[change]
    for _ in range(300):
        match.receive(2, encode(forged), 0.1)
    outputs = outputs_of(match)
    assert not [e for e in outputs if isinstance(e, InputsArrived | ProtocolErrorSeen)]


def made_up() -> list[tuple[int, bytes]]:
    true = forwards_of(1).game(0, inputs(b"x"))
    changed = msgspec.structs.replace(true, message=inputs(b"z"))
    elsewhere = msgspec.structs.replace(true, recipient=2)
    return [
        (1, encode(changed)),
        (2, encode(true)),
        (1, encode(elsewhere)),
        (1, inputs(b"x")),
        (1, b"nonsense"),
        (1, b""),
    ]


@pytest.mark.parametrize(("player", "data"), made_up())
def test_what_the_service_makes_up_of_a_player_who_has_greeted_is_dropped_and_nobodys_fault(
    player: int, data: bytes
) -> None:
    match = met()
    for _ in range(2 * PROTOCOL_ERRORS_MOST):
        match.receive_by_service(player, data, 0.1)
    outputs = outputs_of(match)
    assert not [e for e in outputs if isinstance(e, InputsArrived | ProtocolErrorSeen)]
    assert all(peer.state is PeerState.PLAYING for peer in match._peers.values())


@pytest.mark.parametrize("returned", [0, 1])
def test_what_was_sealed_for_or_by_an_earlier_process_of_a_player_is_not_taken_from_who_repeats_it(
    returned: int,
) -> None:
    keys = {0: b"ours", 1: bytes([1])}
    theirs = {0: Seals(keys[1], players=PLAYERS).key_for(0), 1: Seals(keys[0], players=PLAYERS).key_for(1)}

    def forwards(player: int, *, back: bool) -> Forwards:
        incarnation = int(back and player == returned)
        given = {1 - player: theirs[player]}
        made = forwards_of(
            player, Seals(keys[player], players=PLAYERS, incarnation=incarnation, theirs=given)
        )
        made._peers[1 - player].incarnation = int(back and player != returned)
        return made

    before, now = forwards(1, back=False), forwards(1, back=True)
    control = encode(Continue(0, 1))
    for message in (before.game(0, inputs(b"x")), before.control(0, control, change=1, number=0)):
        assert forwards(0, back=False).is_true(message, SERVICE)
        assert not forwards(0, back=True).is_true(message, SERVICE)
    assert forwards(0, back=True).is_true(now.game(0, inputs(b"x")), SERVICE)


def test_who_is_not_connected_yet_gives_no_inputs_by_the_service() -> None:
    match = lone_match(2, relay="service")
    match.service_up(up=True)
    early = encode(Inputs(1, 0, (0, 1), 1, (b"x",), 0))
    match.receive_by_service(1, encode(ForwardedGame(1, 0, 1, b"", early)), 0.1)
    assert errors(match) == [(1, "message before the handshake")]
    assert match._peers[1].early is None


def test_what_is_passed_on_may_overtake_the_greeting_of_who_passes_it_on() -> None:
    match = lone_match(PLAYERS)
    match.opened(2, 0.0)
    match.receive(2, encode(forwards_of(1).game(0, inputs(b"x"))), 0.1)
    assert errors(match) == []
    match.receive(2, inputs(b"x"), 0.1)
    assert errors(match) == [(2, "message before the handshake")]


def test_a_third_player_passes_on_what_is_its_senders_and_tells_of_it_once() -> None:
    match = met()
    message = forwards_of(1).game(2, inputs(b"x"))
    outputs = []
    for tenth in range(3):
        match.receive(1, encode(message), tenth / 10)
        outputs += outputs_of(match)
    assert [e for e in outputs if isinstance(e, Forwarding)] == [Forwarding(1, 2)]
    sent = [e for e in outputs if isinstance(e, Transmit) and e.player == 2]
    assert [decode(e.data) for e in sent] == [message] * 3
    assert {e.channel for e in sent} == {Channel.GAME}
    control = forwards_of(1).control(2, encode(Continue(0, 1)), change=1, number=0)
    match.receive(1, encode(control), 0.5)
    (sent_control,) = [e for e in outputs_of(match) if isinstance(e, Transmit) and e.player == 2]
    assert (sent_control.channel, decode(sent_control.data)) == (Channel.CTRL, control)


def test_passing_on_is_told_again_after_ten_seconds_without_any() -> None:
    match, told = met(), []
    for number, now in enumerate((0.1, 9.0, 18.0, 28.5, 30.0)):
        match.receive(1, encode(forwards_of(1).game(2, inputs(b"x"))), now)
        told += [number for output in outputs_of(match) if isinstance(output, Forwarding)]
    assert told == [0, 3]


@pytest.mark.parametrize(
    "message",
    [
        ForwardedGame(2, 1, 1, b"", b"x"),  # in another one's name
        ForwardedGame(1, 1, 1, b"", b"x"),  # to itself
        ForwardedGame(1, 9, 1, b"", b"x"),  # to nobody
        ForwardedGame(2, 2, 1, b"", b"x"),
        ForwardedControl(9, 0, 1, 0, b"", b"x"),  # from nobody
    ],
)
def test_what_cannot_be_passed_on_is_a_protocol_error(message: ForwardedGame) -> None:
    match = met()
    match.receive(1, encode(message), 0.1)
    assert [player for player, _ in errors(match)] == [1]


def test_what_is_passed_on_is_bounded() -> None:
    match = met()
    message = encode(forwards_of(1).game(2, bytes(1_000)))
    for _ in range(2 * FORWARD_BURST_BYTES // 1_000):
        match.receive(1, message, 0.1)
    sent = [e for e in outputs_of(match) if isinstance(e, Transmit) and e.player == 2]
    assert len(sent) == FORWARD_BURST_BYTES // 1_000


@pytest.mark.parametrize("begins", ["a way round", "a link"])
def test_pings_beside_are_not_late_as_they_begin(begins: str) -> None:
    match, now = met(), 1.0
    peer = match._peers[1]
    if begins == "a way round":
        match._rerouting._take(peer, SERVICE, Why.LOST, now)
    else:
        by_service(match, encode(Continue(peer.control.sent, 1)), change=1)
        match._rerouting.link_opened(peer, now)
    assert peer.ways.beside is not None
    assert match._rerouting.due_at(peer) >= now - 1e-9


def test_what_is_empty_is_bounded_as_well() -> None:
    match = met()
    message = encode(forwards_of(1).game(2, b""))
    for _ in range(FORWARD_BURST_BYTES // 32):
        match.receive(1, message, 0.1)
    sent = [e for e in outputs_of(match) if isinstance(e, Transmit) and e.player == 2]
    assert 0 < len(sent) == FORWARD_BURST_BYTES // 64


def played_for(match: Match, seconds: float, arrive: Callable[[float], None]) -> list[object]:
    """Let time go by in which something arrives by others, and pings of the third player."""
    seen: list[object] = []
    for tick in range(round(seconds * 20)):
        now = tick / 20
        match.receive(2, encode(Ping(tick, 0, 0)), now)
        arrive(now)
        match.next_timeout()
        match.handle_timeout(now)
        seen += outputs_of(match)
    return seen


@pytest.mark.parametrize("carrier", ["a third player", "the service"])
@pytest.mark.parametrize("what", ["game", "way"])
def test_who_repeats_what_it_passed_on_keeps_nobody_alive(what: str, carrier: str) -> None:
    match = met()
    wrapped: Any = forwards_of(1).game(0, inputs(b"x"))
    if what == "way":
        wrapped = forwards_of(1).control(
            0, encode(Continue(match._peers[1].control.sent, 1)), change=1, number=0
        )

    def repeat(now: float) -> None:
        if carrier == "the service":
            match.receive_by_service(1, encode(wrapped), now)
        else:
            match.receive(2, encode(wrapped), now)

    played_for(match, 10.0, repeat)
    assert match._peers[1].state is PeerState.GONE


def test_what_is_new_shows_that_its_origin_lives_however_it_comes() -> None:
    match, origin = met(), forwards_of(1)
    seen = played_for(match, 10.0, lambda now: match.receive(2, encode(origin.game(0, inputs(b"x"))), now))
    assert not [e for e in seen if isinstance(e, Interrupted)]
    assert match._peers[1].state is PeerState.PLAYING


def test_nothing_is_passed_on_through_two_players_or_where_relay_says_none() -> None:
    match = met("none")
    match.receive(1, encode(forwards_of(1).game(2, b"x")), 0.1)
    match.receive(2, encode(forwards_of(1).game(0, inputs(b"x"))), 0.1)
    match.receive_by_service(1, encode(forwards_of(1).game(0, inputs(b"x"))), 0.1)
    assert outputs_of(match) == []
    match = met()
    match._peers[2].ways.now = through(1)
    match.receive(1, encode(forwards_of(1).game(2, b"x")), 0.1)
    assert outputs_of(match) == []


def by_service(match: Match, *messages: bytes, change: int, start: int = 0) -> None:
    for number, message in enumerate(messages, start):
        wrapped = forwards_of(1).control(0, message, change=change, number=number)
        match.receive_by_service(1, encode(wrapped), 0.2)


def test_who_takes_another_way_is_followed_and_control_messages_go_on_there_each_once() -> None:
    match = met()
    peer = match._peers[1]
    by_service(match, encode(Continue(peer.control.sent, 1)), change=1)
    (changed,) = [e for e in outputs_of(match) if isinstance(e, WayChanged)]
    assert (changed.player, changed.kind) == (1, WayKind.SERVICE)
    assert peer.ways.now is SERVICE
    ready = encode(Ready(2, None, None, 0, 0))
    by_service(match, ready, change=1, start=1)
    assert 2 in peer.ready
    received = peer.control.received
    by_service(match, ready, change=1, start=1)  # repeated by who passes it on
    by_service(match, ready, change=0, start=2)  # of an earlier change
    match.receive(1, ready, 0.2)  # late, over the way before
    assert peer.control.received == received
    assert not errors(match)


def test_a_gap_in_what_is_passed_on_begins_the_way_anew() -> None:
    match = met()
    peer = match._peers[1]
    by_service(match, encode(Continue(peer.control.sent, 1)), change=1)
    outputs_of(match)
    by_service(match, encode(Ready(2, None, None, 0, 0)), change=1, start=2)
    sent = [decode(e.data) for e in outputs_of(match) if isinstance(e, Transmit) and e.by_service]
    again = [decode(one.message) for one in sent if isinstance(one, ForwardedControl)]
    assert again == [Continue(peer.control.received, 2)]
    assert 2 not in peer.ready


@pytest.mark.parametrize(("change", "now"), [(0, DIRECT), (1, SERVICE), (7, SERVICE)])
def test_the_higher_change_counts(change: int, now: object) -> None:
    match = met()
    by_service(match, encode(Continue(match._peers[1].control.sent, change)), change=change)
    assert match._peers[1].ways.now == now
    assert match._peers[1].ways.change == change


def test_of_two_who_choose_at_once_the_lower_player_does() -> None:
    match = met()
    peer = match._peers[1]
    match._rerouting._take(peer, through(2), match._peers[1].ways.why, 0.1)
    by_service(match, encode(Continue(0, 1)), change=1)
    assert peer.ways.now == through(2), "we are the lower one"


def test_who_has_not_greeted_is_greeted_by_the_service_on_its_word() -> None:
    match = lone_match(2, relay="service")
    match.service_up(up=True)
    unsealed = ForwardedControl(1, 0, 1, 0, b"", encode(Continue(0, 1)))
    match.receive_by_service(1, encode(unsealed), 0.2)
    sent = [decode(e.data) for e in outputs_of(match) if isinstance(e, Transmit)]
    first, second, *_ = [decode(one.message) for one in sent if isinstance(one, ForwardedControl)]
    assert first == Continue(0, 1)
    assert isinstance(second, Hello)


def test_whom_we_count_as_gone_is_told_so_once_they_take_the_way_that_we_took_last() -> None:
    match = met()
    now = 0.0
    while not (match._peers[1].state is PeerState.GONE and match._peers[2].state is PeerState.GONE):
        now += 0.1
        assert now < 60
        match.handle_timeout(now)
    outputs = outputs_of(match)
    assert {event.player for event in outputs if isinstance(event, PlayerGone)} == {1, 2}
    changes = [
        (wrapped.change, word.change)
        for output in outputs
        if isinstance(output, Transmit) and output.player == 1 and output.by_service
        for wrapped in [decode(output.data)]
        if isinstance(wrapped, ForwardedControl)
        for word in [decode(wrapped.message)]
        if isinstance(word, Continue)
    ]
    change = changes[-1][1]
    stale = forwards_of(1).control(0, encode(Continue(0, change - 1)), change=change - 1, number=0)
    forged = forwards_of(2).control(0, encode(Continue(0, change)), change=change, number=0)
    for data in (encode(stale), encode(forged), b"nonsense", inputs(b"x")):
        match.receive_by_service(1, data, now)
    assert not outputs_of(match)
    awake = forwards_of(1).control(0, encode(Continue(1, change)), change=change, number=0)
    for _ in range(3):
        match.receive_by_service(1, encode(awake), now)
    sent = [decode(output.data) for output in outputs_of(match) if isinstance(output, Transmit)]
    told = [decode(wrapped.message) for wrapped in sent if isinstance(wrapped, ForwardedControl)]
    assert [word.gone for word in told if isinstance(word, Holdings)] == [(1,)]
