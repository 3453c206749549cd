"""What becomes of a desync: both states, and the fields in which they differ.

Runs on the user's thread. Knows the running episode's kept states, how states travel, and the record;
refuses to know what follows for the match.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable

from gym_p2p.core.match.events import Desynced, GiveState, StateArrived
from gym_p2p.core.match.state_transfer import MAX_STATE_BYTES
from gym_p2p.core.record.match_record import MatchRecord
from gym_p2p.game.state.fields import Fields, differences
from gym_p2p.game.state.fields_json import fields_from_json, fields_to_json

__all__ = ["StateExchange"]

_log = logging.getLogger(__name__)

_MAX_PLAIN_BYTES = 16 * MAX_STATE_BYTES
"""A dump that unpacks to more is a trap."""


class StateExchange:
    """One match's exchange of states: of the first frame that differs from a player's, once with each."""

    def __init__(self, record: MatchRecord, command: Callable[[GiveState], None]) -> None:
        self._record = record
        self._command = command
        self._episode = 0
        self._fields: Callable[[int], Fields | None] = lambda _frame: None
        self._ours: dict[tuple[int, int], Fields] = {}
        self._sent: set[int] = set()

    def begin_episode(self, episode: int, fields: Callable[[int], Fields | None]) -> None:
        """Take the states of another episode from now on.

        Args:
            episode: its number among the players.
            fields: returns the state after a compared frame of it, if it is kept.
        """
        self._episode, self._fields = episode, fields

    def receive(self, event: object) -> None:
        """Take in an event of the network half: send our state at a desync, compare theirs."""
        match event:
            case Desynced(episode, frame, player, _, _):
                self._send(episode, frame, player)
            case StateArrived(player, episode, frame, data):
                self._compare(player, (episode, frame), data)

    def _send(self, episode: int, frame: int, player: int) -> None:
        """Send our state of a frame to a player, unless they got one before."""
        if player in self._sent or episode != self._episode:
            return
        fields = self._fields(frame)
        if fields is None:
            return
        self._sent.add(player)
        self._ours[episode, frame] = fields
        text = json.dumps(fields_to_json(fields), separators=(",", ":"))
        self._command(GiveState(player, episode, frame, zlib.compress(text.encode())))

    def _compare(self, player: int, key: tuple[int, int], data: bytes) -> None:
        ours = self._ours.get(key)
        if ours is None:
            return
        try:
            theirs = fields_from_json(_unpacked(data))
        except ValueError as error:
            _log.warning("player %d sent no state: %s", player, error)
            return
        found = differences(ours, theirs)
        episode, frame = key
        for path, one, other in found:
            _log.warning("desync at frame %d: %s is %s here and %s there", frame, path, one, other)
        record = self._record.called(episode)
        if record is not None:
            record.state_difference(frame, found, ours=fields_to_json(ours), theirs=fields_to_json(theirs))


def _unpacked(data: bytes) -> dict[str, object]:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, _MAX_PLAIN_BYTES)
        found = json.loads(text)
    except (zlib.error, RecursionError) as error:
        raise ValueError(str(error)) from None
    if not unpacker.eof or not isinstance(found, dict):
        raise ValueError("truncated, too large, or no object")
    return found
