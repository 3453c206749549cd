"""Documents in a storage of the host's own: uploaded, compared, handed over and read as from the folder."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import make_server

import pytest
import socketio

from gym_p2p.config import ServiceConfig
from gym_p2p.core.wire.seats import SeatId
from gym_p2p.errors import UsageError
from gym_p2p.exports.upload import UploadOutcome
from gym_p2p.server import Storage, mount, serve_in_thread, wsgi_app
from gym_p2p.server import outbox as outbox_module
from gym_p2p.server.factory import open_secret
from gym_p2p.server.guard.tokens import OperatorClaims, TokenSigner
from gym_p2p.server.storage import StoredKind
from tests.server.documents import document
from tests.server.test_on_document import MANY, Host, put
from tests.waiting import PATIENCE_S, until

Key = tuple[str, SeatId | None, StoredKind]


class InMemory:
    """A storage that fails as often as it is told to, at what it is told to."""

    def __init__(self) -> None:
        self.documents: dict[Key, bytes] = {}
        self.fails: dict[str, int] = {}
        self.threads: set[str] = set()

    def _called(self, method: str) -> None:
        self.threads.add(threading.current_thread().name)
        if self.fails.get(method, 0) > 0:
            self.fails[method] -= 1
            raise RuntimeError("the database is locked")

    def put(self, match_id: str, player_id: SeatId | None, kind: StoredKind, document: bytes) -> None:
        self._called(f"put {kind}")
        self.documents[match_id, player_id, kind] = document

    def get(self, match_id: str, player_id: SeatId | None, kind: StoredKind) -> bytes | None:
        self._called("get")
        return self.documents.get((match_id, player_id, kind))

    def list(self) -> Iterable[Key]:
        self._called("list")
        return iter(list(self.documents))


class InSqlite:
    """A storage as a host would write it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as database:
            database.execute("CREATE TABLE documents (key TEXT PRIMARY KEY, body BLOB)")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._path)) as database, database:
            yield database

    def put(self, match_id: str, player_id: SeatId | None, kind: StoredKind, document: bytes) -> None:
        with self._open() as database:
            key = json.dumps([match_id, player_id, kind])
            database.execute("INSERT OR REPLACE INTO documents VALUES (?, ?)", (key, document))

    def get(self, match_id: str, player_id: SeatId | None, kind: StoredKind) -> bytes | None:
        with self._open() as database:
            key = json.dumps([match_id, player_id, kind])
            row = database.execute("SELECT body FROM documents WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def list(self) -> Iterable[Key]:
        with self._open() as database:
            return [tuple(json.loads(key)) for (key,) in database.execute("SELECT key FROM documents")]


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return InMemory() if request.param == "memory" else InSqlite(tmp_path / "documents.sqlite")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


_OPERATOR = OperatorClaims(expires_at=1e12)


def read(url: str, data_dir: Path, path: str, method: str = "GET") -> Any:
    token = TokenSigner(open_secret(data_dir), OperatorClaims).issue(_OPERATOR)
    headers = {"authorization": f"Bearer {token}"}
    request = urllib.request.Request(url + path, method=method, headers=headers)  # noqa: S310  # ours
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310  # ours
        return json.loads(answer.read() or "null")


@pytest.mark.parametrize("large", [False, True])
def test_a_match_is_stored_compared_handed_over_and_read_there_alone(
    data: Path, storage: Storage, *, large: bool
) -> None:
    hashes = MANY if large else ("x", "y")
    host = Host()
    config = ServiceConfig(port=0, data_dir=str(data))
    with serve_in_thread(config, storage=storage, on_document=host.take) as service:
        assert put(service.url, data, document("a", hashes)) is UploadOutcome.STORED
        assert storage.get("m", None, "aggregate") is None
        assert put(service.url, data, document("b", hashes), "b") is UploadOutcome.STORED
        assert put(service.url, data, document("a"), kind="session") is UploadOutcome.STORED
        assert put(service.url, data, document("b", hashes), "b") is UploadOutcome.STORED  # a repeated one
        until(lambda: len(host.got) == 3)
        documents = read(service.url, data, "/v1/matches")["documents"]
        assert sorted((one["matchId"], one["playerId"]) for one in documents) == [("m", "a"), ("m", "b")]
        assert read(service.url, data, "/v1/matches/m/players/b/multiplayer")["playerId"] == "b"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            read(service.url, data, "/v1/matches/m/players/b/session")
    assert sorted(host.got) == [
        ("m", "a", "multiplayer", "m"),
        ("m", "a", "session", "m"),
        ("m", "b", "multiplayer", "m"),
    ]
    aggregate = storage.get("m", None, "aggregate")
    assert aggregate is not None
    assert json.loads(aggregate)["gameId"] == "m"
    assert set(storage.list()) == {
        ("m", None, "aggregate"),
        ("m", "a", "multiplayer"),
        ("m", "a", "session"),
        ("m", "b", "multiplayer"),
    }
    assert not list(data.rglob("*.multiplayer.json*"))
    assert not list(data.glob(".bench-*"))


@pytest.mark.parametrize("method", ["put multiplayer", "put aggregate", "get"])
def test_one_that_fails_is_told_where_and_the_player_hands_it_in_again(
    data: Path, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    storage = InMemory()
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(data)), storage=storage) as service:
        assert put(service.url, data, document("a")) is UploadOutcome.STORED
        storage.fails[method] = 1
        assert put(service.url, data, document("b"), "b") is UploadOutcome.STORED
    assert storage.fails[method] == 0
    assert len(storage.documents) == 3
    assert "the database is locked" in caplog.text
    assert "in _called" in caplog.text  # the line of the host's
    assert "in match m" in caplog.text
    assert not list(data.glob(".bench-*"))


def test_what_is_no_document_of_the_players_never_gets_there(data: Path) -> None:
    storage = InMemory()
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(data)), storage=storage) as service:
        assert put(service.url, data, b"[]") is UploadOutcome.REFUSED
        assert put(service.url, data, document("b"), "a") is UploadOutcome.REFUSED
    assert not storage.documents


def test_a_storage_that_fails_for_a_while_delays_what_the_host_is_handed(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "_FIRST_PAUSE_S", 0.01)
    storage, host = InMemory(), Host(fails=10**9)
    config = ServiceConfig(port=0, data_dir=str(data))
    with serve_in_thread(config, storage=storage, on_document=host.take) as service:
        assert put(service.url, data, document("a")) is UploadOutcome.STORED
        until(lambda: host.calls > 0)
    storage.fails["get"] = 3
    later = Host()
    with serve_in_thread(config, storage=storage, on_document=later.take):
        until(lambda: len(later.got) == 1)
    assert storage.fails["get"] == 0


def test_reading_from_one_that_fails_says_so(data: Path) -> None:
    storage = InMemory()
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(data)), storage=storage) as service:
        storage.fails = {"get": 9, "list": 9}
        for path in ("/v1/matches", "/v1/matches/m/players/a/session"):
            with pytest.raises(urllib.error.HTTPError, match="503"):
                read(service.url, data, path)


def test_it_is_never_called_on_the_event_loop(data: Path) -> None:
    storage = InMemory()
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(data)), storage=storage) as service:
        assert put(service.url, data, document("a")) is UploadOutcome.STORED
        for method in ("GET", "HEAD"):
            read(service.url, data, "/v1/matches", method)
    assert storage.threads
    assert "gym_p2p service" not in storage.threads


def test_what_is_no_storage_is_refused_with_a_sentence(data: Path) -> None:
    class Half:
        def put(self) -> None: ...

        async def get(self) -> None: ...

    unfit: Any = Half()
    with (
        pytest.raises(UsageError, match=r"put, get and list.*Half\.get"),
        serve_in_thread(ServiceConfig(port=0, data_dir=str(data)), storage=unfit),
    ):
        pass


@pytest.mark.parametrize("large", [False, True])
def test_a_synchronous_host_has_its_own_storage_too(data: Path, *, large: bool) -> None:
    storage = InMemory()
    hashes = MANY if large else ("x", "y")
    sio = socketio.Server(async_mode="threading")
    service = mount(sio, ServiceConfig(data_dir=str(data)), storage=storage)
    server = make_server("127.0.0.1", 0, wsgi_app(service))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        assert put(url, data, document("a", hashes)) is UploadOutcome.STORED
        storage.fails["put multiplayer"] = 1
        assert put(url, data, document("b", hashes), "b") is UploadOutcome.STORED
        assert storage.fails["put multiplayer"] == 0
        assert read(url, data, "/v1/matches/m/players/a/multiplayer")["playerId"] == "a"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        service.stop()
    assert len(storage.documents) == 3
    assert not list(data.glob(".bench-*"))
