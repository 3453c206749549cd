"""What a host hands to :func:`~gym_p2p.server.mount` to be called, and how its mistakes end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from gym_p2p.config.public_ids import public_id_problem
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.handlers.hooks import PreMatchHook

__all__ = ["Callbacks", "SubjectOf"]

_LOG = client_log(__name__)

SubjectOf = Callable[[str, Mapping[str, Any]], str | None]
"""Says, of a socket's id and its environment, who that is to the host; ``None``: nobody (yet)."""


@attrs.frozen(kw_only=True)
class Callbacks:
    """The functions of one host.

    Attributes:
        subject_of: says whose a socket is; ``None``: the clients say so themselves.
        pre_match: asked before a queue's match is made; ``None``: nobody is.
        hook_timeout_s: when that has not answered by then, it has rejected.
    """

    subject_of: SubjectOf | None = None
    pre_match: PreMatchHook | None = None
    hook_timeout_s: float = 5.0

    def ask_subject(self, socket: str, environ: Mapping[str, Any]) -> str | None:
        """Return whose a socket is by the host; ``None`` where it does not know, or fails. Never raises."""
        if self.subject_of is None:
            return None
        try:
            subject_id = self.subject_of(socket, environ)
        except Exception:  # noqa: BLE001  # the host's bug must not end its own connections
            _LOG.exception("in the host's subject_of; the socket is nobody's")
            return None
        problem = None if subject_id is None else public_id_problem(subject_id)
        if problem is not None:
            _LOG.error("the host's subject_of: %s; the socket is nobody's", problem)
            return None
        return subject_id
