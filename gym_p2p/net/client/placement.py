"""A place in a room or a queue: requested, requested again after a broken line, and the match it leads to.

It knows what has been announced of the place. It refuses to know how the line is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import attrs

from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.api.payloads import Payload
from gym_p2p.core.api.queues import MatchFailed, QueueStatus
from gym_p2p.core.api.requests import JoinRoom, LeaveQueue, LeaveRoom
from gym_p2p.core.api.rooms import MatchFound, RoomStatus, TurnedAway
from gym_p2p.core.wire.foreign_text import printable
from gym_p2p.errors import ConnectFailed, NoMatch, P2PError, ServiceRefused, ServiceUnreachable
from gym_p2p.net.client.line import Line

__all__ = ["Place", "Placement"]

_LEAVE_TIMEOUT_S = 2.0
"""Who leaves is in a hurry, and the service notices by itself. Below ``bridge.STOP_TIMEOUT_S``."""
_JOIN_ATTEMPTS = 4
_LONGEST_RETRY_S = 3.0
"""A join that the service refuses for its haste is repeated when the service allows it, if that is soon."""


@attrs.frozen
class Place:
    """Where a match is waited for."""

    name: str
    join: JoinRoom | QueueTicket
    leave: LeaveRoom | LeaveQueue


# The future of the match is made before the place is requested, for the match may be announced before the
# answer is here; a refusal brings the one before back, which somebody may be waiting for. It ends once, in
# one of four ways: the match, the queue's giving up, a place that is lost to somebody else, the end of the
# client. A broken line is none of them: the place is requested again on the next one, with the seats that
# were granted.


class Placement:
    """The place of one client, if it has one.

    Attributes:
        match: the match that was found, if any.
    """

    def __init__(self, line: Line) -> None:
        self.match: MatchFound | None = None
        self._line = line
        self._place: Place | None = None
        self._status: RoomStatus | QueueStatus | None = None
        self._turned_away: TurnedAway | None = None
        self._found: asyncio.Future[MatchFound] | None = None

    async def join(self, place: Place) -> Mapping[str, Any]:
        """Request a place, and return the answer; :meth:`settle` what came of it."""
        before, self._found = self._found, asyncio.get_running_loop().create_future()
        try:
            return await self._request(place)
        except P2PError:
            self._found = before
            raise

    def settle(self, place: Place, status: RoomStatus | None = None) -> None:
        """Hold this place from now on: the one to request again."""
        self._place = place
        self._status = status or self._status

    async def join_again(self) -> None:
        """Request the place once more if the line broke between joining and the match."""
        if self._place is None or self._found is None or self._found.done():
            return
        try:
            await self._request(self._place)
        except ServiceUnreachable:
            pass  # broken again: the next round repeats it
        except P2PError as error:
            self.fail(error)

    async def wait(self, timeout_s: float) -> MatchFound:
        """Wait for the match; see :meth:`SignalingClient.wait_for_match`."""
        if self._found is None:
            raise RuntimeError("join_room() comes first")
        try:
            return await asyncio.wait_for(asyncio.shield(self._found), timeout_s)
        except TimeoutError:
            raise ConnectFailed(
                f"the other players of {'the place' if self._place is None else self._place.name}",
                waited_s=timeout_s,
                seen=self._seen() if self._turned_away is None else f"{self._seen()}; {self._turned_away}",
                advice="Start the other players with the same one, at the same service.",
            ) from None

    async def leave(self, why: str | None = None) -> None:
        """Give up the place, whether waiting or playing; see :meth:`SignalingClient.leave`."""
        place, self._place = self._place, None
        self._line.playing(None)
        if place is None or not self._line.up:
            return
        with contextlib.suppress(P2PError, TimeoutError):
            async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                await self._line.flush()  # what was sent before is still for the others
                leave = place.leave if self.match is None else LeaveRoom(self.match.room, why)
                await self._line.request(leave)

    def receive(self, announced: Payload) -> None:
        """Take in an announcement, if it is about the place."""
        match announced:
            case MatchFound():
                if self._found is not None and not self._found.done():
                    self.match = announced
                    self._line.playing(announced.match_token)
                    self._found.set_result(announced)
            case MatchFailed():
                self.fail(NoMatch(announced.queue, printable(announced.reason), announced.waited_s))
            case RoomStatus() | QueueStatus():
                self._status = announced
            case TurnedAway():
                self._turned_away = announced

    def fail(self, error: P2PError) -> None:
        """End the wait for the match."""
        if self._found is not None and not self._found.done():
            self._found.set_exception(error)
            self._found.exception()  # taken note of: nobody may be waiting

    async def _request(self, place: Place) -> Mapping[str, Any]:
        """Request a place, and again where the service only wants it to be less often."""
        for _ in range(_JOIN_ATTEMPTS - 1):
            try:
                return await self._line.request(place.join)
            except ServiceRefused as error:
                if error.retry_after_s is None or error.retry_after_s > _LONGEST_RETRY_S:
                    raise
                await asyncio.sleep(error.retry_after_s)
        return await self._line.request(place.join)

    def _seen(self) -> str:
        if not self._line.up:
            return "the line to the service is broken"
        match self._status:
            case QueueStatus(waiting=waiting, state=state):
                return f"{waiting} in the queue, and {state}"
            case RoomStatus(seats_free=seats_free) if seats_free:
                return f"seats still free: {list(seats_free)}"
            case _:
                return "nothing yet"
