"""A match from its first ``reset`` to its documents: by which word it is closed, whatever ends it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from gym_p2p.errors import P2PError, PersonGone

if TYPE_CHECKING:
    from gym_p2p.exports import Finished
    from gym_p2p.play.session import Session

__all__ = ["play_whole_match"]


def play_whole_match(
    session: Session, play: Callable[[], str], unbroken: Callable[[str], AbstractContextManager[None]]
) -> tuple[str, Finished | None]:
    """Play a match, and close its session with how it ended.

    Args:
        session: where it is played.
        play: plays it, and returns how it ended; ``"done"`` where it came as far as it was to.
        unbroken: is given how it ended, and has its block, which closes the session, end by itself.

    Returns:
        How it ended, and what ``close()`` has written; ``None``: there is nothing.

    Raises:
        P2PError: there was no match, or it could not go on.
        PersonGone: the person went before there was a match; later, it is how that ended.
        KeyboardInterrupt: it was broken off, likewise.
    """
    ending = "failed"
    try:
        ending = play()
    except PersonGone as error:
        ending = error.reason
        if session.recorder is None:
            raise
    except KeyboardInterrupt:
        ending = "interrupted"
        if session.recorder is None:
            raise
    except P2PError:
        ending = "connect_failed" if session.progress.episode == 0 else "failed"
        raise
    finally:
        with unbroken(ending):
            finished = session.close("normal" if ending == "done" else ending)
    return ending, finished
