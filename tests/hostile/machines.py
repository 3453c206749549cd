"""What must hold of the channel's and the service's machines, whatever comes in: properties to be fuzzed.

:mod:`tests.hostile.test_machines` tries some examples of each, :mod:`tests.hostile.fuzz` as many as there is
time for.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase
from hypothesis.strategies import SearchStrategy

from gym_p2p.core.api.payloads import encode as encode_payload
from gym_p2p.core.api.replies import Accepted, Emit, Refused
from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.core.match.commands import BeginEpisode, GiveChecksum, GiveInput, Leave
from gym_p2p.core.match.match import Match, Transmit
from gym_p2p.core.presence.rate_limits import RateLimit
from gym_p2p.core.service.machines import MachineFailed
from gym_p2p.core.wire.fragments import MAX_MESSAGE_BYTES
from gym_p2p.core.wire.messages import Continue, Ready, encode
from gym_p2p.errors import ProtocolError
from gym_p2p.server.guard.guards import Admission, Guards
from gym_p2p.server.guard.metrics import ServiceMetrics
from gym_p2p.server.handlers.dispatcher import Dispatcher
from tests.core.match.pairs import greeted_match, outputs_of
from tests.core.service.desk import Desk
from tests.hostile.changes import changes
from tests.hostile.conversation import EVENTFUL, TICKS, Act, converse
from tests.hostile.decoders import Decoder, decoders
from tests.hostile.generators import hostile_values, mostly, nonsense, pieces, untrue_messages
from tests.hostile.honest import SAYINGS
from tests.hostile.honest_player import Setting

__all__ = ["PROPERTIES", "property_named"]

# ---- the channel

OUTPUTS_A_MESSAGE = 600
"""One message can make a player pass on all that they hold of another, in a match of three."""

_CONTENT_BYTES = 20_000_000

_players = st.integers(1, 3)
_says = st.tuples(st.just("says"), _players, untrue_messages)
_nearly = st.tuples(
    st.just("nearly"),
    _players,
    st.tuples(st.sampled_from(sorted(SAYINGS)), st.integers(0, 8), mostly(st.just(0), st.integers(-2, 2))),
)
_moves = st.one_of(
    st.tuples(st.just("raw"), _players, st.binary(max_size=60)),
    st.tuples(st.just("pong"), _players, st.integers(-(10**6), 2**63)),
    st.tuples(st.just("time"), st.sampled_from([0.01, 0.3, 1.0, 3.0]), st.none()),
    st.tuples(st.just("give"), st.integers(1, 40), st.none()),
    st.tuples(st.just("begin"), st.none(), st.none()),
    st.tuples(st.just("check"), st.integers(0, 60), st.none()),
    st.tuples(st.just("closed"), _players, st.none()),
    st.tuples(st.just("replaced"), _players, mostly(st.just(0), st.integers(-3, 3))),
    st.tuples(st.just("leave"), st.none(), st.none()),
)


def channel_holds(players: int, *, begun: bool, reconnect_ms: int, moves: list[tuple[str, Any, Any]]) -> None:
    """Whatever peers say, the machine of a match raises nothing, sends what fits, and always wakes up."""
    match, now = greeted_match(players, reconnect_ms=reconnect_ms), 0.0
    if begun:
        match.command(BeginEpisode(seed=1), now)
        for player in range(1, players):
            match.receive(player, encode(Ready(1, None, None, 0, 0)), now)
    for what, one, other in moves:
        if what == "time":
            now += one
        if what not in {"says", "nearly", "raw", "pong", "closed", "replaced"} or one < players:
            _move(match, what, one, other, now)
        outputs = outputs_of(match)
        assert len(outputs) <= OUTPUTS_A_MESSAGE
        assert all(len(one.data) <= MAX_MESSAGE_BYTES for one in outputs if isinstance(one, Transmit))
        due = match.next_timeout()
        assert due is None or due < now + 700, "somebody is waited for who may never come"


def _move(match: Match, what: str, one: Any, other: Any, now: float) -> None:
    match what:
        case "time":
            match.handle_timeout(now)
        case "give":
            for _ in range(one):
                match.command(GiveInput(match._exchange.given, b"x"), now)
        case "begin":
            match.command(BeginEpisode(), now)
        case "check":
            match.command(GiveChecksum(one, b"ours"), now)
        case "closed":
            match.closed(one, now)
        case "leave":
            match.command(Leave("normal"), now)
        case _:
            _say(match, what, one, other, now)


def _say(match: Match, what: str, one: int, other: Any, now: float) -> None:
    match what:
        case "says":
            for piece in pieces(other):
                match.receive(one, piece, now)
        case "nearly":
            saying, many, off = other
            with contextlib.suppress(ProtocolError):  # it cannot be said so
                match.receive(one, encode(SAYINGS[saying](match, one, many, off)), now)
        case "raw":
            match.receive(one, other, now)
        case "pong":
            match.receive(one, msgspec.msgpack.encode([0x12, 0, int(now * 1e6), abs(other), 0]), now)
        case "replaced":
            match.replaced(one, now)
            count = max(0, match._peers[one].control.sent + other)
            match.receive(one, encode(Continue(count, match._peers[one].ways.change)), now)


# ---- a conversation

_acts = st.builds(
    Act,
    # Often soon after what was changed: who is gone may be lied about before.
    tick=st.one_of(st.integers(0, TICKS - 1), st.integers(*EVENTFUL)),
    what=st.sampled_from(["leave", "vanish", "stand", "delay", "cut"]),
    player=st.integers(0, 3),
    many=st.integers(0, 7),
)

# ---- the service

_SOCKETS = ("eve", "mallory", "trudy")
_IDS = (
    "eve",
    "mallory",
    "trudy",
    "r",
    "q",
    "match-1",
    "match-2",
    "probe_1",
    "probe_2",
    "w0",
    "ann",
    "",
    "\ud800",
)
_NAMED = frozenset(
    [
        "room",
        "queue",
        "game_id",
        "match_id",
        "target_player_id",
        "target_subject_id",
        "probe_session_id",
        "spectator_id",
        "proposal_id",
        "player_id",
        "subject_id",
    ]
)


def _door() -> Dispatcher:
    guards = Guards(
        admission=Admission(),
        events=RateLimit(1e6, 10**6),
        joins=RateLimit(1e6, 10**6),
        metrics=ServiceMetrics(),
    )
    return Dispatcher(Desk().machines, guards)


@functools.cache
def _payloads() -> Mapping[str, SearchStrategy[Any]]:
    """Return what may be sent under every event of the table, found by looking into it."""
    return {
        event: hostile_values if handler.payload is None else nonsense(handler.payload)
        for event, handler in _door()._handlers.items()
    }


def _aimed(value: Any, ids: tuple[Any, ...]) -> Any:
    """Return a payload in which what names somebody names one who may be there."""
    if not isinstance(value, dict):
        return value
    names = [key for key in value if key in _NAMED]
    return {**value, **dict(zip(names, ids, strict=False))}


_events = st.deferred(lambda: st.sampled_from(sorted(_payloads()))).flatmap(
    lambda event: st.tuples(
        st.sampled_from(_SOCKETS),
        st.just(event),
        st.builds(_aimed, _payloads()[event], st.tuples(*[st.sampled_from([*_IDS, 0, 1])] * 3))
        | hostile_values,
    )
)
_joins = st.tuples(
    st.sampled_from(_SOCKETS),
    st.just("join_room"),
    st.sampled_from(
        [{"room": "r", "seats": [0, 1]}, {"room": "r", "seats": [0, 1], "take": [1], "spectators": 3}]
    ),
)
_queues = st.tuples(
    st.sampled_from(_SOCKETS), st.just("join_queue"), st.sampled_from([{"queue": "q", "seats": [0, 1]}])
)
_ticks = st.tuples(st.just(""), st.just("time"), st.sampled_from([0.1, 5.0, 60.0]))
_drops = st.tuples(st.sampled_from(_SOCKETS), st.just("gone"), st.none())


def service_holds(events: list[tuple[str, str, Any]]) -> None:
    """Whatever clients send, no machine fails, all that is sent is JSON, and others get their match."""
    door, now = _door(), 0.0
    for socket in _SOCKETS:
        door.connected(socket, None, now)
        door.receive("register_subject", {"subject_id": socket}, socket, now)
    for socket, event, payload in events:
        match event:
            case "time":
                now += payload
                door._machines.handle_timeout(now)
            case "gone":
                door.disconnected(socket, now)
                door.connected(socket, None, now)
            case _:
                answer = door.receive(event, payload, socket, now)
                assert not (isinstance(answer, Refused) and answer.message.startswith("the service failed"))
                _is_json(answer.value if isinstance(answer, Accepted) else answer)
        _outputs(door)
    assert {"ann", "bob"} <= _matched(door, now)


def _matched(door: Dispatcher, now: float) -> set[str]:
    """Let two honest clients meet; return to whom a match is announced."""
    for seat, socket in enumerate(("ann", "bob")):
        assert door.connected(socket, None, now) is None
        registered = door.receive("register_subject", {"subject_id": f"honest-{socket}"}, socket, now)
        assert isinstance(registered, Accepted)
        wanted = {"room": "a-room-of-their-own", "seats": [0, 1], "take": [seat]}
        assert isinstance(door.receive("join_room", wanted, socket, now), Accepted)
    return {
        output.socket
        for output in _outputs(door)
        if isinstance(output, Emit) and isinstance(output.payload, MatchFound)
    }


def _outputs(door: Dispatcher) -> list[Any]:
    outputs = list(iter(door._machines.poll, None))
    for output in outputs:
        if isinstance(output, MachineFailed):
            raise output.error
        if isinstance(output, Emit):
            _is_json(output.payload)
    return outputs


def _is_json(value: Any) -> None:
    plain = value if isinstance(value, Refused) else encode_payload(value)
    assert len(msgspec.json.encode(plain)) < _CONTENT_BYTES


# ---- decoders


@functools.cache
def _table() -> Mapping[str, Decoder]:
    logging.disable(logging.CRITICAL)
    return {decoder.name: decoder for decoder in decoders()}


def decoders_hold(drawn: tuple[str, Any]) -> None:
    """Whatever is read, it is a value or the one declared error."""
    name, data = drawn
    decoder = _table()[name]
    with contextlib.suppress(*decoder.refuses):
        decoder.read(data)


PROPERTIES: dict[str, tuple[Callable[..., Any], Mapping[str, SearchStrategy[Any]]]] = {
    "channel": (
        channel_holds,
        {
            "players": st.integers(2, 4),
            "begun": st.booleans(),
            "reconnect_ms": st.sampled_from([0, 3_000]),
            "moves": st.lists(mostly(st.one_of(_says, _nearly), _moves), min_size=8, max_size=25),
        },
    ),
    "conversation": (
        converse,
        {
            "setting": st.builds(
                Setting,
                players=st.integers(2, 4),
                window=st.sampled_from([0, 4]),
                delay=st.integers(0, 3),
                frames=st.integers(5, 9),
                latency=st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
                goes_on=st.booleans(),
            ),
            "changes": changes(TICKS),
            "acts": st.lists(_acts, max_size=3),
        },
    ),
    "service": (
        service_holds,
        {
            "events": st.lists(
                st.one_of(_events, _events, _joins, _queues, _ticks, _drops), min_size=6, max_size=25
            )
        },
    ),
    "decoders": (
        decoders_hold,
        {
            "drawn": st.deferred(lambda: st.sampled_from(list(_table()))).flatmap(
                lambda name: st.tuples(st.just(name), _table()[name].hostile)
            )
        },
    ),
}
"""What must hold, and of what; by name."""


def property_named(
    name: str,
    *,
    examples: int = 1,
    database: ExampleDatabase | None = None,
    shrinks: bool = True,
    same: bool = False,
) -> Any:
    """Return a property as a Hypothesis test, which tries so many examples when it is called.

    What has failed is kept in the database, if there is one, and tried first; ``same`` are the same examples
    every time.
    """
    holds, drawn = PROPERTIES[name]
    anything = settings(
        max_examples=examples,
        deadline=None,
        database=database,
        derandomize=same,
        phases=[Phase.reuse, Phase.generate, *([Phase.shrink] if shrinks else [])],
        suppress_health_check=list(HealthCheck),
    )

    def holds_here(**drawn: Any) -> None:
        holds(**drawn)

    return anything(given(**drawn)(holds_here))
