"""What a peer says in words comes to people escaped and cut, by whatever message it came."""

from __future__ import annotations

from gym_p2p.config import SyncConfig
from gym_p2p.core.match.commands import BeginEpisode
from gym_p2p.core.match.events import EpisodeRefused, HandshakeMismatch, PlayerGone
from gym_p2p.core.match.match import Match
from gym_p2p.core.wire.codec import JsonObject
from gym_p2p.core.wire.messages import Cause, Goodbye, Ready, Refuse, encode
from tests.core.match.pairs import greeted_match, outputs_of


def test_the_differences_of_a_refusal() -> None:
    match = Match(
        local=0, players=2, description={"must": {}}, match_seed=7, sync=SyncConfig(), secret=b"ours"
    )
    match.opened(1, 0.0)
    match.receive(1, encode(Refuse((("fps\x1b[2J", "30\r", "60" * 2_000),))), 0.0)
    (mismatch,) = [event for event in outputs_of(match) if isinstance(event, HandshakeMismatch)]
    ((what, ours, theirs),) = mismatch.differences
    assert (what, theirs) == ("fps\\x1b[2J", "30\\r")
    assert ours.startswith("6060")
    assert len(ours) == 2_000


def test_the_options_of_an_episode() -> None:
    match = greeted_match(2)
    match.command(BeginEpisode(options={"level": 1}), 0.0)
    match.receive(1, encode(Ready(1, None, JsonObject({"level": "\x7f\x1b[2J" + "x" * 9_000}), 0, 0)), 0.0)
    (refused,) = [event for event in outputs_of(match) if isinstance(event, EpisodeRefused)]
    ((_, ours, theirs),) = refused.differences
    assert ours == '{"level": 1}'
    assert theirs.isprintable()
    assert len(theirs) == 2_000


def test_the_reason_of_a_goodbye() -> None:
    match = greeted_match(2)
    match.receive(1, encode(Goodbye("\x1b[2Jbye", 0, 0, None, Cause.LEFT, ())), 0.0)
    (gone,) = [event for event in outputs_of(match) if isinstance(event, PlayerGone)]
    assert gone.stated_reason == "\\x1b[2Jbye"
