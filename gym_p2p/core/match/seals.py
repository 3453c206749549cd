"""Seals on a goodbye, by which those to whom another player passes it on know it for the leaver's own words.

A goodbye may reach some of the others only, who pass it on once its sender is gone. Who passes it on could
make it up. So every player gives each of the others a key of their own with the greeting, over the link that
only these two read, and puts one seal for each into the goodbye: a keyed digest of all its other fields. Who
is not the recipient does not know the recipient's key, and can neither make nor change what it seals. (These
are the authenticators of Castro and Liskov, "Practical Byzantine fault tolerance", 1999.)

The same key seals what two players send each other by the service or a third player
(:mod:`gym_p2p.core.match.forwards`): who passes it on can neither make nor change it. And it proves who is at
the other end of a link that replaces another one (:mod:`gym_p2p.core.match.reconnecting`).

Knows keys and digests; refuses to know what a goodbye leads to. A goodbye that comes from its sender's own
link needs no seal.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import blake2b
from types import MappingProxyType

import msgspec

from gym_p2p.core.wire.forwarded import FORWARD_SEAL_BYTES
from gym_p2p.core.wire.messages import SEAL_BYTES, Goodbye, Resume, encode

__all__ = ["SECRET_BYTES", "Seals"]

SECRET_BYTES = 32
"""Of what a player's keys are derived from."""

_ROUND = 0
"""Counts no attempt to make a link: those begin with 1."""
_QUESTION = b"who is there"


class Seals:
    """One player's keys in a match of so many players.

    Args:
        secret: random bytes, known to nobody else.
        incarnation: which process of the player's this is, from 0.
        theirs: what the others gave an earlier one, by player.
    """

    def __init__(
        self,
        secret: bytes,
        *,
        players: int,
        incarnation: int = 0,
        theirs: Mapping[int, bytes] = MappingProxyType({}),
    ) -> None:
        self._secret = secret
        self._players = players
        self.incarnation = incarnation
        self._theirs = dict(theirs)

    @property
    def theirs(self) -> dict[int, bytes]:
        """What the others gave us, by player."""
        return dict(self._theirs)

    def key_for(self, player: int) -> bytes:
        """Return what a player gets to know our goodbye by."""
        return blake2b(bytes([player]), key=self._secret[:64], digest_size=SEAL_BYTES).digest()

    def keep(self, player: int, key: bytes) -> None:
        """Keep what a player gave us to know their goodbye by."""
        self._theirs[player] = key

    def proof_for(self, player: int, attempt: int, binding: bytes) -> bytes:
        """Return what shows a player that it is us who is at the other end of a new link.

        Args:
            player: to whom it is shown.
            attempt: to make the link.
            binding: what the link's two ends alone know and have in common.
        """
        return _proof(self.key_for(player), self.incarnation, attempt, binding)

    def proves(self, player: int, resume: Resume, binding: bytes) -> bool:
        """Whether the first message of a new link is that player's, and over this link."""
        key = self._theirs.get(player)
        if not key:
            return False
        proof = _proof(key, resume.incarnation, resume.attempt, binding)
        return hmac.compare_digest(resume.proof, proof)

    def question_for(self, player: int) -> Resume:
        """Return what asks a player, by a way round, whether they are there: anybody may repeat it."""
        return Resume(_ROUND, self.proof_for(player, _ROUND, _QUESTION), self.incarnation)

    def asks(self, player: int, resume: Resume) -> bool:
        """Whether what came by a way round is such a question of that player's."""
        return resume.attempt == _ROUND and self.proves(player, resume, _QUESTION)

    def answer_for(self, player: int, incarnation: int) -> Resume:
        """Return what shows a process of a player's, by a way round, that it is us who is there."""
        return Resume(_ROUND, self.proof_for(player, _ROUND, _answer_to(incarnation)), self.incarnation)

    def answers(self, player: int, resume: Resume) -> bool:
        """Whether what came by a way round is that player's answer to this process of ours."""
        return resume.attempt == _ROUND and self.proves(player, resume, _answer_to(self.incarnation))

    def knows(self, player: int) -> bool:
        """Whether a player has given us what their seals are known by."""
        return bool(self._theirs.get(player))

    def forward_seal(self, unsealed: bytes, recipient: int, incarnation: int) -> bytes:
        """Return the seal on what others pass on for us.

        Args:
            unsealed: all of it.
            recipient: for whom it is.
            incarnation: which process of the recipient's.
        """
        return _forward_seal(unsealed, self.key_for(recipient), self.incarnation, incarnation)

    def is_forwarded(self, unsealed: bytes, origin: int, incarnation: int, seal: bytes) -> bool:
        """Whether what others passed on is from who it is said to be: that process of theirs, for this one.

        The keys outlive a process: what was sealed for or by the one before could be repeated otherwise.
        """
        key = self._theirs.get(origin)
        if not key:
            return False
        return hmac.compare_digest(seal, _forward_seal(unsealed, key, incarnation, self.incarnation))

    def sealed(self, goodbye: Goodbye) -> Goodbye:
        """Return our goodbye with a seal for everybody."""
        seals = tuple([_seal(goodbye, self.key_for(player)) for player in range(self._players)])
        return msgspec.structs.replace(goodbye, seals=seals)

    def is_theirs(self, player: int, goodbye: Goodbye, *, local: int) -> bool:
        """Whether a goodbye that another player passed on is this player's own.

        Args:
            player: whose it is said to be.
            goodbye: as it came.
            local: our index.
        """
        key = self._theirs.get(player)
        if not key or local >= len(goodbye.seals):
            return False
        return hmac.compare_digest(goodbye.seals[local], _seal(goodbye, key))


def _answer_to(incarnation: int) -> bytes:
    return b"answer to %d" % incarnation


def _proof(key: bytes, incarnation: int, attempt: int, binding: bytes) -> bytes:
    named = b"resume %d %d " % (incarnation, attempt) + binding
    return blake2b(named, key=key, digest_size=SEAL_BYTES).digest()


def _forward_seal(unsealed: bytes, key: bytes, by: int, to: int) -> bytes:
    named = b"forward %d %d " % (by, to) + unsealed
    return blake2b(named, key=key, digest_size=FORWARD_SEAL_BYTES).digest()


def _seal(goodbye: Goodbye, key: bytes) -> bytes:
    plain = msgspec.structs.replace(goodbye, seals=())
    return blake2b(encode(plain), key=key, digest_size=SEAL_BYTES).digest()
