"""What can go wrong with a document that comes in over HTTP, as an answer to whoever brings it.

A refusal is made anew each time: an error that was raised keeps the frames that it has passed through.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Iterator

from gym_p2p.core.record.documents import Kind
from gym_p2p.files.problems import disk_problem
from gym_p2p.server.apart import NotNowError, TooLargeError
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.tokens import UploadClaims
from gym_p2p.server.parts import PartsFullError
from gym_p2p.server.quota import QuotaFullError
from gym_p2p.server.storage import StorageError
from gym_p2p.server.store import DocumentError, ForeignDocumentError
from gym_p2p.server.web import RefusalError

__all__ = ["SOON_AGAIN", "late", "told_to_client", "too_large", "too_many"]

_LOG = client_log(__name__)

SOON_AGAIN = (NotNowError, StorageError)
"""What is not the document's fault, nor its player's: the parts of a long one are kept for the next try."""


def late() -> RefusalError:
    """Return that a body, or the rest of it, has not come."""
    return RefusalError(408, "bad_request", "the document did not arrive in time")


def too_many() -> RefusalError:
    """Return that there is no place for one more body."""
    return RefusalError(503, "unavailable", "too many documents arrive at once; try again later")


def too_large(limit_bytes: int) -> RefusalError:
    """Return that a body is larger than it may be."""
    return RefusalError(413, "too_large", f"a document, or a part, has at most {limit_bytes} bytes here")


@contextlib.contextmanager
def told_to_client(claims: UploadClaims, kind: Kind) -> Iterator[None]:
    """Turn what can go wrong with a document into a refusal."""
    try:
        yield
    except asyncio.CancelledError:  # the server ends what has not ended in time
        raise RefusalError(503, "unavailable", "the service stops; try again later") from None
    except ForeignDocumentError as error:
        raise RefusalError(403, "unauthenticated", str(error)) from None
    except (*SOON_AGAIN, PartsFullError) as error:
        raise RefusalError(503, "unavailable", str(error)) from None
    except QuotaFullError as error:
        raise RefusalError(507, "unavailable", str(error)) from None
    except TooLargeError as error:
        raise RefusalError(413, "too_large", str(error)) from None
    except DocumentError as error:
        raise RefusalError(400, "bad_request", str(error)) from None
    except OSError as error:
        problem = disk_problem(error)
        _LOG.error(
            "match %s: the %s document of %s could not be stored: %s",
            *(claims.match_id, kind, claims.player_id, problem),
        )
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise RefusalError(507, "unavailable", f"the service: {problem}") from None
        raise RefusalError(503, "unavailable", "could not be stored; try again later") from None
