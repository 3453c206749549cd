"""Attacks on virtual time: whatever one player does, the others play on or end with reason and documents."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gym_p2p.core.wire.messages import Channel, Inputs, Message
from tests.hostile.arena import FPS, fight
from tests.hostile.attacker import Attack, Raw, Said
from tests.hostile.generators import pieces, untrue_messages
from tests.hostile.scripts import BEGINS, SCRIPTS

FRAMES = 40
LIMIT_S = 30.0
"""Of virtual time: ten times what a match takes whose players wait for somebody as long as a pace allows."""

MEMORY_BYTES = 50 * 2**20
MODES = ("lockstep", "rollback")

ENDINGS = {"frames", "ended", "protocol_error", "excluded"}
"""What a match comes to, beside ``peer_…``: what a peer did."""


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _honest(_attack: Attack, _to: int, message: Message) -> Iterator[Said]:
    yield message


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("players", [2, 3])
def test_without_an_attack_a_match_is_played_to_its_end(mode: str, players: int) -> None:
    for fought in fight(_honest, mode=mode, players=players, frames=FRAMES, limit_s=LIMIT_S):
        assert fought.ending == "frames"
        assert fought.seconds <= 1.5 * FRAMES / FPS
        assert fought.documents["multiplayer"]["validation"]["totalDesyncs"] == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("players", [2, 3])
@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_who_is_attacked_plays_on_or_ends_with_a_reason(name: str, mode: str, players: int) -> None:
    victims = fight(SCRIPTS[name], mode=mode, players=players, frames=FRAMES, limit_s=LIMIT_S)
    assert len(victims) == players - 1
    for victim in victims:
        assert victim.ending in ENDINGS or victim.ending.startswith("peer_")
        assert victim.frames == FRAMES or (victim.ending != "frames" and victim.frames >= BEGINS - 4)
        assert victim.ending != "frames" or victim.seconds <= 3 * FRAMES / FPS, "at its pace"


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_no_attack_takes_much_memory(name: str) -> None:
    fight(_honest, mode="rollback", players=2, frames=2, limit_s=LIMIT_S)  # what is made once is made now
    tracemalloc.start()
    try:
        fight(SCRIPTS[name], mode="rollback", players=2, frames=2 * BEGINS, limit_s=3.0)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < MEMORY_BYTES


_steps = st.fixed_dictionaries(
    {
        "frame": st.integers(0, 30),
        "says": st.lists(untrue_messages | st.binary(max_size=20), max_size=4),
        "instead": st.booleans(),
        "times": st.sampled_from([1, 1, 1, 50]),
    }
)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    steps=st.lists(_steps, min_size=1, max_size=4),
    mode=st.sampled_from(MODES),
    players=st.sampled_from([2, 3]),
)
def test_no_sequence_of_untrue_messages_breaks_those_who_hear_them(
    steps: list[dict[str, object]], mode: str, players: int
) -> None:
    def script(attack: Attack, to: int, message: Message) -> Iterator[Said]:
        due = [step for step in steps if attack.frames.get(to, 0) == step["frame"]]
        if not isinstance(message, Inputs) or not any(step["instead"] for step in due):
            yield message
        for step in due if isinstance(message, Inputs) else ():
            assert isinstance(step["says"], list)
            assert isinstance(step["times"], int)
            for said in step["says"] * step["times"]:
                channel = Channel.GAME if type(said).__name__ in {"Inputs", "Ping", "Pong"} else Channel.CTRL
                yield from (Raw(piece, channel) for piece in pieces(said))

    for victim in fight(script, mode=mode, players=players, frames=FRAMES, limit_s=LIMIT_S):
        assert victim.ending in ENDINGS or victim.ending.startswith("peer_")
        assert victim.documents.keys() == {"session", "validation", "multiplayer"}
