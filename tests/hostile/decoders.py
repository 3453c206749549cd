"""Every decoder of the package for what others wrote, as a table: what it reads, what it may raise.

Those of files are in :mod:`tests.hostile.file_decoders`, and more beside it. A decoder either returns a value
or raises the one class of errors that it declares; where it declares none, it never raises.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import attrs
import msgspec
from gymnasium import spaces
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gym_p2p.config import config_from_options
from gym_p2p.config.ice import ice_servers
from gym_p2p.core import api
from gym_p2p.core.api.events import SERVICE_EVENTS
from gym_p2p.core.api.payloads import decode as decode_payload
from gym_p2p.core.latency.webrtc_stats import extract_connection, extract_round_trip
from gym_p2p.core.match.handshake import handshake_differences
from gym_p2p.core.matchmaking.decision_log import replay
from gym_p2p.core.matchmaking.strategy import FIFOMatchmaker
from gym_p2p.core.probing.burst import PingBurst
from gym_p2p.core.signaling.signals import parse_signal
from gym_p2p.core.spectating.messages import FEED_VERSION, decode_feed, encode_feed
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.fragments import Reassembler
from gym_p2p.core.wire.messages import PROTOCOL_VERSION, Hello, decode, encode
from gym_p2p.errors import ConfigurationError, ProtocolError, ServiceRefused, ServiceUnreachable
from gym_p2p.game.spaces.codec import ActionCodec
from gym_p2p.net.client.packets import BoundedPacket
from gym_p2p.net.client.service_connection import Credentials, accepted
from gym_p2p.play.sync_mode import SyncOffer
from gym_p2p.server.guard.frames import StrictPacket
from gym_p2p.server.store import ids_of
from gym_p2p.spectate.terms import WatchedTerms
from tests.core.wire.vectors import vectors
from tests.hostile.generators import (
    broken,
    hostile_json,
    hostile_values,
    nonsense,
    pieces,
    untrue_feed,
    untrue_messages,
)

__all__ = ["Decoder", "decoders", "payload_classes"]


@attrs.frozen
class Decoder:
    """One decoder.

    Attributes:
        name: what it reads.
        read: reads it.
        examples: what honest people write; it takes each.
        hostile: what others do.
        refuses: what it raises for what it does not take.
        unpacked: how many bytes it may take its input for, where that is packed.
        within: puts any value, or text, or bytes, to where this decoder reads such.
    """

    name: str
    read: Callable[[Any], Any]
    examples: tuple[Any, ...]
    hostile: SearchStrategy[Any]
    refuses: tuple[type[Exception], ...] = (ProtocolError,)
    unpacked: Callable[[Any], int] = lambda _data: 0
    within: Callable[[Any], Any] = lambda value: value


AROUND_JSON = (
    (bytes((0x01, PROTOCOL_VERSION)), b"\xc4\x00\x00\x00"),  # Hello
    (bytes((0x42, FEED_VERSION)), b""),  # Welcome
    (b"\x96\x03\x01\xc0", b"\x00\x00"),  # Ready
    (b"\x96\x43\x01\x00", b"\xc4\x01x\xc0"),  # EpisodeShown
)
"""What stands before and after the JSON in a message."""


def _wires() -> Iterator[Decoder]:
    examples = {
        wire: tuple(one.data for one in vectors() if one.wire == wire and one.data)
        for wire in ("match", "feed")
    }
    json_fields = hostile_json().map(
        lambda text: msgspec.msgpack.encode(text.encode(errors="replace").decode())
    )
    for wire, read, hostile in (
        ("match", decode, untrue_messages.map(encode)),
        ("feed", decode_feed, untrue_feed(2).map(encode_feed)),
    ):
        wholes = st.sampled_from(examples[wire]) | hostile
        yield Decoder(
            f"a message of the wire {wire!r}",
            read,
            examples[wire],
            wholes.flatmap(broken)
            | st.builds(
                lambda around, text: around[0] + text + around[1], st.sampled_from(AROUND_JSON), json_fields
            )
            | st.builds(lambda count, within: b"\x91" * count + within, st.integers(1, 60_000), wholes)
            | st.builds(lambda value: msgspec.msgpack.encode([3, 1, None, value, 0, 0]), nonsense(bytes)),
        )
    carried = untrue_messages.flatmap(
        lambda message: st.lists(st.sampled_from(list(pieces(message))), max_size=6)
    )
    yield Decoder(
        "fragments of messages",
        _reassembled,
        ([b"\x06\x01\x00\x01\x05"], [bytes((6, 1, 0, 2, 1)), bytes((6, 1, 1, 2, 1))]),
        carried | st.lists(st.binary(min_size=1, max_size=6).map(lambda data: b"\x06" + data), max_size=8),
        within=lambda value: [b"\x06" + repr(value).encode(errors="replace")],
    )


def _reassembled(messages: list[bytes]) -> list[bytes | None]:
    reassembler = Reassembler()
    return [reassembler.add(data) for data in messages]


# ---- the service and its clients


def payload_classes() -> list[type]:
    """Return every class of values that client and service send each other, by looking at their modules."""
    found: set[type] = set(SERVICE_EVENTS.values())
    for module in pkgutil.iter_modules(api.__path__, f"{api.__name__}."):
        for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if attrs.has(kind) and kind.__module__.startswith(api.__name__) and _can_arrive(kind):
                found.add(kind)
    return sorted(found, key=lambda kind: kind.__name__)


def _can_arrive(kind: type) -> bool:
    try:
        msgspec.json.Decoder(kind)
    except TypeError:  # it holds what has no form on the wire
        return False
    return True


def _payloads() -> Iterator[Decoder]:
    for kind in payload_classes():
        yield Decoder(
            f"a payload {kind.__name__}",
            partial(decode_payload, kind),
            (),
            nonsense(kind) | nonsense(kind).flatmap(_misshapen) | hostile_values,
        )


def _misshapen(value: Any) -> SearchStrategy[Any]:
    if not isinstance(value, dict) or not value:
        return st.just(value)
    return st.builds(lambda key, other: {**value, key: other}, st.sampled_from(sorted(value)), hostile_values)


def _read_packet(kind: type[Any], text: str) -> Any:
    packet = kind()
    packet.decode(text)
    return packet.data


def _lines() -> Iterator[Decoder]:
    prefixed = st.builds(
        lambda head, text: head + text,
        st.sampled_from(["2", '2["join_room",', "0", "27", "5"]),
        hostile_json(),
    )
    for where, packet in (("the service", StrictPacket), ("a client", BoundedPacket)):
        examples = ('2["watch",{}]', "0{}")
        yield Decoder(f"a packet at {where}", partial(_read_packet, packet), examples, prefixed, ())
    yield Decoder(
        "an answer of the service",
        lambda value: accepted(value, "http://service"),
        ({"ok": True},),
        hostile_values | st.builds(lambda value: {"ok": False, "error": value}, hostile_values),
        (ServiceRefused, ServiceUnreachable),
    )
    yield Decoder(
        "what a registration gives",
        lambda value: Credentials().learn(value),
        ({"subject_id": "anna", "resume_token": "r"},),
        st.dictionaries(st.sampled_from(["subject_id", "resume_token"]), hostile_values),
        (),
        within=lambda value: {"subject_id": value, "resume_token": value},
    )
    signal = {"type": "offer", "sdp": "v=0\r\n"}
    kinds = st.sampled_from(["offer", "answer", "ice-candidate", "x", "\ud800"])
    yield Decoder(
        "a relayed signal",
        lambda pair: parse_signal(*pair),
        (("offer", signal), ("ice-candidate", {"candidate": "candidate:1 1 udp 1 10.0.0.1 9 typ host"})),
        st.tuples(
            kinds,
            hostile_values | st.dictionaries(st.sampled_from(["sdp", "candidate", "type"]), hostile_values),
        ),
        within=lambda value: ("offer", {"sdp": value, "type": value}),
    )
    yield Decoder("a player's name in a path", ids_of, ("1", '"1"', "a"), hostile_json(), ())


# ---- what players tell each other of themselves


def _terms() -> Iterator[Decoder]:
    about = st.dictionaries(
        st.sampled_from(["wants", "able", "why", "strategy", "rehearsal"]), hostile_values
    )
    told = st.dictionaries(st.sampled_from(["game", "fps", "gym_p2p", "x"]), hostile_values, max_size=3)
    yield Decoder(
        "a player's offer of sync modes", SyncOffer.received, ({"wants": "auto"},), about | hostile_values, ()
    )
    yield Decoder(
        "what a spectator is told of the match",
        WatchedTerms.received,
        ({"must": {}},),
        st.dictionaries(st.sampled_from(["must", "checked_every", "isolates_random"]), hostile_values),
        (),
        within=lambda value: {"must": value, "checked_every": value},
    )
    yield Decoder(
        "what a player is going to play",
        lambda value: handshake_differences({"must": {"game": {"id": "x"}}}, value),
        (_hello({"must": {}}),),
        (told | hostile_values).map(lambda value: _hello({"must": value})),
        within=lambda value: _hello({"must": {"game": value}}),
    )


def _hello(description: dict[str, Any]) -> Hello:
    fields: dict[str, Any] = {"key": b"", "reconnect_ms": 0, "rejoin_ms": 0}
    return Hello(**{**fields, "version": PROTOCOL_VERSION, "description": JsonObject(description)})


def _actions() -> Iterator[Decoder]:
    for space in (
        spaces.Discrete(3, start=-1),
        spaces.Discrete(2**40),
        spaces.MultiDiscrete([3, 300]),
        spaces.MultiBinary(9),
        spaces.Box(-1.0, 1.0, (2, 2)),
        spaces.Text(8),
        spaces.Dict(
            {"a": spaces.Discrete(2), "b": spaces.Tuple([spaces.MultiBinary(3), spaces.Box(0, 9, (1,))])}
        ),
        spaces.Sequence(spaces.Discrete(2**20)),
        spaces.OneOf([spaces.Discrete(2), spaces.Text(3)]),
    ):
        codec = ActionCodec(space)
        sample = codec.encode(codec.default())
        yield Decoder(
            f"an action of {str(space)[:40]}",
            codec.decode,
            (sample,),
            broken(sample)
            | st.binary(max_size=40)
            | st.sampled_from([b"\xff" * 512, b"\x00" * 512, b"\x7f" * 9]),
        )


# ---- measurements, probes, logs, configuration


def _read_text_of_a_probe(text: str) -> None:
    burst = PingBurst()
    burst.start(0.0)
    burst.receive(text, 1.0)
    while (output := burst.poll()) is not None:
        assert output is not None
    burst.handle_timeout(burst.next_timeout() or 2.0)


def _others() -> Iterator[Decoder]:
    keys = st.sampled_from(
        ["id", "type", "selectedCandidatePairId", "currentRoundTripTime", "responsesReceived"]
    )
    numbers = st.sampled_from([10**400, -1, 1e308, float("nan"), 2**64, True, "0x1p9"])
    entries = st.dictionaries(
        keys, hostile_values | numbers | st.sampled_from(["transport", "candidate-pair", "p"])
    )
    report: list[dict[str, Any]] = [
        {"id": "t", "type": "transport", "selectedCandidatePairId": "p"},
        {"id": "p", "type": "candidate-pair", "currentRoundTripTime": 0.03, "responsesReceived": 3},
    ]
    reports = st.lists(entries, max_size=3) | hostile_values | st.dictionaries(st.just("t"), entries)
    selected = entries.map(
        lambda entry: [report[0], {**report[1], **entry, "id": "p", "type": "candidate-pair"}]
    )
    for name, read in (("round trip", extract_round_trip), ("connection", extract_connection)):
        yield Decoder(f"the {name} in a stats report", read, (report,), reports | selected, ())
    probe = st.builds(
        lambda kind, value: f'{{"type":"{kind}","seq":{value},"ts":{value},"held_us":{value}}}',
        st.sampled_from(["ping", "pong"]),
        st.sampled_from(["1", "0", "-1", "1e400", "9" * 60, "true", "null", '"1"', "[]", "1e60", "-0.0"])
        | hostile_json(),
    )
    digits = st.integers(70, 200).map(lambda count: f'{{"type":"pong","seq":1,"held_us":{"9" * count}}}')
    yield Decoder(
        "a text of a probe's channel",
        _read_text_of_a_probe,
        ('{"type":"ping","seq":1}', '{"type":"pong","seq":0,"ts":0.0}'),
        probe | digits | hostile_json(),
        (),
    )
    record = {
        "v": 1,
        "t": 0.0,
        "kind": "considered",
        "policy": "x",
        "group_size": 2,
        "waiting": [],
        "chosen": None,
    }
    yield Decoder(
        "the records of a decision log",
        lambda records: replay(records, FIFOMatchmaker()),
        ([{"v": 1, "kind": "made"}],),
        st.lists(
            hostile_values
            | st.builds(
                lambda key, value: {**record, key: value}, st.sampled_from([*record, "seed"]), hostile_values
            )
            | st.builds(
                lambda value: {**record, "kind": "probed", "waits_s": value, "rtt_ms": value}, hostile_values
            ),
            max_size=3,
        ),
        (),
        within=lambda value: [value, {**record, "seed": value}],
    )
    options = st.dictionaries(
        st.sampled_from(["room", "fps", "sync", "ice_servers", "token", "exports", "stand_in", "\ud800"]),
        hostile_values,
        max_size=3,
    )
    yield Decoder(
        "a player's options",
        config_from_options,
        ({"room": "a"},),
        options,
        (ConfigurationError,),
        within=lambda value: {"room": value},
    )
    yield Decoder(
        "ICE servers",
        ice_servers,
        ([{"urls": "stun:a.b:1"}],),
        hostile_values | st.lists(st.dictionaries(st.sampled_from(["urls", "username"]), hostile_values)),
        (ConfigurationError,),
    )


def decoders() -> list[Decoder]:
    """Return all of them."""
    from tests.hostile.file_decoders import file_decoders  # noqa: PLC0415 - it needs this module's class
    from tests.hostile.human_decoders import human_decoders  # noqa: PLC0415 - likewise
    from tests.hostile.study_decoders import study_decoders  # noqa: PLC0415 - likewise

    here = [*_wires(), *_payloads(), *_lines(), *_terms(), *_actions(), *_others()]
    return [*here, *file_decoders(), *study_decoders(), *human_decoders()]
