"""Links to the other players over which the service passes messages on, as text over Socket.IO.

They are there as long as the line to the service is, and carry what that budget lets through
(:mod:`gym_p2p.core.api.relaying`): what is beyond is not sent, for the service would refuse it, and of that
game messages are the first (:mod:`gym_p2p.core.link.relay_budget`). What is lost with a line, or not sent, is
the match's to send again, control messages too.

Knows bytes, text and rates; refuses to know when such a link is used, and what it carries.
"""

from __future__ import annotations

import binascii
import logging
from collections.abc import Callable
from typing import Protocol

from gym_p2p.core.api.relaying import (
    BYTES_BURST,
    BYTES_PER_S,
    MAX_MESSAGE_CHARS,
    MESSAGES_BURST,
    MESSAGES_PER_S,
    RelayedMessage,
)
from gym_p2p.core.link.relay_budget import RelayBudget
from gym_p2p.core.wire.messages import Channel
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.net.links.driver import Driver
from gym_p2p.net.links.transport import LinkState

__all__ = ["ServiceLink", "ServiceLinks"]

_log = logging.getLogger(__name__)

_SHARE = 0.9
"""Of what the service grants: its clock is not ours."""


class Send(Protocol):
    """Has a text passed on to a player."""

    def __call__(self, player_id: SeatId, text: str, /, *, may_be_lost: bool) -> bool:
        """Return whether it was sent; what may be lost gives way to what must arrive."""


class ServiceLink:
    """One end of a link to a player; satisfies :class:`gym_p2p.net.links.transport.Link`."""

    binding = b""
    """There is nothing that its ends have in common and the service has not: messages bear seals instead."""

    def __init__(self, player_id: SeatId, send: Send, budget: RelayBudget, time: Callable[[], float]) -> None:
        self._player_id = player_id
        self._send = send
        self._budget = budget
        self._time = time
        self.state = LinkState.OPEN

    def send(self, channel: Channel, data: bytes | str) -> bool:
        """Send one message; see :meth:`gym_p2p.net.links.transport.Link.send`.

        A control message that was not sent is sent again once the player's count of what they hold stays
        behind, or shows a gap (:mod:`gym_p2p.core.match.rerouting`).
        """
        if self.state is not LinkState.OPEN or isinstance(data, str):
            return False
        text = binascii.b2a_base64(data, newline=False).decode()
        may_be_lost = channel is Channel.GAME
        within = self._budget.takes(len(text), self._time(), may_be_lost=may_be_lost)
        return within and self._send(self._player_id, text, may_be_lost=may_be_lost)

    async def close(self) -> None:
        """Close it."""
        self.state = LinkState.CLOSED


class ServiceLinks:
    """All of one player's.

    Args:
        driver: carries the match.
        players: everybody's id, by their index.
        send: has a text passed on to a player.
        time: monotonic seconds.
    """

    def __init__(
        self, driver: Driver, players: dict[SeatId, int], send: Send, *, time: Callable[[], float]
    ) -> None:
        self._driver = driver
        self._players = players
        budget = RelayBudget(
            messages_per_s=round(_SHARE * MESSAGES_PER_S),
            messages_burst=round(_SHARE * MESSAGES_BURST),
            size_per_s=round(_SHARE * BYTES_PER_S),
            size_burst=round(_SHARE * BYTES_BURST),
        )
        for player_id, player in players.items():
            driver.service_link(player, ServiceLink(player_id, send, budget, time))

    def receive(self, message: RelayedMessage) -> None:
        """Hand over what the service passed on; what is no message is dropped."""
        player = self._players.get(message.from_player_id)
        if player is None or len(message.data) > MAX_MESSAGE_CHARS:
            return
        try:
            data = binascii.a2b_base64(message.data, strict_mode=True)
        except ValueError as error:
            _log.debug("what the service passed on is no base64: %s", error)
            return
        self._driver.service_message(player, data)
