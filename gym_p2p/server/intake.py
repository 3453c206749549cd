"""What becomes of an uploaded body: the small are read in a worker thread, the large in a process apart.

To read a document is to build what somebody else describes: some tens of kilobytes can unpack to millions of
values, and building those would hold up every signal in this process. So what is large, unpacked, is read by
another process, two at a time, with bounds on their memory and their time. It knows files and processes; what
a document is, is the store's.

The answer is about the document alone: what becomes of the match's aggregate is logged, and a large one is
made after the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import IO, TypeVar

import attrs

from gym_p2p.core.record.documents import Kind
from gym_p2p.processes.tasks import note_failure, to_its_end
from gym_p2p.server.apart import SMALL_BYTES, Job, NotNowError, apart, apart_now, unpacked
from gym_p2p.server.guard.client_log import client_log
from gym_p2p.server.guard.tokens import UploadClaims
from gym_p2p.server.outbox import Outbox
from gym_p2p.server.quota import Quota
from gym_p2p.server.storage import HostStorage
from gym_p2p.server.store import DocumentError, Store

__all__ = ["MOST_BYTES", "Intake"]

_LOG = client_log(__name__)
_T = TypeVar("_T")

_CONCURRENT_SMALL = 2
_CONCURRENT_LARGE = 2
MOST_BYTES = 512 * 2**20
"""What a reader can hold; eight hours of eight players at 60 frames a second have about as much."""
_BYTES_A_SECOND = 64 * 2**10
"""A match of eight players at 60 frames a second with actions of ten numbers each adds about so many."""


@attrs.define(eq=False)
class Intake:
    """Takes bodies into a store.

    Args:
        store: where documents go.
        max_bytes: the largest document, unpacked, of a match that has just begun.
        quota_bytes: what all documents may take up; ``None`` is as much as the disk has.
        now: Unix seconds.
        outbox: where it is marked that the host is to be handed what is stored; ``None``: it is not.
        storage: where documents go instead, the host's own; ``None``: they stay in the store.
    """

    store: Store
    max_bytes: int
    quota_bytes: int | None = None
    now: Callable[[], float] = attrs.field(default=time.time, kw_only=True)
    outbox: Outbox | None = attrs.field(default=None, kw_only=True)
    storage: HostStorage | None = attrs.field(default=None, kw_only=True)
    _quota: Quota = attrs.field(
        init=False,
        default=attrs.Factory(lambda self: Quota(self.store.directory, self.quota_bytes), takes_self=True),
    )
    _small: asyncio.Semaphore = attrs.field(init=False, factory=lambda: asyncio.Semaphore(_CONCURRENT_SMALL))
    _large: asyncio.Semaphore = attrs.field(init=False, factory=lambda: asyncio.Semaphore(_CONCURRENT_LARGE))
    _of_match: weakref.WeakValueDictionary[str, asyncio.Lock] = attrs.field(
        init=False, factory=weakref.WeakValueDictionary
    )
    """Of two documents of a match that come at once, the second one's aggregate has both."""
    _aggregate_of: weakref.WeakValueDictionary[str, asyncio.Lock] = attrs.field(
        init=False, factory=weakref.WeakValueDictionary
    )
    """Apart from those, for no document waits for an aggregate."""
    _aggregates: set[asyncio.Task[None]] = attrs.field(init=False, factory=set)
    _to_aggregate: set[str] = attrs.field(init=False, factory=set)
    """Matches whose aggregate is about to be made: it has what comes meanwhile."""
    _small_threads: threading.Semaphore = attrs.field(
        init=False, factory=lambda: threading.Semaphore(_CONCURRENT_SMALL)
    )
    _large_threads: threading.Semaphore = attrs.field(
        init=False, factory=lambda: threading.Semaphore(_CONCURRENT_LARGE)
    )
    _of_match_threads: weakref.WeakValueDictionary[str, threading.Lock] = attrs.field(
        init=False, factory=weakref.WeakValueDictionary
    )
    _aggregate_of_threads: weakref.WeakValueDictionary[str, threading.Lock] = attrs.field(
        init=False, factory=weakref.WeakValueDictionary
    )

    def most_bytes(self, claims: UploadClaims) -> int:
        """Return the largest document of a match, unpacked: what can have been played of it by now."""
        lasts_s = 0.0 if claims.made_at is None else max(0.0, self.now() - claims.made_at)
        return min(self.max_bytes + round(lasts_s * _BYTES_A_SECOND), max(self.max_bytes, MOST_BYTES))

    def require_room(self, claims: UploadClaims, kind: Kind, size_bytes: int) -> None:
        """See that the quota lets a document of this size in. Blocking.

        Raises:
            QuotaFullError: it does not.
            OSError: that could not be found out.
        """
        self._quota.require_room(self.store.path(claims, claims.player_id, kind), size_bytes)

    async def take(self, claims: UploadClaims, kind: Kind, body: IO[bytes], *, gzipped: bool) -> None:
        """Store a document; return once it is on the disk.

        If it completes the match, the aggregate is made: by a task where that is slow, unless the host has a
        storage of its own.

        Args:
            claims: whose it is.
            kind: what it is.
            body: as it arrived, at its beginning.
            gzipped: whether it has to be unpacked.

        Raises:
            DocumentError: it is no document, or a part of one.
            TooLargeError: it is larger than documents may be, or than can be read within the bounds.
            NotNowError: the service could not read it.
            QuotaFullError: there is no room for it.
            ForeignDocumentError: it is another match's or player's.
            StorageError: the host's storage would not have it.
            OSError: it could not be stored.
        """
        size_bytes = body.seek(0, os.SEEK_END)
        async with (
            self._of_match.setdefault(claims.match_id, asyncio.Lock()),
            _elsewhere(self._marked(claims, kind)),
            _elsewhere(self._place(claims, kind)) as store,
        ):
            job = self._job(store, claims, kind, gzipped=gzipped)
            await asyncio.to_thread(self.require_room, claims, kind, size_bytes)
            async with self._small:
                stored = await to_its_end(partial(_store_small, store, job, body))
            if not stored:
                async with self._large:
                    await apart(job, body)
            async with self._small:
                left = await to_its_end(partial(_leave_aggregate, store, job, at_once=stored))
            if left and self.storage is not None:  # what it is made of is here for as long as this takes
                async with self._large:
                    with _noted(claims):
                        await apart(job, None)
                left = False
            await asyncio.to_thread(self._quota.stored, self.store.folder(claims))
        if left and claims.match_id not in self._to_aggregate:
            self._to_aggregate.add(claims.match_id)
            task = asyncio.create_task(self._aggregate(claims), name="gym_p2p aggregate")
            self._aggregates.add(task)
            task.add_done_callback(self._aggregates.discard)
            task.add_done_callback(note_failure)

    def take_now(self, claims: UploadClaims, kind: Kind, body: IO[bytes], *, gzipped: bool) -> bool:
        """Do the same as :meth:`take` where no event loop runs; between threads, or greenlets.

        Returns:
            Whether :meth:`aggregate_now` is to be called once the client has had its answer.
        """
        size_bytes = body.seek(0, os.SEEK_END)
        with (
            self._of_match_threads.setdefault(claims.match_id, threading.Lock()),
            self._marked(claims, kind),
            self._place(claims, kind) as store,
        ):
            job = self._job(store, claims, kind, gzipped=gzipped)
            self.require_room(claims, kind, size_bytes)
            with self._small_threads:
                stored = _store_small(store, job, body)
            if not stored:
                with self._large_threads:
                    apart_now(job, body)
            with self._small_threads:
                left = _leave_aggregate(store, job, at_once=stored)
            if left and self.storage is not None:
                with self._large_threads, _noted(claims):
                    apart_now(job, None)
                left = False
            self._quota.stored(self.store.folder(claims))
        return left

    async def _aggregate(self, claims: UploadClaims) -> None:
        """Make a large aggregate; if there is none, that is logged."""
        try:
            async with self._aggregate_of.setdefault(claims.match_id, asyncio.Lock()), self._large:
                self._to_aggregate.discard(claims.match_id)
                with _noted(claims):
                    await apart(self._job(self.store, claims, "multiplayer", gzipped=False), None)
            await asyncio.to_thread(self._quota.stored, self.store.folder(claims))
        finally:
            self._to_aggregate.discard(claims.match_id)

    def aggregate_now(self, claims: UploadClaims) -> None:
        """Make a large aggregate where no event loop runs; if there is none, that is logged."""
        if claims.match_id in self._to_aggregate:
            return
        self._to_aggregate.add(claims.match_id)
        with self._aggregate_of_threads.setdefault(claims.match_id, threading.Lock()), self._large_threads:
            self._to_aggregate.discard(claims.match_id)
            with _noted(claims):
                apart_now(self._job(self.store, claims, "multiplayer", gzipped=False), None)
                self._quota.stored(self.store.folder(claims))

    def _place(self, claims: UploadClaims, kind: Kind) -> contextlib.AbstractContextManager[Store]:
        if self.storage is None:
            return contextlib.nullcontext(self.store)
        return self.storage.bench(claims, kind)

    def _job(self, store: Store, claims: UploadClaims, kind: Kind, *, gzipped: bool) -> Job:
        return Job(store.directory, claims, kind, gzipped=gzipped, max_bytes=self.most_bytes(claims))

    def _marked(self, claims: UploadClaims, kind: Kind) -> contextlib.AbstractContextManager[None]:
        if self.outbox is None:
            return contextlib.nullcontext()
        return self.outbox.storing(claims.match_id, claims.player_id, kind, self.store.folder(claims))


@contextlib.asynccontextmanager
async def _elsewhere(blocking: contextlib.AbstractContextManager[_T]) -> AsyncIterator[_T]:
    """Enter and leave a context on threads; one that is entered is left, whenever the task is cancelled."""
    entered: list[_T] = []
    try:
        await to_its_end(lambda: entered.append(blocking.__enter__()))
        yield entered[0]
    except BaseException as error:
        if entered:
            await to_its_end(partial(blocking.__exit__, type(error), error, error.__traceback__))
        raise
    await to_its_end(partial(blocking.__exit__, None, None, None))


def _store_small(store: Store, job: Job, body: IO[bytes]) -> bool:
    """Store a small document; return whether it was one."""
    document = bytearray()
    for piece in unpacked(body, job):
        document += piece
        if len(document) > SMALL_BYTES:
            return False
    store.put(job.claims, job.kind, bytes(document))
    return True


def _leave_aggregate(store: Store, job: Job, *, at_once: bool) -> bool:
    """Make a small aggregate, if it is time for one; return whether a large one is to be made."""
    with _noted(job.claims):
        if job.kind != "multiplayer" or store.missing(job.claims):
            return False
        if not at_once or store.size_bytes(job.claims) > 2 * SMALL_BYTES:
            return True
        store.aggregate(job.claims)
    return False


@contextlib.contextmanager
def _noted(claims: UploadClaims) -> Iterator[None]:
    """Log why there is no aggregate: that is no matter of whoever brought a document."""
    try:
        yield
    except (DocumentError, NotNowError, OSError) as error:
        _LOG.warning("match %s: not aggregated: %s", claims.match_id, error)
