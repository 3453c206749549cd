"""TURN credentials that last for one probe or one match, made for one subject.

The form is that of the TURN REST API (draft-uberti-behave-turn-rest-00), which coturn calls
``use-auth-secret``: the user name is an expiry and a tag, the credential its HMAC-SHA1 under a secret that
the TURN server shares. The tag is a keyed hash, so that no participant's id stands on the wire or in the
TURN server's log, and is the same for all of a subject's credentials, so that the server's quotas hold.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence

import attrs

from gym_p2p.config import IceServer, Secret, ServiceConfig

__all__ = ["TurnCredentials", "ice_servers_for"]

_TAG_PURPOSE = b"gym_p2p TURN tag of "
_TAG_CHARS = 16  # 64 bits: no two of a study's subjects share one


class TurnCredentials:
    """Makes them.

    Args:
        secret: shared with the TURN servers.
        now: Unix seconds, the TURN servers' too.
    """

    def __init__(self, secret: str, *, now: Callable[[], float] = time.time) -> None:
        self._secret = secret.encode()
        self._now = now

    def mint(self, subject_id: str, lifetime_s: float) -> tuple[str, str]:
        """Return a user name and its credential, good for new allocations until they expire."""
        tag = hmac.new(self._secret, _TAG_PURPOSE + subject_id.encode(), hashlib.sha256).hexdigest()
        username = f"{int(self._now() + lifetime_s)}:{tag[:_TAG_CHARS]}"
        digest = hmac.digest(self._secret, username.encode(), hashlib.sha1)  # the only one that coturn takes
        return username, base64.b64encode(digest).decode()

    def equip(
        self, servers: Sequence[IceServer], subject_id: str, lifetime_s: float
    ) -> tuple[IceServer, ...]:
        """Return ICE servers with credentials for those TURN servers that have no fixed ones."""
        username, credential = self.mint(subject_id, lifetime_s)
        return tuple(
            attrs.evolve(server, username=username, credential=Secret(credential))
            if _wants(server)
            else server
            for server in servers
        )


def ice_servers_for(config: ServiceConfig, lifetime_s: float) -> Callable[[str], tuple[IceServer, ...]]:
    """Return what hands a subject the service's ICE servers, with credentials that last for so long."""
    if config.turn_secret is None:
        return lambda _subject_id: config.ice_servers
    credentials = TurnCredentials(config.turn_secret.reveal())
    return lambda subject_id: credentials.equip(config.ice_servers, subject_id, lifetime_s)


def _wants(server: IceServer) -> bool:
    return server.username is None and any(url.startswith(("turn:", "turns:")) for url in server.urls)
