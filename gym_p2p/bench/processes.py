"""The bench's own processes, seen from outside: started, sent requests, ended.

A request is a line of JSON on a worker's standard input, a response one on its standard output. A worker ends
with its input, so that none outlives the command, however that ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import threading
from typing import Any, Self

import attrs

from gym_p2p.errors import P2PError
from gym_p2p.processes.python import python_command

__all__ = ["RESPONSE_TIMEOUT_S", "Pair", "Worker"]

RESPONSE_TIMEOUT_S = 60.0
"""Longer than any round lasts."""

END_TIMEOUT_S = 10.0
"""For a goodbye and closing; then a worker is killed."""


class Worker:
    """One process of :mod:`gym_p2p.bench.worker`; use it as a context manager.

    Args:
        kind: what it is to be.
        python: the interpreter of another environment, whose package is measured; ``None`` is this one.
        processor: where it is to run; ``None`` is wherever the system puts it.
        arguments: for that kind, plain data.
    """

    def __init__(
        self, kind: str, python: str | None = None, processor: int | None = None, /, **arguments: Any
    ) -> None:
        self._kind = kind
        module, texts = "gym_p2p.bench.worker", (kind, json.dumps(arguments))
        own = python_command(module, *texts)
        self._responses: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # Its own process group: a Ctrl-C reaches it as the end of its input.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            own if python is None else [python, "-P", "-m", module, *texts],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if processor is not None:
            self._keep_on(processor)

    def _keep_on(self, processor: int) -> None:
        """Keep the process on a processor; it has no threads yet, which run where it does."""
        try:
            os.sched_setaffinity(self._process.pid, {processor})
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_rest: object) -> None:
        if error is not None:
            self._process.kill()  # it may be in the middle of a round, and nobody waits for the figures
        self.close()

    def send_request(self, operation: str, **arguments: Any) -> None:
        """Send a request; :meth:`response` has to follow."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe, see above
        try:
            self._process.stdin.write(json.dumps({"operation": operation, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise P2PError(f"a bench process ({self._kind}) is gone") from None

    def response(self, timeout_s: float = RESPONSE_TIMEOUT_S) -> Any:
        """Return the response to the oldest open request.

        Raises:
            P2PError: it failed, ended, or does not answer in time.
        """
        try:
            line = self._responses.get(timeout=timeout_s)
        except queue.Empty:
            raise P2PError(f"a bench process ({self._kind}) did not answer in {timeout_s:g} s") from None
        if line is None:
            raise P2PError(f"a bench process ({self._kind}) ended by itself")
        response = json.loads(line)
        if "error" in response:
            raise P2PError(f"a bench process ({self._kind}) failed: {response['error']}")
        return response["result"]

    def request(self, operation: str, **arguments: Any) -> Any:
        """Send a request and return the response."""
        self.send_request(operation, **arguments)
        return self.response()

    def close(self) -> None:
        """End the process. Idempotent."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(1.0)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._responses.put(line)
        self._responses.put(None)


@attrs.frozen(eq=False)
class Pair:
    """Two players of a match, or the two ends of a wire; what is measured at one, is at the first."""

    one: Worker
    other: Worker

    def send_request(self, operation: str, **arguments: Any) -> None:
        """Send both the same request; :meth:`response` has to follow."""
        self.one.send_request(operation, **arguments)
        self.other.send_request(operation, **arguments)

    def response(self) -> list[Any]:
        """Return both responses."""
        return [self.one.response(), self.other.response()]

    def request(self, operation: str, **arguments: Any) -> list[Any]:
        """Send both the same request at the same time; return their responses."""
        self.send_request(operation, **arguments)
        return self.response()
