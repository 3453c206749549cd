"""Messages of a match that the service passes on: between members alone, and within a budget of their own."""

from __future__ import annotations

from typing import Any

import pytest

from gym_p2p.core.api import requests
from gym_p2p.core.api.payloads import encode
from gym_p2p.core.api.relaying import (
    BYTES_BURST,
    MAX_MESSAGE_CHARS,
    MESSAGES_BURST,
    MESSAGES_PER_S,
    RelayedMessage,
)
from gym_p2p.core.api.replies import Accepted, Answer, Code, Emit, Refused
from gym_p2p.core.api.rooms import MatchFound
from gym_p2p.core.service.message_budget import MATCH_SHARE, MessageBudget
from tests.core.service.desk import Desk


def playing(players: int = 2) -> tuple[Desk, str]:
    """A match of so many, each on a socket that is called as its subject is; and its id."""
    desk = Desk()
    names = ["ann", "bob", "cid"][:players]
    for name in [*names, "eve"]:
        desk.connected(name)
        desk.register(name, subject_id=name)
    for seat, name in enumerate(names):
        desk.join(name, room="r", seats=tuple(range(players)), take=(seat,))
    found = [e.payload for e in sent(desk) if isinstance(e.payload, MatchFound)]
    assert found[0].relays
    return desk, found[0].match_id


def sent(desk: Desk) -> list[Emit]:
    outputs: list[Any] = []
    while (output := desk.poll()) is not None:
        outputs.append(output)
    return [output for output in outputs if isinstance(output, Emit)]


def relay(desk: Desk, who: str, match_id: str, target: Any, data: str = "eA==") -> Answer:
    answer = desk.rooms.between.relay(who, requests.RelayMessage(match_id, target, data), desk.now)
    desk.machines.settle(desk.now)
    return answer


def test_a_message_goes_to_the_player_whom_it_names_and_from_who_sent_it() -> None:
    desk, match_id = playing(3)
    assert relay(desk, "ann", match_id, 2) == Accepted()
    (message,) = sent(desk)
    assert message.socket == "cid"
    assert isinstance(message.payload, RelayedMessage)
    assert encode(message.payload) == {"game_id": match_id, "from_player_id": 0, "data": "eA=="}


@pytest.mark.parametrize(
    ("who", "match_id", "target", "code"),
    [
        ("eve", None, 0, Code.NO_SUCH_MATCH),
        ("ann", "another", 1, Code.NO_SUCH_MATCH),
        ("ann", None, 0, Code.NOT_A_MEMBER),
        ("ann", None, 7, Code.NOT_A_MEMBER),
        ("ann", None, "1", Code.NOT_A_MEMBER),
    ],
)
def test_nobody_else_is_reached(who: str, match_id: str | None, target: Any, code: Code) -> None:
    desk, own = playing()
    answer = relay(desk, who, own if match_id is None else match_id, target)
    assert isinstance(answer, Refused)
    assert answer.code is code
    assert not sent(desk)


def test_who_has_left_is_reached_no_more() -> None:
    desk, match_id = playing()
    desk.leave("bob", room="r")
    sent(desk)
    answer = relay(desk, "ann", match_id, 1)
    assert isinstance(answer, Refused)
    assert answer.code is Code.NOT_A_MEMBER


def test_what_is_beyond_the_budget_is_refused_and_comes_back_with_time() -> None:
    desk, match_id = playing()
    answers = [relay(desk, "ann", match_id, 1) for _ in range(MESSAGES_BURST + 3)]
    assert [isinstance(answer, Refused) for answer in answers] == [False] * MESSAGES_BURST + [True] * 3
    refused = answers[-1]
    assert isinstance(refused, Refused)
    assert refused.code is Code.RATE_LIMITED
    assert refused.retry_after_ms is not None
    assert len(sent(desk)) == MESSAGES_BURST
    assert relay(desk, "bob", match_id, 0) == Accepted(), "each has their own"
    desk.now += 1.0
    later = [relay(desk, "ann", match_id, 1) for _ in range(MESSAGES_PER_S + 1)]
    assert [isinstance(answer, Refused) for answer in later] == [False] * MESSAGES_PER_S + [True]


def test_a_message_is_small_and_all_of_them_together_are_bounded() -> None:
    budget = MessageBudget()
    too_large = budget.take("ann", "m", MAX_MESSAGE_CHARS + 1, 0.0)
    assert too_large is not None
    assert too_large.code is Code.TOO_LARGE
    taken = 0
    while budget.take("ann", "m", MAX_MESSAGE_CHARS, 0.0) is None:
        taken += 1
    assert taken == BYTES_BURST // MAX_MESSAGE_CHARS


def test_the_players_of_a_match_share_what_it_may() -> None:
    budget = MessageBudget()
    taken = sum(
        budget.take(f"player-{player}", "m", 1, 0.0) is None
        for _ in range(MESSAGES_BURST)
        for player in range(8)
    )
    assert taken == MATCH_SHARE * MESSAGES_BURST
    assert budget.take("somebody", "another match", 1, 0.0) is None
