"""Stored documents handed to the host: each once, whatever fails, also over a restart."""

from __future__ import annotations

import asyncio
import gc
import gzip
import hashlib
import io
import json
import logging
import threading
import urllib.error
import urllib.request
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import socketio
from aiohttp.web import Application, AppRunner, TCPSite

from gym_p2p.config import ServiceConfig
from gym_p2p.errors import UsageError
from gym_p2p.exports.documents import packed_path, read_document
from gym_p2p.exports.upload import Upload, UploadOutcome, upload
from gym_p2p.server import aiohttp_handler, asgi_app, mount, serve_in_thread, wsgi_app
from gym_p2p.server import intake as intake_module
from gym_p2p.server import outbox as under_test
from gym_p2p.server.apart import NotNowError
from gym_p2p.server.delivery import AsyncDelivery, SyncDelivery
from gym_p2p.server.documents import Documents
from gym_p2p.server.factory import open_secret
from gym_p2p.server.guard.tokens import OperatorClaims, TokenSigner
from gym_p2p.server.outbox import Outbox
from gym_p2p.server.storage import StorageError
from tests.server.documents import claims, document, store_documents
from tests.waiting import PATIENCE_S, eventually, until

MANY = tuple(f"{number:040}" for number in range(16_000))
"""Makes a document that is read in another process."""


class Host:
    """What a host does with documents, and what goes wrong with it."""

    def __init__(self, *, fails: int = 0) -> None:
        self.got: list[tuple[Any, ...]] = []
        self.calls = 0
        self._fails = fails

    def take(self, match_id: str, player_id: Any, kind: str, body: dict[str, Any]) -> None:
        self.calls += 1
        if self.calls <= self._fails:
            raise RuntimeError("the database is locked")
        self.got.append((match_id, player_id, kind, body["gameId"]))

    async def take_async(self, *arguments: Any) -> None:
        await asyncio.sleep(0)
        self.take(*arguments)


@pytest.fixture(autouse=True)
def _tries_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_FIRST_PAUSE_S", 0.01)


def put(url: str, data_dir: Path, body: bytes, player: str = "a", kind: str = "multiplayer") -> UploadOutcome:
    documents = Documents(ServiceConfig(data_dir=str(data_dir)), open_secret(data_dir))
    token = documents.tokens.issue(claims(player))
    target = Upload.of_document(server_url=url, match_id="m", player_id=player, kind=kind, token=token)
    return upload(target, [body], deadline_s=PATIENCE_S).outcome


@pytest.mark.parametrize(("is_async", "large"), [(False, False), (True, True)])
def test_every_stored_document_is_handed_over_once(tmp_path: Path, *, is_async: bool, large: bool) -> None:
    host = Host()
    taker: Callable[..., Any] = host.take_async if is_async else host.take
    body = document("a", hashes=MANY) if large else document("a")
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path)), on_document=taker) as service:
        for _ in range(3):  # a repeated one is no other one
            assert put(service.url, tmp_path, body) is UploadOutcome.STORED
        assert put(service.url, tmp_path, document("b"), "b") is UploadOutcome.STORED
        assert put(service.url, tmp_path, document("a"), kind="session") is UploadOutcome.STORED
        until(lambda: len(host.got) == 3)
        changed = document("a", hashes=("z",))
        assert put(service.url, tmp_path, changed) is UploadOutcome.STORED
        until(lambda: len(host.got) == 4)
    assert host.got == [
        ("m", "a", "multiplayer", "m"),
        ("m", "b", "multiplayer", "m"),
        ("m", "a", "session", "m"),
        ("m", "a", "multiplayer", "m"),
    ]
    assert not list((tmp_path / ".undelivered").iterdir())


def test_a_host_that_fails_is_told_where_and_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host(fails=3)
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path)), on_document=host.take) as service:
        assert put(service.url, tmp_path, document("a")) is UploadOutcome.STORED
        until(lambda: len(host.got) == 1)
    assert host.calls == 4
    assert "the database is locked" in caplog.text
    assert "in take" in caplog.text  # the line of the host's
    assert "the multiplayer document of 'a' in match m" in caplog.text


def test_what_was_not_handed_over_is_after_a_restart(tmp_path: Path) -> None:
    config = ServiceConfig(port=0, data_dir=str(tmp_path))
    broken, host = Host(fails=10**9), Host()
    with serve_in_thread(config, on_document=broken.take) as service:
        assert put(service.url, tmp_path, document("a")) is UploadOutcome.STORED
        until(lambda: broken.calls > 0)
    with serve_in_thread(config, on_document=host.take):
        until(lambda: len(host.got) == 1)
    with serve_in_thread(config, on_document=host.take) as service:
        assert put(service.url, tmp_path, document("b"), "b") is UploadOutcome.STORED
        until(lambda: len(host.got) == 2)
    assert [player for _, player, *_ in host.got] == ["a", "b"]


def test_one_that_never_returns_holds_up_neither_signals_nor_other_documents(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked, done = threading.Event(), threading.Event()
    got: list[Any] = []

    def hangs_once(_match: str, player: Any, *_rest: Any) -> None:
        if not asked.is_set():
            asked.set()
            done.wait(PATIENCE_S)
            return
        got.append(player)

    async def story() -> None:
        delivery = AsyncDelivery(Outbox(tmp_path), hangs_once, timeout_s=1.0)
        store_documents(tmp_path, delivery.outbox, "ab")
        delivery.start()
        await eventually(lambda: len(got) == 2)
        await delivery.stop()

    asyncio.run(story())
    done.set()
    assert sorted(got) == ["a", "b"]
    assert "on_document did not return in time for the session document of" in caplog.text


def test_on_threads_it_is_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    host = Host(fails=1)
    server = socketio.Server(async_mode="threading")
    delivery = SyncDelivery(
        Outbox(tmp_path),
        host.take,
        start_background_task=server.start_background_task,
        create_event=server.eio.create_event,
    )
    delivery.start()
    store_documents(tmp_path, delivery.outbox, "a")
    delivery.wake()
    until(lambda: len(host.got) == 1)
    delivery.stop()
    delivery.stop()
    assert "the database is locked" in caplog.text
    assert not list((tmp_path / ".undelivered").iterdir())


class AsyncTaker:
    async def __call__(self, *_document: Any) -> None: ...


@pytest.mark.parametrize("on_document", [Host().take_async, AsyncTaker()])
def test_where_no_event_loop_runs_it_cannot_be_a_coroutine_function(tmp_path: Path, on_document: Any) -> None:
    sio = socketio.Server(async_mode="threading")
    with pytest.raises(UsageError, match="on_document: no event loop runs"):
        mount(sio, ServiceConfig(data_dir=str(tmp_path)), on_document=on_document)
    assert sio.handlers == {}


def test_a_coroutine_that_nobody_awaits_has_taken_no_document(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host()
    server = socketio.Server(async_mode="threading")
    delivery = SyncDelivery(
        Outbox(tmp_path),
        host.take_async,
        start_background_task=server.start_background_task,
        create_event=server.eio.create_event,
    )
    store_documents(tmp_path, delivery.outbox, "a")
    delivery.start()
    until(lambda: "no event loop runs" in caplog.text)
    delivery.stop()
    assert host.got == []
    assert list((tmp_path / ".undelivered").iterdir())


@pytest.mark.parametrize("is_async", [True, False])
def test_a_document_is_read_beside_the_event_loop_and_outside_of_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_async: bool
) -> None:
    """One of a long match has tens of megabytes."""
    host, outbox = Host(), Outbox(tmp_path)
    store_documents(tmp_path, outbox, "a")
    read: list[tuple[int, bool]] = []

    def noted(path: Path) -> bytes:
        read.append((threading.get_ident(), outbox._lock.locked()))
        return read_document(path)

    monkeypatch.setattr(under_test, "read_document", noted)

    async def story() -> int:
        delivery = AsyncDelivery(outbox, host.take_async)
        delivery.start()
        await eventually(lambda: bool(host.got))
        await delivery.stop()
        return threading.get_ident()

    if is_async:
        elsewhere = asyncio.run(story())
    else:
        server = socketio.Server(async_mode="threading")
        tasks, event = server.start_background_task, server.eio.create_event
        sync = SyncDelivery(outbox, host.take, start_background_task=tasks, create_event=event)
        sync.start()
        until(lambda: bool(host.got))
        elsewhere = threading.get_ident()
        sync.stop()
    assert [locked for _, locked in read] == [False]
    assert elsewhere not in {thread for thread, _ in read}


def test_what_was_marked_and_never_stored_is_not_handed_over(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    with pytest.raises(OSError, match="full"), Outbox(tmp_path).storing("m", "a", "session", folder):
        raise OSError("the disk is full")
    assert Outbox(tmp_path).next(0.0) is None
    marked = Outbox(tmp_path).storing("m", "a", "session", folder)
    marked.__enter__()  # and the process dies
    assert Outbox(tmp_path).next(0.0) is None


def _two_that_wait(directory: Path) -> Outbox:
    outbox = Outbox(directory)
    store_documents(directory, outbox, "ab")
    return outbox


@pytest.mark.parametrize("what", ["a.session.json", "marker"])
def test_what_has_failed_and_is_gone_is_due_no_more(tmp_path: Path, what: str) -> None:
    """Else the one who waits for it would look for ever without a pause."""
    outbox = _two_that_wait(tmp_path)
    for _ in range(2):
        waiting = outbox.next(0.0)
        assert waiting is not None
        outbox.failed(waiting, 0.0)
        if waiting.marker.player_id == "a":
            of_a = waiting.markers
    for path in of_a if what == "marker" else [tmp_path / "m" / what]:
        path.unlink()
    remaining = outbox.next(100.0)
    assert remaining is not None
    assert remaining.marker.player_id == "b"
    outbox.done(remaining)
    assert outbox.next(100.0) is None
    assert outbox.due() is None


def test_one_that_cannot_be_read_holds_up_no_other_and_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = _two_that_wait(tmp_path)
    path = tmp_path / "m" / "a.session.json"
    body = path.read_bytes()
    path.unlink()
    damaged = packed_path(path)
    damaged.write_bytes(b"no gzip")
    handed_over = []
    while (waiting := outbox.next(0.0)) is not None:
        handed_over.append(waiting.marker.player_id)
        outbox.done(waiting)
    assert handed_over == ["b"]
    assert "the session document of 'a' in match m cannot be handed over" in caplog.text
    assert outbox.due() is not None
    damaged.unlink()
    path.write_bytes(body)
    waiting = outbox.next(100.0)
    assert waiting is not None
    assert waiting.marker.player_id == "a"


# ---- the web application of a mounted service


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_what: Any) -> None: ...


def get(url: str, token: str | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})  # noqa: S310 - our own service
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - our own service
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def operator(data_dir: Path) -> str:
    return TokenSigner(open_secret(data_dir), OperatorClaims).issue(OperatorClaims(expires_at=1e12))


def test_the_operator_reads_documents_and_nobody_else(tmp_path: Path) -> None:
    body = document("a")
    with serve_in_thread(ServiceConfig(port=0, data_dir=str(tmp_path))) as service:
        assert put(service.url, tmp_path, body) is UploadOutcome.STORED
        where = f"{service.url}/v1/matches/m/players/a"
        token = operator(tmp_path)
        assert get(f"{where}/multiplayer", token) == (200, body)
        assert get(f"{where}/multiplayer")[0] == 401
        assert get(f"{where}/multiplayer", "x.y")[0] == 403
        for absent in ("session", "nonsense"):
            assert get(f"{where}/{absent}", token)[0] == 404
        for other in ("..%2F..%2Fetc", "n"):
            assert get(f"{service.url}/v1/matches/{other}/players/a/multiplayer", token)[0] == 404
        listed = json.loads(get(f"{service.url}/v1/matches", token)[1])
        assert [(one["matchId"], one["playerId"]) for one in listed["documents"]] == [("m", "a")]
        assert get(f"{service.url}/v1/matches")[0] == 401
        status, module = get(f"{service.url}/gym_p2p/gym_p2p.js")
        assert status == 200
        assert b"GymP2PClient" in module
        assert get(f"{service.url}/gym_p2p/no_such.js")[0] == 404


@pytest.mark.parametrize("large", [False, True])
def test_a_wsgi_host_takes_documents_and_tells_its_players_so(tmp_path: Path, *, large: bool) -> None:
    """Its synchronous Socket.IO server is another test's: here one stands for the service."""
    service = _Mounted(tmp_path)
    assert not service.machines.rooms.takes_documents

    def host(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"the host's own page"]

    server = make_server("127.0.0.1", 0, wsgi_app(service, host), handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        assert service.machines.rooms.takes_documents
        assert get(f"{url}/lobby") == (200, b"the host's own page")
        body = document("a", hashes=MANY) if large else document("a")
        assert put(url, tmp_path, body) is UploadOutcome.STORED
        assert get(f"{url}/v1/matches/m/players/a/multiplayer", operator(tmp_path)) == (200, body)
        assert json.loads(get(f"{url}/healthz")[1])["ok"] is True
        assert b"gym_p2p_connections" in get(f"{url}/metrics")[1]
        assert put(url, tmp_path, b"no document") is UploadOutcome.REFUSED
        assert put(url, tmp_path, document("b")) is UploadOutcome.REFUSED  # another player's
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("web", [asgi_app, wsgi_app, aiohttp_handler])
def test_a_web_application_of_something_else_is_refused_by_name(web: Any) -> None:
    with pytest.raises(UsageError, match=r"wanted what mount\(\) has returned.*socketio"):
        web(socketio.AsyncServer(async_mode="asgi"))


def test_players_of_a_wsgi_host_have_their_answer_before_a_large_aggregate_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def making(_job: Any, _body: Any) -> None:
        asked.set()
        answered.wait(PATIENCE_S)

    monkeypatch.setattr(intake_module, "apart_now", making)
    service = _Mounted(tmp_path)
    service.documents.store.put(claims("a"), "multiplayer", document("a", hashes=MANY * 2))
    server = make_server("127.0.0.1", 0, wsgi_app(service), handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        assert put(url, tmp_path, document("b"), "b") is UploadOutcome.STORED
        assert asked.wait(PATIENCE_S)
    finally:
        answered.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_nothing_is_kept_of_an_upload_that_broke_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "gym_p2p.server.web")  # a captured line keeps its refusal

    class Line:
        async def __call__(self) -> dict[str, Any]:
            return {"type": "http.disconnect"}

    service, answers = _Mounted(tmp_path), list[Any]()
    token = service.documents.tokens.issue(claims("a"))
    scope = {
        "type": "http",
        "method": "PUT",
        "path": "/v1/matches/m/players/a/session",
        "headers": [(b"authorization", f"Bearer {token}".encode())],
    }

    async def send(message: Any) -> None:
        answers.append(message.get("status"))

    lines = [Line() for _ in range(3)]
    kept = [weakref.ref(line) for line in lines]
    app = asgi_app(service)

    async def story() -> None:
        while lines:
            await app(scope, lines.pop(), send)

    asyncio.run(story())
    gc.collect()
    assert answers[::2] == [408] * 3
    assert [line() for line in kept] == [None] * 3


def test_an_aiohttp_host_tells_a_broken_body_from_a_failure_of_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = _Mounted(tmp_path)
    token = service.documents.tokens.issue(claims("a"))
    head = (
        "PUT /v1/matches/m/players/a/session HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 100\r\n\r\n"
    ).encode()

    async def story() -> bytes:
        app = Application()
        app.router.add_route("*", "/{path:.*}", aiohttp_handler(service))
        runner = AppRunner(app)
        await runner.setup()
        site = TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + b"no gzip at all".ljust(100))
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.readline()
        writer.close()
        _, gone = await asyncio.open_connection("127.0.0.1", port)
        gone.write(head + gzip.compress(document("a"))[:20])
        await eventually(lambda: service.documents._arriving.total() == 1)
        gone.transport.abort()
        await eventually(lambda: service.documents._arriving.total() == 0)
        await runner.cleanup()
        return answer

    assert asyncio.run(story()).split()[1] == b"400"
    assert "did not arrive in time" in caplog.text
    ours = [record for record in caplog.records if record.name.startswith("gym_p2p")]
    assert [record.getMessage() for record in ours if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("why", [NotNowError("no reader"), StorageError("try again later")])
def test_a_wsgi_host_keeps_the_parts_of_what_it_cannot_take_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: Exception
) -> None:
    def take_nothing(*_: object, **__: object) -> bool:
        raise why

    service, statuses = _Mounted(tmp_path), list[str]()
    whole = gzip.compress(document("a"))
    environ = {
        "REQUEST_METHOD": "PATCH",
        "PATH_INFO": "/v1/matches/m/players/a/session",
        "HTTP_AUTHORIZATION": f"Bearer {service.documents.tokens.issue(claims('a'))}",
        "HTTP_UPLOAD_OFFSET": "0",
        "HTTP_UPLOAD_LENGTH": str(len(whole)),
        "HTTP_UPLOAD_DIGEST": hashlib.sha256(whole).hexdigest(),
        "CONTENT_LENGTH": str(len(whole)),
        "wsgi.input": io.BytesIO(whole),
    }
    monkeypatch.setattr(intake_module.Intake, "take_now", take_nothing)
    wsgi_app(service)(environ, lambda status, _headers: statuses.append(status))
    assert statuses == ["503 Service Unavailable"]
    assert [path.read_bytes() for path in (tmp_path / ".parts").iterdir()] == [whole]


class _Mounted:
    """A service without a Socket.IO server."""

    def __init__(self, data_dir: Path) -> None:
        async def make() -> Any:
            service = mount(socketio.AsyncServer(async_mode="asgi"), ServiceConfig(data_dir=str(data_dir)))
            await service.stop()
            return service

        service = asyncio.run(make())
        self.documents, self.metrics, self.machines = service.documents, service.metrics, service.machines

    def look(self, at: Callable[[Any], Any]) -> Any:
        return at(self.machines)
