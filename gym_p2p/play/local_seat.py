"""For whom somebody acts who is used beside an environment: a person, a policy."""

from __future__ import annotations

from typing import Any

from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import ConfigurationError
from gym_p2p.play.session import Session

__all__ = ["local_seat", "session_of"]


def session_of(env: Any) -> Session | None:
    """Return the session of an environment, or of one that it wraps; ``None`` where there is none."""
    try:
        found = env.get_wrapper_attr("p2p")
    except (AttributeError, TypeError):  # what is no environment of Gymnasium's, or the class of one
        found = getattr(env, "p2p", None)
    return found if isinstance(found, Session) else None


def local_seat(session: Session, agent: SeatId | None, *, who: str) -> SeatId | None:
    """Return the local seat that somebody takes; ``None`` while any free one is wanted.

    Args:
        session: of the environment.
        agent: as the user named it; ``None`` where there is only one.
        who: takes it, in words.

    Raises:
        ConfigurationError: it is none of the session's, or one of several has to be named.
    """
    wanted = session.seats
    if agent is not None:
        if wanted is None or agent not in wanted:
            raise ConfigurationError("agent", f"wanted one of the local seats {wanted}, got {agent!r}")
        return agent
    if not wanted:
        return None
    if len(wanted) > 1:
        raise ConfigurationError("agent", f"say which of {', '.join(map(repr, wanted))} {who} plays")
    return wanted[0]
