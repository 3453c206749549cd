"""The framework's interfaces without a server: tasks that run when told, and a clock that is set."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gym_p2p.plugins.mug.context import Requests
from gym_p2p.plugins.mug.coordinator import TICK_S, ProbeCoordinator

__all__ = ["FakeRequests", "FakeServer"]


class FakeRequests(Requests):
    """The requests of a :class:`FakeServer`: which socket sends the event that is being handled."""

    def __init__(self, server: FakeServer) -> None:
        super().__init__(server)
        self.current: str | None = None
        self.inside = False

    def sender(self) -> str | None:
        return self.current

    @contextlib.contextmanager
    def of(self, sockets: Iterable[str | None]) -> Iterator[None]:
        self.inside = True
        assert tuple(sockets)
        yield
        self.inside = False


class FakeServer:
    """A server on virtual time.

    Attributes:
        sockets: by subject, who is there.
        sent: ``(event, payload, socket)``, in order.
        tickings: how often the coordinator has begun to tick.
    """

    def __init__(self, *subjects: str) -> None:
        self.time = 100.0
        self.sockets = {subject: f"socket-of-{subject}" for subject in subjects}
        self.sent: list[tuple[str, dict[str, Any], str]] = []
        self.tickings = 0
        self._tasks: list[Callable[[], object]] = []
        self.requests = FakeRequests(self)
        self.coordinator = ProbeCoordinator(
            self, self.sockets.get, requests=self.requests, now=lambda: self.time
        )

    # ---- what the coordinator calls

    def emit(self, event: str, payload: dict[str, Any], *, room: str) -> None:
        self.sent.append((event, payload, room))

    def start_background_task(self, target: Callable[..., object], *arguments: Any) -> None:
        if target == self.coordinator._tick_until_idle:
            self.tickings += 1  # `run_for` ticks instead
        else:
            self._tasks.append(lambda: target(*arguments))

    # ---- what tests do

    def run_tasks(self) -> None:
        while self._tasks:
            self._tasks.pop(0)()

    def run_for(self, seconds: float) -> None:
        """Let time pass, tick by tick."""
        for _ in range(round(seconds / TICK_S)):
            self.time += TICK_S
            self.coordinator.tick()
            self.run_tasks()

    def on(self, subject: str) -> contextlib.AbstractContextManager[None]:
        """Handle an event of this subject's page."""
        return self.on_socket(self.sockets[subject])

    @contextlib.contextmanager
    def on_socket(self, socket: str) -> Iterator[None]:
        self.requests.current = socket
        yield
        self.requests.current = None
        self.run_tasks()

    def names(self, subject: str) -> list[str]:
        """Return the events that went to a subject's present socket, in order."""
        return [event for event, _payload, room in self.sent if room == self.sockets.get(subject)]

    def probe_id(self, subject: str) -> str:
        """Return the id of the newest probe that a subject's page was told to prepare."""
        prepares = [
            payload
            for event, payload, room in self.sent
            if event == "probe_prepare" and room == self.sockets[subject]
        ]
        return str(prepares[-1]["probe_session_id"])

    def ready(self, *subjects: str) -> None:
        for subject in subjects:
            with self.on(subject):
                self.coordinator.handle_ready(self.probe_id(subject), subject)

    def report(self, subject: str, rtt_ms: Any, *, success: Any = True) -> None:
        with self.on(subject):
            self.coordinator.handle_result(self.probe_id(subject), rtt_ms, success)

    def probe(self, one: str, other: str, rtt_ms: float) -> None:
        """Let the pages of two do all that a probe takes."""
        self.ready(one, other)
        self.report(one, rtt_ms)
        self.report(other, rtt_ms)
