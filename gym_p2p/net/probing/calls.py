"""A probe as one call: sign in, measure, hang up. What a command or a script needs.

Knows the signalling client and the probe manager. It refuses to know what is shown of the result.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from gym_p2p.config import LinkConfig
from gym_p2p.core.api.requests import ProbeWait
from gym_p2p.errors import ConnectFailed
from gym_p2p.net.client.events import LineChanged
from gym_p2p.net.client.signaling import SignalingClient
from gym_p2p.net.probing.manager import ProbeManager, ProbeResult

__all__ = ["answer_probes", "probe_peer"]

_PROBE_TIMEOUT_S = 30.0
"""Above what the service allows a probe, and what this side waits for a service that is silent."""


async def probe_peer(
    target_subject_id: str,
    *,
    server_url: str,
    subject_id: str,
    link: LinkConfig | None = None,
    pings: int | None = None,
) -> ProbeResult:
    """Measure the latency to a subject who waits for that (:func:`answer_probes`).

    Raises:
        ServiceRefused: ``no_such_subject`` when nobody of that name waits.
        ServiceUnreachable: there is no service.
        ConnectFailed: the service took the request for the probe and then was silent.
    """
    results: asyncio.Queue[ProbeResult] = asyncio.Queue()
    async with _probing(server_url, subject_id, link, pings, results) as (_client, manager):
        await manager.request(target_subject_id)
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                while _goes_on(result := await results.get()):
                    pass
        except TimeoutError:
            raise ConnectFailed(
                f"the probe of {target_subject_id!r}",
                waited_s=_PROBE_TIMEOUT_S,
                seen="no request of the service to prepare",
                advice="Is the line to the service alive? Try again.",
            ) from None
    return result


async def answer_probes(
    *,
    server_url: str,
    subject_id: str,
    link: LinkConfig | None = None,
    pings: int | None = None,
    count: int | None = None,
    on_waiting: Callable[[], None] | None = None,
    on_result: Callable[[ProbeResult], None],
) -> None:
    """Let whoever knows this name probe us, until cancelled or for ``count`` probes.

    Args:
        server_url: the service.
        subject_id: the name.
        link: how peers are reached.
        pings: exactly so many pings in every probe; ``None`` is as many as are needed.
        count: return after so many probes; ``None`` goes on.
        on_waiting: called once we can be found.
        on_result: called with every probe.

    Raises:
        ServiceRefused: the service would not have this name.
        ServiceUnreachable: there is no service.
    """
    results: asyncio.Queue[ProbeResult] = asyncio.Queue()
    async with _probing(server_url, subject_id, link, pings, results) as (client, manager):

        def wait_again(line: LineChanged) -> None:
            if line.up:  # the service has forgotten with the old one that we wait
                client.send(ProbeWait(waiting=True))

        client.events.listen(LineChanged, wait_again)
        await manager.wait_for_requests()
        if on_waiting is not None:
            on_waiting()
        answered = 0
        while count is None or answered < count:
            result = await results.get()
            answered += not _goes_on(result)
            on_result(result)


@contextlib.asynccontextmanager
async def _probing(
    server_url: str,
    subject_id: str,
    link: LinkConfig | None,
    pings: int | None,
    results: asyncio.Queue[ProbeResult],
) -> AsyncIterator[tuple[SignalingClient, ProbeManager]]:
    """Sign in, take part in probes, and hang up."""
    client = SignalingClient()
    try:
        await client.connect(server_url, subject_id)
        manager = ProbeManager(
            client, client.subject_id, link=link, pings=pings, on_result=results.put_nowait
        )
        try:
            yield client, manager
        finally:
            await manager.close()
    finally:
        await client.close()


def _goes_on(result: ProbeResult) -> bool:
    """Return whether the service probes the pair once more."""
    return result.verdict is not None and result.verdict.reason == "again"
