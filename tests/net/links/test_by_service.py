"""Links over which the service passes messages on: as text, and within what it grants."""

from __future__ import annotations

import binascii
from typing import Any

import pytest

from gym_p2p.core.api.relaying import MESSAGES_BURST, MESSAGES_PER_S, RelayedMessage
from gym_p2p.core.wire.messages import Channel
from gym_p2p.net.links.by_service import ServiceLink, ServiceLinks
from gym_p2p.net.links.transport import LinkState


class Carrying:
    """What a driver is told."""

    def __init__(self) -> None:
        self.links: dict[int, ServiceLink] = {}
        self.heard: list[tuple[int, bytes]] = []

    def service_link(self, player: int, link: ServiceLink) -> None:
        self.links[player] = link

    def service_message(self, player: int, data: bytes) -> None:
        self.heard.append((player, data))


def links(*, up: bool = True) -> tuple[ServiceLinks, Carrying, list[tuple[Any, str]], list[float]]:
    driver, sent, now = Carrying(), list[tuple[Any, str]](), [0.0]

    def send(player_id: Any, text: str, *, may_be_lost: bool) -> bool:  # noqa: ARG001 - of both kinds alike
        sent.append((player_id, text))
        return up

    made = ServiceLinks(driver, {"left": 0, 2: 1}, send, time=lambda: now[0])  # type: ignore[arg-type]  # all it uses
    return made, driver, sent, now


def heard(data: str, who: Any = 2) -> RelayedMessage:
    return RelayedMessage(game_id="m", from_player_id=who, data=data)


def test_bytes_go_as_base64_to_the_player_and_come_back_as_they_were() -> None:
    made, driver, sent, _ = links()
    assert driver.links[1].send(Channel.GAME, b"\x00\xff")
    assert sent == [(2, binascii.b2a_base64(b"\x00\xff", newline=False).decode())]
    made.receive(heard(sent[0][1]))
    assert driver.heard == [(1, b"\x00\xff")]


@pytest.mark.parametrize("message", [heard("no base64!"), heard("eA==", "nobody"), heard("A" * 10_000)])
def test_what_is_no_message_is_dropped(message: RelayedMessage) -> None:
    made, driver, _, _ = links()
    made.receive(message)
    assert driver.heard == []


def test_no_more_is_sent_than_the_service_grants_to_all_players_together() -> None:
    _, driver, sent, now = links()
    both = (Channel.CTRL, Channel.GAME)
    answers = [driver.links[number % 2].send(c, b"x") for c in both for number in range(2 * MESSAGES_BURST)]
    assert len(sent) == sum(answers) == pytest.approx(0.9 * MESSAGES_BURST, abs=1)
    now[0] = 1.0
    answers = [driver.links[0].send(c, b"x") for c in both for _ in range(2 * MESSAGES_BURST)]
    assert sum(answers) == pytest.approx(0.9 * MESSAGES_PER_S, abs=1)


def test_game_messages_leave_half_of_what_may_come_at_once_to_control_messages() -> None:
    _, driver, _, now = links()
    for _ in range(10):
        now[0] += 1.0
        for _ in range(2 * MESSAGES_BURST):
            driver.links[0].send(Channel.GAME, b"x")
    words = [driver.links[1].send(Channel.CTRL, b"x") for _ in range(MESSAGES_BURST)]
    assert sum(words) == pytest.approx(0.45 * MESSAGES_BURST, abs=1)


def test_nothing_is_sent_without_a_line_or_once_it_is_closed() -> None:
    _, driver, _, _ = links(up=False)
    assert not driver.links[0].send(Channel.CTRL, b"x")
    _, driver, sent, _ = links()
    driver.links[0].state = LinkState.CLOSED
    assert not driver.links[0].send(Channel.CTRL, b"x")
    assert not sent
