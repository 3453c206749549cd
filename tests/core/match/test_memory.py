"""What a peer sends is kept within a bound, whatever it is and however much of it comes."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import get_args

import msgspec
import pytest

from gym_p2p.core.match.commands import BeginEpisode, GiveChecksum, GiveInput
from gym_p2p.core.match.events import StateArrived
from gym_p2p.core.match.match import Match
from gym_p2p.core.match.returning import nothing_past
from gym_p2p.core.match.state_transfer import MAX_STATE_BYTES
from gym_p2p.core.wire.acting import Keep, Kept, ReadyFor
from gym_p2p.core.wire.forwarded import ForwardedControl, ForwardedGame
from gym_p2p.core.wire.fragments import split
from gym_p2p.core.wire.messages import (
    PROTOCOL_VERSION,
    ActedFor,
    Checksum,
    Continue,
    Inputs,
    Message,
    Ping,
    Pong,
    Ready,
    Relay,
    Resume,
    Share,
    StatePart,
    decode,
    encode,
)
from gym_p2p.core.wire.past import PastWord, Recall, TookSeat
from tests.core.match.pairs import greeted_match, outputs_of

ROUNDS = 300

MOST_BYTES = 8 * 2**20
"""Of one peer, in the core. A state that it may send is one of them, what others said of somebody who is not
gone four."""

LISTS = '{"a":[' + ",".join(["{}"] * 16_000) + "]}"
"""As much as there may be in one message, which becomes fifty times as much if somebody looks into it."""

NOTHING = nothing_past(Recall(1, (0, 0, 0), 0, claims=True), 2, returning=False)


def _wire(kind: int, *fields: object) -> bytes:
    return msgspec.msgpack.encode([kind, *fields])


FLOODS: dict[str, Callable[[int], bytes]] = {
    "greetings": lambda n: _wire(1, PROTOCOL_VERSION, LISTS, b"", n, n)[1:],
    "refusals": lambda n: _wire(2, [[str(n), "x" * 900, "y" * 900]] * 30),
    "barriers with options": lambda n: _wire(3, n, None, LISTS, 0, 0),
    "barriers with one option": lambda n: _wire(3, 2 + n % 2, None, json.dumps({"x": "y" * 60_000}), n, 0),
    "checksums": lambda n: encode(Checksum(1, n % 30, bytes([n % 256]) * 64)),
    "goodbyes": lambda n: _wire(5, "x" * 200, n % 3, n, None, "peer_left", []),
    "inputs of the next episode": lambda n: encode(Inputs(2, n, (0, n, 0), 0, (b"x" * 512,) * 100, 0)),
    "inputs far ahead": lambda n: encode(Inputs(1, 100 * n, (0, 100 * n, 0), 0, (b"x" * 512,) * 100, 0)),
    "inputs that follow": lambda n: encode(
        Inputs(1, 100 * n, (30, 100 * n + 100, 30), 0, (b"x" * 512,) * 100, 0)
    ),
    "shares of another": lambda n: encode(Share(1 + n % 2, 2, 100 * n, (b"x" * 512,) * 100, b"")),
    "shares of nobody": lambda n: encode(Share(1, 9, n, (b"x" * 512,) * 100, b"")),
    "relays of another": lambda n: encode(Relay(2, _wire(3, 2, None, LISTS[:-2] + f",{n}]}}", 0, 0))),
    "holdings": lambda n: _wire(8, 1, [[2, n, "peer_lost"]]),
    "holdings of all": lambda n: _wire(8, n, [[player, n, "peer_lost"] for player in range(64)]),
    "states": lambda n: encode(StatePart(1, 0, n % 32, 32, b"x" * 32_768)),
    "states of every frame": lambda n: encode(StatePart(1, n, 0, 1, b"x" * 60_000)),
    "introductions": lambda n: encode(Resume(n, b"x" * 16, 0)),
    "counts": lambda n: encode(Continue(n, 0)),
    "game messages for another": lambda n: encode(ForwardedGame(1, 2, n, b"", b"x" * 1_000)),
    "control messages for another": lambda n: encode(ForwardedControl(1, 2, 1, n, b"", b"x" * 1_000)),
    "game messages of another": lambda n: encode(ForwardedGame(2, 0, n, b"", b"x" * 1_000)),
    "control messages of another": lambda n: encode(ForwardedControl(2, 0, n, n, b"", b"x" * 1_000)),
    "questions about the past": lambda n: encode(Recall(1 + n % 2, (0, 0, 0), n, claims=True)),
    "words of the past": lambda n: encode(PastWord(1, _wire(3, n, None, LISTS[:-2] + f",{n}]}}", 0, 0))),
    "what was played": lambda n: encode(
        msgspec.structs.replace(NOTHING, held=(n,) * 3, inputs=((b"x" * 500,) * 40,) * 3)
    ),
    "seats that are taken": lambda n: encode(TookSeat(1, n, n, 0, 0, b"")),
    "questions about who is away": lambda n: encode(Keep(2, n, commits=bool(n % 2))),
    "answers about who is away": lambda n: encode(Kept(2, n, commits=True, episode=1, held=n)),
    "inputs for another": lambda n: encode(
        ActedFor(1 + n % 2, 2, 100 * n, (b"x" * 512,) * 100, bytes([2]) * 100)
    ),
    "barriers for another": lambda n: encode(ReadyFor(2, _wire(3, n, None, LISTS[:-2] + f",{n}]}}", 0, 0))),
    "pings": lambda n: encode(Ping(n, n, 0)),
    "pongs": lambda n: encode(Pong(0, 0, 2**64 - 1 - n, 2**64 - 1)),
    "unknown": lambda n: _wire(0x7E, "x" * 60_000, n),
    "no message": lambda n: bytes([n % 256]) * 60_000,
}


NO_MESSAGES = {"unknown", "no message"}


def _played(frames: int) -> Match:
    match = greeted_match(3, reconnect_ms=10_000, relay="players")
    match.command(BeginEpisode(), 0.0)
    for player in (1, 2):
        match.receive(player, encode(Ready(1, None, None, 0, 0)), 0.0)
    match.handle_timeout(0.5)
    for frame in range(frames):
        match.command(GiveInput(frame, b"x"), 0.5)
        match.command(GiveChecksum(frame, b"digest"), 0.5)
    outputs_of(match)
    return match


@pytest.mark.parametrize("name", sorted(FLOODS.keys() - NO_MESSAGES))
def test_what_is_poured_out_is_what_it_is_called(name: str) -> None:
    for number in (0, 1, ROUNDS - 1):
        decode(FLOODS[name](number))


def test_every_kind_of_message_is_poured_out() -> None:
    poured = {type(decode(FLOODS[name](1))) for name in FLOODS.keys() - NO_MESSAGES}
    assert poured == set(get_args(Message))


@pytest.mark.slow
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_whatever_a_peer_pours_out_is_kept_within_a_bound(flood: Callable[[int], bytes]) -> None:
    match = _played(30)
    match.receive(1, encode(Checksum(1, 0, b"another")), 0.5)  # so that a state of it is expected
    outputs_of(match)
    tracemalloc.start()
    for number in range(ROUNDS):
        data = flood(number)
        for piece in [data] if len(data) > 65_536 else split(data, number):
            match.receive(1, piece, 0.6)
        outputs_of(match)
    del data, piece
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < MOST_BYTES


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_whatever_a_peer_pours_out_it_cannot_fill_the_players_own_pipe(flood: Callable[[int], bytes]) -> None:
    """What comes out for a message waits for the player, who may not look for a minute."""
    match = _played(30)
    match.receive(1, encode(Checksum(1, 0, b"another")), 0.5)
    outputs_of(match)
    events = sent = 0
    for number in range(ROUNDS):
        data = flood(number)
        for piece in [data] if len(data) > 65_536 else split(data, number):
            match.receive(1, piece, 0.6)
        for output in outputs_of(match):
            size_bytes = len(msgspec.json.encode(repr(output)))
            if type(output).__name__ == "Transmit":
                sent += size_bytes
            else:
                events += size_bytes
    assert events < MOST_BYTES
    assert sent < MOST_BYTES


def test_a_state_is_held_once_and_up_to_its_size() -> None:
    match = _played(30)
    for player in (1, 2):
        match.receive(player, encode(Checksum(1, 0, b"another")), 0.5)
    outputs_of(match)
    arrived = 0
    for number in range(200):
        for player in (1, 2):
            for piece in split(encode(StatePart(1, 0, number % 32, 32, b"x" * 32_768)), number):
                match.receive(player, piece, 0.6)
            arrived += sum(
                len(output.data) for output in outputs_of(match) if isinstance(output, StateArrived)
            )
    assert arrived == 2 * MAX_STATE_BYTES
