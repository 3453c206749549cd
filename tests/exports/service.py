"""A stand-in for the service, and documents that wait for it."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import threading
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from gym_p2p.exports import SpoolEntry, Upload, document_path, write_document
from tests.waiting import PATIENCE_S, lasting_port

__all__ = ["TOKEN", "Service", "away", "entries", "spool", "target"]

TOKEN = "the-token"  # noqa: S105 - not a secret


class Service:
    """A tiny stand-in for the service: scripted statuses, then 200; it keeps what it was sent.

    Attributes:
        released: answers what it holds back for ``delay_s``.
    """

    def __init__(
        self,
        *statuses: int,
        answer: bytes = b'{"ok":true,"stored":true}',
        refusal: bytes = b'{"ok":false}',
        location: str | None = None,
        chokes_on: Container[object] = (),
        delay_s: float = 0,
        port: int = 0,
    ) -> None:
        self.received: list[tuple[str, dict[str, str], Any]] = []
        self.statuses = list(statuses)
        self.requests = 0
        self.released = threading.Event()
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.requests += 1
                service.released.wait(delay_s)
                status = service.statuses.pop(0) if service.statuses else 200
                if json.loads(gzip.decompress(body)).get("playerId") in chokes_on:
                    status = 500
                if status == 200:
                    document = json.loads(gzip.decompress(body))
                    service.received.append((self.path, dict(self.headers), document))
                self.send_response(status)
                if location is not None:
                    self.send_header("Location", location)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(answer if status == 200 else refusal)

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_S)

    @classmethod
    @contextlib.contextmanager
    def running(cls, *statuses: int, **options: Any) -> Iterator[Service]:
        service = cls(*statuses, **options)
        try:
            yield service
        finally:
            service.close()


def away() -> str:
    """Return an address of this machine where nobody answers."""
    return f"http://127.0.0.1:{lasting_port()}"


def target(url: str, player: str | int = 0, token: str = TOKEN) -> Upload:
    return Upload.of_document(server_url=url, match_id="m", player_id=player, kind="multiplayer", token=token)


def spool(directory: Path, url: str, player: str | int = 0, token: str = TOKEN) -> Path:
    """Leave a document and its entry behind, as a process that ended does."""
    path = write_document(document_path(directory / "m", player, "multiplayer"), {"playerId": player})
    SpoolEntry.create(
        directory, "m", player, kind="multiplayer", target=target(url, player, token), document=path
    ).close()
    return path


def entries(directory: Path) -> list[Path]:
    return sorted((directory / ".spool").glob("*.json"))
