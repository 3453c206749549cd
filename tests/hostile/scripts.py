"""What attackers do: one script a kind of attack, by name. Each begins a few frames into honest play."""

from __future__ import annotations

import json
import typing
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gym_p2p.core.match.state_transfer import MAX_STATE_BYTES, state_parts
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.messages import (
    Channel,
    Checksum,
    Hello,
    Holdings,
    Inputs,
    Message,
    Ping,
    Pong,
    Ready,
    Relay,
    Share,
    StatePart,
    encode,
)
from tests.core.wire.vectors import vectors
from tests.hostile.attacker import Attack, Raw, Said, Script

__all__ = ["BEGINS", "SCRIPTS"]

BEGINS = 12
"""The frame at which attacks begin: late enough that there was play, early enough to see what follows."""

FLOOD = 400
"""Messages at once; a real channel carries some thousands a second."""

_replace = msgspec.structs.replace


def _json(text: str) -> bytes:
    return zlib.compress(text.encode(errors="surrogatepass"), 1)


STATES: Mapping[str, bytes] = {
    "of a huge number": _json('{"unwrapped.skew": {"float": "0x1p99999"}}'),
    "of half a letter": _json(r'{"unwrapped.skew": "\ud800", "\udfff": 1}'),
    "of many lists": _json('{"unwrapped.skew": [' + "[]," * 4_000_000 + "[]]}"),
    "of many fields": _json("{" + ",".join(f'"a{i}":{i}' for i in range(200_000)) + "}"),
    "nested deeply": _json('{"unwrapped.skew":' + "[" * 100_000 + "]" * 100_000 + "}"),
    "that unpacks to much": zlib.compress(b" " * 2**26, 9),
    "of a huge array": _json('{"unwrapped.skew": {"array": ["<f8", [1073741824, 1073741824], ""]}}'),
    "of an odd array": _json('{"unwrapped.skew": {"array": ["O", [1], "AAAAAAAAAAA="]}}'),
    "of an array of nothing": _json('{"unwrapped.skew": {"array": ["V0", [4611686018427387904], ""]}}'),
    "of many digits": _json('{"unwrapped.skew": {"int": "' + "9" * 100_000 + '"}}'),
    "that never comes": b"",
    "that is none": b"\x00" * 1000,
    "that is no mapping": _json("[1, 2]"),
    "as large as may be": bytes(range(256)) * (MAX_STATE_BYTES // 256),
    "of control characters": _json(json.dumps({"\x1b[2J\x07unwrapped.skew": "\x1b]0;owned\x07" * 1000})),
}


def _state(data: bytes) -> Script:
    """Provoke a desync by a wrong checksum, and send this as the state."""

    def script(attack: Attack, _to: int, message: Message) -> Iterator[Said]:
        if isinstance(message, Checksum) and message.frame > BEGINS:
            yield _replace(message, digest=b"\x00" * 16)
            yield from state_parts(message.episode, message.frame, data)
        elif not isinstance(message, StatePart):
            yield message
        assert attack.players > 1

    return script


def _flood(kind: type) -> Script:
    """Send hundreds of well-formed messages of a class at once, the same ones again and again."""
    examples = [one.data for one in vectors() if one.wire == "match" and one.name == kind.__name__]
    channel = Channel.GAME if kind in {Inputs, Ping, Pong} else Channel.CTRL

    def script(attack: Attack, to: int, message: Message) -> Iterator[Said]:
        yield message
        if attack.at(to, message, BEGINS):
            yield from (Raw(examples[i % len(examples)], channel) for i in range(FLOOD))

    return script


def over_acknowledge(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Claim to hold what was never given, so that it is not sent again."""
    if isinstance(message, Inputs) and attack.frames.get(to, 0) >= BEGINS:
        yield _replace(message, received=tuple(count + 1000 for count in message.received))
        yield _replace(message, received=(2**63 - 1,) * len(message.received))
    yield message


def forge_checksums(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Send checksums of every frame that there was and will be."""
    yield message
    if attack.at(to, message, BEGINS):
        for frame in range(FLOOD):
            yield Checksum(1, frame, b"forged digest")
            yield Checksum(frame, 0, b"forged digest")


def unfinished_fragments(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Begin large messages again and again, and finish none."""
    yield message
    if attack.frames.get(to, 0) == BEGINS:
        for number in range(FLOOD):
            count = 57 if number % 3 else 255
            yield from (
                Raw(bytes((6, number % 128, index, count)) + b"x" * 1156) for index in range(number % 7)
            )


def garbage(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Send bytes that are nothing, on both channels."""
    yield message
    if attack.at(to, message, BEGINS):
        for number in range(FLOOD):
            data = bytes((number * 7 + at * 13) % 256 for at in range(number % 41))
            yield Raw(data, Channel.GAME if number % 2 else Channel.CTRL)


def silence(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Answer pings, and give no input any more."""
    if not (isinstance(message, Inputs) and attack.frames.get(to, 0) >= BEGINS):
        yield message


def goodbye_and_on(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Say goodbye, and play on; and say it again."""
    if attack.frames.get(to, 0) in {BEGINS, BEGINS + 9} and isinstance(message, Inputs):
        yield Raw(_goodbye("left\x1b[2J", message.episode, BEGINS + 2))
    yield message


def goodbye_of_the_future(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Say goodbye with more inputs to come than anybody will give."""
    if attack.at(to, message, BEGINS):
        yield Raw(_goodbye("normal", 1, 2**63 - 1))
        yield Raw(_goodbye("normal", 0, 5))
    yield message


def _goodbye(reason: str, episode: int, frames: int) -> bytes:
    """Return an encoded goodbye, whose other fields are those of the test vectors."""
    example = next(one.message for one in vectors() if one.wire == "match" and one.name == "Goodbye")
    return encode(_replace(example, reason=reason, episode=episode, frames=frames))


def disorder(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Hold inputs back and send them in the opposite order, twice each."""
    held: list[Said] = attack.memory.setdefault(to, [])
    if isinstance(message, Inputs):
        held.append(message)
        if len(held) >= 3:
            yield from (one for one in reversed(held) for _ in range(2))
            held.clear()
        return
    yield message


def lie_about_time(_attack: Attack, _to: int, message: Message) -> Iterator[Said]:
    """Answer pings with times that cannot be, and pings that were not sent."""
    if isinstance(message, Pong):
        yield _replace(message, replied_us=0, received_us=2**64 - 1)
        yield _replace(message, sent_us=0)
        yield _replace(message, number=2**32 - 1)
        yield _replace(message, received_us=2**64 - 1, replied_us=2**64 - 1)
    yield message


def be_far_ahead(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Claim to be far ahead and behind by turns, with the longest delay, so that the other slows down."""
    if isinstance(message, Inputs) and attack.frames.get(to, 0) >= BEGINS:
        yield _replace(message, advantage=(-1) ** attack.frames[to] * 2**61, delay=60)
    else:
        yield message


def give_more_inputs(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Give the inputs of frames that nobody can be at yet, more and more of them."""
    if isinstance(message, Inputs) and attack.frames.get(to, 0) >= BEGINS and message.inputs:
        at = message.start + len(message.inputs)
        yield message
        for _ in range(20):
            yield _replace(message, start=at, inputs=(b"\x00",) * 200)
            at += 200
    else:
        yield message


def inputs_out_of_the_space(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Give actions that there are not."""
    if isinstance(message, Inputs) and attack.frames.get(to, 0) >= BEGINS:
        yield _replace(message, inputs=tuple(b"\xff" * 16 for _ in message.inputs))
    else:
        yield message


def two_faces(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Give other inputs to one player than to another; to a single one, other ones the second time."""
    if isinstance(message, Inputs) and attack.frames.get(to, 0) >= BEGINS:
        if to == attack.players - 1 and attack.players > 2:
            yield _replace(message, inputs=tuple(_other(data) for data in message.inputs))
            return
        yield message
        yield _replace(message, inputs=tuple(_other(data) for data in message.inputs))
        return
    yield message


def _other(data: bytes) -> bytes:
    return bytes((data[0] ^ 1, *data[1:])) if data else data


def ready_for_anything(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Be ready for every episode, with hostile options, and with other numbers of inputs than were given."""
    yield message
    if attack.at(to, message, BEGINS):
        for episode in (0, 1, 2, 3, 64, 65, 66, 2**63 - 1):
            for frames in (0, 5, 2**63 - 1):
                yield Ready(episode, 2**64 - 1, JsonObject({"a": "\ud800", "n": 10**300}), frames, 60)
        deep = "[" * 20_000 + "]" * 20_000
        yield Raw(msgspec.msgpack.encode([3, 2, None, f'{{"a":{deep}}}'[:1100], 0, 0]))


def hearsay(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Tell lies about everybody: inputs, words and the loss of others, of oneself, of who is told."""
    yield message
    if not attack.at(to, message, BEGINS):
        return
    for player in range(attack.players + 1):
        yield Share(1, player, 0, (b"\x01",) * 50, b"")
        yield Share(2**40, player, 2**40, (b"\x01",), b"")
        yield Relay(player, _goodbye("normal", 1, 3))
        yield Relay(player, encode(Ready(2, None, None, 3, 0)))
        yield Relay(player, encode(Relay(player, b"\x00" * 50)))
        yield Raw(_holdings(1, player, 2**40))
    if attack.players > 2:
        other = next(i for i in range(attack.players) if i not in {to, attack.local})
        yield Raw(_holdings(1, other, 0))


def _holdings(episode: int, player: int, count: int) -> bytes:
    """Return an encoded report; what it says beside the numbers is that of the test vectors."""
    example = next(
        one.message
        for one in vectors()
        if one.wire == "match" and one.name == "Holdings" and one.message.held
    )
    return encode(Holdings(episode, ((player, count, *example.held[0][2:]),)))


def greet_with_much(_attack: Attack, _to: int, message: Message) -> Iterator[Said]:
    """Describe oneself with all that an honest player has no use for, where it need not be equal."""
    if isinstance(message, Hello):
        about: dict[str, Any] = {
            "sync": {
                "wants": "auto\x1b[2J",
                "able": "yes",
                "why": "\x1b]0;owned\x07" * 500,
                "rehearsal": [[]] * 9,
            }
        }
        about |= {"\x00": "\ud800", "deep": json.loads("[" * 25 + "]" * 25), "input_delay": 10**200}
        yield _replace(message, description=JsonObject({**message.description, "about": about}))
        yield message
    else:
        yield message


def greet_with_another_game(_attack: Attack, _to: int, message: Message) -> Iterator[Said]:
    """Differ in what has to be equal, with names that write to terminals."""
    if isinstance(message, Hello):
        must = {"game": {"\x1b[2J\r\n" * 9: "\u202e" * 3000}, "\x07": [[[]]], "fps": {"a": 1}} | {
            f"x{i}": i for i in range(500)
        }
        yield _replace(message, description=JsonObject({"must": must}))
    yield message


def greet_deeply(_attack: Attack, _to: int, message: Message) -> Iterator[Said]:
    """Describe oneself six hundred levels deep, and then honestly."""
    if isinstance(message, Hello):
        deep = '{"must":' + '{"a":' * 200 + "1" + "}" * 200 + "}"
        yield Raw(msgspec.msgpack.encode([1, message.version, deep, b"", 0])[1:])
    yield message


def say_nothing(attack: Attack, to: int, message: Message) -> Iterator[Said]:
    """Fall silent altogether."""
    if attack.frames.get(to, 0) < BEGINS:
        yield message


SCRIPTS: Mapping[str, Script] = {
    **{f"a state {name}": _state(data) for name, data in STATES.items()},
    **{f"a flood of {kind.__name__}": _flood(kind) for kind in typing.get_args(Message)},
    **{
        script.__name__.replace("_", " "): script
        for script in (
            over_acknowledge,
            forge_checksums,
            unfinished_fragments,
            garbage,
            silence,
            goodbye_and_on,
            goodbye_of_the_future,
            disorder,
            lie_about_time,
            be_far_ahead,
            give_more_inputs,
            inputs_out_of_the_space,
            two_faces,
            ready_for_anything,
            hearsay,
            greet_with_much,
            greet_with_another_game,
            greet_deeply,
            say_nothing,
        )
    },
}
