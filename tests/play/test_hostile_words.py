"""Whatever a peer says, nothing of it is lost in the player's own pipe, and the three documents are written.

Core, pipe and record in a row, as a player has them, without a network: every message of the peers' wire with
values that are valid and untrue, and bytes that are no messages.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gym_p2p.config import ExportConfig, P2PConfig
from gym_p2p.core.api.rooms import MatchFound, MatchPlayer
from gym_p2p.core.match.commands import BeginEpisode, GiveChecksum, GiveInput, Leave
from gym_p2p.core.match.events import Connected, EpisodeBegan, HandshakeMismatch, ProtocolErrorSeen
from gym_p2p.core.match.match import Transmit
from gym_p2p.core.record.documents import KINDS, Kind
from gym_p2p.core.record.episode import Begin
from gym_p2p.core.record.plain import plain
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.messages import PROTOCOL_VERSION, Hello, Ready, Refuse, encode
from gym_p2p.game.env.seats import make_game
from gym_p2p.net.worker.pipe import FrameReader, pack
from gym_p2p.play.exported import introduction
from gym_p2p.play.recorder import Recorder
from tests.core.match.pairs import lone_match
from tests.core.record.records import check
from tests.hostile.generators import TEXTS, broken, hostile_json, pieces, untrue_messages
from tests.toys import Blend

FOUND = MatchFound(
    match_id="match",
    room="room",
    player_id="a",
    seats_taken=("a",),
    players=tuple(
        MatchPlayer(player_id=s, subject_id=f"subject {s}", seats=(s,), client=None) for s in "abc"
    ),
    seed=7,
    ice_servers=(),
    relay_only=False,
    token="token",  # noqa: S106 - nobody takes it
)
GAME = make_game(Blend("dict"))


class Player:
    """One player's core, pipe and record; the others are whatever a test says."""

    def __init__(self) -> None:
        self.match = lone_match(3)
        self.recorder = Recorder(
            found=FOUND,
            game=GAME,
            config=P2PConfig(exports=ExportConfig(directory=None, upload=False)),
            about=introduction(),
            exports=False,
        )
        self.now = 0.0
        self.seen: list[object] = []
        for player in (1, 2):
            self.match.opened(player, self.now)
        self.pump()

    def hear(self, player: int, data: bytes) -> None:
        self.now += 0.01
        self.match.receive(player, data, self.now)
        self.pump()

    def command(self, command: Any) -> None:
        self.match.command(command, self.now)
        self.pump()

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.match.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.match.handle_timeout(self.now)
            self.pump()
        self.now = end

    def pump(self) -> None:
        reader = FrameReader()
        while (output := self.match.poll()) is not None:
            if isinstance(output, Transmit):
                continue
            stamped = (1, output)
            assert list(reader.feed(pack(stamped))) == [stamped], "nothing is lost or changed on the way"
            self.seen.append(output)
            if isinstance(output, EpisodeBegan):
                options = plain(output.options)
                self.recorder.record.begin_episode(Begin(at_ms=1, seed=output.seed, options=options))
            self.recorder.fold(1, output)

    def greet(self, about: object = None) -> None:
        said = {"must": {}} if about is None else {"must": {}, "about": about}
        for player in (1, 2):
            self.hear(player, encode(Hello(PROTOCOL_VERSION, JsonObject(said), b"", 0, 0)))

    def play(self, frames: int) -> None:
        self.command(BeginEpisode())
        for player in (1, 2):
            self.hear(player, encode(Ready(1, None, None, 0, 0)))
        self.wait(1.0)
        for frame in range(frames):
            self.command(GiveInput(frame, b"\0"))
            self.command(GiveChecksum(frame, b"digest!!" * 2))

    def documents(self) -> dict[Kind, Any]:
        built: dict[Kind, Any] = {}
        for kind in KINDS:
            built[kind] = msgspec.json.decode(msgspec.json.encode(self.recorder.document(kind)))
            check(kind, built[kind])
        return built

    @property
    def refused(self) -> dict[str, int]:
        found: dict[str, int] = self.recorder.record.protocol_errors
        return found


# What is sent is drawn for each of the phases of a match, in which another half of the messages is taken.

SAID = st.tuples(
    st.sampled_from([1, 2]),
    untrue_messages.map(lambda message: list(pieces(message)))
    | untrue_messages.map(encode).flatmap(broken).map(lambda data: [data])
    | st.binary(max_size=40).map(lambda data: [data]),
)


def say(player: Player, said: list[tuple[int, list[bytes]]]) -> None:
    for who, messages in said:
        for data in messages:
            player.hear(who, data)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(SAID, max_size=4),
    st.lists(SAID, max_size=4),
    st.lists(SAID, max_size=12),
    st.sampled_from(["normal", ""]),
)
def test_whatever_a_peer_says_the_documents_are_written_and_say_what_was_refused(
    first: list[Any], waiting: list[Any], playing: list[Any], goodbye: str
) -> None:
    player = Player()
    say(player, first)
    player.greet()
    say(player, waiting)
    player.play(4)
    say(player, playing)
    player.wait(2.0)
    if goodbye:
        player.command(Leave(goodbye))
        player.wait(2.0)
    player.documents()
    errors = [event for event in player.seen if isinstance(event, ProtocolErrorSeen)]
    assert sum(player.refused.values()) == len(errors)
    assert all(problem.isprintable() and len(problem) < 80 for problem in player.refused)


HOSTILE: list[object] = [
    None,
    0,
    True,
    10**400,
    -(10**400),
    1e308,
    {},
    [],
    [[]] * 1000,
    {"": {}},
    *TEXTS,
    {"text": TEXTS},
]


@pytest.mark.parametrize("key", ["clock", "software", "sync", "fps", "input_delay", "\ud800"])
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(type(value))[8:-2])
def test_whatever_a_peer_says_of_itself_it_is_met_and_the_documents_are_written(
    key: str, value: object
) -> None:
    for said in (value, {"version": value, "platform": value}, [value]):
        player = Player()
        player.greet({key: said})
        assert any(isinstance(event, Connected) for event in player.seen)
        players = player.documents()["session"]["players"]
        for known in players:
            assert all(known[name] is None or known[name].isprintable() for name in ("version", "platform"))


@settings(deadline=None)
@given(hostile_json())
def test_whatever_options_a_peer_wants_the_barrier_passes_or_not_and_the_documents_are_written(
    text: str,
) -> None:
    said = msgspec.msgpack.encode([3, 1, None, text, 0, 0])  # a Ready, as it is on the wire
    if len(said) > 65_536:
        return
    player = Player()
    player.greet()
    player.command(BeginEpisode())
    for data in pieces(said):
        player.hear(1, data)
    player.hear(2, encode(Ready(1, None, None, 0, 0)))
    player.wait(1.0)
    began = [event for event in player.seen if isinstance(event, EpisodeBegan)]
    assert bool(began) is not bool(player.refused)
    player.documents()


def test_deep_json_is_refused_by_its_name_wherever_it_stands() -> None:
    deep = '{"a":' * 600 + "0" + "}" * 600
    player = Player()
    player.hear(1, b"\x01" + bytes([PROTOCOL_VERSION]) + msgspec.msgpack.encode(deep))
    player.greet()
    for data in pieces(msgspec.msgpack.encode([3, 1, None, deep, 0, 0])):
        player.hear(1, data)
    assert player.refused["JSON nested too deeply"] >= 1
    assert player.documents()["session"]["playerId"] == "a"


@pytest.mark.parametrize("text", [text for text in TEXTS if text.isascii() or text.isprintable()], ids=ascii)
def test_a_refusal_that_is_shown_is_printable_and_short_and_comes_once(text: str) -> None:
    player = Player()
    for _ in range(3):
        for data in pieces(encode(Refuse(((text[:300], text, text),)))):
            player.hear(1, data)
    (refusal,) = [event for event in player.seen if isinstance(event, HandshakeMismatch)]
    for cell in (cell for row in refusal.differences for cell in row):
        assert cell.isprintable()
        assert len(cell) <= 2_000
    assert player.refused == {"refusal after the handshake": 2}


def test_thousands_of_errors_are_counted_under_few_names() -> None:
    player = Player()
    player.greet()
    for number in range(5_000):
        player.hear(1, bytes([number % 256, number // 256]))
    errors = [event for event in player.seen if isinstance(event, ProtocolErrorSeen)]
    assert sum(player.refused.values()) == len(errors) > 0
    for number in range(5_000):
        player.recorder.record.protocol_error(f"problem {number}")
    assert len(player.refused) <= 65
    assert sum(player.refused.values()) == len(errors) + 5_000
    player.documents()


def test_a_handshake_that_differs_is_answered_and_told_once() -> None:
    player = Player()
    for number in range(50):
        player.hear(1, encode(Hello(PROTOCOL_VERSION, JsonObject({"must": {"game": number}}), b"", 0, 0)))
    assert len([event for event in player.seen if isinstance(event, HandshakeMismatch)]) == 1
    assert player.refused == {"second handshake": 49}


def test_inputs_before_any_episode_has_begun_here_do_no_harm() -> None:
    player = Player()
    player.greet()
    for episode in (0, 1, 2):
        said = msgspec.msgpack.encode([0x10, episode, 0, [0, 0, 0], 0, [b"x", b"y"], 0])
        shared = msgspec.msgpack.encode([0x07, episode, 2, 0, [b"x"]])
        for data in (said, shared):
            player.hear(1, data)
    player.documents()
