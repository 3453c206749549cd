"""Every decoder, and everything that anybody may send to it: a value or the one declared error, in bounds."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gym_p2p.core.spectating.messages import decode_feed
from gym_p2p.core.wire.messages import decode
from gym_p2p.errors import ProtocolError
from tests.hostile.decoders import AROUND_JSON, Decoder, decoders, payload_classes
from tests.hostile.sites import decoding_sites, reached

ALLOWANCE_BYTES = 4 * 2**20
"""Of memory, whatever is read: what a decoder makes once, and an inflated piece."""

BYTES_A_BYTE = 100
"""A list that is empty takes sixty, and stands for three."""

ALLOWANCE_CALLS = 20_000
CALLS_A_BYTE = 20
"""Work is counted in Python's calls, for time depends on the machine."""

OURS = {
    "gym_p2p.net.worker.pipe": "the two halves of one player",
    "gym_p2p.processes.pool": "a process and its own worker",
    "gym_p2p.processes.reports": "a program and its own fork server",
    "gym_p2p.game.determinism.fresh_process": "a process and its own child",
    "gym_p2p.bench": "a benchmark and its own processes",
    "gym_p2p.cli.demo": "the demo and its own players, and the documents that they wrote a moment ago",
    "gym_p2p.server.document_reader": "the service and its own reader",
    "gym_p2p.server.apart:_raise_again": "the service and its own reader",
    "gym_p2p.server.outbox": "the service's own markers, and documents that the intake has checked",
    "gym_p2p.exports.documents:schema": "a schema of this package",
    "gym_p2p.game.env.installed:_holds": "what pip wrote of an installed package",
    "gym_p2p.game.env.versions:_files": "what pip wrote of an installed package",
    "gym_p2p.human.keys.offered:_assignments": "the source of the environment at hand",
    "gym_p2p.game.env.recipe:recipe_of": "what the environment at hand says of itself",
    "gym_p2p.game.env.recipe:named_recipe": "arguments from the user's own command line",
    "gym_p2p.game.determinism.trial:_repeated": "actions that the trial encoded itself",
    "gym_p2p.game.env.game:Game.default_action": "an action that the codec encoded itself",
    "gym_p2p.game.state.emulators:emulator_bytes": "the state of the emulator at hand",
    "gym_p2p.game.state.fields:_item_bytes": "an array at hand",
    "gym_p2p.play.handshake:travelled": "the user's own options, after JSON",
    "gym_p2p.play.kept_match:_read": "what this user's own earlier process left for them alone",
    "gym_p2p.policies.sb3_file:_found_algorithm": "a file that the user names, and that is run",
    "gym_p2p.play.broadcast": "a digest that this player wrote",
    "gym_p2p.play.runner:EpisodeRunner.advance": "a digest that this player wrote",
    "gym_p2p.exports.handing_in:_send": "a document that the user names, whose every error is an answer",
    "gym_p2p.cli.options": "the user's own command line",
    "gym_p2p.cli.matchmakers": "the user's own command line",
    **dict.fromkeys(
        (
            "gym_p2p.game.inputs:SeatInputs.decode",
            "gym_p2p.game.rollout:Rollout._advance",
            "gym_p2p.game.replay.verify:_Playback._actions",
            "gym_p2p.play.recorder:Recorder._decode",
            "gym_p2p.simulation.player:_FrameCollector.frame",
            "gym_p2p.spectate.playback:ShownEpisode.play_next",
        ),
        "hands every seat's action to its ActionCodec, which is in the table",
    ),
    "gym_p2p.net.webrtc.association:Association._deliver_at_once": (
        "a packet of SCTP: lengths, tag and checksum in tests/net/webrtc/test_association.py"
    ),
    **dict.fromkeys(
        (
            "gym_p2p.study.replayed.datasets:_latency",
            "gym_p2p.study.match.participants:told_by",
            "gym_p2p.study.report",
        ),
        "texts in the tables that loading has made itself",
    ),
    "gym_p2p.study.replayed.frames:_kept": "what was kept of a recording: tests/study/test_replayed.py",
    "gym_p2p.game.determinism.rounds:runs_from_bytes": "a process and its own child",
    "gym_p2p.core.record.growth:SeatDecode.__call__": "an action that this player has in its own record",
    "gym_p2p.game.state.iterators:_arguments": "an iterator at hand",
    "gym_p2p.play.state_comparer": "a process and its own child",
    "gym_p2p.play.aftermath": "a player and the process that outlives it",
    "gym_p2p.game.replay.partial:_end": "a digest that reading the recording has made",
    "gym_p2p.server.subjects": "a table that the operator names",
    "gym_p2p.hosting.messages": "the host of seats and its own processes",
    "gym_p2p.hosting.link_file": "a table that the operator names",
}
"""Sites, or modules and packages of them, that read nothing of anybody else's; or where they are held."""

_LETTER = "\ud800"
_TEXTS = (
    "[" * 100_000,
    "[" * 5_000 + "]" * 5_000,
    '{"a":' * 5_000 + "1" + "}" * 5_000,
    '{"x":' + "[" * 900 + "]" * 900 + "}",
    f'"{_LETTER}"',
    '"\\ud800"',
    '{"\\ud800":"\\udfff"}',
    "9" * 5_000,
    "1e999",
    "-1e999",
    "NaN",
    '{"a":1,"a":2}',
    f"[{'[],' * 100_000}[]]",
    "\ufeff{}",
    "",
)
_BYTES = (
    *(text.encode(errors="surrogatepass") for text in _TEXTS),
    b"\x80",
    b"\xff" * 2_000,
    b"\x91" * 60_000,
)


def _deep(depth: int) -> Any:
    value: Any = "end"
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


_VALUES: tuple[Any, ...] = (
    _LETTER,
    {_LETTER: 1},
    {"a": _LETTER},
    _deep(500),
    [[]] * 50_000,
    10**400,
    float("nan"),
    None,
    b"\xff",
)


@functools.cache
def _table() -> dict[str, Decoder]:
    return {decoder.name: decoder for decoder in decoders()}


def _known(decoder: Decoder) -> tuple[Any, ...]:
    """Return what has broken decoders before, of the kind that this one reads."""
    example = decoder.examples[0] if decoder.examples else None
    known = _BYTES if isinstance(example, bytes) else _TEXTS if isinstance(example, str) else _VALUES
    return tuple(map(decoder.within, known))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _size_bytes(data: Any) -> int:
    size_bytes, left = 0, [data]
    while left:
        one = left.pop()
        kind = type(one)
        if kind is str or kind is bytes:
            size_bytes += len(one)
        elif kind is dict:
            size_bytes += 1
            left += one.keys()
            left += one.values()
        elif kind is list or kind is tuple:
            size_bytes += 1
            left += one
        else:
            size_bytes += 8
    return size_bytes


def _counted(work: Callable[[], Any]) -> int:
    calls = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


def _judge(decoder: Decoder, data: Any) -> None:
    """Read it once; whatever is raised but what the decoder declares fails, and so does too much work."""

    def read() -> None:
        with contextlib.suppress(*decoder.refuses):
            decoder.read(data)

    size_bytes = _size_bytes(data) + decoder.unpacked(data)
    tracemalloc.start()
    try:
        calls = _counted(read)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert calls <= ALLOWANCE_CALLS + CALLS_A_BYTE * size_bytes, "too much work"
    assert most_bytes <= ALLOWANCE_BYTES + BYTES_A_BYTE * size_bytes, "too much memory"


@pytest.mark.timeout(400)  # it computes all the while, and others beside it may, too
@pytest.mark.parametrize("name", _table())
@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
)
@given(data=st.data())
def test_whatever_is_sent_is_a_value_or_the_declared_error(name: str, data: st.DataObject) -> None:
    decoder = _table()[name]
    _judge(decoder, data.draw(decoder.hostile))


@pytest.mark.parametrize("name", _table())
def test_what_has_broken_a_decoder_breaks_none(name: str) -> None:
    decoder = _table()[name]
    for data in _known(decoder):
        _judge(decoder, data)


@pytest.mark.parametrize("name", [name for name, decoder in _table().items() if decoder.examples])
def test_what_honest_people_write_is_taken(name: str) -> None:
    decoder = _table()[name]
    for example in decoder.examples:
        decoder.read(example)


def _is_ours(site: str) -> bool:
    module = site.partition(":")[0]
    return site in OURS or module in OURS or any(module.startswith(f"{one}.") for one in OURS)


def test_what_stands_around_hostile_json_is_a_message_with_good_json() -> None:
    for (before, after), read in zip(AROUND_JSON, (decode, decode_feed) * 2, strict=True):
        read(before + msgspec.msgpack.encode("{}") + after)


def test_every_place_that_decodes_is_reached_or_reads_only_our_own() -> None:
    read: set[str] = set()
    for decoder in _table().values():
        for example in (*decoder.examples, *_known(decoder)[-2:]):
            read |= reached(partial(decoder.read, example))
    sites = set(decoding_sites())
    assert len(sites) > 50
    assert [site for site in sorted(sites - read) if not _is_ours(site)] == []


def test_what_is_said_to_read_only_our_own_is_there() -> None:
    sites = set(decoding_sites())
    named = [
        one
        for one in OURS
        if ":" in one and one.partition(":")[0] in {site.partition(":")[0] for site in sites}
    ]
    assert [one for one in named if one not in sites] == []


def test_the_payloads_of_every_event_are_in_the_table() -> None:
    assert {f"a payload {kind.__name__}" for kind in payload_classes()} <= _table().keys()


def test_a_decoder_that_lets_another_error_out_is_found() -> None:
    def read(text: str) -> None:
        if text.count("[") > 30:
            raise KeyError

    decoder = Decoder(
        "a broken one", read, ("[]",), _table()["an answer to an upload"].hostile.map(bytes.decode)
    )
    with pytest.raises(KeyError):
        _judge(decoder, _known(decoder)[0])


def test_a_decoder_that_works_too_much_is_found() -> None:
    decoder = Decoder(
        "a slow one", lambda text: [abs(one) for _ in text for one in range(100)], ("[]",), st.text()
    )
    with pytest.raises(AssertionError, match="too much work"):
        _judge(decoder, "x" * 1_000)


def test_a_decoder_that_makes_much_of_little_is_found() -> None:
    decoder = Decoder(
        "a greedy one", lambda text: bytes(10_000 * len(text)), ("[]",), st.text(), (ProtocolError,)
    )
    with pytest.raises(AssertionError, match="too much memory"):
        _judge(decoder, "x" * 1_000)
